"""Valence, arousal and dominance: points that carry their scale, lexicons of words, distances.

    >>> vader_lexicon().get("Joy")
    VAD(valence=2.8, arousal=None, dominance=None, scale=Scale(low=-4.0, high=4.0))
    >>> rescale(2.8, Scale(-4, 4), Scale(0, 1))
    0.85

Scales in use: 1 to 9 (SAM: EEmo-Bench), 1 to 10 (EMOTIC), 1 to 5 (IEMOCAP), -1 to 1 (AffectNet, SIMS, OMG), -3 to 3 (MOSI), about
-5 to 5 (MER), 0 to 1 and -1 to 1 (NRC-VAD), -4 to 4 (VADER). A bare number says nothing, so none is handed out without its scale.
"""

import csv
import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from emoreason.completions import normalise_word
from emoreason.faults import UserError

_MOST_FAULTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """The range that ratings come from, both ends included.

    Raises:
        UserError: not low < high, or an end is not finite.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UserError(f"scale from {self.low} to {self.high}; accepted: two finite numbers, the lower one first")


UNIT = Scale(0.0, 1.0)


def rescale(value: float, source: Scale, target: Scale) -> float:
    """`value` of the scale `source` as it stands on `target`: its share of the way from low to high stays the same.

    Raises:
        UserError: `value` is not on `source`; it is not clipped, since then the scale is probably another one.
    """
    share = (value - source.low) / (source.high - source.low)
    if not -1e-9 <= share <= 1 + 1e-9:  # rounding may carry a mean of ratings a little over the end
        raise UserError(f"rating {value} is outside its scale from {source.low} to {source.high}; correct the rating or the scale")
    return target.low + min(max(share, 0.0), 1.0) * (target.high - target.low)


@dataclass(frozen=True, slots=True)
class VAD:
    """A point of the valence-arousal-dominance space in `scale`; a dimension that nobody rated is None."""

    valence: float
    arousal: float | None = None
    dominance: float | None = None
    scale: Scale = UNIT

    def on(self, scale: Scale) -> "VAD":
        """The same point on another scale.

        Raises:
            UserError: a value is outside the scale that the point has.
        """
        return VAD(*(None if value is None else rescale(value, self.scale, scale) for value in self.values), scale=scale)

    @property
    def values(self) -> tuple[float, float | None, float | None]:
        return self.valence, self.arousal, self.dominance


def vad_distance(first: VAD, second: VAD) -> float:
    """How far apart two points are, in [0, 1]: Euclidean over the dimensions that both have, as a share of the most possible.

    Each dimension is brought to [0, 1] first, so the points may have different scales, and the root of the number of dimensions
    divides: with valence alone it is the absolute difference.

    Raises:
        UserError: a value is outside its scale.
    """
    pairs = zip(first.on(UNIT).values, second.on(UNIT).values, strict=True)
    squares = [(a - b) ** 2 for a, b in pairs if a is not None and b is not None]
    return math.sqrt(sum(squares) / len(squares))


@dataclass(frozen=True)
class Lexicon:
    """Ratings of words in one scale. Words are found in any case, with the punctuation around them or without."""

    name: str
    scale: Scale
    ratings: Mapping[str, tuple[float, ...]] = field(repr=False)
    """By word in lower case: valence, or valence, arousal and dominance."""

    def get(self, word: str) -> VAD | None:
        """The word's point, or None when the lexicon does not know it."""
        found = self.ratings.get(_key(word)) or self.ratings.get(normalise_word(word))  # as it stands first: `:)` is a word
        return VAD(*found, scale=self.scale) if found else None

    def valence(self, word: str) -> float | None:
        """The word's valence in the lexicon's scale, or None when the lexicon does not know it."""
        found = self.get(word)
        return found.valence if found else None


class VADLexicon(Lexicon):
    """A lexicon whose every word has valence, arousal and dominance."""


def vad_of_words(words: Iterable[str], lexicon: Lexicon) -> VAD | None:
    """The mean of the words' points in the lexicon's scale; unknown words are skipped, and None when none is known."""
    known = [found.values for word in words if (found := lexicon.get(word))]
    if not known:
        return None
    return VAD(*(None if None in column else sum(column) / len(column) for column in zip(*known, strict=True)), scale=lexicon.scale)


