import pytest

from emoreason.completions import Template
from emoreason.rewards.answer_format import answer_format_reward

LABEL = Template(think="free", answer="label")
SURE = Template(think="free", answer="list", confidence=True)


def score(text, template=LABEL):
    return answer_format_reward([text], [template])[0]


def test_one_where_the_template_is_followed_right_or_wrong():
    assert score("<think>lips up</think><answer>joy</answer>") == 1.0
    assert score("\n<think>\nlips up\n</think>\n\n<answer>\nno such emotion\n</answer>\n") == 1.0
    assert score("<think>lips up</think><answer>joy, pride</answer><confidence>0.8</confidence>", SURE) == 1.0


def test_each_row_is_held_to_its_own_template():
    text = "<think>lips up</think><answer>joy</answer>"
    assert answer_format_reward([text, text, text], [LABEL, SURE, Template(think="none")]) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "joy",
        "<answer>joy</answer>",
        "<think>lips up</think><answer>joy",
        "<think>lips up<answer>joy</answer></think>",
        "<answer>joy</answer><think>lips up</think>",
        "<think>lips up</think> joy <answer>joy</answer>",
        "<think>lips up</think><answer>joy</answer><confidence>0.8</confidence>",
    ],
)
def test_zero_where_the_tags_differ(text):
    assert score(text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "<think></think><answer></answer>",
        "<think> </think><answer>joy</answer>",
        "<think>lips up</think><answer>...</answer>",
        "<think>lips up</think><answer>joy, fear, anger</answer>",
        "<think>lips up</think><answer>joy</answer>" * 2,
        "<think>a</think><think>b</think><answer>joy</answer>",
    ],
)
def test_empty_or_repeated_tags_cannot_win(text):
    assert score(text) == 0.0


@pytest.mark.parametrize("confidence", ["", "high", "7", "-1", "nan"])
def test_an_unreadable_confidence_cannot_win(confidence):
    assert score(f"<think>lips up</think><answer>joy</answer><confidence>{confidence}</confidence>", SURE) == 0.0
