"""Emo-CFG: JSON Lines named .json beside lists, questions that stand twice, options, letters, action units."""

import json


def item(question: str, answer: str | None, video: str = "videos/MAFW/00011.mp4", **fields: object) -> dict:
    turns = [{"role": "user", "content": f"<video>. {question}"}]
    return {"messages": turns + ([{"role": "assistant", "content": answer}] if answer else []), "videos": [video], **fields}


def lines(*items: dict) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in items)


CLIPS = {"videos/MAFW/00011.mp4": b"clip", "videos/AffWild2/1-30.mp4": b"clip"}
ASKED = "Which emotion is shown? (A) anger (B) joy"
EMOTION = {
    "jsons/test/emotion/full/MAFW_Single-Label-Emotion-Recognition.json": lines(
        item(ASKED, "B", source="MAFW"), item(ASKED, "(B) joy"), item(ASKED, "Anger."), item(ASKED, "AB"), item(ASKED, "C"),
        item(ASKED, None, labels="A"), item(ASKED, "Z") | {"response": "(B) joy"},
    ),
    "jsons/test/emotion/full/AffWild2_Action_Unit_Detection.json": lines(
        item("Which units?", "AU1,AU12", "/data/Emo-CFG/videos/AffWild2/1-30.mp4"), item("Which units?", "none", "AffWild2/1-30.mp4"),
        item("Which units?", "AU1, AU99", "videos/AffWild2/1-30.mp4"), item("Which units?", "AU1", "videos/AffWild2/2.mp4"),
    ),
    "jsons/test/emotion/sampled/MAFW_Single-Label-Emotion-Recognition.json": lines(item(ASKED, "B")),
}  # fmt: skip


def test_options_become_choices_and_letters_their_texts(convert) -> None:
    converted = convert("emo_cfg", EMOTION | CLIPS, "--max-bad-share", "0.5")
    found = {name.removeprefix("test_emotion_MAFW_Single-Label-Emotion-Recognition_"): record for name, record in converted.records.items()}
    assert {name: record.target.label for name, record in found.items() if name in "1234567"} == {
        "1": "joy", "2": "joy", "3": "anger", "4": None, "6": "anger",
    }  # fmt: skip
    first = found["1"]
    assert (first.question, first.target.choices, first.split, first.dataset) == (
        "Which emotion is shown?", ["anger", "joy"], "test", "emo_cfg/emotion",
    )  # fmt: skip
    assert first.group == "videos/MAFW/00011.mp4" and not first.media.audio_in_video
    assert first.attributes == {"task": "emotion", "source": "MAFW"} and found["4"].target.labels == ["anger", "joy"]
    assert converted.account["left_out"] == {"a result of inference, no annotation": 1}


def test_action_units_and_paths_of_other_machines_are_read(convert) -> None:
    converted = convert("emo_cfg", EMOTION | CLIPS, "--max-bad-share", "0.5")
    first, second = (converted.records[f"test_emotion_AffWild2_Action_Unit_Detection_{number}"] for number in (1, 2))
    assert first.target.action_units == {"AU1": None, "AU12": None} and second.target.action_units == {}
    assert first.media.video == second.media.video == "media/videos/AffWild2/1-30.mp4"
    assert [(fault["where"].rpartition("/")[2], fault["reason"]) for fault in converted.faults] == [
        ("AffWild2_Action_Unit_Detection.json:3", "no action units"), ("AffWild2_Action_Unit_Detection.json:4", "video is not there"),
        ("MAFW_Single-Label-Emotion-Recognition.json:5", "answer is no option"),
    ]  # fmt: skip


def test_a_question_that_stands_twice_keeps_both_answers(convert) -> None:
    items = [item("How old is she?", "young", source="CelebV-HQ_QA_Age"), item("How old is she?", "in her thirties")]
    converted = convert("emo_cfg", {"jsons/train/qa/sampled/QA.json": json.dumps(items), **CLIPS}, "--size", "sampled", "--task", "qa")
    assert {record.id: (record.group, record.target.label) for record in converted.records.values()} == {
        "train_qa_QA_1": ("videos/MAFW/00011.mp4", "young"), "train_qa_QA_2": ("videos/MAFW/00011.mp4", "in her thirties"),
    }  # fmt: skip


def test_captions_are_reasoning_and_phrases_are_labels(convert) -> None:
    two = item("And then?", "She laughs.")
    two["messages"] += [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "No."}]
    converted = convert("emo_cfg", {
        "jsons/train/caption/full/c.json": lines(item("Describe.", "Happy.")),
        "jsons/train/attribute/full/a.json": lines(item("Which?", "mustache,receding_hairline"), item("How?", "The man smiles at once.")),
        "jsons/train/qa/full/q.json": lines(two, item("Who?", "a man") | {"videos": []}, item("Who?", "a man") | {"messages": True}),
        **CLIPS,
    }, "--max-bad-share", "0.5")  # fmt: skip
    phrases, sentence, caption = converted.records.values()
    assert phrases.target.labels == ["mustache", "receding_hairline"] and sentence.target.reasoning == "The man smiles at once."
    assert (caption.target.reasoning, caption.target.label) == ("Happy.", None)
    assert [fault["reason"] for fault in converted.faults] == ["several questions", "not one clip", "no turns"]


def test_another_folder_says_what_was_looked_for(convert) -> None:
    converted = convert("emo_cfg", EMOTION | CLIPS, "--task", "rationale")
    assert converted.code == 2 and "no jsons/*/*/full/*.json" in converted.printed
