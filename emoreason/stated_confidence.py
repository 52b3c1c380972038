"""How sure a model says it is: the number in what stands inside of `<confidence>`, however it is spelled.

    >>> read_confidence("85%"), read_confidence("8.5/10"), read_confidence("between 0.8 and 0.9")
    ((0.85, None), (0.85, None), (0.85, None))
    >>> read_confidence("7")
    (None, '7 is on an unknown scale: of 5, of 10 or of 100')
    >>> read_confidence("very high")
    (0.95, 'in words, not as a number')

What can be meant in two ways is refused with the reason, never guessed: a wrong guess would teach a wrong confidence.
"""

import re
import unicodedata
from typing import NamedTuple

IN_WORDS = "in words, not as a number"

# The five grades are our choice. The phrases have the medians of a survey of 46 people, who were asked what probability each
# phrase means (github.com/zonination/perceptions, probly.csv; after Sherman Kent's of 1964).
WORDS: dict[str, float] = {
    "very high": 0.95, "high": 0.8, "moderate": 0.6, "medium": 0.6, "low": 0.3, "very low": 0.1,
    "almost certain": 0.95, "almost certainly": 0.95, "highly likely": 0.9, "very good chance": 0.8, "probably": 0.75,
    "likely": 0.7, "probable": 0.7, "better than even": 0.6, "about even": 0.5, "unlikely": 0.2, "little chance": 0.15,
    "improbable": 0.15, "highly unlikely": 0.05, "almost no chance": 0.02,
}  # fmt: skip
# What may stand beside a number without changing it. Any other word is refused, as it may: `not`, `below`, `wrong`, `AU`.
_FILLERS = frozenset(
    "a am an and answer about approx approximately around as at be being by ca certain certainty chance circa confidence confident "
    "correct correctness estimate estimated final i i'd i'm in is it it's level likelihood my of or overall probability rating right "
    "roughly say score sure that the this value with would".split()
)
_TERMS = {tuple(term.split()): value for term, value in WORDS.items()}
_LONGEST_TERM = max(map(len, _TERMS))
_MAX_LENGTH = 120

_CHARACTERS = {"٪": "%", "﹪": "%", "٫": ".", "。": ".", "−": "-", "‐": "-", "‑": "-", "∼": "~", "〜": "~", "≈": "~", "’": "'"}
_LATEX = re.compile(r"\\(?:boxed|fbox|text|textbf|mathbf|mathrm|left|right)(?![a-z])|\\(?![a-z])")
_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:[.,][0-9]+)?|(?<![0-9%])[.,][0-9]+)(?:e[+-]?[0-9]{1,3}(?![0-9]))?)"
    r"|(?P<percent>%|per\s?cent\b|pct\b)|(?P<over>/|out\s+of\b)|(?P<dash>[-–—]+)|(?P<swung>~)"
    r"|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)|(?P<nothing>[\s:;.,=!\"'`*_{}\[\]()$“”‘«»])|(?P<strange>.)",
    re.DOTALL,
)
# One letter a token: N number, P percent, O over, D dash, S swung dash, T to, B between or from, A and, W another word.
_LETTERS = {"number": "N", "percent": "P", "over": "O", "dash": "D", "swung": "S", "word": "W"}
_WORD_LETTERS = {"to": "T", "between": "B", "from": "B", "and": "A"}
_RANGE = re.compile(r"(?:B(?=NP?A)|B?(?=NP?[DST]))(?P<low>N)(?P<low_percent>P?)[ADST](?P<high>N)(?P<high_percent>P?)(?:O(?P<total>N))?")
_SINGLE = re.compile(r"(?P<high>N)(?P<high_percent>P?)(?:O(?P<total>N))?")
_TORN = re.compile(r"\d[.,][^\w\s)\]}\"'*.,%-]+\d")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2},[0-9]{3}")


def parse_confidence(text: str) -> float | None:
    """The confidence in [0, 1] that `text` states, in figures or in words, or None; `read_confidence` says why."""
    return read_confidence(text)[0]


def read_confidence(text: str) -> tuple[float | None, str | None]:
    """(the stated confidence in [0, 1] or None, what is wrong or unusual about the text or None where it is a plain number).

    A number in words (`WORDS`) has a value and the remark `IN_WORDS`. A number beats a word beside it, a range means its middle,
    and a bare number above 10 and up to 100 is per cent. Never raises, whatever the text; takes time linear in its length.
    """
    text = text.strip()
    if not text:
        return None, "empty"
    if len(text) > _MAX_LENGTH:
        return None, f"{len(text)} characters long, where a number is expected"
    if torn := _TORN.search(text):
        return None, f"{torn[0]!r} is a number torn apart"
    try:
        plain = _plain(text)
        tokens = _tokens(plain)
        named = _read_words([token.text if token.letter in "ABTW" else None for token in tokens if token.letter != "D"])
        stated = _read_numbers(plain, tokens)
    except _RefusedError as refused:
        return None, str(refused)
    values = stated or named
    if not values:
        return None, "no number"
    if max(values) - min(values) > 1e-9:
        return None, f"two different {'numbers' if stated else 'words'} that are no range"
    return values[0], None if stated else IN_WORDS


