"""Facial action units (FACS): named in free text with intensity and side, what emotions they make up, and detectors' tables of them.

    >>> [(unit.code, unit.intensity, unit.status) for unit in parse_action_units("Cheeks raised, AU12C, but no AU4.")]
    [('AU6', None, 'asserted'), ('AU12', 3.0, 'asserted'), ('AU4', None, 'negated')]
    >>> emotions_of({"AU6": 2.0, "AU12": None})
    [('happiness', 1.0)]

Units and their names: Ekman, Friesen & Hager (2002), Facial Action Coding System; see `tables/action_units.csv`.
"""

import csv
import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

from emoreason.faults import UserError, raise_faults
from emoreason.mentions import Finder, Scope, Status

Side = Literal["left", "right"]

INTENSITY_LETTERS = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0, "E": 5.0}
"""Trace, slight, marked, severe, maximum; 0 is absent."""
MAX_INTENSITY = 5.0
_WIDEST_RANGE = 10


class Definition(NamedTuple):
    """A row of the table of FACS."""

    number: int
    name: str
    muscles: tuple[str, ...]
    phrases: tuple[str, ...]
    """What names the unit in prose."""

    @property
    def code(self) -> str:
        return f"AU{self.number}"


@dataclass(frozen=True, slots=True)
class ActionUnit:
    """One place where a text names a unit."""

    number: int
    intensity: float | None
    """0 to 5, A to E being 1 to 5; None where it is not stated or not on this scale."""
    side: Side | None
    status: Status
    """`negated` too where the intensity is 0."""
    start: int
    end: int
    """Characters `start` to `end` of the text, the end not included."""

    @property
    def code(self) -> str:
        return f"AU{self.number}"


@functools.cache
def facs() -> Mapping[int, Definition]:
    """The units of FACS by number: 1 to 46 without 3 and 40, head positions 51 to 58, eye positions 61 to 64."""
    lines = (files("emoreason") / "tables" / "action_units.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    units = (
        Definition(
            int(row["number"]),
            row["name"],
            tuple(part.strip() for part in row["muscles"].split(";") if part.strip()),
            tuple(dict.fromkeys(phrase for pattern in row["aliases"].split(";") for phrase in _spelled_out(pattern))),
        )
        for row in rows
    )
    return {unit.number: unit for unit in units}


_LINKS = [link.strip() for link in map(" ".join, itertools.product(("", "is", "are"), ("", "slightly", "strongly", "clearly", "tightly", "deeply")))]


def _spelled_out(pattern: str) -> Iterator[str]:
    """`brow|brows ~ lowered` as `brow lowered`, `brow is lowered`, `brow slightly lowered`, ..."""
    words = [_LINKS if word == "~" else word.split("|") for word in pattern.split()]
    return (" ".join(filter(None, choice)) for choice in itertools.product(*words))


# In text --------------------------------------------------------------------------------------------------------------------------------

