import pytest

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.rewards.dual import dual_reward

LIST = Template(think="free", answer="list")


def score(think, labels, template=LIST, **settings):
    return dual_reward([f"<think>{think}</think><answer>joy</answer>"], [template], [labels], **settings)[0]


def test_by_hand_on_one_wheel():
    one = {"wheels": ["parrott"]}
    assert score("Her eyes are furious.", ["angry"], **one) == 1.0
    # think = {anger, sadness} of two words for one label: F1 = 2 / 3, P2 = 1 / 2
    assert score("Furious, and sad too.", ["angry"], length_penalty="P2", **one) == pytest.approx(1 / 3)
    assert score("Furious.", ["angry", "sad"], **one) == pytest.approx(2 / 3)
    assert score("The lips are pressed.", ["angry"], **one) == 0.0


def test_the_answer_does_not_count():
    assert score("Sad eyes.", ["joy"]) == 0.0


def test_what_does_not_apply():
    assert score("x", []) is None
    assert score("x", ["joy"], Template(think="none", answer="list")) is None
    assert dual_reward(["<think>Glad.</think><answer>fear</answer>"], [LIST], [[]], label=["joy"]) == [1.0]


def test_settings_are_checked():
    with pytest.raises(UserError, match="'P4'"):
        score("x", ["joy"], length_penalty="P4")


@pytest.mark.parametrize("think", ["", "joy fear anger sadness surprise disgust love", "no joy", "perhaps joy, perhaps fear"])
def test_empty_hedged_or_all_naming_reasoning_does_not_win(think):
    assert score(think, ["joy"]) < 0.5 < score("Joy in her eyes.", ["joy"])
