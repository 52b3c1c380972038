from itertools import pairwise
from math import exp, log

import pytest

from emoreason.completions import SECTIONS, Template
from emoreason.faults import UserError
from emoreason.rewards.confidence_calibration import confidence_calibration_reward
from emoreason.rewards.emotion_label import emotion_label_reward

FORM = Template(think="none", answer="label", confidence=True)
SECTIONED = Template(think="sections", answer="label", confidence=True, sections=SECTIONS["emocaliber"])
SCORES = ["brier", "log", "emocaliber"]
GRID = [f"{step / 100:.2f}" for step in range(101)]
CHANCES = [f"0.{tenth}0" for tenth in range(1, 10)]


def written(answer, confidence):
    return f"<answer>{answer}</answer><confidence>{confidence}</confidence>"


def value(text, score, label="joy", template=FORM, **settings):
    return confidence_calibration_reward([text], [template], [label], score=score, **settings)[0]


def stated(confidence, right, score, **settings):
    return value(written("joy" if right else "fear", confidence), score, **settings)


def expected(confidence, chance, score):
    """The mean value of a confidence at this chance of being right."""
    return chance * stated(confidence, True, score) + (1 - chance) * stated(confidence, False, score)


@pytest.mark.parametrize(
    ("answer", "confidence", "found"),
    [
        ("joy", "0.8", 0.96),  # right: 1 - (0.8 - 1)^2 = 1 - 0.04
        ("fear", "0.8", 0.36),  # wrong: 1 - (0.8 - 0)^2 = 1 - 0.64
        ("joy", "50%", 0.75),  # 1 - (0.5 - 1)^2
        ("fear", "5/10", 0.75),  # 1 - (0.5 - 0)^2
        ("Joy.", "1", 1.0),
        ("fear", "1.0", 0.0),
        ("joy", "0", 0.0),
        ("fear", "high", 0.36),  # high is 0.8
    ],
)
def test_brier_by_hand(answer, confidence, found):
    assert value(written(answer, confidence), "brier") == pytest.approx(found)


@pytest.mark.parametrize(
    ("right", "confidence", "found"),
    [
        (True, "0.8", 0.925513),  # 1 + ln 0.8 / -ln 0.05 = 1 - 0.223144 / 2.995732
        (False, "0.8", 0.462756),  # 1 + ln 0.2 / -ln 0.05 = 1 - 1.609438 / 2.995732
        (True, "0.5", 0.768622),  # 1 - 0.693147 / 2.995732
        (False, "0.5", 0.768622),
        (True, "0.95", 0.982878),  # 1 - 0.051293 / 2.995732
        (True, "1.0", 0.982878),  # clipped to 0.95
        (True, "97%", 0.982878),
        (False, "1.0", 0.0),  # 1 + ln 0.05 / -ln 0.05
        (True, "0", 0.0),
        (True, "0.05", 0.0),
        (False, "0", 0.982878),
    ],
)
def test_log_by_hand(right, confidence, found):
    assert stated(confidence, right, "log") == pytest.approx(found, abs=1e-6)


def test_log_clips_where_it_is_told_to():
    # 1 + ln 0.9 / -ln 0.1 = 1 - 0.105361 / 2.302585
    assert stated("0.95", True, "log", min_confidence=0.1) == pytest.approx(0.954242, abs=1e-6)
    # 1 + ln 0.2 / -ln 0.1 = 1 - 1.609438 / 2.302585
    assert stated("0.8", False, "log", min_confidence=0.1) == pytest.approx(0.301030, abs=1e-6)
    assert stated("0.95", False, "log", min_confidence=0.1) == 0.0


@pytest.mark.parametrize(
    ("right", "confidence", "found"),
    [
        (True, "0.8", 1.553713),  # 1 + 1 + 2 ln 0.8 = 2 - 2 * 0.223144
        (False, "0.8", -2.218876),  # 1 + 0 + 2 ln 0.2 = 1 - 2 * 1.609438
        (True, "0.5", 0.613706),  # 2 - 2 * 0.693147
        (False, "0.5", -0.386294),  # 1 - 2 * 0.693147
        (False, "0.99", -8.210340),  # 1 + 2 ln 0.01 = 1 - 2 * 4.605170
    ],
)
def test_emocaliber_by_hand(right, confidence, found):
    assert stated(confidence, right, "emocaliber") == pytest.approx(found, abs=1e-6)


