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


@pytest.mark.parametrize(
    ("text", "num_words"),
    [
        ("他很高兴", 4),
        ("他很高兴。", 4),  # the full stop belongs to its character
        ("AU12 上扬，高兴", 5),
        ("joy喜", 2),
        ("うれしい", 4),
        ("기쁘다", 3),
        ("喜" + "。" * 15 + "。" * 16, 2),  # 15 more characters belong to it, the rest is a run of 16
    ],
)
def test_each_cjk_character_is_a_word(text, num_words):
    # -0.5 between target = num_words - 1 and max = num_words + 1: (num_words - 1 - num_words) / 2
    assert score(text, target_words=num_words - 1, max_words=num_words + 1) == pytest.approx(-0.5)


THOUGHT = "<think>one two three</think><answer>four, five</answer><confidence>0.5</confidence>"


@pytest.mark.parametrize(
    ("text", "part", "num_words"),
    [
        (THOUGHT, "completion", 6),
        (THOUGHT, "reasoning", 3),
        (THOUGHT, "answer", 2),
        ("one two three</think><answer>four</answer>", "reasoning", 3),  # <think> stands in the prompt
        ("<think>one <answer>x</answer> two</think><answer>y</answer>", "reasoning", 3),  # the last answer counts: one, x, two
        ("<think><scene>one two</scene><face>three</face></think>", "reasoning", 3),
        ("one two three", "reasoning", 3),
        ("one two</answer>", "reasoning", 2),
        ("<think>one</think><answer>two three", "answer", 2),  # cut off
    ],
)
def test_parts(text, part, num_words):
    assert score(text, part=part, target_words=num_words, max_words=num_words + 2) == 0.0
    assert num_words == 1 or score(text, part=part, target_words=num_words - 1, max_words=num_words + 1) == pytest.approx(-0.5)


@pytest.mark.parametrize("text", ["one two three", "<think>one two</think>", "", "<answer></answer>"])
def test_an_answer_that_is_not_there_has_no_length(text):
    assert score(text, part="answer", target_words=1, max_words=2) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "{words} <answer>joy</answer>",
        "<answer>joy</answer> {words}",
        "<answer>joy</answer><think>{words}</think>",
        "<think>{words} <answer>joy</answer>",
        "<answer>{words}</answer><answer>joy</answer>",
        "<answer>joy</answer><confidence>{words}</confidence>",
    ],
)
def test_reasoning_outside_its_tags_does_not_win(text):
    assert score(text.format(words="word " * 128), part="reasoning") == -1.0


def test_tokens_are_those_that_trl_counted():
    # 6 tokens: (4 - 6) / 4
    assert score("喜", unit="tokens", completion_ids=[[1, 2, 3, 4, 5, 6]], target_words=4, max_words=8) == pytest.approx(-0.5)
    assert score("a b c d e f g h", unit="tokens", completion_ids=[[]], target_words=4, max_words=8) == 0.0


def test_tokens_of_a_part_are_its_share_of_the_characters():
    text = "<think>aaaaaaaa</think><answer>bb</answer>"
    # 42 characters, 8 of them reasoning and 2 answer; of 21 tokens that is 21 * 8 / 42 = 4 and 21 * 2 / 42 = 1
    assert len(text) == 42
    settings = {"unit": "tokens", "completion_ids": [[7] * 21]}
    assert score(text, part="reasoning", target_words=3, max_words=5, **settings) == pytest.approx(-0.5)  # (3 - 4) / 2
    assert score(text, part="answer", target_words=1, max_words=2, **settings) == 0.0
    assert score("", part="reasoning", target_words=1, max_words=2, **settings) == 0.0


def test_tokens_without_completion_ids_are_refused():
    with pytest.raises(UserError, match="unit is tokens, and the caller gives no `completion_ids`"):
        length_penalty_reward(["joy"], unit="tokens")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"part": "think"}, r"unknown part 'think'; accepted: completion, answer, reasoning"),
        ({"unit": "characters"}, r"unknown unit 'characters'; accepted: words, tokens"),
    ],
)
def test_unknown_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        length_penalty_reward([], **settings)
