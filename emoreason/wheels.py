"""Emotion wheels: words that mean the same emotion count as the same, coarsely (inner ring) or finely (middle ring).

    >>> wheels = own_wheels()
    >>> wheels.clusters("furious")[:2]
    ('anger', 'anger')
    >>> round(wheels.set_f1(["rage", "delighted"], ["furious"]), 4)
    0.6667

Two sets of wheels share one code. `own_wheels` are public taxonomies, shipped in `tables/`; `official_wheels` reads the folder
of the MER challenges (Lian et al., AffectGPT, arXiv 2501.16566; OV-MER, arXiv 2410.01495) that a user points at, with that
code's mapping, so that numbers can be compared with published ones.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

from emoreason.completions import normalise_word
from emoreason.faults import UserError, did_you_mean
from emoreason.mentions import Finder, Mention
from emoreason.mer_wheels import Cells, read_folder

Level = Literal["inner", "middle"]
DEFAULT_WHEELS = ("parrott", "plutchik", "ekman", "goemotions", "willcox")


class Overlap(NamedTuple):
    """How two sets of words meet on one wheel, in clusters."""

    shared: int
    num_predicted: int
    num_gold: int


class WheelSet:
    """Several wheels over one vocabulary of surface forms.

    With `families` ({form: the family of words that it belongs to}), a word that a wheel does not have is a cluster of its own,
    so that inventing words costs precision and an unknown gold word can still be named. Without, such words are dropped as the
    official scorer does, and inventing them is free.
    """

    def __init__(self, names: Sequence[str], inner: Cells, middle: Cells, families: dict[str, str] | None, source: str) -> None:
        self.names = tuple(names)
        self.source = source
        self._drops_unknown = families is None
        self._families = families or {}
        self._cells: dict[str, Cells] = {"inner": inner, "middle": middle}
        self._masks = {level: _masks(cells, len(self.names), families) for level, cells in self._cells.items()}

    @property
    def vocabulary(self) -> list[str]:
        """Every surface form, sorted."""
        return sorted(self._cells["inner"])

    def clusters(self, word: str, level: Level = "inner") -> tuple[str | None, ...]:
        """The cluster of a word on each wheel, in the order of `names`; None where the wheel does not have it."""
        return self._cells[level].get(self._form(word), (None,) * len(self.names))

    def knows(self, word: str) -> bool:
        """Whether the word is in the vocabulary."""
        return self._form(word) in self._cells["inner"]

    def family(self, word: str) -> str | None:
        """The family of a word in the vocabulary, its commonest noun; None for others and on the official wheels."""
        return self._families.get(self._form(word))

    def set_f1(self, predicted: Iterable[str], gold: Iterable[str], level: Level = "inner") -> float | None:
        """Mean over the wheels of 2 |p & g| / (|p| + |g|), p and g the clusters of the words; in [0, 1].

        A wheel that has none of the gold words is left out; None when that leaves none. Order and repeats do not matter.
        Source: the per-sample score of AffectGPT-R1 (arXiv 2508.01318); the corpus score is `metrics.wheel.wheel_f`.
        """
        masks, fields = self._masks[level]
        predicted_mask, predicted_extra = self._encode(predicted, masks)
        gold_mask, gold_extra = self._encode(gold, masks)
        # Words outside of the vocabulary are distinct on every wheel alike.
        shared = len(predicted_extra & gold_extra) if gold_extra and predicted_extra else 0
        extra = len(predicted_extra) + len(gold_extra)
        common, total, used = predicted_mask & gold_mask, 0.0, 0
        for field in fields:
            size = (gold_mask & field).bit_count()
            if size or gold_extra:
                total += 2 * ((common & field).bit_count() + shared) / ((predicted_mask & field).bit_count() + size + extra)
                used += 1
        return total / used if used else None

    def overlaps(self, predicted: Iterable[str], gold: Iterable[str], level: Level = "inner") -> tuple[Overlap, ...]:
        """The counts behind precision and recall, one a wheel."""
        masks, fields = self._masks[level]
        predicted_mask, predicted_extra = self._encode(predicted, masks)
        gold_mask, gold_extra = self._encode(gold, masks)
        shared = len(predicted_extra & gold_extra)
        return tuple(
            Overlap(
                (predicted_mask & gold_mask & field).bit_count() + shared,
                (predicted_mask & field).bit_count() + len(predicted_extra),
                (gold_mask & field).bit_count() + len(gold_extra),
            )
            for field in fields
        )

    def _encode(self, words: Iterable[str], masks: dict[str, int]) -> tuple[int, frozenset[str] | set[str]]:
        """(the clusters of the words as bits, the words outside of the vocabulary where those count)."""
        mask, extra = 0, None
        for word in words:
            bits = masks.get(word)
            if bits is None:
                form = self._form(word)
                bits = masks.get(form, 0)
                if not bits and form and not self._drops_unknown:
                    extra = extra or set()
                    extra.add(form)
            mask |= bits
        return mask, extra or _NOTHING

    def _form(self, word: str) -> str:
        """The spelling under which a word is looked up; the official scorer only strips blanks and lowers the case."""
        if self._drops_unknown:
            return word.lower().strip()
        form = normalise_word(word)
        return form if form in self._cells["inner"] else form.replace("-", " ").replace("_", " ").replace("’", "'")


_NOTHING: frozenset[str] = frozenset()


def _masks(cells: Cells, num_wheels: int, families: dict[str, str] | None) -> tuple[dict[str, int], list[int]]:
    """({form: one bit for its cluster on each wheel}, the bits of each wheel)."""
    bits: dict[tuple[int, str], int] = {}
    masks: dict[str, int] = {}
    for form, row in cells.items():
        mask = 0
        for wheel, cluster in enumerate(row):
            # A family that this one wheel does not have is its own cluster there.
            name = f"cluster {cluster}" if cluster is not None else f"family {families[form]}" if families else None
            if name is not None:
                mask |= 1 << bits.setdefault((wheel, name), len(bits))
        masks[form] = mask
    fields = [sum(1 << bit for (wheel, _), bit in bits.items() if wheel == number) for number in range(num_wheels)]
    return masks, fields


@cache
def own_wheels(names: tuple[str, ...] = DEFAULT_WHEELS) -> WheelSet:
    """The wheels of `tables/wheels.csv` with these names, over the words of `tables/emotion_words.csv`.

    A family of words that a wheel does not name itself stands where the nearest family does that it leads to. `neutral` is a class
    of its own on every wheel, where the official ones do not have it.

    Raises:
        UserError: there is no wheel of such a name.
    """
    rows = list(_table("wheels.csv"))
    known = list(dict.fromkeys(row["wheel"] for row in rows))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UserError([f"unknown wheel {name!r}{did_you_mean(name, known)}" for name in unknown] or "no wheel is named")
    families = {row["family"]: (_listed(row["forms"]), _listed(row["near"])) for row in _table("emotion_words.csv")}
    placed = {name: {row["word"]: (row["inner"], row["middle"]) for row in rows if row["wheel"] == name} for name in names}
    cells: list[Cells] = [{}, {}]
    family_of: dict[str, str] = {}
    for family, (forms, _) in families.items():
        family_of |= dict.fromkeys([family, *forms], family)
        found = [_nearest(family, families, placed[name]) for name in names]
        for ring, ring_cells in enumerate(cells):
            row = tuple(cell[ring] if cell else None for cell in found)
            ring_cells |= dict.fromkeys([family, *forms], row)
    return WheelSet(names, *cells, family_of, source=f"own wheels {', '.join(names)}")


def _nearest(family: str, families: dict[str, tuple[list[str], list[str]]], placed: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    """(inner, middle) of the family, or of the first one in breadth that its `near` links lead to."""
    queue = [family]
    for name in queue:
        if name in placed:
            return placed[name]
        queue += [near for near in families[name][1] if near not in queue]
    return None


@cache
def official_wheels(folder: Path) -> WheelSet:
    """The five wheels of the MER challenges from their folder, see `mer_wheels.read_folder`; `source` names the version.

    Raises:
        UserError: a file is missing or is not what it should be.
    """
    inner, middle, source = read_folder(Path(folder))
    return WheelSet([f"wheel{number}" for number in range(1, 6)], inner, middle, families=None, source=source)


def find_wheels(wheels: str | Sequence[str] = "own") -> WheelSet:
    """The wheels that a recipe or a command line names: `own`, a list of names of own wheels, or the official folder's path."""
    if wheels == "own":
        return own_wheels()
    if isinstance(wheels, str):
        return official_wheels(Path(wheels).expanduser())
    return own_wheels(tuple(wheels))


def emotion_mentions(text: str) -> list[Mention]:
    """Emotion words of free text in order, each asserted, hedged or negated; the terms are forms of the own wheels."""
    return _finder().find(text)


def emotion_words(text: str) -> list[str]:
    """The emotion words that a text asserts, each once, in order; the deterministic counterpart of AffectGPT's LLM extraction."""
    return list(dict.fromkeys(mention.term for mention in emotion_mentions(text) if mention.status == "asserted"))


# Good labels, but in prose they mostly speak of something else: `the scene is composed of`, `a serious look at the content`.
_AMBIGUOUS_IN_PROSE = frozenset("composed content engaged focused interest moved powerful respect serious touched warmth".split())


@cache
def _finder() -> Finder:
    return Finder(form for form in own_wheels().vocabulary if form not in _AMBIGUOUS_IN_PROSE)


def _table(name: str) -> Iterator[dict[str, str]]:
    text = (files("emoreason") / "tables" / name).read_text(encoding="utf-8")
    return csv.DictReader(line for line in text.splitlines() if line and not line.startswith("#"))


def _listed(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]
