"""Is the answer the record's label?"""

from emoreason.completions import Template, completion_text, is_label, parse_completion


def emotion_label_reward(
    completions: list, template: list[Template], label: list[str | None], *, label_space: list[str | None] | None = None,
    choices: list[list[str]] | None = None, **kwargs,
) -> list[float | None]:  # fmt: skip
    """1.0 where the dominant answer is the record's label, as `completions.is_label` decides, else 0.0.

    Case and punctuation do not count; with the columns `label_space` and `choices`, forms of the label in its own space and letters of
    choices are understood too. None where the record has no label. A completion that breaks the template is still right when its answer can be read:
    format has a reward of its own. Two labels where one is asked are no answer, so naming them all does not pay.

    Source: the accuracy reward of R1-Omni (Zhao et al. 2025, arXiv 2503.05379).

    >>> emotion_label_reward(["<answer>Joy.</answer>", "<answer>joy, fear</answer>"], [Template(think="none")] * 2, ["joy", "joy"])
    [1.0, 0.0]
    """
    none = [None] * len(completions)
    rows = zip(completions, template, label, label_space or none, choices or none, strict=True)
    return [
        None if wanted is None else float(is_label(parse_completion(completion_text(text), form).label, wanted, space, offered))
        for text, form, wanted, space, offered in rows
    ]
