"""Does the completion say the same again and again?"""

import math
import string

from emoreason.completions import completion_text
from emoreason.faults import UserError
from emoreason.metrics.text import written_words

_PUNCTUATION = string.punctuation + "“”‘’…–—。、，！？：；「」『』（）《》"


def repetition_penalty_reward(completions: list, *, ngram: int = 3, max_penalty: float = -1.0, **kwargs) -> list[float]:
    """`max_penalty` times the share of the n-grams of words that stood before: 1 - different n-grams / n-grams; in [max_penalty, 0].

    It reads the whole completion, think text included, without tags; fewer than `ngram` words are 0.0. Case and punctuation around
    a word do not tell it from another. In Chinese, Japanese and Korean each character is a word: give a larger `ngram` there, say 6.
    Padding with new words thins repetition out; `length_penalty_reward` beside it makes that cost.

    Raises:
        UserError: `ngram` is below 1, or `max_penalty` above 0 or not finite.

    Source: the repetition penalty in the code of Yeo et al. (2025, arXiv 2502.03373) that gives one value a completion, as open-r1
    has it too; their other one penalises the repeated tokens themselves, for which a reward of this kind has no place. They split at
    spaces; that punctuation, missing spaces and CJK text do not hide repetition is ours.

    >>> repetition_penalty_reward(["<think>lips up lips up lips up</think>", "lips up, brows down"])
    [-0.5, 0.0]
    """
    if ngram < 1 or not (math.isfinite(max_penalty) and max_penalty <= 0):
        raise UserError(f"repetition_penalty_reward: ngram is {ngram} and max_penalty is {max_penalty}; "
                        "accepted: ngram from 1 and a max_penalty of at most 0")
    return [max_penalty * share if (share := _share_repeated(completion_text(text), ngram)) else 0.0 for text in completions]


def _share_repeated(text: str, ngram: int) -> float:
    words = [word.strip(_PUNCTUATION) or word for word in written_words(text.casefold())]
    ngrams = list(zip(*(words[start:] for start in range(ngram)), strict=False))
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0
