"""What each filter rejects and lets pass, by hand."""

import pytest

from emoreason.annotate.filters import agreement_of, problems_of, same_emotion
from emoreason.annotate.templates import Filters
from emoreason.records import Record


def record(**target: object) -> Record:
    return Record.model_validate({"id": "r", "dataset": "d", "split": "s", "group": "g", "licence": "l", "source": "s", "target": target})


def texts(answer: dict, one: Record, **filters: object) -> list[str]:
    return [text for _, text in problems_of(answer, one, Filters.model_validate(filters))]


SMILE = record(label="happy", label_space="mer_6", action_units={"AU6": 2.0, "AU12": None, "AU4": 0.0})


@pytest.mark.parametrize(
    ("think", "problem"),
    [
        ("Cheeks are up (AU6), lip corners too (AU12).", None),
        ("Cheeks raised, lip corner puller.", None),  # by their names in FACS
        ("Cheeks are up (AU6), brows down (AU4), lip corners (AU12).", "it names AU4 (Brow lowerer), which the annotation does not have"),
        ("Cheeks are up (AU6).", "it leaves out AU12 (Lip corner puller)"),
        ("Cheeks are up (AU6), no lip corner puller (AU12).", "it denies AU12 (Lip corner puller), which the annotation has"),
        ("AU6, AU12 and AU99 are active.", "it names AU99, which FACS does not have"),
        ("AU6 and AU12 are active. There is no AU1.", None),
        ("Just a smile.", "it leaves out AU6 (Cheek raiser), AU12 (Lip corner puller)"),
    ],
)
def test_action_units(think: str, problem: str | None) -> None:
    found = texts({"think": think}, SMILE, action_units={"fields": ["think"]})
    assert found[:1] == ([problem] if problem else [])


def test_action_units_within_shares() -> None:
    answer = {"think": "Cheeks (AU6), lips (AU25), chin (AU26)."}
    assert texts(answer, SMILE, action_units={"min_precision": 0.33, "min_recall": 0.5}) == []
    assert len(texts(answer, SMILE, action_units={"min_precision": 0.34, "min_recall": 0.51})) == 2
    assert texts({"think": "brows raised"}, SMILE, action_units={"min_recall": 0, "phrases": True}) != []
    assert texts({"think": "brows raised"}, SMILE, action_units={"min_recall": 0}) == []


def test_a_negation_ends_with_its_text() -> None:
    assert texts({"seen": ["there is no", "AU6 and AU12"]}, SMILE, action_units={}) == []


@pytest.mark.parametrize(
    ("emotion", "passes"),
    [("happy", True), ("Happiness.", True), ("joy", True), ("delighted", True), ("sad", False), ("angry", False), ("", False), ("xyzzy", False)],
)
def test_the_answered_emotion(emotion: str, passes: bool) -> None:
    assert (texts({"emotion": emotion}, SMILE, emotion={"answer": "emotion"}) == []) == passes


def test_of_a_list_the_first_word_counts() -> None:
    assert texts({"emotions": ["sad", "happy"]}, SMILE, emotion={"answer": "emotions"}) == ["it answers 'sad', which is not 'happy'"]
    assert texts({"emotions": []}, SMILE, emotion={"answer": "emotions"}) == ["it answers 'no emotion', which is not 'happy'"]


@pytest.mark.parametrize(
    ("think", "problem"),
    [
        ("She is glad.", None),
        ("Sad at first, then happy.", None),
        ("A sad and angry look.", "its reasoning speaks of sad, angry and never of happy"),
        ("She is not happy but sad.", "its reasoning speaks of sad and never of happy"),
        ("The lips are up.", "its reasoning names no emotion; it should arrive at happy"),
    ],
)
def test_emotions_of_the_reasoning(think: str, problem: str | None) -> None:
    assert texts({"think": think}, SMILE, emotion={"reasoning": ["think"], "must_name": True}) == ([problem] if problem else [])


def test_a_record_without_a_label_has_no_emotion_to_miss() -> None:
    assert texts({"emotion": "sad", "think": "sad"}, record(), emotion={"answer": "emotion", "reasoning": ["think"]}) == []
    open_words = record(labels=["delighted", "proud"])
    assert texts({"emotion": "happy"}, open_words, emotion={"answer": "emotion"}) == []
    assert texts({"emotion": "angry"}, open_words, emotion={"answer": "emotion"}) != []


def test_leakage_is_found_in_whole_words_whatever_the_case() -> None:
    phrases = {"leakage": {"phrases": ["as labelled", "the label"]}}
    assert texts({"a": {"b": ["Happy, As-Labelled."]}}, SMILE, **phrases) != []
    assert texts({"a": "the labels of a jar"}, SMILE, **phrases) == []


def test_length_counts_words_and_characters_of_scripts_without_spaces() -> None:
    assert texts({"a": "one two", "b": "three"}, SMILE, length={"min_words": 3, "max_words": 3}) == []
    assert texts({"a": "one two", "b": "three"}, SMILE, length={"fields": ["a"], "min_words": 3}) == ["it has 2 words, and at least 3 are wanted"]
    assert texts({"a": "她很高兴 (AU12)"}, SMILE, length={"max_words": 4}) == ["it has 5 words, and at most 4 are wanted"]


def test_problems_come_in_the_order_of_the_filters() -> None:
    answer = {"think": "as labelled: sad (AU4)", "emotion": "sad"}
    filters = {"action_units": {}, "emotion": {"answer": "emotion"}, "leakage": {"phrases": ["as labelled"]}, "length": {"min_words": 9}}
    found = problems_of(answer, SMILE, Filters.model_validate(filters))
    assert list(dict.fromkeys(name for name, _ in found)) == ["length", "leakage", "emotion", "action_units"]


@pytest.mark.parametrize(
    ("emotions", "found"),
    [
        ({"image": "happy", "audio": "joy"}, "agree"),
        ({"image": "happy", "audio": "sad"}, "conflict"),
        ({"image": "happy", "audio": "happy", "text": "angry"}, "conflict"),
        ({"image": "happy", "audio": "neutral"}, "none"),
        ({"image": "unclear", "audio": ""}, "none"),
        ({"image": "happy", "text": "delighted", "audio": "unclear"}, "agree"),
    ],
)
def test_agreement_of_modalities(emotions: dict[str, str], found: str) -> None:
    assert agreement_of(emotions, "mer_6", 0.5) == found


def test_two_classes_of_a_label_space_are_two_whatever_the_wheels_say() -> None:
    assert same_emotion("joy", "amusement", "open", 0.5)
    assert not same_emotion("amusement", "excitement", "mikels_8", 0.5)