def test_emocaliber_at_its_optimum():
    # 1 + p + 2 (p ln p + (1 - p) ln(1 - p)): 1.5 - 1.386294 at p = 0.5, and 1.9 - 0.650166 at p = 0.9
    assert expected("0.50", 0.5, "emocaliber") == pytest.approx(0.113706, abs=1e-6)
    assert expected("0.90", 0.9, "emocaliber") == pytest.approx(1.249834, abs=1e-6)


@pytest.mark.parametrize("confidence", ["85%", "1.0", "1", "0", "{0.8}", "0.8.", "8/10", "high", "85", "-0.5", "nan", "inf", ""])
def test_emocaliber_takes_bare_decimals_strictly_between_0_and_1_only(confidence):
    assert stated(confidence, True, "emocaliber") == -5.0


@pytest.mark.parametrize(
    ("answer", "label", "right"),
    [
        ("Joy.", "joy", True),
        ("**joy**", "Joy", True),
        ("joy fear", "joy", False),
        ("awe struck", "awe struck", False),
        ("awe-struck", "awe-struck", False),
    ],
)
def test_emocaliber_compares_one_word(answer, label, right):
    assert value(written(answer, "0.5"), "emocaliber", label) == pytest.approx(1 + right + 2 * log(0.5))


def test_emocaliber_asks_for_every_tag_and_section_of_the_template():
    sections = "".join(f"<{name}>x</{name}>" for name in SECTIONS["emocaliber"])
    whole = f"<think>{sections}</think>" + written("joy", "0.8")
    assert value(whole, "emocaliber", template=SECTIONED) == pytest.approx(1.553713, abs=1e-6)
    assert value(f"so {whole} so", "emocaliber", template=SECTIONED) == pytest.approx(1.553713, abs=1e-6)
    for name in (*SECTIONS["emocaliber"], "think", "answer", "confidence"):
        assert value(whole.replace(f"</{name}>", ""), "emocaliber", template=SECTIONED) == -5.0
        assert value(whole.replace(f"<{name}>", ""), "emocaliber", template=SECTIONED) == -5.0
    assert value(sections + whole.replace(sections, ""), "emocaliber", template=SECTIONED) == -5.0


def test_emocaliber_takes_a_prefilled_completion_for_whole():
    form = Template(think="free", answer="label", confidence=True, prefilled=True)
    assert value("lips up</think>" + written("joy", "0.8"), "emocaliber", template=form) == pytest.approx(1.553713, abs=1e-6)
    assert value(written("joy", "0.8"), "emocaliber", template=form) == -5.0


def test_in_emocaliber_being_sure_and_wrong_loses_to_breaking_the_format():
    malformed = value("<answer>fear</answer>", "emocaliber")
    assert 1 - exp(-3) == pytest.approx(0.950213, abs=1e-6)
    assert stated("0.950", False, "emocaliber") > malformed > stated("0.951", False, "emocaliber")
    # wrong with 0.97 is worth 1 + 2 ln 0.03 = 1 - 2 * 3.506558 = -6.013116, so leaving out a tag gains 1.013
    assert malformed - stated("0.97", False, "emocaliber") == pytest.approx(1.013116, abs=1e-6)


MALFORMED = ["", "joy", "<answer>joy</answer>", "<confidence>0.0</confidence>", written("joy", ""), written("joy", "sure"), written("joy", "7"),
             written("joy", "-0.5"), written("joy", "nan"), written("joy", "0.9 or 0.1"), written("joy", "1,000"), written("", "0.0"),
             written("joy, fear", "0.0"), "<answer>joy<confidence>0.9", "</answer></confidence>"]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
@pytest.mark.parametrize("score", ["brier", "log"])
def test_breaking_the_format_never_pays(score, text):
    assert value(text, score) == 0.0
    assert min(stated(confidence, right, score) for confidence in GRID for right in (True, False)) == 0.0


