import pytest

from emoreason.completions import Template
from emoreason.rewards.confidence_brier import confidence_brier_reward
from emoreason.rewards.emotion_label import emotion_label_reward

FORM = Template(think="none", answer="label", confidence=True)


def written(answer, confidence):
    return f"<answer>{answer}</answer><confidence>{confidence}</confidence>"


def score(text, label="joy", template=FORM):
    return confidence_brier_reward([text], [template], [label])[0]


@pytest.mark.parametrize(
    ("answer", "confidence", "value"),
    [
        ("joy", "0.8", 0.96),  # right: 1 - (0.8 - 1)^2 = 1 - 0.04
        ("fear", "0.8", 0.36),  # wrong: 1 - (0.8 - 0)^2 = 1 - 0.64
        ("joy", "50%", 0.75),  # 1 - (0.5 - 1)^2
        ("fear", "5/10", 0.75),  # 1 - (0.5 - 0)^2
        ("Joy.", "1", 1.0),
        ("fear", "1.0", 0.0),
        ("joy", "0", 0.0),
    ],
)
def test_brier_score_by_hand(answer, confidence, value):
    assert score(written(answer, confidence)) == pytest.approx(value)


def test_case_of_the_label_does_not_count():
    assert score(written("joy", "1"), label="Joy") == 1.0


def test_does_not_apply_without_label_or_confidence():
    assert score(written("joy", "0.8"), label=None) is None
    assert score("<answer>joy</answer>", template=Template(think="none")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<answer>joy</answer>",
        "<confidence>0.0</confidence>",
        written("joy", ""),
        written("joy", "high"),
        written("joy", "7"),
        written("joy", "-0.5"),
        written("joy", "nan"),
        written("joy", "0.9 or 0.1"),
        written("", "0.0"),
        written("joy, fear", "0.0"),
    ],
)
def test_breaking_the_format_never_pays(text):
    confidently_wrong = score(written("fear", "1"))
    assert score(text) == 0.0 <= confidently_wrong


@pytest.mark.parametrize("chance", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_honest_confidence_pays_most_on_average(chance):
    def expected(confidence):
        right, wrong = score(written("joy", confidence)), score(written("fear", confidence))
        return chance * right + (1 - chance) * wrong

    stated = [f"{step / 10:.1f}" for step in range(11)]
    assert max(stated, key=expected) == f"{chance:.1f}"


def test_being_wrong_on_purpose_does_not_pay_beside_the_label_reward():
    # wrong with confidence 0: 0 + 1 - (0 - 0)^2 = 1
    # an even chance, honestly stated: 0.5 * (1 + 0.75) + 0.5 * (0 + 0.75) = 1.25
    def both(text):
        return emotion_label_reward([text], [FORM], ["joy"])[0] + score(text)

    on_purpose = both(written("fear", "0"))
    honest = 0.5 * both(written("joy", "0.5")) + 0.5 * both(written("fear", "0.5"))
    assert on_purpose == pytest.approx(1.0)
    assert honest == pytest.approx(1.25)
