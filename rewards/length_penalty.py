"""Is the completion longer than it should be?"""

import re

from emoreason.completions import TAGS, completion_text
from emoreason.faults import UserError

_TAG = re.compile(f"</?(?:{'|'.join(TAGS)})>", re.IGNORECASE)
# A run without spaces counts once for each 16 characters, so that leaving out the spaces does not hide length.
_WORD = re.compile(r"\S{1,16}")


def length_penalty_reward(completions: list, *, target_words: int = 64, max_words: int = 128, **kwargs) -> list[float]:
    """0.0 up to `target_words` words, falling on a straight line to -1.0 at `max_words` words and beyond; tags are no words.

    It counts the whole completion, think text included.

    Raises:
        UserError: not 0 < target_words < max_words.

    Source: the soft overlong punishment of DAPO (Yu et al. 2025, arXiv 2503.14476, eq. 13), with target_words = L_max - L_cache
    and max_words = L_max, here in words of text where DAPO counts tokens.

    >>> length_penalty_reward(["<think>lips up</think>", "one two three"], target_words=2, max_words=4)
    [0.0, -0.5]
    """
    if not 0 < target_words < max_words:
        raise UserError(f"length_penalty_reward: target_words is {target_words} and max_words is {max_words}; "
                        "accepted: 0 < target_words < max_words")
    room = (target_words - _num_words(completion_text(text)) for text in completions)
    return [max(min(words / (max_words - target_words), 0.0), -1.0) for words in room]


def _num_words(text: str) -> int:
    return sum(1 for _ in _WORD.finditer(_TAG.sub(" ", text)))