@pytest.mark.parametrize("score", ["brier", "log"])
def test_values_stay_between_0_and_1(score):
    for floor in (0.01, 0.05, 0.1, 0.3, 0.49):
        for confidence in GRID:
            assert all(0.0 <= stated(confidence, right, score, min_confidence=floor) <= 1.0 for right in (True, False))


@pytest.mark.parametrize("chance", CHANCES)
@pytest.mark.parametrize("score", SCORES)
def test_the_honest_confidence_pays_most_on_average(score, chance):
    values = {confidence: expected(confidence, float(chance), score) for confidence in GRID[1:-1]}
    best = max(values, key=values.get)
    assert best == chance
    assert [confidence for confidence in values if values[confidence] >= values[best] - 1e-9] == [chance]


@pytest.mark.parametrize("score", SCORES)
def test_the_further_from_the_truth_the_less(score):
    rising = [stated(confidence, True, score) for confidence in GRID[5:96]]
    assert all(low < high for low, high in pairwise(rising))
    assert [stated(confidence, False, score) for confidence in GRID[5:96]] == pytest.approx([one - (score == "emocaliber") for one in rising[::-1]])


EASY = [True] * 4 + [False]
HARD = [True] + [False] * 4


def mean_over_clips(score, easy, hard):
    """Five easy clips with one confidence, of which four are right, and five hard ones with another, of which one is."""
    values = [stated(easy, right, score) for right in EASY] + [stated(hard, right, score) for right in HARD]
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("score", "calibrated", "constant"),
    [
        ("brier", 0.84, 0.75),  # (4 * 0.96 + 0.36) / 5; 1 - 0.25
        ("log", 0.832962, 0.768622),  # (4 * 0.925513 + 0.462756) / 5; 1 - ln 2 / ln 20
    ],
)
def test_a_constant_confidence_does_not_win(score, calibrated, constant):
    assert mean_over_clips(score, "0.80", "0.20") == pytest.approx(calibrated, abs=1e-6)
    assert mean_over_clips(score, "0.50", "0.50") == pytest.approx(constant, abs=1e-6)
    best = max(mean_over_clips(score, confidence, confidence) for confidence in GRID)
    assert best == pytest.approx(constant, abs=1e-6)
    assert mean_over_clips(score, "0.20", "0.80") < best


@pytest.mark.parametrize("score", ["brier", "log"])
def test_being_wrong_on_purpose_does_not_pay_beside_the_label_reward(score):
    def both(text):
        return emotion_label_reward([text], [FORM], ["joy"])[0] + value(text, score)

    def honest(chance):
        return float(chance) * both(written("joy", chance)) + (1 - float(chance)) * both(written("fear", chance))

    # brier: wrong with confidence 0 is 0 + 1 = 1; an even chance, honestly stated, 0.5 * (1 + 0.75) + 0.5 * 0.75 = 1.25
    assert both(written("fear", "0")) < honest("0.50")
    assert all(honest(less) < honest(more) for less, more in pairwise(CHANCES))


def test_does_not_apply_without_label_or_confidence():
    for score in SCORES:
        assert value(written("joy", "0.8"), score, label=None) is None
        assert value("<answer>joy</answer>", score, template=Template(think="none")) is None


def test_each_row_has_its_own_template_and_label():
    texts = [written("joy", "0.8"), written("joy", "0.8"), "<answer>joy</answer>", written("fear", "0.8")]
    forms = [FORM, FORM, Template(think="none"), Template(think="none", answer="list", confidence=True)]
    assert confidence_calibration_reward(texts, forms, ["joy", "fear", "joy", None]) == pytest.approx([0.96, 0.36, None, None])


def test_brier_is_the_default():
    assert confidence_calibration_reward([written("joy", "0.8")], [FORM], ["joy"]) == [value(written("joy", "0.8"), "brier")]


def test_wrong_settings_are_refused_before_scoring():
    with pytest.raises(UserError, match="unknown score 'ece'; accepted: brier, log, emocaliber"):
        confidence_calibration_reward([], [], [], score="ece")
    for floor in (0, 0.5, -1, 2, float("nan")):
        with pytest.raises(UserError, match=f"min_confidence is {floor}; accepted: above 0 and below 0.5"):
            confidence_calibration_reward([], [], [], score="log", min_confidence=floor)
