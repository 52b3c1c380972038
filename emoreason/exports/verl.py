"""verl: Parquet with `prompt` for RL, or `messages` for SFT, marks in their texts, media as mappings, and the solution.

Source: RLHFDataset and MultiTurnSFTDataset of verl 0.9.1 (Apache-2.0). It reads a clip that is kept as pictures with their rate; sounds
it hands to the processor as they are in the row, undecoded, so that none are exported.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from emoreason.exports.marked import MARKS, TURN, messages, read_messages, reward_types
from emoreason.exports.samples import Kind, MediaFile, Sample
from emoreason.exports.survey import Survey

TITLE = "verl"
KINDS = ("grpo", "sft")
SUFFIXES = (".parquet",)
EMBEDS = True
PLACEHOLDERS = tuple(MARKS.values())
ABILITY = "emotion"


def refusal(sample: Sample, kind: Kind) -> str | None:
    if any(one.kind == "audio" or one.sound is not None for one in sample.media):
        return "sound: verl decodes none"
    return None


def notes(sample: Sample, kind: Kind) -> list[str]:
    return ["no label, so that the ground truth is empty"] if kind == "grpo" and not sample.columns["solution"] else []


def schema(kind: Kind, survey: Survey, embed: bool) -> pa.Schema:
    text, turns = pa.string(), pa.list_(TURN)
    media: dict[str, pa.DataType] = {}
    if "image" in survey.kinds:
        media["images"] = pa.list_(pa.struct({"bytes": pa.binary()} if embed else {"image": text}))
    if survey.clip_style == "clips kept as frames":
        media["videos"] = pa.list_(pa.struct({"video": pa.list_(text), "sample_fps": pa.float64(), "raw_fps": pa.float64()}))
    elif survey.clip_style:
        media["videos"] = pa.list_(pa.struct({"video": text}))
    if kind == "sft":
        return pa.schema({"id": text, "messages": turns, **media})
    truth = pa.struct({"style": text, "ground_truth": text})
    extra = pa.struct({"index": pa.int64(), "id": text, **{name: one for name, one in reward_types(kind).items() if name != "solution"}})
    return pa.schema({"data_source": text, "prompt": turns, **media, "ability": text, "reward_model": truth, "extra_info": extra})


def row(sample: Sample, kind: Kind, survey: Survey, number: int) -> dict[str, Any]:
    media: dict[str, list] = {f"{held}s": [] for held in survey.kinds}
    for one in sample.media:
        media[f"{one.kind}s"].append(_mapping(one))
    if kind == "sft":
        return {"id": sample.id, "messages": messages(sample, sample.answer), **media}
    columns = dict(sample.columns)
    truth = {"style": "rule", "ground_truth": columns.pop("solution")}
    return {
        "data_source": columns["dataset"], "prompt": messages(sample), **media, "ability": ABILITY, "reward_model": truth,
        "extra_info": {"index": number, "id": sample.id, **columns},
    }  # fmt: skip


def _mapping(one: MediaFile) -> dict[str, Any]:
    if one.fps is not None:
        return {"video": list(one.paths), "sample_fps": one.fps, "raw_fps": one.fps}
    return {"bytes" if isinstance(one.paths[0], bytes) else one.kind: one.paths[0]}


def read(row: dict[str, Any]) -> Sample:
    files = [MediaFile("image", tuple(image.values())) for image in row.get("images") or []]
    for video in row.get("videos") or []:
        paths = video["video"]
        files.append(MediaFile("video", tuple(paths) if isinstance(paths, list) else (paths,), fps=video.get("sample_fps")))
    said = read_messages(row.get("messages") or row.get("prompt"), len(files))
    if "messages" in row:
        return Sample(row["id"], **said, media=tuple(files))
    extra = dict(row["extra_info"])
    columns = {"solution": row["reward_model"]["ground_truth"]}
    extra.pop("index")
    return Sample(extra.pop("id"), **said, media=tuple(files), columns=columns | extra)


def how_to_load(out: Path, kind: Kind, survey: Survey) -> str:
    started = "" if not survey.kinds else ", started in the folder of this file"
    reward = ", with a custom_reward_function that reads ground_truth and extra_info" if kind == "grpo" else ""
    return f"data.train_files={out.name}{started}{reward}"