# Letters of other scripts may touch a code, as in `AU12和AU6`, so that these are not \b.
_BEFORE, _BEHIND, _BLANK = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])(?!\.[0-9])", r"[^\S\n]"
_HEAD = re.compile(
    rf"{_BEFORE}(?:(?P<plural>(?:aus|action[ -]units){_BLANK}{{0,2}}:?{_BLANK}{{0,2}}[\[(]?)"
    rf"|(?:au|action[ -]unit){_BLANK}{{0,2}}[-‐‑–_#:]?{_BLANK}{{0,2}}|(?P<bare>(?=(?-i:[RL])[0-9]{{1,2}}(?-i:[A-E]){_BEHIND})))"
    r"(?=(?-i:[RLU])?[0-9])",
    re.IGNORECASE,
)
_ITEM = re.compile(rf"(?P<before>[RLU])?(?P<number>[0-9]{{1,4}})(?P<level>[A-Ea-e])?(?P<behind>[RL])?{_BEHIND}(?!{_BLANK}?%)")
_TIGHT = re.compile(rf"{_BLANK}?[+/&]{_BLANK}?|(?P<range>[-‐‑–])")
_LOOSE = re.compile(rf"{_BLANK}?,{_BLANK}?(?:and{_BLANK})?|{_BLANK}(?:and|or){_BLANK}")
# What may follow the last number of `AU6 and 12`, unlike `AU6 and 12 wrinkles`.
_GOES_ON = re.compile(
    rf"{_BLANK}*(?:\Z|[^\w\s%]|\n|(?:are|is|was|were|and|or|with|at|in|on|both|together|which|that|present|active|activated|visible|absent"
    r"|appears?|indicat(?:e|es|ing)|suggest(?:s|ing)?|show(?:s|ing)?|reveals?|points?|signals?|means?)\b)"
)
_VALUE = rf"(?P<value>[0-9]{{1,4}}(?:\.[0-9]{{1,6}})?|(?-i:[A-E]))(?P<other>{_BLANK}?(?:%|/{_BLANK}?[0-9]{{1,3}}))?{_BEHIND}"
_RATED = rf"(?:intensity|level|strength|grade)(?:{_BLANK}(?:level|score|rating))?{_BLANK}?(?:of|is|[:=])?{_BLANK}?"
# What may close before an intensity: `lip corner puller (AU12): 3`, `**AU12**: 3`, `"AU12": 3`.
_CLOSING = r"[)\]*`\"']{0,4}"
_INTENSITIES = {
    # `(3)`, `(C)`, `(2.5/5)`, `(level B)`, `(lip corner puller, intensity: 3)`
    "bracket": re.compile(rf"{_CLOSING}{_BLANK}?\({_BLANK}?(?:[^()\n]{{0,60}}?\b{_RATED})?{_VALUE}{_BLANK}?[),;]", re.IGNORECASE),
    # `at level B`, `with an intensity of 3`, `, intensity 3`
    "phrase": re.compile(rf"{_CLOSING}{_BLANK}?[,:]?{_BLANK}?(?:(?:at|with){_BLANK}(?:an?{_BLANK})?)?\b{_RATED}{_VALUE}", re.IGNORECASE),
    # `: 2.5`, `=3`
    "colon": re.compile(rf"{_CLOSING}{_BLANK}?[:=]{_BLANK}?{_VALUE}"),
}
_SIDE_BEFORE = re.compile(rf"{_BEFORE}(left|right)(?:[ -]sided)?{_BLANK}\Z", re.IGNORECASE)
_SIDE_BEHIND = re.compile(rf"{_BLANK}(?:\(|on{_BLANK}(?:the|her|his|their){_BLANK})(left|right)\b", re.IGNORECASE)
_SIDES: dict[str, Side] = {"r": "right", "l": "left", "right": "right", "left": "left"}
_BRACKETED = re.compile(r"[(\[]([^()\[\]\n]{2,60})[)\]]")
_BETWEEN_CODES = re.compile(r"[ ,+/&]+")
_CODE_WORD = re.compile(r"and|(?:AUs?)?-?(?:[RLU]?[0-9]{1,2}[A-E]?)?", re.IGNORECASE)


class _Named(NamedTuple):
    """A number with AU before it, whether FACS has it or not."""

    number: int
    intensity: float | None
    side: Side | None
    start: int
    end: int


def parse_action_units(text: str) -> list[ActionUnit]:
    """Every mention of a FACS unit in order, asserted, hedged or negated; takes time linear in the length, whatever the text.

    By code: `AU12`, `au-12`, `AU04`, `AUs 6, 12 and 25`, `AU1+2+4`, `AU25-27`, `AU12C`, `AU12 (intensity 3)`, `AU12: 2.5`, `AU6 at level B`,
    `R12A`, `left AU12`; and by the phrases of the table, `lip corner puller`, `raised eyebrows`. A unit that is named twice, as in
    `lip corner puller (AU12)`, is there twice. Numbers that FACS does not have are left out, see `unknown_action_units`. A one-sided unit
    without a side, as in `unilateral AU14`, has none.
    """
    scope = Scope(_BRACKETED.sub(_open_bracket, text))
    finder, numbers = _vocabulary()
    found = []
    for named in _named_lists(text):
        status = scope.status(named[0].start, named[-1].end)
        found += [ActionUnit(*item[:3], _status(status, item.intensity), *item[3:]) for item in named if item.number in facs()]
    for mention in finder.find_in(scope):
        intensity, end, _ = _intensity(text, mention.end)
        side = _side(text, mention.start, end)
        for number in numbers[mention.term]:
            found.append(ActionUnit(number, intensity, side, _status(mention.status, intensity), mention.start, end))
    return sorted(found, key=lambda unit: (unit.start, unit.end, unit.number))


def asserted_action_units(text: str) -> dict[str, float | None]:
    """{code: intensity or None} of the units that a text asserts, hedged ones excluded; of several intensities the highest."""
    units: dict[str, float | None] = {}
    for unit in parse_action_units(text):
        if unit.status == "asserted":
            known = units.get(unit.code)
            units[unit.code] = unit.intensity if known is None else max(known, unit.intensity or 0.0)
    return units


