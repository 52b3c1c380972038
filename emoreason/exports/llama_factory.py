"""LLaMA-Factory: ShareGPT rows as Parquet or JSON Lines with marks in their texts and lists of media, and their entry in dataset_info.json.

Source: the data formats of LLaMA-Factory 0.9.5 (Apache-2.0). It counts marks against media in every text, also in what a person wrote.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from emoreason.exports.marked import MARKS, TURN, clip_columns, clip_types, fps_note, messages, path_columns, path_types, read_messages, read_paths
from emoreason.exports.samples import Kind, MediaFile, Sample
from emoreason.exports.survey import Survey
from emoreason.faults import UserError
from emoreason.files import read_json, write_json

TITLE = "LLaMA-Factory"
KINDS = ("sft", "dpo")
SUFFIXES = (".parquet", ".jsonl")
EMBEDS = False
PLACEHOLDERS = tuple(MARKS.values())


def refusal(sample: Sample, kind: Kind) -> str | None:
    return "rejected_media: LLaMA-Factory shows both answers under the same media" if sample.rejected_media else None


def notes(sample: Sample, kind: Kind) -> list[str]:
    heard = any(one.clip_style == "clips with their sound" for one in sample.media)
    return fps_note(sample, "set video_fps: {}") + ["clips are heard: set use_audio_in_video: true"] * heard


def schema(kind: Kind, survey: Survey, embed: bool) -> pa.Schema:
    answers = dict.fromkeys(("chosen", "rejected"), TURN) if kind == "dpo" else {}
    return pa.schema({"id": pa.string(), "messages": pa.list_(TURN), **path_types(_kinds(survey), survey), **answers, **clip_types(survey)})


def row(sample: Sample, kind: Kind, survey: Survey, number: int) -> dict[str, Any]:
    heard = survey.clip_style == "clips with their sound"
    media = tuple(file for one in sample.media for file in _with_sound(one))
    made = {"id": sample.id, "messages": messages(sample, sample.answer if kind == "sft" else None, media)}
    made |= path_columns(media, _kinds(survey))
    if kind == "dpo":
        made |= {side: {"role": "assistant", "content": text} for side, text in (("chosen", sample.answer), ("rejected", sample.rejected))}
    if heard:
        made["audio_in_video"] = len(media) > len(sample.media)
    return {**made, **clip_columns(sample, survey)}


def _with_sound(one: MediaFile) -> list[MediaFile]:
    """A clip that is heard is followed by its sound."""
    return [one] if one.sound is None else [one, MediaFile("audio", (one.sound,))]


def _kinds(survey: Survey) -> list[str]:
    return list(dict.fromkeys([*survey.kinds, *["audio"] * (survey.clip_style == "clips with their sound")]))


def read(row: dict[str, Any]) -> Sample:
    videos, audios = row.get("videos") or [], row.get("audios") or []
    num_marks = len(row.get("images") or []) + len(videos) + len(audios)
    heard = audios if row.get("audio_in_video") else [None] * len(videos)
    media = read_paths({**row, "audios": [] if row.get("audio_in_video") else audios}, row.get("frames_fps"), heard)
    said = read_messages(row["messages"], num_marks)
    if "chosen" in row:
        said["answer"] = row["chosen"]["content"]
    return Sample(row["id"], **said, media=media, rejected=row.get("rejected", {}).get("content"))


def write_dataset_info(out: Path, kind: Kind, survey: Survey) -> Path:
    """Add the file to dataset_info.json in its folder, under its name without the suffix; other entries stay.

    Raises:
        UserError: the file holds no JSON object, or an entry of this name for another file.
    """
    path = out.parent / "dataset_info.json"
    entries = read_json(path) if path.exists() else {}
    if not isinstance(entries, dict):
        raise UserError(f"{path}: a {type(entries).__name__} where an object of data sets is expected; move it away")
    if (held := entries.get(out.stem)) is not None and (not isinstance(held, dict) or held.get("file_name") != out.name):
        raise UserError(f"{path}: has an entry {out.stem!r} for something else; choose another name than {out.name}")
    named = ["messages", *(f"{kind}s" for kind in _kinds(survey)), *(("chosen", "rejected") if kind == "dpo" else ())]
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
    ranking = {"ranking": True} if kind == "dpo" else {}
    entry = {"file_name": out.name, "formatting": "sharegpt", **ranking, "columns": {name: name for name in named}, "tags": tags}
    write_json(path, {**entries, out.stem: entry})
    return path


def how_to_load(out: Path, kind: Kind, survey: Survey) -> str:
    return f"dataset_dir: <the folder of this file>, dataset: {out.stem}, stage: {kind if kind == 'sft' else 'dpo'}"
