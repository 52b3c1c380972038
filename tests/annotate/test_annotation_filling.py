"""Answers as records: each field at its place, labels of people untouched, statements in balance."""

from typing import Any

import pytest

from emoreason.annotate.filling import filled_records, occupied
from emoreason.annotate.templates import AnnotationTemplate, load_template
from emoreason.records import Record


def record(**more: Any) -> Record:
    base = {"id": "r/1", "dataset": "d", "split": "train", "group": "g", "licence": "l", "source": "s", "media": {"images": ["a.jpg"]}}
    return Record.model_validate({**base, "target": {"label": "joy", "label_space": "ekman_6"} if "target" not in more else {}, **more})


def own(**changes: Any) -> AnnotationTemplate:
    schema = {"type": "object", "properties": {name: {} for name in ("a", "b", "words")}}
    return AnnotationTemplate.model_validate({"name": "mine", "about": "x", "source": "x", "user": "x", "answer_schema": schema, **changes})


def filled(one: Record, answer: dict, template: AnnotationTemplate) -> Record:
    records, problems = filled_records(one, {None: answer}, template, "tiny")
    assert problems == []
    (new,) = records
    return new


HAPPY = record(target={"label": "happiness", "label_space": "ekman_6"})


def test_fields_go_to_their_places_and_the_rest_stays() -> None:
    places = {"target.reasoning": "{{ answer.a }}: {{ label }}", "target.sections.face": "b", "target.cues.image": "words"}
    new = filled(HAPPY, {"a": "lips up", "b": " cheeks ", "words": ["up", " and  down ", ""]}, own(fill=places))
    assert (
        new.target.reasoning == "lips up: happiness"
        and new.target.sections == {"face": "cheeks"}
        and new.target.cues == {"image": ["up", "and down"]}
    )
    assert new.attributes == {"annotator": "tiny", "annotation_template": f"mine {own(fill=places).digest[:12]}"}
    assert new.model_copy(update={"target": HAPPY.target, "attributes": {}}) == HAPPY


def test_an_answer_never_replaces_the_label_of_people() -> None:
    template = own(fill={"target.label": "a", "target.labels": "words"})
    assert filled(HAPPY, {"a": "anger", "words": ["anger"]}, template).target == HAPPY.target
    bare = record(target={"label_space": "ekman_6"})
    new = filled(bare, {"a": "Joyful", "words": ["Happiness", "pride", "pride"]}, template)
    assert (new.target.label, new.target.labels) == ("happiness", ["happiness", "pride"])


def test_a_label_outside_of_the_label_space_is_a_problem() -> None:
    records, problems = filled_records(record(target={"label_space": "ekman_6"}), {None: {"a": "sleepy"}}, own(fill={"target.label": "a"}), "tiny")
    assert records == [] and "'sleepy' is not in ekman_6" in problems[0]


def test_a_preference_is_filled_and_must_be_one() -> None:
    template = own(fill={"preference.chosen": "a", "preference.rejected": "words"})
    new = filled(HAPPY, {"a": "it is joy", "words": ["it is fear", "it is anger"]}, template)
    assert new.preference.chosen == "it is joy" and new.preference.rejected == ["it is fear", "it is anger"]
    assert "among the rejected" in filled_records(HAPPY, {None: {"a": "x", "words": ["x"]}}, template, "tiny")[1][0]
    assert filled_records(HAPPY, {None: {"a": "x", "words": []}}, template, "tiny")[1] == ["preference.rejected: missing"]


def test_what_is_there_already_is_told_but_for_labels() -> None:
    template = own(fill={"target.reasoning": "a", "target.cues.text": "words", "target.sections.face": "b", "target.label": "a"})
    assert occupied(HAPPY, template) == []
    held = {"label": "happiness", "label_space": "ekman_6", "reasoning": "why", "cues": {"image": ["x"]}, "sections": {"scene": "x"}}
    assert occupied(record(target=held), template) == ["target.reasoning", "target.sections.face"]
    unimodal = load_template("unimodal_descriptions")
    assert occupied(record(target={"cues": {"image": ["x"]}}), unimodal) == ["target.cues.MODALITY"]