def unknown_action_units(text: str) -> list[str]:
    """The codes of a text whose number FACS does not have, as `AU99`, each once, in order."""
    numbers = (item.number for named in _named_lists(text) for item in named)
    return list(dict.fromkeys(f"AU{number}" for number in numbers if number not in facs()))


def _status(status: Status, intensity: float | None) -> Status:
    return "negated" if intensity == 0 else status


@functools.cache
def _vocabulary() -> tuple[Finder, dict[str, list[int]]]:
    numbers: dict[str, list[int]] = {}
    for unit in facs().values():
        for phrase in unit.phrases:
            numbers.setdefault(phrase, []).append(unit.number)
    return Finder(numbers), numbers


def _open_bracket(match: re.Match[str]) -> str:
    """Without its brackets where they hold the name of a unit behind its code, or nothing but codes.

    A bracket ends what a negation speaks of, and `no brow lowerer (AU4)` and `AU4 (brow lowerer) is absent` speak of one thing.
    """
    inside, before = match[1].casefold().strip(), match.string[max(match.start() - 12, 0) : match.start()]
    is_name = inside in _vocabulary()[1] and re.search(r"AU ?[0-9]{1,2}[A-E]? ?\Z", before, re.IGNORECASE)
    is_codes = inside.startswith("au") and all(_CODE_WORD.fullmatch(word) for word in _BETWEEN_CODES.split(inside))
    if is_codes:
        return f" {match[1].replace('and', '   ')} "  # what is said of one of them is said of all
    return f" {match[1]} " if is_name else match[0]


def _named_lists(text: str) -> Iterator[list[_Named]]:
    """The units of each list that starts with AU, most of them lists of one."""
    position = 0
    while head := _HEAD.search(text, position):
        named, position = _read_list(text, head)
        if named:
            yield named


def _read_list(text: str, head: re.Match[str]) -> tuple[list[_Named], int]:
    """(units, where the list ends) of what stands behind AU."""
    named: list[_Named] = []
    start, position, join, is_range = head.start(), head.end(), None, False
    while item := _ITEM.match(text, position):
        if join and (len(item["number"]) > 2 or (join.re is _LOOSE and not (head["plural"] or _GOES_ON.match(text, item.end())))):
            break
        unit, end, kind = _read_item(text, item, start)
        if is_range:
            named += [_Named(number, None, None, named[-1].start, item.end()) for number in _between(named[-1].number, unit.number)]
        named.append(unit)
        position = end
        # `AU6: 2, 4` is not a list of units.
        join = _TIGHT.match(text, end) or (None if head["bare"] is not None or kind == "colon" else _LOOSE.match(text, end))
        if join is None:
            break
        is_range = join.re is _TIGHT and join["range"] is not None
        start = position = join.end()
    if not named or (head["bare"] is not None and named[0].number not in facs()):
        return [], head.end() + 1
    side = _side(text, head.start(), named[-1].end)
    return [unit if unit.side or not side else unit._replace(side=side) for unit in named], max(named[-1].end, head.end())


def _read_item(text: str, item: re.Match[str], start: int) -> tuple[_Named, int, str | None]:
    """(unit, where it ends, how its intensity is written)."""
    if item["level"]:
        intensity, end, kind = INTENSITY_LETTERS[item["level"].upper()], item.end(), None
    else:
        intensity, end, kind = _intensity(text, item.end())
    return _Named(int(item["number"]), intensity, _SIDES.get((item["before"] or item["behind"] or "").lower()), start, end), end, kind


def _between(first: int, last: int) -> list[int]:
    """The numbers of FACS inside a range; none when an end is not in FACS or the range is not one that people write."""
    if first not in facs() or last not in facs() or last - first >= _WIDEST_RANGE:
        return []
    return [number for number in range(first + 1, last) if number in facs()]


def _intensity(text: str, position: int) -> tuple[float | None, int, str | None]:
    """(intensity, where it ends, how it is written) of what stands behind a unit; (None, position, None) when nothing does."""
    for kind, pattern in _INTENSITIES.items():
        match = pattern.match(text, position)
        if match is None:
            continue
        value = match["value"]
        if kind == "colon" and not (_GOES_ON.match(text, match.end()) if value.isdecimal() or "." in value else _ends_there(text, match.end())):
            continue
        on_scale = match["other"] is None or re.sub(r"\s", "", match["other"]) == "/5"
        number = INTENSITY_LETTERS.get(value) or (None if value.isalpha() else float(value))
        return number if on_scale and number is not None and number <= MAX_INTENSITY else None, match.end(), kind
    return None, position, None


