"""Is the verdict on the statement right?"""

from emoreason.completions import Template, completion_text, parse_completion, read_verdict


def statement_verdict_reward(completions: list, template: list[Template], label: list[str | None], **kwargs) -> list[float | None]:
    """1.0 where the answer is the record's verdict, `correct` or `incorrect`, else 0.0: a verdict that cannot be read is wrong.

    `yes` and `true` count as correct, `no` and `false` as incorrect (`completions.VERDICTS`), in answer and label alike. An answer
    that says both, or another word beside the verdict, is no verdict. None where the record's label is none.

    Source: Emotion Statement Judgement (MVEI, arXiv 2509.21950), whose accuracy counts abstentions as wrong. Its parser, and that
    of EmObserver, looks for `incorrect`, then `correct` anywhere in the text; here the answer is the verdict or nothing.

    >>> form = [Template(think="none", answer="verdict")] * 2
    >>> statement_verdict_reward(["<answer>Incorrect.</answer>", "<answer>unclear</answer>"], form, ["incorrect"] * 2)
    [1.0, 0.0]
    """
    return [_score(completion_text(text), form, wanted) for text, form, wanted in zip(completions, template, label, strict=True)]


def _score(text: str, template: Template, label: str | None) -> float | None:
    gold = None if label is None else read_verdict(label)
    if gold is None:
        return None
    return 1.0 if {read_verdict(answer) for answer in parse_completion(text, template).answers} == {gold} else 0.0
