import pytest

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.rewards.valence_distance import valence_distance_reward

LIST = Template(think="none", answer="list")
# VADER on [0, 1], (value + 4) / 8: joy 2.8 is 0.85, happiness 2.6 is 0.825, anger -2.7 is 0.1625, surprise 1.1 is 0.6375


@pytest.fixture
def nrc_path(tmp_path):
    path = tmp_path / "nrc.txt"  # made-up numbers
    path.write_text("joy\t0.8\t0.6\t0.4\nanger\t-0.8\t0.6\t0.2\nneutral\t0.0\t-0.6\t0.0\n")
    return str(path)


def score(words, label=None, labels=(), vad=None, template=LIST, **settings):
    return valence_distance_reward([f"<answer>{words}</answer>"], [template], [label], [list(labels)], [vad], **settings)[0]


def rated(valence, arousal=5.0, dominance=None, scale=(1, 9)):
    return {"valence": valence, "arousal": arousal, "dominance": dominance, "scale": scale}


def test_the_records_rating_is_the_aim_where_it_has_one():
    # 7.5 of 1..9 is 0.8125; joy 0.85; 1 - 0.0375
    assert score("joy", vad=rated(7.5), label="anger") == pytest.approx(0.9625)
    # 1 - |0.1625 - 0.8125| = 1 - 0.65
    assert score("anger", vad=rated(7.5)) == pytest.approx(0.35)
    # the same rating on -1..1: 2 * 0.8125 - 1
    assert score("joy", vad=rated(0.625, 0.0, scale=[-1, 1])) == pytest.approx(0.9625)


def test_else_the_lexicons_valence_of_the_labels():
    assert score("joy", label="joy") == 1.0
    # 1 - |0.825 - 0.85|
    assert score("happiness", label="joy") == pytest.approx(0.975)
    # labels joy and happiness: (0.85 + 0.825) / 2 = 0.8375; anger: 1 - |0.1625 - 0.8375| = 1 - 0.675
    assert score("anger", label="joy", labels=["joy", "happiness"]) == pytest.approx(0.325)
    assert score("happiness, joy", label="joy", labels=["joy", "happiness"]) == pytest.approx(1.0)


def test_words_that_the_lexicon_does_not_know_are_left_out():
    assert score("blorb, joy", label="joy") == 1.0
    assert score("joy", labels=["joy", "blorb"]) == 1.0


@pytest.mark.parametrize("words", ["", "blorb", "neutral", "</answer>"])
def test_no_known_answer_is_0(words):
    assert score(words, label="joy") == 0.0


def test_records_without_a_known_valence_do_not_apply():
    assert score("joy") is None
    assert score("joy", label="neutral", labels=["neutral", "blorb"]) is None


@pytest.mark.parametrize("answer", ["none", "choice", "verdict"])
def test_templates_whose_answer_is_no_emotion_do_not_apply(answer):
    assert score("joy", label="joy", template=Template(think="none", answer=answer)) is None


def test_a_lexicon_of_three_dimensions_gives_the_vad_distance(nrc_path):
    # gold on [0, 1]: 0.9, 0.8, 0.2; joy of -1..1: 0.9, 0.8, 0.7; sqrt((0 + 0 + 0.25) / 3) = 0.288675
    assert score("joy", vad=rated(8.2, 7.4, 2.6), lexicon=nrc_path) == pytest.approx(0.711325, abs=1e-6)
    # gold without dominance: valence and arousal count, 0 apart
    assert score("joy", vad=rated(8.2, 7.4), lexicon=nrc_path) == pytest.approx(1.0)
    # anger 0.1, 0.8, 0.6 against joy 0.9, 0.8, 0.7: sqrt((0.64 + 0 + 0.01) / 3) = 0.465475
    assert score("anger", label="joy", lexicon=nrc_path) == pytest.approx(0.534525, abs=1e-6)


def test_faults_of_lexicon_and_records_are_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        valence_distance_reward([], [], [], [], [], lexicon=str(tmp_path / "none.txt"))
    with pytest.raises(UserError, match=r"rating 7.5 is outside its scale from 1 to 5"):
        score("joy", vad=rated(7.5, scale=(1, 5)))


def test_listing_opposite_words_does_not_win():
    # joy and anger: (0.85 + 0.1625) / 2 = 0.50625; 1 - 0.34375 on a joyful record, the same on an angry one
    assert score("joy, anger", label="joy") == pytest.approx(0.65625) == score("joy, anger", label="anger")
    assert score("joy, anger", label="joy") < score("joy", label="joy")
    assert score("joy, anger", label="anger") < score("anger", label="anger")


def test_a_word_of_middle_valence_loses_to_the_right_one():
    # surprise: 1 - |0.6375 - 0.85| = 0.7875 and 1 - |0.6375 - 0.1625| = 0.525
    assert score("surprise", label="joy") == pytest.approx(0.7875)
    assert score("surprise", label="anger") == pytest.approx(0.525)
