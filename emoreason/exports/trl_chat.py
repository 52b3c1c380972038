"""TRL: conversational rows as Parquet: prompt and completion, prompt alone, or prompt, chosen and rejected; `images`.

Source: the dataset formats of TRL 1.16 (Apache-2.0). Media are parts of a turn's content, so that a text may say `<image>`. A part holds
nothing but its type and text: Arrow gives every part the keys of all, and chat templates take a part with a key `image` for a picture.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from emoreason.exports.marked import reward_types
from emoreason.exports.samples import Kind, MediaFile, Sample
from emoreason.exports.survey import Survey

TITLE = "TRL"
KINDS = ("sft", "grpo", "dpo")
SUFFIXES = (".parquet",)
EMBEDS = True
PLACEHOLDERS = ()

_PICTURE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def refusal(sample: Sample, kind: Kind) -> str | None:
    if any(one.kind != "image" for one in sample.media):
        return "clips and sounds: TRL's own trainers read pictures alone"
    return "rejected_media: TRL shows both answers under the same media" if sample.rejected_media else None


def notes(sample: Sample, kind: Kind) -> list[str]:
    return []


def schema(kind: Kind, survey: Survey, embed: bool) -> pa.Schema:
    """With what the library datasets needs to hand out the pictures opened."""
    turns = pa.list_(pa.struct({"role": pa.string(), "content": pa.list_(pa.struct({"type": pa.string(), "text": pa.string()}))}))
    spoken = {"sft": ("prompt", "completion"), "grpo": ("prompt",), "dpo": ("prompt", "chosen", "rejected")}[kind]
    pictures = {"images": pa.list_(_PICTURE)} if survey.kinds else {}
    made = pa.schema({"id": pa.string(), **dict.fromkeys(spoken, turns), **pictures, **reward_types(kind)})
    features = {field.name: _feature(field.type) for field in made}
    return made.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """An Arrow type in the words of the library datasets."""
    if kind == _PICTURE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": str(kind), "_type": "Value"}


def row(sample: Sample, kind: Kind, survey: Survey, number: int) -> dict[str, Any]:
    prompt = [_turn("system", sample.system)] if sample.system is not None else []
    prompt.append(_turn("user", sample.user, len(sample.media)))
    made = {"id": sample.id, "prompt": prompt}
    if kind == "sft":
        made["completion"] = [_turn("assistant", sample.answer)]
    if kind == "dpo":
        made |= {"chosen": [_turn("assistant", sample.answer)], "rejected": [_turn("assistant", sample.rejected)]}
    if survey.kinds:
        made["images"] = [_picture(one) for one in sample.media]
    return {**made, **sample.columns}


def _turn(role: str, text: str, num_images: int = 0) -> dict[str, Any]:
    return {"role": role, "content": [*({"type": "image"} for _ in range(num_images)), {"type": "text", "text": text}]}


def _picture(one: MediaFile) -> dict[str, Any]:
    path = one.paths[0]
    return {"bytes": path, "path": None} if isinstance(path, bytes) else {"bytes": None, "path": path}


def read(row: dict[str, Any]) -> Sample:
    said = {turn["role"]: turn["content"][-1]["text"] for turn in row["prompt"]}
    media = tuple(MediaFile("image", (image["path"] if image["bytes"] is None else image["bytes"],)) for image in row.get("images") or [])
    answer = row.get("completion") or row.get("chosen")
    rejected = row.get("rejected")
    spoken = {"id", "prompt", "completion", "chosen", "rejected", "images"}
    return Sample(
        row["id"], said["user"], said.get("system"), media, answer[0]["content"][-1]["text"] if answer else None,
        rejected[0]["content"][-1]["text"] if rejected else None, columns={name: value for name, value in row.items() if name not in spoken},
    )  # fmt: skip


def how_to_load(out: Path, kind: Kind, survey: Survey) -> str:
    return f'load_dataset("parquet", data_files="{out.name}", split="train")' + (", in the folder of this file" if survey.kinds else "")
