"""Is the answer the record's label?"""

from emoreason.completions import Template, completion_text, normalise_word, parse_completion


def emotion_label_reward(completions: list, template: list[Template], label: list[str | None], **kwargs) -> list[float | None]:
    """1.0 where the dominant answer is the record's label, case and surrounding punctuation aside, else 0.0.

    None where the record has no label. A completion that breaks the template is still right when its answer can be read:
    format has a reward of its own. Two labels where one is asked are no answer, so naming them all does not pay.

    Source: the accuracy reward of R1-Omni (Zhao et al. 2025, arXiv 2503.05379).

    >>> emotion_label_reward(["<answer>Joy.</answer>", "<answer>joy, fear</answer>"], [Template(think="none")] * 2, ["joy", "joy"])
    [1.0, 0.0]
    """
    return [_score(completion_text(text), form, wanted) for text, form, wanted in zip(completions, template, label, strict=True)]


def _score(text: str, template: Template, label: str | None) -> float | None:
    if label is None:
        return None
    return 1.0 if parse_completion(text, template).label == normalise_word(label) else 0.0
