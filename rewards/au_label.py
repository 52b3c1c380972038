"""Does the reasoning cite the action units that the record has, and no others?"""

from collections.abc import Mapping

from emoreason.action_units import MAX_INTENSITY, asserted_action_units
from emoreason.completions import Template, completion_text, parse_completion
from emoreason.faults import UserError


def au_label_reward(
    completions: list,
    template: list[Template],
    action_units: list[dict[str, float | None] | None],
    *,
    beta: float = 1.0,
    rescale: bool = True,
    intensity: bool = False,
    **kwargs,
) -> list[float | None]:
    """2 F - 1 in [-1, 1], or F in [0, 1] with `rescale` false; F = (1 + beta^2) m / (beta^2 |gold| + |cited|), m the units in both.

    Cited are the units that the reasoning asserts, by code or by name; negated and hedged ones, the answer and what stands outside of the
    tags do not count, nor does a repeat. The lowest value where none is cited. Where the record has an empty set, which says that the
    face shows no unit, the highest value for a reasoning that cites none, else the lowest. The lowest, too, where no reasoning can be
    read. None where nobody coded the record (`action_units` is None), and for templates without reasoning.

    With `intensity`, a unit in both adds 1 - |cited - gold| / 5 to m where both sides state its intensity, else 1. So stating none costs
    nothing: it refines what the SFT data have taught to state, and does not teach to state it.

    Raises:
        UserError: `beta` is not above 0.

    Source: the AU reward of Facial-R1 (arXiv 2511.10254) as its code has it: 2 F - 1 and beta 1, -1 where nothing is cited. There the
    codes alone count, negated ones among them, and an empty gold set is worth 0. `intensity` is ours.

    >>> au_label_reward(["<think>Cheeks raised, AU12, no AU4.</think><answer>joy</answer>"], [Template()], [{"AU6": None, "AU12": None}])
    [1.0]
    """
    if not 0 < beta < float("inf"):
        raise UserError(f"au_label_reward: beta is {beta}; accepted: a number above 0, where 1 weighs precision and recall alike")
    lowest = -1.0 if rescale else 0.0
    rows = zip(completions, template, action_units, strict=True)
    values = [_f_beta(completion_text(text), form, gold, beta, intensity) for text, form, gold in rows]
    return [None if value is None else lowest + (1.0 - lowest) * value for value in values]


def _f_beta(text: str, template: Template, action_units: Mapping[str, float | None] | None, beta: float, intensity: bool) -> float | None:
    if action_units is None or "think" not in template.tags:
        return None
    gold = {f"AU{int(code[2:])}": rated for code, rated in action_units.items() if rated is None or rated > 0}  # AU04 is AU4, rated 0 absent
    think = parse_completion(text, template).think
    if not think:
        return 0.0
    cited = asserted_action_units(think)
    if not cited or not gold:
        return float(not cited and not gold)
    matched = sum(_credit(cited[code], gold[code]) if intensity else 1.0 for code in sorted(cited.keys() & gold.keys()))
    return (1 + beta**2) * matched / (beta**2 * len(gold) + len(cited))


def _credit(cited: float | None, gold: float | None) -> float:
    return 1.0 if cited is None or gold is None else 1 - abs(cited - gold) / MAX_INTENSITY