def test_sections_of_another_template_do_not_stay_beside_the_new_ones() -> None:
    old = record(target={"sections": {"scene": "a park"}})
    assert filled(old, {"b": "cheeks"}, own(fill={"target.sections.face": "b"})).target.sections == {"face": "cheeks"}


def test_the_completion_of_the_new_record_must_parse() -> None:
    template = own(fill={"target.reasoning": "a"}, completion={"think": "free", "answer": "label"})
    assert filled(HAPPY, {"a": "lips up"}, template).target.reasoning == "lips up"
    for reasoning in ("</think>", ""):
        assert filled_records(HAPPY, {None: {"a": reasoning}}, template, "tiny")[1] != []


STATEMENTS = {name: {"correct": f"The {name} is so.", "incorrect": f"The {name} is otherwise."} for name in
              ("sentiment_polarity", "emotion_interpretation", "scene_context", "perception_subjectivity")}  # fmt: skip


def test_statements_become_records_with_verdicts_in_balance() -> None:
    asked = record(text="on a beach", target={"label": "joy"}, fold=2, attributes={"age": 30})
    records, problems = filled_records(asked, {None: {"statements": STATEMENTS}}, load_template("insets_statements"), "tiny")
    assert problems == [] and len(records) == 8 and len({one.id for one in records}) == 8
    assert [one.target.label for one in records] == ["correct", "incorrect"] * 4
    first = records[0]
    assert first.id == "r/1#1-correct" and first.target.label_space == "verdict_2" and first.attributes["dimension"] == "sentiment_polarity"
    assert first.question == 'Statement: "The sentiment_polarity is so." Is it correct or incorrect for this picture?'
    assert (first.group, first.fold, first.media, first.text, first.attributes["age"]) == ("g", 2, asked.media, "on a beach", 30)


@pytest.mark.parametrize("pair", [{"correct": "Same.", "incorrect": "same"}, {"correct": "The sentiment_polarity is so.", "incorrect": "x"}])
def test_statements_that_repeat_are_no_pair(pair: dict) -> None:
    answer = {"statements": {**STATEMENTS, "scene_context": pair}}
    records, problems = filled_records(HAPPY, {None: answer}, load_template("insets_statements"), "tiny")
    assert records == [] and problems == ["pair 3: a statement is empty, or stands there twice"]


def test_a_list_of_pairs_says_its_dimension() -> None:
    template = own(statements={"pairs": "words", "question": "{{ statement }}?"})
    pairs = [{"dimension": "cause", "correct": "One", "incorrect": "Two"}, {"correct": "Three", "incorrect": "Four"}]
    records, _ = filled_records(HAPPY, {None: {"words": pairs}}, template, "tiny")
    assert [(one.question, one.attributes["dimension"]) for one in records][::2] == [("One?", "cause"), ("Three?", "statement")]
    assert filled_records(HAPPY, {None: {"words": []}}, template, "tiny")[1] == ["words: no pair"]


def test_modalities_are_kept_with_their_labels_and_whether_they_agree() -> None:
    template = load_template("unimodal_descriptions")
    asked = record(text="I lost.", target={"label": "sad", "label_space": "mer_6"})
    answers = {"image": {"description": "The lips are up.", "emotion": "Happiness"}, "text": {"description": "A loss.", "emotion": "sadness"}}
    (new,), problems = filled_records(asked, answers, template, "tiny")
    assert problems == [] and new.target.cues == {"image": ["The lips are up."], "text": ["A loss."]}
    assert {name: one.label for name, one in new.target.unimodal.items()} == {"image": "happy", "text": "sad"}
    assert new.attributes["unimodal_agreement"] == "conflict"
    answers["image"]["emotion"] = "unclear"
    (new,), _ = filled_records(asked, answers, template, "tiny")
    assert list(new.target.unimodal) == ["text"] and new.attributes["unimodal_agreement"] == "none"
