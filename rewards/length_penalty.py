"""Is the completion, or a part of it, longer than it should be?"""

import re
from typing import Literal, get_args

from emoreason.completions import completion_text
from emoreason.faults import UserError
from emoreason.metrics.text import prose, written_words

Part = Literal["completion", "answer", "reasoning"]
Unit = Literal["words", "tokens"]

_ANSWER = re.compile("<answer>", re.IGNORECASE | re.ASCII)
_ANSWER_END = re.compile("</answer>", re.IGNORECASE | re.ASCII)
_CONFIDENCE = re.compile("<confidence>[^<]{0,16}</confidence>", re.IGNORECASE | re.ASCII)


def length_penalty_reward(
    completions: list,
    *,
    target_words: int = 64,
    max_words: int = 128,
    part: Part = "completion",
    unit: Unit = "words",
    completion_ids: list[list[int]] | None = None,
    **kwargs,
) -> list[float]:
    """0.0 up to `target_words` words, falling on a straight line to -1.0 at `max_words` words and beyond; tags are no words.

    `part` says what is counted: the whole completion, the last `<answer>` up to its close or the end, or the reasoning, which is
    all but that answer and the stated confidence: text outside the tags counts, so that length cannot hide there. In Chinese,
    Japanese and Korean each character is a word. With `unit="tokens"` both settings are tokens, of the completion as TRL's
    `completion_ids` has them; a part gets its share of the completion's characters, rounded, since nobody can tell which tokens
    are its own without the tokenizer.

    Raises:
        UserError: not 0 < target_words < max_words, an unknown part or unit, or tokens without `completion_ids`.

    Source: the soft overlong punishment of DAPO (Yu et al. 2025, arXiv 2503.14476, eq. 13), with target_words = L_max - L_cache
    and max_words = L_max, here in words of text where DAPO counts tokens.

    >>> length_penalty_reward(["<think>lips up</think>", "one two three"], target_words=2, max_words=4)
    [0.0, -0.5]
    """
    if not 0 < target_words < max_words:
        raise UserError(f"length_penalty_reward: target_words is {target_words} and max_words is {max_words}; "
                        "accepted: 0 < target_words < max_words")
    for name, given, accepted in (("part", part, get_args(Part)), ("unit", unit, get_args(Unit))):
        if given not in accepted:
            raise UserError(f"length_penalty_reward: unknown {name} {given!r}; accepted: {', '.join(accepted)}")
    texts = [completion_text(text) for text in completions]
    if unit == "words":
        lengths = [len(written_words(_part(text, part))) for text in texts]
    elif completion_ids is None:
        raise UserError("length_penalty_reward: unit is tokens, and the caller gives no `completion_ids`, which TRL does in GRPO; "
                        "use unit: words elsewhere")
    else:
        lengths = [_num_tokens(text, ids, part) for text, ids in zip(texts, completion_ids, strict=True)]
    return [max(min((target_words - length) / (max_words - target_words), 0.0), -1.0) for length in lengths]


def _num_tokens(text: str, ids: list[int], part: Part) -> int:
    if part == "completion":
        return len(ids)
    return round(len(ids) * len(prose(_part(text, part), "").strip()) / len(text)) if text else 0


def _part(text: str, part: Part) -> str:
    """The text of the part, the tags of the reasoning included."""
    if part == "completion":
        return text
    start = end = (len(text), len(text))
    for opening in _ANSWER.finditer(text):
        start = opening.span()
    if closing := _ANSWER_END.search(text, start[1]):
        end = closing.span()
    return text[start[1] : end[0]] if part == "answer" else _CONFIDENCE.sub(" ", f"{text[: start[0]]} {text[end[1] :]}")
