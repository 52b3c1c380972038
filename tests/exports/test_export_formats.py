"""Rows of each framework, written out by hand."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from emoreason.exports.files import read_rows
from emoreason.exports.samples import Kind, Style
from emoreason.exports.writing import Export, Report, export
from emoreason.files import read_json, write_json, write_jsonl
from emoreason.recipe import PromptSettings

ASKED = "Which emotion is shown?\nReason about the evidence in <think></think>, then name the one emotion in <answer></answer>."
WRITTEN = "<think>lips up</think><answer>joy</answer>"
STYLE = Style(prompt=PromptSettings(system="Be fair."))


def record(name: str, **more: object) -> dict:
    target = {"label": "joy", "reasoning": "lips up", "distribution": {"joy": 2.0, "anger": 1.0}}
    return {"id": name, "dataset": "d", "split": "train", "group": "g", "licence": "l", "source": "s", "target": target, **more}


def exported(folder: Path, rows: list[dict], framework: str, kind: Kind, suffix: str = ".parquet", **more: object) -> tuple[list[dict], Report]:
    """The rows that are written for these records, with `null` and absence alike, and the report."""
    for name in ("a.png", "b.png", "c.mp4", "s.wav", "1.png", "2.png"):
        (folder / name).write_bytes(name.encode())
    write_jsonl(folder / "records.jsonl", rows)
    out = folder / f"out{suffix}"
    report = export(Export(folder / "records.jsonl", out, framework, kind, STYLE, **more))
    return [{name: value for name, value in row.items() if value is not None} for row in read_rows(out)], report


PAIR = {"chosen": "joy, since she smiles", "rejected": ["anger", "fear"], "weights": [1, 3]}
TURNS = [{"role": "system", "content": "Be fair."}, {"role": "user", "content": f"<image><image><audio>{ASKED}"}]
SEEN = record("r1", media={"images": ["a.png", "b.png"], "audio": "s.wav"})
READ = record("r2", text="We won.")


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize("framework", ["ms_swift", "llama_factory"])
def test_messages_have_a_mark_for_each_medium_and_a_column_for_each_kind(tmp_path: Path, framework: str, suffix: str) -> None:
    rows, report = exported(tmp_path, [SEEN, READ], framework, "sft", suffix)
    answer = {"role": "assistant", "content": WRITTEN}
    read = [{"role": "system", "content": "Be fair."}, {"role": "user", "content": f'Text: "We won."\n{ASKED}'}]
    assert rows == [
        {"id": "r1", "messages": [*TURNS, answer], "images": ["a.png", "b.png"], "audios": ["s.wav"]},
        {"id": "r2", "messages": [*read, answer], "images": [], "audios": []},
    ]
    assert (report.records, report.exported, report.rows) == (2, 2, 2)


def test_ms_swift_has_a_row_for_each_rejected_answer(tmp_path: Path) -> None:
    rows, report = exported(tmp_path, [record("r", preference=PAIR), READ], "ms_swift", "dpo", ".jsonl")
    chosen = [{"role": "system", "content": "Be fair."}, {"role": "user", "content": ASKED}, {"role": "assistant", "content": PAIR["chosen"]}]
    assert rows == [
        {"id": "r#1", "messages": chosen, "rejected_response": "anger"},
        {"id": "r#2", "messages": chosen, "rejected_response": "fear"},
    ]
    assert report.left_out.listed() == [{"reason": "no preference", "count": 1, "examples": ["r2"]}]
    assert report.notes.counts == {"several rejected answers: a row each": 1, "weights of rejected answers: rows count alike": 1}


def test_ms_swift_says_rejected_media_and_then_all_pairs_by_rejected_messages(tmp_path: Path) -> None:
    """Its preprocessor drops rows whose `rejected_response` is null, which those of a mixed file would have."""
    pair = {"chosen": "joy", "rejected": ["anger"], "rejected_media": {"images": ["b.png"]}}
    rows, _ = exported(tmp_path, [record("r", media={"images": ["a.png"]}, preference=pair)], "ms_swift", "dpo")
    assert [(row["id"], row["images"], row["rejected_images"]) for row in rows] == [("r", ["a.png"], ["a.png"]), ("r#media", ["a.png"], ["b.png"])]
    assert [row["rejected_messages"][-1]["content"] for row in rows] == ["anger", "joy"]
    assert all(row["rejected_messages"][1] == row["messages"][1] for row in rows)
    assert all("rejected_response" not in row for row in rows)


@pytest.mark.parametrize(("framework", "reason"), [
    ("llama_factory", "rejected_media: LLaMA-Factory shows both answers under the same media"),
    ("trl", "rejected_media: TRL shows both answers under the same media"),
])  # fmt: skip
def test_where_rejected_media_cannot_be_said_the_answers_still_are(tmp_path: Path, framework: str, reason: str) -> None:
    pair = {"chosen": "joy", "rejected": ["anger"], "rejected_media": {"images": ["b.png"]}}
    rows, report = exported(tmp_path, [record("r", media={"images": ["a.png"]}, preference=pair)], framework, "dpo")
    assert [row["id"] for row in rows] == ["r"]
    assert (report.exported, report.rows_left_out.counts) == (1, {reason: 1})


def test_llama_factory_hears_a_clip_by_a_sound_behind_it(tmp_path: Path) -> None:
    heard = record("h", media={"video": "c.mp4", "audio_in_video": True})
    dubbed = record("t", media={"video": "c.mp4", "audio_in_video": True, "sound_track": "s.wav"})
    silent = record("m", media={"video": "c.mp4"})
    rows, report = exported(tmp_path, [silent, heard, dubbed], "llama_factory", "sft")
    assert [(row["id"], row["videos"], row["audios"]) for row in rows] == [("h", ["c.mp4"], ["c.mp4"]), ("t", ["c.mp4"], ["s.wav"])]
    assert rows[0]["messages"][1]["content"] == f"<video><audio>{ASKED}"
    assert report.notes.counts == {"clips are heard: set use_audio_in_video: true": 2}
    assert report.left_out.counts == {
        "silent clips do not go into one file with clips with their sound, of which there are more; export them by themselves": 1
    }


def test_ms_swift_hears_clips_by_a_setting_and_no_other_sound(tmp_path: Path) -> None:
    heard = record("h", media={"video": "c.mp4", "audio_in_video": True})
    dubbed = record("t", media={"video": "c.mp4", "audio_in_video": True, "sound_track": "s.wav"})
    rows, report = exported(tmp_path, [heard, dubbed], "ms_swift", "sft")
    assert [(row["videos"], row["messages"][1]["content"]) for row in rows] == [(["c.mp4"], f"<video>{ASKED}")]
    assert report.notes.counts == {"clips are heard: set USE_AUDIO_IN_VIDEO=true": 1}
    assert report.left_out.counts == {"sound_track: ms-swift hears no other sound with a clip than its own": 1}


def test_llama_factory_gets_its_entry_and_others_keep_theirs(tmp_path: Path) -> None:
    other = {"file_name": "other.json"}
    write_json(tmp_path / "dataset_info.json", {"other": other})
    pair = {"chosen": "joy", "rejected": ["anger"]}
    rows, _ = exported(tmp_path, [record("r", media={"images": ["a.png"]}, preference=pair)], "llama_factory", "dpo", ".jsonl")
    assert rows == [{
        "id": "r", "messages": [TURNS[0], {"role": "user", "content": f"<image>{ASKED}"}], "images": ["a.png"],
        "chosen": {"role": "assistant", "content": "joy"}, "rejected": {"role": "assistant", "content": "anger"},
    }]  # fmt: skip
    assert read_json(tmp_path / "dataset_info.json") == {"other": other, "out": {
        "file_name": "out.jsonl", "formatting": "sharegpt", "ranking": True,
        "columns": {"messages": "messages", "images": "images", "chosen": "chosen", "rejected": "rejected"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"},
    }}  # fmt: skip


def test_verl_has_prompt_ground_truth_and_what_rewards_read(tmp_path: Path) -> None:
    choice = record("c", media={"images": ["a.png"]})
    rows, _ = exported(tmp_path, [choice], "verl", "grpo")
    extra = rows[0].pop("extra_info")
    assert rows == [{
        "data_source": "d", "prompt": [TURNS[0], {"role": "user", "content": f"<image>{ASKED}"}], "images": [{"image": "a.png"}],
        "ability": "emotion", "reward_model": {"style": "rule", "ground_truth": "joy"},
    }]  # fmt: skip
    assert extra["index"] == 0
    assert (extra["id"], extra["label"], extra["label_space"], extra["choices"]) == ("c", "joy", "open", [])
    known = json.loads(extra["record"])
    assert (known["distribution"], known["id"]) == ({"joy": 2.0, "anger": 1.0}, "c")


def test_verl_knows_the_rate_of_frames_and_no_sounds(tmp_path: Path) -> None:
    frames = record("f", media={"frames": ["1.png", "2.png"], "frames_fps": 2.5})
    rows, report = exported(tmp_path, [frames, record("a", media={"audio": "s.wav"})], "verl", "sft")
    assert [row["videos"] for row in rows] == [[{"video": ["1.png", "2.png"], "sample_fps": 2.5, "raw_fps": 2.5}]]
    assert report.left_out.counts == {"sound: verl decodes none": 1}


@pytest.mark.parametrize("framework", ["verl", "trl"])
def test_pictures_are_embedded(tmp_path: Path, framework: str) -> None:
    rows, report = exported(tmp_path, [record("r", media={"images": ["a.png", "b.png"]}), record("v", media={"video": "c.mp4"})],
                            framework, "grpo", media="embed")  # fmt: skip
    assert [[image["bytes"] for image in row["images"]] for row in rows] == [[b"a.png", b"b.png"]]
    assert report.left_out.counts == {"clips cannot be embedded, pictures can; use --media copy": 1}


def test_trl_rows_are_conversations_whose_parts_hold_no_media(tmp_path: Path) -> None:
    system = {"role": "system", "content": [{"type": "text", "text": "Be fair."}]}
    shown = record("r", text="an <image> here", media={"images": ["a.png"]})
    rows, report = exported(tmp_path, [shown, SEEN], "trl", "sft")
    text = f'Text: "an <image> here"\n{ASKED}'
    assert rows == [{
        "id": "r", "images": [{"bytes": None, "path": "a.png"}],
        "prompt": [system, {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": text}]}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": WRITTEN}]}],
    }]  # fmt: skip
    assert report.left_out.counts == {"clips and sounds: TRL's own trainers read pictures alone": 1}
    features = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"huggingface"])["info"]["features"]
    assert features["images"] == {"feature": {"_type": "Image"}, "_type": "List"}


@pytest.mark.parametrize(("framework", "kind"), [("ms_swift", "sft"), ("llama_factory", "sft"), ("verl", "grpo")])
def test_a_text_that_would_be_taken_for_a_medium_is_left_out(tmp_path: Path, framework: str, kind: Kind) -> None:
    rows, report = exported(tmp_path, [record("r", text="an <image> here"), READ], framework, kind)
    assert len(rows) == 1
    (reason,) = report.left_out.counts
    assert reason.startswith("a text says <image>, which ")
