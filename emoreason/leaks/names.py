"""Ids and texts of records without what may differ where they name or say the same."""

import re
import unicodedata

_EXTENSION = re.compile(r"\.(jpe?g|png|webp|bmp|gif|tiff?|mp4|avi|mkv|mov|webm|flv|wav|mp3|flac|ogg|opus|m4a|json|txt)$")
_WORD_AND_NUMBER = re.compile(r"\s*[^\W\d_]+[\W_]*\d{1,4}\s*")
_COPY = re.compile(r"#\d+$")
_SPLIT = re.compile(r"(^|/)(train|training|test|testing|val|valid|validation|dev|eval)(set|_set)?([/_:.-]+)")
NOBODY = frozenset({"", "-", "?", "n/a", "na", "nan", "none", "null", "unknown", "unk"})
"""Groups in lower case that stand for one that is not known."""


def is_distinctive(name: str) -> bool:
    """Whether a name is unlikely to be given twice by chance: six letters and digits or more, some of each, and no mere `actor_12`."""
    letters = [character for character in name if character.isalnum()]
    mixed = any(map(str.isdigit, letters)) and not all(map(str.isdigit, letters))
    return len(letters) >= 6 and mixed and not _WORD_AND_NUMBER.fullmatch(name)


def bare_id(text: str, numbered_by_split: bool = False) -> str:
    """The id without case, form of Unicode, extension, leading zeros, `#2` of a copy, and a split's name where splits do not number anew.

    A split before a mere number, or a word and a number, stays, since most sets number each split from the beginning.
    """
    bare = _COPY.sub("", unicodedata.normalize("NFKC", text).casefold().strip().replace("\\", "/"))
    bare = _EXTENSION.sub("", bare)
    if not numbered_by_split:
        without = _SPLIT.sub(r"\1", bare)
        bare = without if is_distinctive(without) else bare
    return re.sub(r"(?<!\d)0+(?=\d)", "", bare)


def plain_text(text: str) -> str:
    """Words in one case and form of Unicode, without punctuation and symbols, one blank between them."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(" " if unicodedata.category(character)[0] in "PSZC" else character for character in folded if character not in "'’")
    return " ".join(kept.split())


def num_letters(text: str) -> int:
    """Letters and digits; a character of Chinese or Japanese or a syllable of Hangul says as much as three."""
    return sum(3 if "぀" <= character <= "ヿ" or "㐀" <= character <= "鿿" or "가" <= character <= "힣" else 1
               for character in text if character.isalnum())  # fmt: skip
