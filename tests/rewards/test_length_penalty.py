import pytest

from emoreason.faults import UserError
from emoreason.rewards.length_penalty import length_penalty_reward


def score(text, **settings):
    return length_penalty_reward([text], **settings)[0]


@pytest.mark.parametrize(
    ("num_words", "value"),
    [
        (0, 0.0),
        (4, 0.0),
        (5, -0.25),  # (4 - 5) / (8 - 4)
        (6, -0.5),  # (4 - 6) / 4
        (7, -0.75),  # (4 - 7) / 4
        (8, -1.0),  # (4 - 8) / 4
        (9, -1.0),  # no lower than -1
        (500, -1.0),
    ],
)
def test_a_straight_line_from_target_to_max(num_words, value):
    assert score(" ".join(["word"] * num_words), target_words=4, max_words=8) == pytest.approx(value)


def test_defaults_are_64_and_128_words():
    assert score("word " * 64) == 0.0
    assert score("word " * 96) == pytest.approx(-0.5)  # (64 - 96) / 64
    assert score("word " * 128) == -1.0


def test_tags_are_no_words_but_part_the_words_beside_them():
    text = "<think>one two</think><answer>three</answer><confidence>0.5</confidence>"  # 4 words
    assert score(text, target_words=4, max_words=5) == 0.0
    assert score(text, target_words=3, max_words=5) == pytest.approx(-0.5)  # (3 - 4) / (5 - 3)


@pytest.mark.parametrize(("target", "most"), [(0, 10), (-1, 10), (10, 10), (20, 10)])
def test_settings_out_of_order_are_refused(target, most):
    with pytest.raises(UserError, match=rf"target_words is {target} and max_words is {most}; accepted: 0 < target_words < max_words"):
        length_penalty_reward([], target_words=target, max_words=most)


@pytest.mark.parametrize("text", ["joy," * 1000, "joy_" * 1000, "joy" * 1000, "喜" * 3000, "!" * 3000, "<b>" * 1000, "joy\n" * 1000])
def test_length_does_not_hide_in_text_without_spaces(text):
    assert score(text) == -1.0
