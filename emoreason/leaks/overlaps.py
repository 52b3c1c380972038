"""Which published sets share clips or pictures, and ids that name a clip of a set wherever they stand."""

import csv
import functools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

_EMOSET = "amusement|awe|contentment|excitement|anger|disgust|fear|sadness"
_CREMA_D = "ieo|tie|iom|iww|tai|mti|iwl|ith|dfa|its|tsi|wsi"
_NUMBER = r"(?:^|/)0*(\d{1,5})(?=[./]|$)"

CLIP_IDS: tuple[tuple[str, str, bool], ...] = (
    ("mer2023", r"(?<![a-z0-9])(sample(?:new\d*)?_\d{8})(?!\d)", False),
    ("emoset", rf"(?<![a-z])((?:{_EMOSET})_\d{{5}})(?!\d)", False),
    # The first field says whether sight, sound or both are there; the performance is the same.
    ("ravdess", r"(?<!\d)0[123]-(0[12]-0[1-8]-0[12]-0[12]-0[12]-\d\d)(?!\d)", False),
    ("crema_d", rf"(?<!\d)(1\d{{3}}_(?:{_CREMA_D})_(?:ang|dis|fea|hap|neu|sad)_(?:lo|md|hi|xx?))(?![a-z])", False),
    ("iemocap", r"(ses0[1-5][fm]_(?:impro|script)\d\d\w*?_[fm]\d{3})", False),
    ("dfew", r"(?:part_\d{1,2}/|dfew/(?:[\w-]+/)*)0*(\d{1,5})(?=[./])", False),
    ("dfew", _NUMBER, True),
    ("mafw", r"mafw/(?:[\w-]+/)*0*(\d{1,5})(?=[./])", False),
    ("mafw", _NUMBER, True),
)
"""(set, pattern of a clip's id in lower case, whether only records of this set are looked at). All MER sets number clips alike."""
UNMISTAKABLE = frozenset({"mer2023", "ravdess", "crema_d", "iemocap"})
"""Sets whose ids nobody else would give; `anger_00012` or the number of a DFEW clip may be another's."""


@dataclass(frozen=True)
class Overlap:
    """Two sets that are known to share clips or pictures."""

    train: str
    test: str
    shared: str
    """The set that both are made of, or the one of them that the other is made of."""
    what: str
    do: str
    reference: str


@dataclass(frozen=True)
class _Row:
    source: tuple[str, ...]
    what: str
    do: str
    reference: str


def base_name(dataset: str) -> str:
    """The set of a part: `mer2025` of `mer2025/ov_merd`."""
    return dataset.partition("/")[0]


def known_overlaps(train: Iterable[str], test: Iterable[str]) -> list[Overlap]:
    """What is known of these sets, a row for each pair and each set that the two share; a set and itself are no pair."""
    found = []
    for one in sorted(set(train)):
        for other in sorted(set(test)):
            mine, theirs = _made_of(one), _made_of(other)
            shared = set(mine) & set(theirs)
            if one == other or (base_name(one) == base_name(other) and not {one, other} & _table().keys()):
                continue
            # A set that is shared only because a nearer one is says nothing new.
            for name in sorted(shared - {deeper for near in shared for deeper in _made_of(near) if deeper != near}):
                rows = list(dict.fromkeys((*mine[name], *theirs[name])))
                told = ("; ".join(dict.fromkeys(getattr(row, field) for row in rows)) for field in ("what", "do", "reference"))
                found.append(Overlap(one, other, name, *told))
    return found


def names_one_clip(clip_id: str, train: str, test: str) -> bool:
    """Whether records of two datasets that name this clip certainly mean the same one."""
    known = clip_id.partition(":")[0] in UNMISTAKABLE or base_name(train) == base_name(test)
    return known or bool(known_overlaps([train], [test]))


def clip_ids(dataset: str, texts: Iterable[str]) -> set[str]:
    """`set:id` of the clips of published sets that these texts of a record name, which are its id and the paths of its media."""
    found = set()
    own = base_name(dataset)
    for text in texts:
        text = unicodedata.normalize("NFKC", text).casefold().replace("\\", "/")
        for name, pattern, only_own in CLIP_IDS:
            if not only_own or own == name:
                matches = re.findall(pattern, text)
                found |= {f"{name}:{matches[-1]}"} if matches and only_own else {f"{name}:{match}" for match in matches}
    return found


@functools.cache
def _table() -> dict[str, list[_Row]]:
    text = (files("emoreason") / "tables" / "known_overlaps.csv").read_text(encoding="utf-8")
    rows: dict[str, list[_Row]] = {}
    for row in csv.DictReader(line for line in text.splitlines() if line and not line.startswith("#")):
        rows.setdefault(row["dataset"], []).append(_Row(tuple(row["source"].split(";")), row["what"], row["do"], row["reference"]))
    return rows


def _made_of(dataset: str) -> dict[str, tuple[_Row, ...]]:
    """{each set that it is made of, itself included: the rows of the table on the way there}."""
    found: dict[str, tuple[_Row, ...]] = {dataset: ()}
    waiting = [dataset, base_name(dataset)]
    while waiting:
        name = waiting.pop(0)
        found.setdefault(name, ())  # a part that no row tells how it is made
        for row in _table().get(name, ()):
            for source in row.source:
                if source not in found:
                    found[source] = (*found[name], row)
                    waiting.append(source)
    return found
