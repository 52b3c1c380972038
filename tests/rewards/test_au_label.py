import pytest

from emoreason.action_units import facs
from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.rewards.au_label import au_label_reward

FREE = Template()
HAPPY = {"AU6": None, "AU12": None}


def score(think, gold, answer="joy", template=FREE, **settings):
    return au_label_reward([f"<think>{think}</think><answer>{answer}</answer>"], [template], [gold], **settings)[0]


def test_f1_of_cited_and_coded_units_by_hand():
    assert score("Cheeks up (AU6), lips up (AU12).", HAPPY) == 1.0
    # 1 shared of 1 cited and 2 coded: F = 2 * 1 / (2 + 1) = 2/3; 2 * 2/3 - 1 = 1/3
    assert score("Lips up (AU12).", HAPPY) == pytest.approx(1 / 3)
    assert score("Lips up (AU12).", HAPPY, rescale=False) == pytest.approx(2 / 3)
    # 1 shared of 3 cited and 2 coded: F = 2 * 1 / (2 + 3) = 0.4; 2 * 0.4 - 1 = -0.2
    assert score("AU12, AU4, AU9", HAPPY) == pytest.approx(-0.2)
    assert score("AU4 and AU9", HAPPY) == -1.0
    assert score("AU4 and AU9", HAPPY, rescale=False) == 0.0


def test_beta_weighs_recall():
    # m 1, gold 2, cited 1: (1 + 4) * 1 / (4 * 2 + 1) = 5/9; (1 + 0.25) * 1 / (0.25 * 2 + 1) = 5/6
    assert score("AU12", HAPPY, beta=2.0, rescale=False) == pytest.approx(5 / 9)
    assert score("AU12", HAPPY, beta=0.5, rescale=False) == pytest.approx(5 / 6)
    for beta in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="a number above 0"):
            au_label_reward([], [], [], beta=beta)


def test_nothing_cited_is_the_lowest_value():
    assert score("She is glad.", HAPPY) == -1.0
    assert score("She is glad.", HAPPY, rescale=False) == 0.0


def test_a_face_without_units_asks_to_cite_none():
    assert score("The face is at rest.", {}) == 1.0
    assert score("The face is at rest: no AU12, no AU4.", {}) == 1.0
    assert score("AU12", {}) == -1.0
    # AU4 is rated absent
    assert score("The face is at rest.", {"AU4": 0.0}) == 1.0
    # silence is no reasoning
    assert score("", {}) == -1.0
    assert au_label_reward(["", "<think>cut off"], [FREE] * 2, [{}] * 2) == [-1.0, -1.0]


def test_records_that_nobody_coded_and_templates_without_reasoning_do_not_apply():
    assert score("AU12", None) is None
    assert score("AU12", HAPPY, template=Template(think="none")) is None


def test_names_count_as_codes_do():
    assert score("The cheeks are raised and the lip corners are pulled up.", HAPPY) == 1.0
    assert score("Cheek raiser (AU6), lip corner puller (AU12).", {"AU06": None, "AU12": 2.0}) == 1.0


def test_sections_are_reasoning():
    form = Template("sections", "label", sections=("observations", "conclusion"))
    assert score("<observations>AU6 and AU12</observations><conclusion>glad</conclusion>", HAPPY, template=form) == 1.0


def test_intensity_by_hand():
    gold = {"AU6": 3.0, "AU12": 4.0}
    # |2 - 3| / 5 = 0.2, |4 - 4| = 0: m = 0.8 + 1 = 1.8; F = 2 * 1.8 / (2 + 2) = 0.9; 2 * 0.9 - 1 = 0.8
    assert score("AU6B and AU12D", gold, intensity=True) == pytest.approx(0.8)
    assert score("AU6B and AU12D", gold) == 1.0
    # unrated on either side counts in full
    assert score("AU6 and AU12D", gold, intensity=True) == 1.0
    assert score("AU6B and AU12D", HAPPY, intensity=True) == 1.0
    # the far ends: m = 1 - |5 - 0.5| / 5 = 0.1; F = 2 * 0.1 / 2
    assert score("AU12E", {"AU12": 0.5}, intensity=True, rescale=False) == pytest.approx(0.1)


def test_citing_every_unit_does_not_win():
    everything = ", ".join(unit.code for unit in facs().values())
    assert len(facs()) == 56
    # 2 shared of 56 cited and 2 coded: F = 2 * 2 / (2 + 56) = 4/58
    assert score(everything, HAPPY) == pytest.approx(2 * 4 / 58 - 1)
    assert score(everything, HAPPY) < score("AU12", HAPPY)
    assert score(everything, {}) == -1.0


def test_negated_and_hedged_units_are_not_credited():
    assert score("No AU6; AU12 is absent.", HAPPY) == -1.0
    assert score("Perhaps AU6, perhaps AU12.", HAPPY) == -1.0
    assert score("AU6 (intensity 0), AU12: 0", HAPPY) == -1.0
    assert score("AU12, and no cheek raiser (AU6).", HAPPY) == score("AU12", HAPPY)


def test_codes_outside_of_the_reasoning_are_not_credited():
    assert score("She is glad.", HAPPY, answer="AU6 and AU12") == -1.0
    assert au_label_reward(["AU6 AU12 <think>glad</think><answer>joy</answer> AU6 AU12"], [FREE], [HAPPY]) == [-1.0]


def test_repeating_a_unit_gains_nothing():
    assert score("AU12 " * 50 + "lip corner puller", HAPPY) == score("AU12", HAPPY)
