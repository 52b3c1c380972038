"""What tells chosen from rejected without reading them: by hand on a few pairs, and on sets that are balanced or biased."""

import pytest

from emoreason.completions import Template
from emoreason.pair_balance import MIN_PAIRS, length_auroc, pair_balance
from emoreason.records import Preference

LABEL = Template("free", "label")
EMOTIONS = ("joy", "anger", "fear", "sadness")


def text(label: str, reason: str = "a smile") -> str:
    return f"<think>{reason}</think><answer>{label}</answer>"


def test_by_hand() -> None:
    pairs = [
        Preference(chosen="one two three", rejected=["one two", "One"], weights=[3, 1], chosen_by="A", rejected_by=["B", "A"]),
        Preference(chosen=text("joy", "so"), rejected=text("fear", "one such case"), chosen_by="A", rejected_by=["B"]),
    ]
    found = pair_balance(pairs, LABEL, num_tokens=len)
    # Words without tags: chosen 3 and 2 (`so joy`), rejected 2, 1 and 4 (`one such case fear`).
    words = found["length"]["words"]
    assert words["chosen"] == {"mean": 2.5, "median": 2.5}
    assert words["rejected"] == {"mean": pytest.approx(7 / 3), "median": 2}
    # In pairs: 3 above 2 and above 1; 2 below 4. Over all: 3 above two of three, 2 above one and level with one.
    assert (words["longer"], words["equal"]) == (0.5, 0.0)
    assert words["auroc"] == pytest.approx((2 + 1.5) / 6)
    assert words["cliffs_delta"] == pytest.approx(1 / 6)
    assert found["length"]["tokens"]["chosen"]["mean"] == (len("one two three") + len(text("joy", "so"))) / 2
    assert found["writer"] == {"A": {"chosen": 2, "rejected": 1}, "B": {"chosen": 0, "rejected": 2}}
    assert list(found["label"].items()) == [
        ("none", {"chosen": 1, "rejected": 2}), ("fear", {"chosen": 0, "rejected": 1}), ("joy", {"chosen": 1, "rejected": 0}),
    ]  # fmt: skip
    assert found["first_word"] == {"one": {"chosen": 1, "rejected": 3}, "so": {"chosen": 1, "rejected": 0}}
    assert found["format"] == {"no tags": {"chosen": 1, "rejected": 2}, "as the template": {"chosen": 1, "rejected": 1}}
    assert found["num_pairs"] == 2 and found["warnings"] == []


def test_shares_weigh_several_rejected_answers() -> None:
    (pair,) = [Preference(chosen="one two", rejected=["one two three", "one", "three four"], weights=[2, 1, 1])]
    words = pair_balance([pair], LABEL)["length"]["words"]
    assert (words["longer"], words["equal"]) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("chosen", "rejected", "chance"), [([1], [1], 0.5), ([2, 3], [1, 1], 1.0), ([1], [2], 0.0), ([1, 2, 3], [2], 0.5), ([2, 2], [1, 2, 3], 0.5)]
)
def test_the_chance_of_being_longer(chosen: list[int], rejected: list[int], chance: float) -> None:
    assert length_auroc(chosen, rejected) == pytest.approx(chance)


def pairs_of(num_pairs: int, chosen_reason: str = "a smile", rejected_reason: str = "a frown", **writers: object) -> list[Preference]:
    """Labels take turns, each as often chosen as rejected."""
    return [Preference(chosen=text(EMOTIONS[n % 4], chosen_reason), rejected=text(EMOTIONS[(n + 1) % 4], rejected_reason), **writers)
            for n in range(num_pairs)]  # fmt: skip


def test_a_balanced_set_has_no_warning() -> None:
    assert pair_balance(pairs_of(MIN_PAIRS, chosen_by="us", rejected_by=["us"]), LABEL, len)["warnings"] == []


BIASES = {
    "longer": (
        pairs_of(20, "a smile that is wide"),
        ["length in words predicts the preference: chosen answers are longer (AUROC 1.00 over all, 1.00 within pairs"],
    ),
    "shorter by one in each pair": (
        # 3 to 12 words against 4 to 13, which say little over all: 0.5 + 1.5 + ... + 8.5 of 100.
        [Preference(chosen="w " * (n % 10 + 3), rejected="w " * (n % 10 + 4)) for n in range(20)],
        ["length in words predicts the preference: chosen answers are shorter (AUROC 0.40 over all, 0.00 within pairs"],
    ),
    "writer": (
        pairs_of(20, chosen_by="a person", rejected_by=["a model"]),
        ["writer 'a model' predicts the preference: 0% of the chosen answers have it and 100% of the rejected ones",
         "writer 'a person' predicts the preference: 100% of the chosen answers have it and 0% of the rejected ones"],
    ),
    "label": (
        [*pairs_of(16), *[Preference(chosen=text("surprise"), rejected=text("joy")) for _ in range(4)]],
        ["label 'surprise' predicts the preference: 20% of the chosen answers have it and 0% of the rejected ones"],
    ),
    "label on both sides": (
        [*pairs_of(8), *[Preference(chosen=text("surprise"), rejected=text(EMOTIONS[n % 4])) for n in range(12)],
         *[Preference(chosen=text(EMOTIONS[n % 4]), rejected=text("surprise")) for n in range(2)]],
        ["label 'surprise' predicts the preference: 55% of the chosen answers have it and 9% of the rejected ones"],
    ),
    "first word": (
        pairs_of(20, "smile wide", "frown deep"),
        ["first word 'frown' predicts the preference: 0% of", "first word 'smile' predicts the preference: 100% of"],
    ),
    "format": (
        [Preference(chosen=text(EMOTIONS[n % 4]), rejected=text(EMOTIONS[(n + 1) % 4]).replace("</think>", "" if n < 3 else "</think>"))
         for n in range(20)],
        ["format 'think, answer' predicts the preference: 0% of the chosen answers have it and 15% of the rejected ones"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pairs", "warnings"), BIASES.values(), ids=BIASES)
def test_a_shortcut_is_warned_of_by_name(pairs: list[Preference], warnings: list[str]) -> None:
    found = pair_balance(pairs, LABEL)["warnings"]
    assert len(found) == len(warnings), found
    assert all(one.startswith(start) for one, start in zip(sorted(found), sorted(warnings), strict=True)), found
    assert pair_balance(pairs[: MIN_PAIRS - 1], LABEL)["warnings"] == [], "too few to say"


def test_a_value_that_few_answers_have_is_no_shortcut() -> None:
    odd = Preference(chosen=text("surprise"), rejected=text("joy"))
    assert pair_balance([*pairs_of(20), odd, odd], LABEL)["warnings"] == []


def test_no_pairs_have_no_balance() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        pair_balance([], LABEL)
