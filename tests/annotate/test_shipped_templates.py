"""Each shipped template with an answer that a good model would give, and with the faults that it is there to find."""

import json
from typing import Any

import pytest

from emoreason.annotate.answers import read_answer
from emoreason.annotate.asking import asks_of
from emoreason.annotate.filling import filled_records
from emoreason.annotate.filters import problems_of
from emoreason.annotate.templates import load_template
from emoreason.records import Record

UNITS = {"AU4": 3.0, "AU15": None, "AU12": 0.0}
PICTURE, CLIP = {"images": ["a.jpg"]}, {"video": "a.mp4", "audio_in_video": True}


def record(media: dict, **more: Any) -> Record:
    base = {"id": "r", "dataset": "d", "split": "s", "group": "g", "licence": "l", "source": "s", "media": media, "text": "I lost them all."}
    return Record.model_validate({**base, "target": {"label": "sad", "label_space": "mer_6", "action_units": UNITS}, **more})


GOOD: dict[str, tuple[dict, dict]] = {
    "facial_r1_loop": (PICTURE, {
        "think": "The brows are drawn together and down (AU4), and the corners of the mouth sink (AU15). Together they make a sorrowful, sad face.",
        "emotion": "sad",
    }),
    "exp_cot": (PICTURE, {
        "observations": [
            {"action_unit": "AU4", "seen": "The brows are lowered and drawn together.", "suggests": "effort or displeasure"},
            {"action_unit": "AU15", "seen": "The corners of the mouth are pulled down", "suggests": "sorrow."},
        ],
        "interpretation": "The lowered brows could stand for effort, but beside the sinking mouth they deepen an impression of grief.",
        "conclusion": "The face is sad.", "emotion": "sadness",
    }),
    "sed": (CLIP, {
        "scene": "A kitchen at night; a woman stands at the table with a letter in her hand.",
        "face": "Her brows go up in the middle, her mouth sinks.",
        "body": "Her shoulders fall and she leans on the table.", "acoustics": "A low, slow voice with long pauses, <sigh>.",
        "speech": "She says that she has lost them all.", "analysis": "Face, posture and voice point the same way as her words: she is sad.",
        "emotion": "sad",
    }),
    "emer_reasoning": (CLIP, {
        "visual": ["brows raised in the middle", "mouth corners down"], "acoustic": ["a low voice with pauses"],
        "textual": ["says that all are lost"],
        "reasoning": "Her raised inner brows and sinking mouth, together with the low voice and words about a loss, weigh more than her upright "
                     "posture; she is sad and close to despair.",
        "emotions": ["sadness", "despair"],
    }),
    "insets_statements": (PICTURE, {"statements": {
        "sentiment_polarity": {"correct": "The picture gives an unpleasant feeling.", "incorrect": "The picture gives a pleasant feeling."},
        "emotion_interpretation": {"correct": "The bent figure by the grave evokes grief.", "incorrect": "The bent figure by the grave evokes awe."},
        "scene_context": {"correct": "Seen as a rehearsal, the scene would move less.", "incorrect": "Seen as a rehearsal, it would move more."},
        "perception_subjectivity": {"correct": "Who has lost someone will feel it more.", "incorrect": "Who has lost someone will feel it less."},
    }}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_good_answer_passes_and_fills_the_record(name: str) -> None:
    media, given = GOOD[name]
    template, one = load_template(name), record(media)
    (ask,) = asks_of(one, template)
    assert "sad" in ask.user and "a.jpg" not in ask.user
    answer, problems = read_answer(json.dumps(given), template.answer_schema)
    assert problems == [] and [text for _, text in problems_of(answer, one, template.filters)] == []
    records, problems = filled_records(one, {None: answer}, template, "tiny")
    assert problems == [] and all(one.target.reasoning or one.question for one in records)


def test_observations_become_a_block_with_their_codes() -> None:
    media, given = GOOD["exp_cot"]
    ((new,), _) = filled_records(record(media), {None: given}, load_template("exp_cot"), "tiny")
    assert list(new.target.sections) == ["observations", "interpretation", "conclusion"]
    assert new.target.sections["observations"] == (
        "The brows are lowered and drawn together (AU4), which suggests effort or displeasure; "
        "The corners of the mouth are pulled down (AU15), which suggests sorrow."
    )


def test_units_are_told_with_their_names_and_absent_ones_are_not() -> None:
    (ask,) = asks_of(record(PICTURE), load_template("facial_r1_loop"))
    assert "- AU4, Brow lowerer, intensity 3 of 5\n- AU15, Lip corner depressor\nThe emotion is sad." in ask.user


def test_cues_go_to_their_modalities_and_labels_of_people_stay() -> None:
    media, given = GOOD["emer_reasoning"]
    ((new,), _) = filled_records(record(media), {None: given}, load_template("emer_reasoning"), "tiny")
    assert {name: len(cues) for name, cues in new.target.cues.items()} == {"video": 2, "audio": 1, "text": 1}
    assert (new.target.label, new.target.labels) == ("sad", [])
    unlabelled = record(media, target={})
    ((new,), problems) = filled_records(unlabelled, {None: given}, load_template("emer_reasoning"), "tiny")
    assert problems == [] and new.target.labels == ["sadness", "despair"]
    assert "agree on" not in asks_of(unlabelled, load_template("emer_reasoning"))[0].user


@pytest.mark.parametrize(
    ("name", "changes", "filters"),
    [
        ("facial_r1_loop", {"think": "The brows are down (AU4), the mouth sinks (AU15), cheeks rise (AU6): in all a sad face."}, ["action_units"]),
        ("facial_r1_loop", {"think": "The brows are down (AU4), and the mouth sinks (AU15), as the given label says: a sad face."}, ["leakage"]),
        ("facial_r1_loop", {"think": "The brows are down (AU4), and the mouth sinks (AU15), and so the face is an angry one."}, ["emotion"]),
        ("facial_r1_loop", {"emotion": "angry"}, ["emotion"]),
        ("exp_cot", {"conclusion": "The face is at rest."}, ["emotion"]),
        ("exp_cot", {"observations": GOOD["exp_cot"][1]["observations"][:1]}, ["action_units"]),
        ("sed", {"analysis": "As stated in the prompt, she is sad."}, ["leakage"]),
        ("sed", {"analysis": "Face, posture and voice point the same way: joy."}, ["emotion"]),
        ("emer_reasoning", {"emotions": ["joy", "sadness"]}, ["emotion"]),
        ("emer_reasoning", {"reasoning": "She is sad, that is all there is."}, ["length"]),
    ],
)
def test_a_fault_is_found_by_its_filter(name: str, changes: dict, filters: list[str]) -> None:
    media, given = GOOD[name]
    found = problems_of({**given, **changes}, record(media), load_template(name).filters)
    assert list(dict.fromkeys(problem.filter for problem in found)) == filters, found
