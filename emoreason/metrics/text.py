"""The words of a text, and how near it is to a reference by its words alone.

Standard library and `completions` only. The package `rouge-score` computes the same number, but is not used: it loads nltk, over a second, and
drops every letter outside a to z, so that a Chinese text has no words at all.
"""

import re

from emoreason.completions import SECTIONS, TAGS

_TAG = re.compile(f"</?(?:{'|'.join((*TAGS, *(name for names in SECTIONS.values() for name in names)))})>", re.IGNORECASE | re.ASCII)
# Kana, Han and Hangul, whose texts have no spaces between words, or few.
_CJK = "\u1100-\u11ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_WRITTEN = re.compile(rf"[{_CJK}][^\s\w]{{0,15}}|[^\s{_CJK}]{{1,16}}")


def words(text: str) -> list[str]:
    """The runs of letters and digits, case folded; in Chinese, Japanese and Korean each character is a word.

    >>> words("Don't smile, 微笑!")
    ['don', 't', 'smile', '微', '笑']
    """
    return _WORD.findall(text.casefold())


def prose(text: str, in_place_of_a_tag: str = " ") -> str:
    """The text without the tags of templates, their published sections' included."""
    return _TAG.sub(in_place_of_a_tag, text)


def written_words(text: str) -> list[str]:
    """What spaces part, punctuation included and tags left out; in Chinese, Japanese and Korean each character is a word.

    A run without spaces is cut after 16 characters each, so that leaving out the spaces hides neither length nor repetition.

    >>> written_words("<think>Lips up, brows-down.</think>")
    ['Lips', 'up,', 'brows-down.']
    """
    return _WRITTEN.findall(prose(text))


def rouge_l(prediction: str, reference: str) -> float:
    """ROUGE-L: 2PR / (P + R), with P and R the share of the longest common subsequence of words in either text; in [0, 1].

    0.0 where they share no word or either has none. No stemming, and the whole text is one sequence, sentence ends or not.
    Time is linear in the longer text while the shorter one has a few hundred words.

    Source: Lin (2004), "ROUGE: a package for automatic evaluation of summaries", section 3.1, with beta = 1. For texts in plain
    ASCII it is `rougeL` of rouge-score without its stemmer.

    >>> rouge_l("the police kill the gunman", "police killed the gunman")
    0.6666666666666665
    """
    predicted, wanted = words(prediction), words(reference)
    common = _common_subsequence(predicted, wanted)
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def _common_subsequence(one: list[str], other: list[str]) -> int:
    """The length of the longest common subsequence.

    A row of the usual table grows by 0 or 1 from cell to cell, so it fits into the bits of one number: 0 where it grows
    (Crochemore, Iliopoulos, Pinzon and Reid 2001, Information Processing Letters 80:279).
    """
    short, long = sorted((one, other), key=len)
    places: dict[str, int] = {}
    for index, word in enumerate(short):
        places[word] = places.get(word, 0) | 1 << index
    row = full = (1 << len(short)) - 1
    for word in long:
        grown = row & places.get(word, 0)
        row = ((row + grown) | (row - grown)) & full
    return len(short) - row.bit_count()
