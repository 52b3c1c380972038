import pytest

from emoreason.completions import Template
from emoreason.rewards.emotion_label import emotion_label_reward

LABEL = Template(think="free", answer="label")


def score(text, label="joy", template=LABEL):
    return emotion_label_reward([text], [template], [label])[0]


def test_the_right_label_is_one_and_any_other_is_zero():
    assert score("<think>lips up</think><answer>joy</answer>") == 1.0
    assert score("<think>lips up</think><answer>fear</answer>") == 0.0
    assert score("<think>lips up</think><answer>joyful</answer>") == 0.0


@pytest.mark.parametrize(("written", "label"), [("Joy.", "joy"), ("joy", "Joy"), (" AWE   struck ", "awe struck"), ("**joy**", "joy")])
def test_case_spaces_and_surrounding_punctuation_do_not_count(written, label):
    assert score(f"<think>x</think><answer>{written}</answer>", label) == 1.0


def test_a_readable_answer_counts_although_the_format_is_broken():
    assert score("<think>lips up<answer>joy</answer> so there") == 1.0


def test_no_label_does_not_apply_and_no_answer_is_wrong():
    assert score("<think>x</think><answer>joy</answer>", label=None) is None
    assert score("<think>x</think><answer></answer>") == 0.0
    assert score("joy") == 0.0


def test_the_first_word_of_a_list_is_the_dominant_one():
    form = Template(think="none", answer="list")
    assert score("<answer>joy, pride</answer>", template=form) == 1.0
    assert score("<answer>pride, joy</answer>", template=form) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "<think>joy</think><answer>joy, fear, anger, sadness</answer>",
        "<think>joy</think><answer>joy and fear</answer>",
        "<think>joy</think><answer>joy/fear</answer>",
        "<think>joy</think><answer>joy</answer><answer>fear</answer>",
        "<think>joy</think><answer>fear<answer>joy</answer>anger</answer><answer>fear</answer>",
        "<think><answer>joy</think>",
        "<answer>not joy</answer>",
    ],
)
def test_naming_more_than_one_label_cannot_win(text):
    assert score(text) == 0.0