class _RefusedError(ValueError):
    """Why the text states no confidence."""


class _Token(NamedTuple):
    letter: str
    text: str
    start: int
    end: int


def _plain(text: str) -> str:
    text = "".join(map(_plain_character, text)).casefold()
    return _LATEX.sub(" ", text.replace("\\approx", "~").replace("\\sim", "~"))


def _tokens(plain: str) -> list[_Token]:
    """Numbers, units and words, without the punctuation and markup around them."""
    tokens = []
    for match in _TOKEN.finditer(plain):
        if match.lastgroup == "strange":
            raise _RefusedError(f"{match[0]!r} is no part of a confidence")
        if match.lastgroup != "nothing":
            letter = _WORD_LETTERS.get(match[0], _LETTERS[match.lastgroup])
            tokens.append(_Token(letter, match[0], match.start(), match.end()))
    return tokens


def _plain_character(character: str) -> str:
    """ASCII for the digits of all scripts and for full-width forms; superscript digits and fractions stay as they are."""
    if character < "\x80":
        return character
    if "！" <= character <= "～":
        return chr(ord(character) - 0xFEE0)
    digit = unicodedata.decimal(character, None)
    return _CHARACTERS.get(character, character) if digit is None else str(digit)


def _read_words(words: list[str | None]) -> list[float]:
    """The value of each term of `WORDS`; the longest that starts at a word counts. None stands for a token that is no word."""
    values, index = [], 0
    while index < len(words):
        sizes = range(min(_LONGEST_TERM, len(words) - index), 0, -1)
        size = next((size for size in sizes if tuple(words[index : index + size]) in _TERMS), 0)
        if size:
            values.append(_TERMS[tuple(words[index : index + size])])
        elif (word := words[index]) is not None and word not in _FILLERS and word not in _WORD_LETTERS:
            raise _RefusedError(f"{word[:30]!r} is no part of a confidence")
        index += size or 1
    return values


def _read_numbers(plain: str, tokens: list[_Token]) -> list[float]:
    """The value of each number with its unit, and of each range."""
    letters, values, index = "".join(token.letter for token in tokens), [], 0
    while index < len(tokens):
        letter, before, behind = letters[index], letters[index - 1 : index], letters[index + 1 : index + 2]
        match = _RANGE.match(letters, index) or _SINGLE.match(letters, index)
        if match:
            number = {name: _number(tokens[match.start(name)].text) for name in ("low", "high", "total") if match.groupdict().get(name)}
            values.append(_value(number, "P" in match[0], plain[tokens[match.start()].start : tokens[match.end() - 1].end]))
            index = match.end()
            continue
        if letter == "D" and behind == "N" and before not in ("N", "P"):
            dash, figure = tokens[index], tokens[index + 1]
            if dash.text.startswith("-") and dash.end == figure.start:
                raise _RefusedError(f"-{figure.text} is negative")
        if letter in "BOP" or (letter == "D" and before in ("N", "P") and behind != "W"):
            raise _RefusedError(f"{tokens[index].text!r} belongs to no number" if letter in "OP" else "no readable range")
        index += 1
    return values


def _number(text: str) -> float:
    if _THOUSANDS.fullmatch(text):
        raise _RefusedError(f"the comma of {text} may mark thousands or decimals")
    value = float(text.replace(",", "."))
    if value > 1e6:
        raise _RefusedError(f"{text[:20]} is far above 100%")
    return value


def _value(number: dict[str, float], percent: bool, written: str) -> float:
    """The confidence of a number or of the middle of a range: of its `high`, and its `low` and `total` where they are given."""
    high, total = number["high"], number.get("total")
    low = number.get("low", high)
    if percent and total is not None:
        raise _RefusedError(f"{written} is per cent of a total")
    if total is not None and total < 1:
        raise _RefusedError(f"{written} divides by {'a fraction' if total else 'zero'}")
    if percent or (total is None and high > 10):
        total, above = 100.0, "100%"
    elif total is None and high > 1:
        raise _RefusedError(f"{written} is on an unknown scale: of 5, of 10 or of 100")
    else:
        total, above = total or 1.0, f"its total, {total or 1:g}"
    if high > total:
        raise _RefusedError(f"{written} is above {above}")
    if "low" in number and low >= high:  # `0.to 0` is a slip of a model, not a range
        raise _RefusedError(f"{written} is no range that rises")
    if total > 1 and (0 < low < 1 or 0 < high < 1):
        raise _RefusedError(f"{written} is on an unknown scale: of 1 or of {total:g}")
    if high - low > 0.98 * total:
        raise _RefusedError(f"{written} is the whole scale")
    return high / total if low == high else round((low + high) / 2 / total, 12)
