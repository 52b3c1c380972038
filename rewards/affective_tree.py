"""Do the sections of the reasoning list what the record's sections list?"""

import math
import re
from collections import Counter

from emoreason.completions import Template, completion_text, normalise_word, parse_completion
from emoreason.faults import UserError

_BETWEEN_ITEMS = re.compile("[;,\n；，、]")


def affective_tree_reward(
    completions: list, template: list[Template], sections: list[dict[str, str]], *, decay: float = 0.1, **kwargs
) -> list[float | None]:
    """exp(-decay x D) of the tree edit distance D between the completion's sections and the record's; in (0, 1], or 0.0 without sections.

    A tree is a root, a node for each section and a leaf for each of its items, which semicolons, commas or lines separate and which
    are compared as answers are. D counts, at 1 each, the items and sections to insert and delete and the items to rename; order
    does not matter, and a section is never renamed. A section without items is absent. Only sections of the template count. None
    where the record has none of those, so also for templates without sections.

    One wrong item a section still earns exp(-decay x the gold items), 0.5 for seven, so read it against that. Repeated and
    additional items cost 1 each.

    Raises:
        UserError: `decay` is not a finite number above 0.

    Source: the affective-tree reward of VidEmo (arXiv 2511.02712), attribute -> expression -> emotion. Its lambda, how it reads the
    tree and what an edit costs are not published; all three are ours. With levels and names of sections fixed, the distance of
    unordered trees is max(items missing, items too many) a section, so no general algorithm is needed; the usual ones are for ordered
    trees, where the distance would hang on the alphabet.

    >>> form, gold = [Template("sections", sections=("attribute", "emotion"))], [{"attribute": "brows low; lips tight", "emotion": "anger"}]
    >>> affective_tree_reward(["<think><attribute>lips tight, brows up</attribute><emotion>anger</emotion></think>"], form, gold)
    [0.9048374180359595]
    """
    if not (math.isfinite(decay) and decay > 0):
        raise UserError(f"affective_tree_reward: decay is {decay}; accepted: a finite number above 0")
    rows = zip(completions, template, sections, strict=True)
    return [_score(completion_text(text), form, wanted, decay) for text, form, wanted in rows]


def _score(text: str, template: Template, sections: dict[str, str], decay: float) -> float | None:
    wanted = _tree({name: sections[name] for name in template.sections if name in sections})
    if not wanted:
        return None
    found = _tree(parse_completion(text, template).sections)
    return math.exp(-decay * _distance(found, wanted)) if found else 0.0


def _tree(sections: dict[str, str]) -> dict[str, Counter]:
    items = {name: Counter(item for part in _BETWEEN_ITEMS.split(text) if (item := normalise_word(part))) for name, text in sections.items()}
    return {name: counts for name, counts in items.items() if counts}


def _distance(found: dict[str, Counter], wanted: dict[str, Counter]) -> int:
    distance = len(found.keys() ^ wanted.keys())
    for name in found.keys() | wanted.keys():
        mine, other = found.get(name, Counter()), wanted.get(name, Counter())
        distance += max((mine - other).total(), (other - mine).total())
    return distance