def _ends_there(text: str, position: int) -> bool:
    """Whether no word follows: `AU12: C,` is a letter of intensity and `AU12: A smile` is none."""
    return re.match(r"[^\S\n]*(?:\Z|\n|[^\w\s'’-])", text[position : position + 8]) is not None


def _side(text: str, start: int, end: int) -> Side | None:
    side = _SIDE_BEFORE.search(text[max(start - 14, 0) : start]) or _SIDE_BEHIND.match(text, end)
    return _SIDES[side[1].lower()] if side else None


# Emotions -------------------------------------------------------------------------------------------------------------------------------


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


# Tables of detectors --------------------------------------------------------------------------------------------------------------------

Kind = Literal["occurrence", "intensity", "probability"]

_COLUMNS: dict[str, list[tuple[Kind, re.Pattern[str]]]] = {
    "OpenFace": [("intensity", re.compile(r"AU(\d+)_r")), ("occurrence", re.compile(r"AU(\d+)_c"))],
    # As in LibreFace's own README; of `intensities` no file was seen.
    "LibreFace": [("intensity", re.compile(r"au_(\d+)_intensit(?:y|ies)")), ("occurrence", re.compile(r"au_(\d+)"))],
    "py-feat": [("probability", re.compile(r"AU(\d+)"))],
}
_ACCEPTED = "accepted: tables of OpenFace (AU01_r, AU01_c), LibreFace (au_1_intensity, au_1) or py-feat (AU01)"
_ABSENT_CELLS = frozenset(("", "nan", "-nan", "-nan(ind)", "na", "n/a", "none", "null"))
_LEAST_PROBABILITY = 0.5
_MOST_FAULTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class AUFrame:
    """A detector's row: one face in one frame. What the detector did not say is None, or not among the keys."""

    frame: int
    """As numbered in the table: OpenFace counts from 1, py-feat from 0; rows from 0 where it has no such column."""
    timestamp: float | None = None
    """Seconds."""
    confidence: float | None = None
    """Of the face, not of its units; in [0, 1]."""
    success: bool | None = None
    """Whether the face was tracked."""
    face: int | None = None
    """Number of the face among those of the frame."""
    occurrence: dict[str, int] = field(default_factory=dict)
    """1 where the unit is there, else 0; of probabilities, from 0.5 on."""
    intensity: dict[str, float] = field(default_factory=dict)
    """0 to 5 as the detector says, not clipped."""
    probability: dict[str, float] = field(default_factory=dict)
    """In [0, 1]; only py-feat, which has no intensities."""


def read_au_csv(path: str | Path) -> list[AUFrame]:
    """The rows of a table that OpenFace, LibreFace or py-feat wrote, in file order; which of them is seen by the columns.

    Blanks around names and cells, a byte order mark, and cells that hold no number (`nan`) are put up with.

    Raises:
        UserError: no such file, columns of none of these kinds, units that FACS does not have, or cells that are no numbers.

    Source: the output pages of OpenFace (github.com/TadasBaltrusaitis/OpenFace/wiki) and of LibreFace (its README on PyPI), and a table
    in the tests of py-feat.
    """
    path = Path(path).expanduser()
    header, rows = _read_cells(path)
    columns = _unit_columns(path, header)
    place = {name: index for index, name in reversed(list(enumerate(header)))}
    faults: list[str] = []
    frames = []
    for line, cells in rows:
        row = _Row(f"{path}:{line}: ", header, cells, faults)
        meta = {name: row.number(place[column]) for name, column in _meta_columns(place)}
        units: dict[Kind, dict[str, float]] = {"occurrence": {}, "intensity": {}, "probability": {}}
        for index, (kind, code) in columns.items():
            value = row.number(index, highest=1.0 if kind != "intensity" else math.inf)
            if value is not None:
                units[kind][code] = value
        occurrence = units["occurrence"] or {code: value >= _LEAST_PROBABILITY for code, value in units["probability"].items()}
        milliseconds = meta.get("milliseconds")
        frames.append(
            AUFrame(
                frame=len(frames) if meta.get("frame") is None else int(meta["frame"]),
                timestamp=meta.get("timestamp") if milliseconds is None else milliseconds / 1000,
                confidence=meta.get("confidence"),
                success=None if meta.get("success") is None else bool(meta["success"]),
                face=None if meta.get("face") is None else int(meta["face"]),
                occurrence={code: int(value) for code, value in occurrence.items()},
                intensity=units["intensity"],
                probability=units["probability"],
            )
        )
    if len(faults) > _MOST_FAULTS_SHOWN:
        faults[_MOST_FAULTS_SHOWN:] = [f"{path}: {len(faults) - _MOST_FAULTS_SHOWN} more cells are no such numbers"]
    raise_faults(faults)
    return frames