def valence_of_words(words: Iterable[str], lexicon: Lexicon) -> float | None:
    """The mean valence of the words in the lexicon's scale; unknown words are skipped, and None when none is known."""
    mean = vad_of_words(words, lexicon)
    return mean.valence if mean else None


@functools.cache
def vader_lexicon() -> Lexicon:
    """VADER: the valence of about 7,500 English words, slang words and emoticons, from -4 to 4.

    Rated by ten people each (Hutto & Gilbert 2014). It knows no word that was rated neutral: neither `neutral` nor `awe` are in
    it. Of the few words that stand twice, the later row counts, as in the authors' program.
    """
    lines = (files("emoreason") / "tables" / "vader_lexicon.csv").read_text(encoding="utf-8").split("\n")
    start = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    rows = ((row["word"], (float(row["valence"]),)) for row in csv.DictReader(lines[start:]))
    return Lexicon("VADER", Scale(-4.0, 4.0), _by_word(rows))


@functools.cache
def load_nrc_vad(path: str | Path) -> VADLexicon:
    """The NRC-VAD lexicon (Mohammad 2018, 2025) in a file that the user has, with its phrases of several words.

    NRC gives it away for research only and forbids passing it on, so it does not come with this package:
    https://saifmohammad.com/WebPages/nrc-vad.html. Version 1 rates from 0 to 1 and versions 2 and 2.1 from -1 to 1; the scale is
    -1 to 1 where any value is negative. A part of version 2 without a negative value would be taken for version 1.

    Raises:
        UserError: the file cannot be read, or lines of it are no term with three ratings; it names the first few.
    """
    path, faults, rows = Path(path).expanduser(), [], []
    accepted = ("accepted: term, valence, arousal and dominance, separated by tabs, with numbers from 0 to 1 (NRC-VAD-Lexicon.txt) or from "
                "-1 to 1 (NRC-VAD-Lexicon-v2.1.txt)")  # fmt: skip
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror} (relative paths start at {Path.cwd()})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error}; {accepted}") from error
    for number, line in enumerate(lines, start=1):
        cells = line.strip("\r").split("\t")
        is_header = not rows and not faults and [cell.strip().lower() for cell in cells[1:]] == ["valence", "arousal", "dominance"]
        if not line.strip() or is_header:
            continue
        ratings = _ratings(cells[1:])
        if ratings is None or not cells[0].strip():
            faults.append(f"{path}:{number}: {line.strip()[:60]!r}; {accepted}")
        else:
            rows.append((cells[0], ratings))
    if len(faults) > _MOST_FAULTS_SHOWN:
        faults[_MOST_FAULTS_SHOWN:] = [f"{path}: {len(faults) - _MOST_FAULTS_SHOWN} more lines are no entries"]
    if not rows and not faults:
        faults.append(f"{path}: holds no entries; {accepted}")
    if faults:
        raise UserError(faults)
    negative = any(value < 0 for _, ratings in rows for value in ratings)
    return VADLexicon(f"NRC-VAD ({path.name})", Scale(-1.0 if negative else 0.0, 1.0), _by_word(rows))


def _ratings(cells: list[str]) -> tuple[float, ...] | None:
    """Three numbers from -1 to 1, or None where the cells hold something else."""
    try:
        ratings = tuple(float(cell) for cell in cells)
    except ValueError:
        return None
    return ratings if len(ratings) == 3 and all(-1 <= value <= 1 for value in ratings) else None


def _by_word(rows: Iterable[tuple[str, tuple[float, ...]]]) -> dict[str, tuple[float, ...]]:
    """Ratings by word in lower case; a row that is written in lower case beats `AND` or `:D`, and among those the last one counts."""
    found: dict[str, tuple[float, ...]] = {}
    for word, ratings in rows:
        key = _key(word)
        if word == key:
            found[key] = ratings
        else:
            found.setdefault(key, ratings)
    return found


def _key(word: str) -> str:
    return " ".join(word.casefold().split())
