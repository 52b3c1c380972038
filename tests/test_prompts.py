"""A record as the conversation that a model reads, and as the text that it should write."""

import pytest

from emoreason.completions import Template, parse_completion
from emoreason.prompts import gold_answers, instruction_for, prompt_messages, target_problems, target_text
from emoreason.recipe import PromptSettings
from emoreason.records import Record

LABEL = Template()
SPACE = "ekman_6"


def record(target: dict | None = None, **more: object) -> Record:
    plain = {"id": "a", "dataset": "d", "split": "train", "group": "g", "licence": "l", "source": "s"}
    return Record.model_validate({**plain, "target": target or {}, **more})


def user_text(one: Record, template: Template = LABEL, label_space: str = SPACE, **settings: object) -> str:
    return prompt_messages(one, template, PromptSettings(**settings), label_space)[-1]["content"][-1]["text"]


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (Template("none", "label"), "Name the one emotion in <answer></answer>."),
        (Template("free", "none"), "Reason about the evidence in <think></think>."),
        (
            Template("free", "list", confidence=True),
            "Reason about the evidence in <think></think>, then name the emotions in <answer></answer>, the dominant one first, separated "
            "by commas, then state how likely it is that your answer is right, from 0 to 1, in <confidence></confidence>.",
        ),
    ],
)
def test_the_instruction_asks_for_the_tags_of_the_template(template: Template, sentence: str) -> None:
    assert instruction_for(template) == sentence


def test_the_user_turn_has_pictures_then_text_question_and_instruction() -> None:
    one = record(media={"images": ["a.png", "b.png"]}, text="We lost.", question="How do they feel?")
    (message,) = prompt_messages(one, LABEL, PromptSettings(instruction="Be brief."), SPACE)
    assert message == {
        "role": "user",
        "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": 'Text: "We lost."\nHow do they feel?\nBe brief.'}],
    }


def test_the_recipes_question_is_asked_where_the_record_has_none() -> None:
    assert user_text(record(), question="What now?", instruction="").splitlines() == ["What now?"], "an empty instruction says nothing"


def test_a_system_turn_stands_where_the_recipe_has_one() -> None:
    system, user = prompt_messages(record(), LABEL, PromptSettings(system="You see faces."), SPACE)
    assert system == {"role": "system", "content": [{"type": "text", "text": "You see faces."}]}
    assert user["role"] == "user"


@pytest.mark.parametrize(
    ("choices", "label_space", "line"),
    [
        ([], "sentiment_3", "Choose from: negative, neutral, positive."),
        (["joy", "envy"], "sentiment_3", "Choose from: joy, envy."),
        (["joy", "envy"], "open", "Choose from: joy, envy."),
    ],
)
def test_classes_are_listed_on_request(choices: list[str], label_space: str, line: str) -> None:
    one = record({"choices": choices})
    assert line in user_text(one, label_space=label_space, list_classes=True).splitlines()
    assert "Choose" not in user_text(one, label_space=label_space)


def test_an_open_vocabulary_has_no_classes_to_list() -> None:
    assert "Choose" not in user_text(record(), label_space="open", list_classes=True)


@pytest.mark.parametrize(
    ("target", "label", "words"),
    [
        ({"label": "joy", "labels": ["joy", "pride"]}, ["joy"], ["joy", "pride"]),
        ({"labels": ["pride", "joy"]}, ["pride"], ["pride", "joy"]),
        ({"label": "joy"}, ["joy"], ["joy"]),
        ({}, [], []),
    ],
)
def test_gold_answers_have_the_form_of_the_template(target: dict, label: list[str], words: list[str]) -> None:
    assert gold_answers(record(target), Template(answer="label")) == label
    assert gold_answers(record(target), Template(answer="list")) == words


TAUGHT = {
    "label": "joy",
    "labels": ["joy", "pride"],
    "reasoning": "lips up: joy",
    "cues": {"image": ["lips up", "eyes wide"], "text": ["says they won"]},
}


@pytest.mark.parametrize(
    ("template", "think_from", "confidence", "text"),
    [
        (Template("free", "label"), "reasoning", None, "<think>lips up: joy</think><answer>joy</answer>"),
        (Template("free", "list"), "cues", None, "<think>lips up; eyes wide; says they won</think><answer>joy, pride</answer>"),
        (Template("free", "none"), "cues", None, "<think>lips up; eyes wide; says they won</think>"),
        (Template("none", "list", True), "reasoning", 0.35, "<answer>joy, pride</answer><confidence>0.35</confidence>"),
    ],
)
def test_the_target_text_follows_the_template(template: Template, think_from: str, confidence: float | None, text: str) -> None:
    one = record(TAUGHT)
    assert target_text(one, template, think_from, confidence) == text
    assert parse_completion(text, template).problems == []
    assert target_problems(one, template, think_from, confidence) == []


@pytest.mark.parametrize(
    ("changes", "template", "problem"),
    [
        ({"reasoning": None}, LABEL, "<think> is empty (target: '<think></think><answer>joy</answer>')"),
        ({"reasoning": "joy </think> more"}, LABEL, "<think> stands 2 times"),
        ({"reasoning": "says <answer>joy</answer>"}, LABEL, "<answer> stands 2 times"),
        ({"label": "joy, pride", "labels": []}, LABEL, "<answer> names 2 labels where one is asked: joy, pride"),
        ({"label": None, "labels": []}, LABEL, "<answer> is empty"),
        ({"label": None, "labels": ["joy, pride"]}, Template(answer="list"), "the parser reads ['joy', 'pride'] where the record says "),
        ({"label": "Joy", "labels": []}, LABEL, "the parser reads ['joy'] where the record says ['Joy']"),
        ({}, Template(confidence=True), "<confidence> holds '': empty"),
    ],
)
def test_a_target_that_would_teach_a_wrong_format_is_named(changes: dict, template: Template, problem: str) -> None:
    found = target_problems(record({**TAUGHT, **changes}), template)
    assert len(found) == 1 and found[0].startswith(problem), found


def test_cues_that_are_missing_leave_the_think_tag_empty() -> None:
    (problem,) = target_problems(record({**TAUGHT, "cues": {}}), Template("free", "none"), "cues")
    assert problem.startswith("<think> is empty")
