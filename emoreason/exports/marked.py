"""What formats with `<image>`, `<video>` and `<audio>` in their texts share: marks, and a column of paths for each kind of media."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from emoreason.exports.samples import NAMED_COLUMNS, Kind, MediaFile, Sample
from emoreason.exports.survey import Survey

TURN = pa.struct({"role": pa.string(), "content": pa.string()})
MARKS = {"image": "<image>", "video": "<video>", "audio": "<audio>"}


def marked(text: str, media: Iterable[MediaFile]) -> str:
    """The text behind a mark for each medium; nothing stands between, as in the chat templates of models."""
    return "".join(MARKS[one.kind] for one in media) + text


def unmarked(text: str, num_media: int) -> str:
    """The text without its first marks.

    Raises:
        ValueError: it begins with fewer.
    """
    for _ in range(num_media):
        mark = next((mark for mark in MARKS.values() if text.startswith(mark)), None)
        if mark is None:
            raise ValueError(f"{text[:60]!r} does not begin with a mark for each of its media")
        text = text.removeprefix(mark)
    return text


def messages(sample: Sample, answer: str | None = None, media: Iterable[MediaFile] | None = None) -> list[dict[str, str]]:
    """Role and content of each turn, with marks."""
    turns = [{"role": "system", "content": sample.system}] if sample.system is not None else []
    turns.append({"role": "user", "content": marked(sample.user, sample.media if media is None else media)})
    return turns + ([{"role": "assistant", "content": answer}] if answer is not None else [])


def read_messages(turns: list[dict[str, str]], num_media: int) -> dict[str, Any]:
    """`system`, `user` and `answer` of a sample."""
    said = {turn["role"]: turn["content"] for turn in turns}
    return {"system": said.get("system"), "user": unmarked(said["user"], num_media), "answer": said.get("assistant")}


def path_columns(media: Iterable[MediaFile], kinds: Iterable[str], prefix: str = "") -> dict[str, list]:
    """{`images`: paths, ...} of these kinds; a clip that is kept as frames is a list of paths."""
    held: dict[str, list] = {f"{prefix}{kind}s": [] for kind in kinds}
    for one in media:
        held[f"{prefix}{one.kind}s"].append(list(one.paths) if one.fps is not None else one.paths[0])
    return held


def read_paths(row: dict[str, Any], fps: float | None, sounds: list[str | None], prefix: str = "") -> tuple[MediaFile, ...]:
    """The media of path columns; `sounds` are those that are heard in time with each clip."""
    images, videos, audios = (row.get(f"{prefix}{kind}s") or [] for kind in MARKS)
    files = [MediaFile("image", (path,)) for path in images]
    for video, sound in zip(videos, sounds, strict=True):
        files.append(MediaFile("video", tuple(video), fps=fps) if isinstance(video, list) else MediaFile("video", (video,), sound=sound))
    return (*files, *(MediaFile("audio", (path,)) for path in audios))


def clip_columns(sample: Sample, survey: Survey) -> dict[str, Any]:
    """Columns that the frameworks do not read, and that say all of a clip to who reads it back."""
    if survey.clip_style != "clips kept as frames":
        return {}
    return {"frames_fps": next((one.fps for one in sample.media if one.fps is not None), None)}


def path_types(kinds: Iterable[str], survey: Survey, prefix: str = "") -> dict[str, pa.DataType]:
    """The types of `path_columns`."""
    clip = pa.list_(pa.string()) if survey.clip_style == "clips kept as frames" else pa.string()
    return {f"{prefix}{kind}s": pa.list_(clip if kind == "video" else pa.string()) for kind in kinds}


def clip_types(survey: Survey) -> dict[str, pa.DataType]:
    """The types of `clip_columns`, and of what says that clips are heard."""
    match survey.clip_style:
        case "clips kept as frames":
            return {"frames_fps": pa.float64()}
        case "clips with their sound":
            return {"audio_in_video": pa.bool_()}
    return {}


def reward_types(kind: Kind) -> dict[str, pa.DataType]:
    """The types of a sample's `columns`."""
    if kind != "grpo":
        return {}
    lists = dict.fromkeys(("labels", "choices"), pa.list_(pa.string()))
    return {name: lists.get(name, pa.string()) for name in ("solution", *NAMED_COLUMNS, "record")}


def fps_note(sample: Sample, setting: str) -> list[str]:
    """That the rate of a clip's pictures is said by a setting of the run."""
    return [f"pictures of clips come {one.fps:g} a second, which the rows cannot say: {setting.format(f'{one.fps:g}')}"
            for one in sample.media if one.fps is not None]  # fmt: skip
