import math

import pytest

from emoreason.completions import Template
from emoreason.emotions import LABEL_SPACES
from emoreason.faults import UserError
from emoreason.rewards.emotion_set import emotion_set_reward

LIST = Template(think="none", answer="list")


def score(words, labels, **settings):
    return emotion_set_reward([f"<answer>{words}</answer>"], [LIST], [labels], **settings)[0]


def test_f1_where_no_more_words_are_given_than_asked():
    assert score("joy, pride", ["pride", "joy"]) == 1.0
    # 1 shared; 2 * 1 / (2 + 2) = 0.5
    assert score("joy, fear", ["joy", "pride"]) == pytest.approx(0.5)
    # 1 shared; 2 * 1 / (1 + 3) = 0.5; fewer words are not penalised further
    assert score("joy", ["joy", "pride", "hope"]) == pytest.approx(0.5)
    assert score("fear", ["joy"]) == 0.0
    assert score("", ["joy"]) == 0.0


@pytest.mark.parametrize(
    ("name", "penalty"),
    [
        ("none", 1.0),
        ("P1", 0.25),  # 1 / (6 - 3 + 1)
        ("P2", 0.5),  # 3 / 6
        ("P3", 0.613147),  # ln 3 / ln 6 = 1.098612 / 1.791759
        ("P3s", 0.712414),  # ln 4 / ln 7 = 1.386294 / 1.945910
    ],
)
def test_penalties_at_six_words_for_three_labels(name, penalty):
    # all 3 labels are among the 6 words: F1 = 2 * 3 / (6 + 3) = 2 / 3
    found = score("a, b, c, d, e, f", ["a", "b", "c"], length_penalty=name)
    assert found == pytest.approx(2 / 3 * penalty, abs=1e-6)


def test_one_label_and_two_words():
    # F1 = 2 * 1 / (2 + 1) = 2 / 3; P3s = ln 2 / ln 3 = 0.630930; 2 / 3 * 0.630930 = 0.420620
    assert score("joy, fear", ["joy"]) == pytest.approx(0.420620, abs=1e-6)
    # P3 = ln 1 / ln 2 = 0
    assert score("joy, fear", ["joy"], length_penalty="P3") == 0.0
    assert score("joy", ["joy"], length_penalty="P3") == 1.0


def test_words_are_compared_normalised_and_once():
    assert score("Joy., JOY, awe  struck", ["joy", "Awe struck"]) == 1.0


def test_no_labels_does_not_apply():
    assert score("joy", []) is None


def test_an_unknown_penalty_is_refused_before_scoring():
    with pytest.raises(UserError, match=r"'P4'; accepted: none, P1, P2, P3, P3s"):
        emotion_set_reward([], [], [], length_penalty="P4")


@pytest.mark.parametrize("name", ["P1", "P2", "P3", "P3s"])
@pytest.mark.parametrize("labels", [["joy"], ["joy", "fear"], ["joy", "fear", "love"]])
def test_no_penalty_is_a_bonus(name, labels):
    for extra in range(1, 12):
        words = ", ".join([*labels, *(f"word {number}" for number in range(extra))])
        plain = score(words, labels, length_penalty="none")
        assert 0.0 <= score(words, labels, length_penalty=name) < plain <= 1.0


def test_listing_the_whole_vocabulary_loses_to_one_right_word():
    vocabulary = ", ".join(LABEL_SPACES["shaver_6_disgust_neutral"])
    # one word: 2 * 1 / (1 + 2) = 0.667; all eight: 2 * 2 / (8 + 2) * ln 3 / ln 9 = 0.4 * 0.5 = 0.2
    assert score("joy", ["joy", "fear"]) == pytest.approx(2 / 3)
    assert score(vocabulary, ["joy", "fear"]) == pytest.approx(0.2)


def test_repeating_a_right_word_neither_pays_nor_costs():
    assert score("joy, joy, joy, joy", ["joy", "fear"]) == score("joy", ["joy", "fear"])
    assert math.isclose(score("joy, joy", ["joy"]), 1.0)
