import pytest

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.rewards.reasoning_alignment import reasoning_alignment_reward

LIST = Template(think="free", answer="list")


def score(think, answer, template=LIST, **settings):
    return reasoning_alignment_reward([f"<think>{think}</think><answer>{answer}</answer>"], [template], **settings)[0]


def test_by_hand_on_one_wheel():
    one = {"wheels": ["parrott"]}
    assert score("Her eyes are furious.", "angry", **one) == 1.0
    # think = {anger, sadness}, answer = {anger}: F1 = 2 * 1 / (2 + 1), Jaccard = 1 / 2
    assert score("Furious, and sad too.", "angry", **one) == pytest.approx(2 / 3)
    assert score("Furious, and sad too.", "angry", measure="jaccard", **one) == pytest.approx(1 / 2)
    assert score("Sad eyes.", "angry", **one) == 0.0


def test_a_threshold_makes_it_yes_or_no():
    assert score("Furious, and sad too.", "angry", wheels=["parrott"], threshold=0.5) == 1.0
    assert score("Furious, and sad too.", "angry", wheels=["parrott"], threshold=0.7) == 0.0


def test_only_what_the_reasoning_asserts_counts():
    assert score("She is not angry.", "angry") == 0.0
    assert score("She may be angry.", "angry") == 0.0
    assert score("The lips are pressed.", "angry") == 0.0
    assert score("Angry eyes.", "") == 0.0


def test_templates_without_reasoning_or_answer_do_not_apply():
    assert score("x", "angry", Template(think="none", answer="list")) is None
    assert score("x", "angry", Template(think="free", answer="none")) is None


def test_settings_are_checked():
    with pytest.raises(UserError, match="'cosine'"):
        score("x", "angry", measure="cosine")
    with pytest.raises(UserError, match="threshold 0"):
        score("x", "angry", threshold=0)


@pytest.mark.parametrize("think", ["", "joy, fear, anger, sadness, surprise, disgust, love", "maybe anger, maybe joy", "no anger"])
def test_empty_hedged_or_all_naming_reasoning_does_not_win(think):
    assert score(think, "angry") < 0.5 < score("An angry face.", "angry")
