"""Which emotions facial action units make up: prototypes with required and optional units.

    >>> emotions_of({"AU6": 2.0, "AU12": None})
    [('happiness', 1.0)]
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from emoreason.action_units import INTENSITY_LETTERS


@dataclass(frozen=True)
class Prototype:
    """A set of units that makes up an emotion."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    """May be there or not."""
    minimum: Mapping[str, float] = field(default_factory=dict, hash=False)
    """The intensity that a required unit has at least, where it is rated."""


def _prototypes(*formulas: str) -> tuple[Prototype, ...]:
    """Of FACS formulas: `1+2+5B+26/27 (54 64)` is 1, 2, 5 at B or more, and 26 or 27; 54 and 64 may come with it."""
    found = []
    for formula in formulas:
        required, _, optional = formula.partition(" (")
        for choice in itertools.product(*(part.split("/") for part in required.split("+"))):
            units = {f"AU{part.rstrip('ABCDE')}": INTENSITY_LETTERS.get(part[-1]) for part in choice}
            extra = frozenset(f"AU{number}" for number in optional.rstrip(")").split())
            found.append(Prototype(frozenset(units), extra, {code: least for code, least in units.items() if least}))
    return tuple(found)


def _and_without_one(prototypes: tuple[Prototype, ...], *codes: str) -> tuple[Prototype, ...]:
    """These, and each of them without one of the units."""
    fewer = (replace(one, required=one.required - {code}) for one in prototypes for code in codes if code in one.required)
    return tuple({(one.required, one.optional): one for one in (*prototypes, *fewer)}.values())


PROTOTYPES: dict[str, tuple[Prototype, ...]] = {
    "happiness": _prototypes("6+12", "12C"),
    "sadness": _prototypes("1+4+15", "1+4+11+15B (54 64)", "6+15 (54 64)", "1+4+11 (54 64)", "1+4+15B+17 (54 64)", "11+15B (54 64)", "11+17"),
    "surprise": _prototypes("1+2+5B+26/27", "1+2+5B", "1+2+26/27", "5B+26/27"),
    # 5D: "5Z" in the source, Z being the highest of three levels of 1978.
    "fear": _prototypes("1+2+4+5+7+20+26", "1+2+4+5+20+25/26/27", "1+2+4+5+25/26/27", "1+2+4+5", "1+2+5D (25 26 27)", "5+20 (25 26 27)"),
    "anger": _and_without_one(
        _prototypes("4+5+7+10+22+23+25/26", "4+5+7+10+23+25/26", "4+5+7+23+25/26", "4+5+7+17+23/24", "4+5+7+23/24"), "AU4", "AU5", "AU7", "AU10"
    ),
    "disgust": _prototypes("9+15+16", "9", "9+16+25/26", "9+17", "10", "10+16+25/26", "10+17"),
    # On one side of the face only, R12A+R14A, which units without sides do not show: a smile with dimples fits as well.
    "contempt": _prototypes("12+14"),
}
"""{emotion: its prototypes and their major variants}.

The first of each is the common EMFACS form (Friesen & Ekman 1983, EMFACS-7); the others, save for contempt, are table 10-1 of Ekman,
Friesen & Hager (2002), FACS Investigator's Guide. Both from secondary sources, not checked against the originals; sides are left out.
"""

MERR_PROTOTYPES: dict[str, tuple[Prototype, ...]] = {
    "happiness": _prototypes("6+12"),
    "sadness": _prototypes("1+4+15"),
    "surprise": _prototypes("5+26"),
    "anger": _prototypes("4+5+7+23"),
}
"""The rules by which Emotion-LLaMA (Cheng et al. 2024, arXiv 2406.11161) gives clips of MERR their first label."""


def emotions_of(
    action_units: Mapping[str, float | None], prototypes: Mapping[str, tuple[Prototype, ...]] = PROTOTYPES
) -> list[tuple[str, float]]:
    """(emotion, share) of the emotions with a prototype whose required units are all there, best first.

    The share, in (0, 1], is that of the prototype's units, optional ones included, that are there; an emotion takes its best prototype.
    Among equal shares more units win, then the order of `prototypes`. A unit with intensity None is there, with 0 it is not, and below
    the prototype's minimum it does not count. Other units do no harm. Empty where nothing fits, which does not mean neutral.
    """
    present = {code: intensity for code, intensity in action_units.items() if intensity is None or intensity > 0}
    found = []
    for emotion, variants in prototypes.items():
        fits = [_fit(prototype, present) for prototype in variants]
        best = max((fit for fit in fits if fit), default=None)
        if best:
            found.append((best, emotion))
    found.sort(key=lambda one: one[0], reverse=True)  # stable, so that equals stay in order
    return [(emotion, share) for (share, _), emotion in found]


def _fit(prototype: Prototype, present: Mapping[str, float | None]) -> tuple[float, int] | None:
    """(share, number of units that are there), or None where a required one is missing or too weak."""
    for code in prototype.required:
        intensity = present.get(code, 0.0)
        if intensity is not None and (intensity == 0 or intensity < prototype.minimum.get(code, 0.0)):
            return None
    units = prototype.required | prototype.optional
    num_present = len(units & present.keys())
    return num_present / len(units), num_present
