import pytest

from emoreason.completions import Template
from emoreason.rewards.statement_verdict import statement_verdict_reward

VERDICT = Template(think="none", answer="verdict")
WORD = Template(think="none", answer="label")


def score(answer, label, template=VERDICT):
    return statement_verdict_reward([f"<answer>{answer}</answer>"], [template], [label])[0]


@pytest.mark.parametrize("template", [VERDICT, WORD])
@pytest.mark.parametrize(
    ("answer", "label", "value"),
    [
        ("correct", "correct", 1.0),
        ("Incorrect.", "incorrect", 1.0),
        ("incorrect", "correct", 0.0),  # "correct" stands in it
        ("correct", "incorrect", 0.0),
        ("Yes", "correct", 1.0),
        ("false", "no", 1.0),
        ("True", "yes", 1.0),
        ("no", "true", 0.0),
    ],
)
def test_verdicts_in_their_usual_words(answer, label, value, template):
    assert score(answer, label, template) == value


@pytest.mark.parametrize("answer", ["", "unclear", "I cannot say", "correct emotion", "A", "joy"])
@pytest.mark.parametrize("label", ["correct", "incorrect"])
def test_giving_up_is_wrong(answer, label):
    assert score(answer, label) == 0.0


@pytest.mark.parametrize("label", [None, "joy", "", "A", "correct or not"])
def test_records_without_a_verdict_do_not_apply(label):
    assert score("correct", label) is None


@pytest.mark.parametrize("template", [VERDICT, WORD, Template(think="none", answer="list")])
@pytest.mark.parametrize("answer", ["correct, incorrect", "correct and incorrect", "incorrect/correct", "yes, no", "correct, unclear"])
@pytest.mark.parametrize("label", ["correct", "incorrect"])
def test_naming_both_verdicts_does_not_win(answer, label, template):
    assert score(answer, label, template) == 0.0


def test_a_verdict_in_the_think_text_does_not_win():
    text = "<think>correct</think><answer>unclear</answer>"
    assert statement_verdict_reward([text], [Template(think="free", answer="verdict")], ["correct"]) == [0.0]