def mean_action_units(frames: Iterable[AUFrame], *, of: Kind = "intensity", min_confidence: float = 0.8) -> dict[str, float]:
    """{code: mean over the usable frames that have the unit}; of `occurrence` it is the share of frames. Empty when none is usable.

    A frame is usable unless its face was lost or its confidence is below `min_confidence`; 0.8 is a habit, not a finding. Frames of
    several faces are mixed unless the caller sorts them out by `face`.
    """
    values: dict[str, list[float]] = {}
    for frame in _usable(frames, min_confidence):
        for code, value in getattr(frame, of).items():
            values.setdefault(code, []).append(value)
    return {code: math.fsum(found) / len(found) for code, found in values.items()}


def peak_frame(frames: Iterable[AUFrame], *, min_confidence: float = 0.8) -> AUFrame | None:
    """The usable frame with the highest sum of intensities (of probabilities in a table without), the first among equals, or None.

    Source: Emotion-LLaMA (Cheng et al. 2024, arXiv 2406.11161) takes the peak by summed intensities too, but only of the units that are
    most frequent in the clip.
    """
    usable = _usable(frames, min_confidence)
    rated: Kind = "intensity" if any(frame.intensity for frame in usable) else "probability"
    return max(usable, key=lambda frame: math.fsum(getattr(frame, rated).values()), default=None)


def _usable(frames: Iterable[AUFrame], min_confidence: float) -> list[AUFrame]:
    return [
        frame
        for frame in frames
        if frame.success is not False
        and (frame.confidence is None or frame.confidence >= min_confidence)
        and (frame.occurrence or frame.intensity or frame.probability)
    ]


def _read_cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """(names of the columns, (line number, cells) of each row that is not empty), blanks stripped."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror} (relative paths start at {Path.cwd()})") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")  # a path in a cell; what is read of the table is ASCII
    reader = csv.reader(text.splitlines(keepends=True), skipinitialspace=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: no readable CSV: {error}; {_ACCEPTED}") from error
    if not rows:
        raise UserError(f"{path}: the file is empty; {_ACCEPTED}")
    return rows[0][1], rows[1:]


def _unit_columns(path: Path, header: list[str]) -> dict[int, tuple[Kind, str]]:
    """{column: (what it says, of which unit)} of the first kind of table that has any such columns."""
    for patterns in _COLUMNS.values():
        found = {
            index: (kind, int(match[1])) for index, name in enumerate(header) for kind, pattern in patterns if (match := pattern.fullmatch(name))
        }
        unknown = [header[index] for index, (_, number) in found.items() if number not in facs()]
        if unknown:
            raise UserError(f"{path}: columns {', '.join(unknown)}: FACS has no such action units; were the columns numbered instead of named?")
        if found:
            return {index: (kind, f"AU{number}") for index, (kind, number) in found.items()}
    shown = ", ".join(header[:8]) + (", ..." if len(header) > 8 else "")
    raise UserError(f"{path}: no columns of action units, but {shown}; {_ACCEPTED}")


def _meta_columns(place: Mapping[str, int]) -> list[tuple[str, str]]:
    """(field, column) of what a table says beside units: OpenFace, then LibreFace, then py-feat."""
    names = [("frame", "frame"), ("frame", "frame_idx"), ("timestamp", "timestamp"), ("milliseconds", "frame_time_in_ms"),
             ("confidence", "confidence"), ("confidence", "FaceScore"), ("success", "success"), ("face", "face_id"), ("face", "face")]  # fmt: skip
    return [(name, column) for name, column in names if column in place]


class _Row(NamedTuple):
    where: str
    header: list[str]
    cells: list[str]
    faults: list[str]

    def number(self, index: int, highest: float = math.inf) -> float | None:
        """The cell as a number, None where it holds none; a cell with anything else is a fault."""
        cell = self.cells[index] if index < len(self.cells) else ""
        if cell.casefold() in _ABSENT_CELLS:
            return None
        try:
            value = float(cell)
        except ValueError:
            value = math.inf
        if not math.isfinite(value) or value > highest:
            limit = "" if highest == math.inf else f" from 0 to {highest:g}"
            self.faults.append(f"{self.where}{self.header[index]} is {cell[:40]!r}; accepted: a number{limit}, or nan")
            return None
        return value
