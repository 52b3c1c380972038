"""Facial action units (FACS), named in free text with intensity and side.

    >>> [(unit.code, unit.intensity, unit.status) for unit in parse_action_units("Cheeks raised, AU12C, but no AU4.")]
    [('AU6', None, 'asserted'), ('AU12', 3.0, 'asserted'), ('AU4', None, 'negated')]

Units and their names: Ekman, Friesen & Hager (2002), Facial Action Coding System; see `tables/action_units.csv`.
"""

import csv
import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, NamedTuple

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
