"""Does the completion follow the template?"""

from emoreason.completions import Template, completion_text, parse_completion


def answer_format_reward(completions: list, template: list[Template], **kwargs) -> list[float]:
    """1.0 where the completion has the template's tags, each once, in order, with a readable content, else 0.0.

    Source: the format reward of R1-Omni (arXiv 2503.05379) and its kin, full match of the whole completion; here the
    content counts too: an empty answer, two labels where one is asked or an unreadable confidence is 0.0.

    >>> answer_format_reward(["<answer>joy</answer>", "joy"], template=[Template(think="none")] * 2)
    [1.0, 0.0]
    """
    parsed = (parse_completion(completion_text(text), form) for text, form in zip(completions, template, strict=True))
    return [0.0 if one.problems else 1.0 for one in parsed]
