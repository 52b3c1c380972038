import pytest

from emoreason.faults import UserError
from emoreason.rewards.repetition_penalty import repetition_penalty_reward


def score(text, **settings):
    return repetition_penalty_reward([text], **settings)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0.0),
        ("a b", 0.0),  # fewer words than 3
        ("a b c", 0.0),
        ("a b c a b c", -0.25),  # abc bca cab abc: 3 of 4 differ
        ("a a a a a a", -0.75),  # 1 of 4 differs
        ("a b c d e f g h", 0.0),
    ],
)
def test_share_of_three_word_runs_that_stood_before(text, value):
    assert score(text) == pytest.approx(value)


def test_settings():
    # single words: 2 of 6 differ, 1 - 2 / 6 = 0.666667
    assert score("a b a b a b", ngram=1) == pytest.approx(-0.666667, abs=1e-6)
    assert score("a b c a b c", max_penalty=-0.5) == pytest.approx(-0.125)  # -0.5 * 0.25
    assert score("a b c a b c", max_penalty=0) == 0.0


@pytest.mark.parametrize("settings", [{"ngram": 0}, {"max_penalty": 0.5}, {"max_penalty": float("-inf")}, {"max_penalty": float("nan")}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(UserError, match="accepted: ngram from 1 and a max_penalty of at most 0"):
        repetition_penalty_reward([], **settings)


def test_tags_are_no_words_and_case_and_punctuation_tell_none_apart():
    assert score("<think><scene>lips up. Lips up,</scene></think><answer>lips UP!</answer>") == pytest.approx(-0.5)  # 2 of 4 differ


@pytest.mark.parametrize(("text", "value"), [("高兴高兴高兴", -0.5), ("うれしいうれしい", -0.333333), ("기쁨기쁨기쁨", -0.5), ("他很高兴。", 0.0)])
def test_cjk_characters_are_words(text, value):
    # 高兴高, 兴高兴, 高兴高, 兴高兴: 2 of 4 differ; うれし, れしい, しいう, いうれ, うれし, れしい: 4 of 6
    assert score(text) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    ["lips up. " * 50, "joy" * 500, "joy," * 500, "joy_" * 500, "!" * 1000, "😂" * 1000, "😂 " * 100, "喜！" * 300, "<b>" * 500, "joy\n" * 100],
)
def test_repetition_does_not_hide_without_spaces_words_or_letters(text):
    assert score(text) < -0.7


def test_saying_a_sentence_again_loses_to_saying_it_once():
    sentence = "<think>The lip corners are raised, so the face shows joy.</think>"
    assert score(sentence) == 0.0
    # 10 words twice: 18 runs, the last 8 of which stood before; 8 / 18 = 0.444444
    assert score(sentence * 2) == pytest.approx(-0.444444, abs=1e-6)
    assert score(sentence * 10) < score(sentence * 2)


def test_changing_the_punctuation_of_what_is_repeated_does_not_win():
    assert score("so happy. so happy, so happy! so 'happy' (so) happy; so happy") == score("so happy " * 6) < -0.7
