import pytest

from emoreason.completions import Template
from emoreason.emotions import LABEL_SPACES
from emoreason.faults import UserError
from emoreason.rewards.emotion_wheel import emotion_wheel_reward
from emoreason.wheels import own_wheels

LIST = Template(think="none", answer="list")


def score(words, labels, **settings):
    return emotion_wheel_reward([f"<answer>{words}</answer>"], [LIST], [labels], **settings)[0]


def test_words_of_the_same_emotion_count_as_the_same():
    assert score("furious", ["angry"]) == 1.0
    assert score("joyful, furious", ["anger", "happy"]) == 1.0
    assert score("sad", ["angry"]) == 0.0
    assert score("", ["angry"]) == 0.0


def test_by_hand():
    # one wheel: p = {anger, joy}, g = {anger}: F1 = 2 * 1 / (2 + 1); P2 = 1 / 2
    assert score("furious, glad", ["angry"], wheels=["parrott"], length_penalty="P2") == pytest.approx(2 / 3 / 2)
    # three answers, all anger: F1 = 1, P1 = 1 / (3 - 1 + 1)
    assert score("furious, raging, mad", ["angry"], wheels=["parrott"], length_penalty="P1") == pytest.approx(1 / 3)
    # fewer answers than labels are not penalised: p = {anger}, g = {anger, joy}: 2 * 1 / (1 + 2)
    assert score("furious", ["angry", "glad"], wheels=["parrott"], length_penalty="P1") == pytest.approx(2 / 3)


def test_the_middle_ring_tells_finer():
    assert score("panic", ["worry"], wheels=["parrott"]) == 1.0
    assert score("panic", ["worry"], wheels=["parrott"], level="middle") == 0.0


def test_label_stands_in_for_labels():
    assert emotion_wheel_reward(["<answer>furious</answer>"], [LIST], [[]], label=["anger"]) == [1.0]
    assert emotion_wheel_reward(["<answer>furious</answer>"], [LIST], [[]], label=[None]) == [None]
    assert score("furious", []) is None


def test_every_gold_scores_the_maximum_against_itself():
    for labels in (LABEL_SPACES["ekman_6_neutral"], ["bittersweet longing", "neutral"], ["worried", "doubt"]):
        assert score(", ".join(labels), list(labels)) == 1.0


def test_settings_are_checked():
    with pytest.raises(UserError, match="'P4'"):
        score("joy", ["joy"], length_penalty="P4")
    with pytest.raises(UserError, match="'outer'"):
        score("joy", ["joy"], level="outer")
    with pytest.raises(UserError, match="unknown wheel 'parot'"):
        score("joy", ["joy"], wheels=["parot"])


def test_listing_every_emotion_does_not_win():
    everything = ", ".join(LABEL_SPACES["ekman_6_neutral"])
    assert score(everything, ["joy"]) < 0.25 < score("glad", ["joy"])


def test_listing_one_word_a_class_or_many_words_of_one_class_does_not_win():
    classes = {own_wheels(("parrott",)).clusters(word)[0]: word for word in own_wheels().vocabulary}
    assert score(", ".join(classes.values()), ["joy", "fear"]) < 0.35 < score("joy", ["joy", "fear"])
    assert score("glad, happy, cheerful, joyful, delighted", ["joy"]) < 0.5


def test_inventing_words_costs():
    assert score("joy, blorbful", ["joy", "pride"]) < score("joy", ["joy", "pride"])
