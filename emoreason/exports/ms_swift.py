"""ms-swift: Parquet or JSON Lines with `messages`, marks in their texts, `images`, `videos`, `audios`, and what is rejected.

Source: the dataset format of ms-swift 4.6 (Apache-2.0). Its preprocessors drop a row whose `rejected_response` is null, so that a file
with rejected media, which that cannot express, has `rejected_messages` in all of its rows.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from emoreason.exports import marked
from emoreason.exports.samples import Kind, Sample
from emoreason.exports.survey import Survey

TITLE = "ms-swift"
KINDS = ("sft", "grpo", "dpo")
SUFFIXES = (".parquet", ".jsonl")
EMBEDS = False
PLACEHOLDERS = (*marked.MARKS.values(), "<start-image>", "<img>")
"""Of the last one it takes what follows for the path of a picture."""


def refusal(sample: Sample, kind: Kind) -> str | None:
    clips = [one for one in (*sample.media, *sample.rejected_media) if one.kind == "video"]
    if any(one.sound not in (None, one.paths[0]) for one in clips):
        return "sound_track: ms-swift hears no other sound with a clip than its own"
    if len({one.fps for one in clips}) > 1:
        return "rejected_media: clips of two frame rates, where ms-swift has one setting"
    return None


def notes(sample: Sample, kind: Kind) -> list[str]:
    heard = any(one.clip_style == "clips with their sound" for one in sample.media)
    return marked.fps_note(sample, "set FPS={}") + ["clips are heard: set USE_AUDIO_IN_VIDEO=true"] * heard


def schema(kind: Kind, survey: Survey, embed: bool) -> pa.Schema:
    types = {"id": pa.string(), "messages": pa.list_(marked.TURN), **marked.path_types(survey.kinds, survey)}
    if kind == "dpo" and survey.has_rejected_media:
        types |= {"rejected_messages": pa.list_(marked.TURN), **marked.path_types(survey.kinds, survey, "rejected_")}
    elif kind == "dpo":
        types["rejected_response"] = pa.string()
    return pa.schema({**types, **marked.clip_types(survey), **marked.reward_types(kind)})


def row(sample: Sample, kind: Kind, survey: Survey, number: int) -> dict[str, Any]:
    made = {"id": sample.id, "messages": marked.messages(sample, sample.answer), **marked.path_columns(sample.media, survey.kinds)}
    if kind == "dpo" and survey.has_rejected_media:
        other = sample.rejected_media or sample.media
        made |= {"rejected_messages": marked.messages(sample, sample.rejected, other), **marked.path_columns(other, survey.kinds, "rejected_")}
    elif kind == "dpo":
        made["rejected_response"] = sample.rejected
    if survey.clip_style == "clips with their sound":
        made["audio_in_video"] = any(one.sound is not None for one in sample.media)
    return {**made, **marked.clip_columns(sample, survey), **sample.columns}


def read(row: dict[str, Any]) -> Sample:
    def media(prefix: str = "") -> tuple:
        videos = row.get(f"{prefix}videos") or []
        return marked.read_paths(row, row.get("frames_fps"), videos if row.get("audio_in_video") else [None] * len(videos), prefix)

    said, rejected, others = marked.read_messages(row["messages"], len(media())), row.get("rejected_response"), ()
    if "rejected_messages" in row:
        others = media("rejected_")
        rejected = marked.read_messages(row["rejected_messages"], len(others))["answer"]
        others = () if others == media() else others
    ours = {"id", "messages", "rejected_messages", "rejected_response", "frames_fps", "audio_in_video"}
    ours |= {f"{prefix}{kind}s" for kind in marked.MARKS for prefix in ("", "rejected_")}
    columns = {name: value for name, value in row.items() if name not in ours}
    return Sample(row["id"], **said, media=media(), rejected=rejected, rejected_media=others, columns=columns)


def how_to_load(out: Path, kind: Kind, survey: Survey) -> str:
    command = {"sft": "swift sft", "grpo": "swift rlhf --rlhf_type grpo", "dpo": "swift rlhf --rlhf_type dpo"}[kind]
    return f"{command} --dataset {out.name}" + (", started in the folder of this file" if survey.kinds else "")
