"""What is asked of one record: the texts of a template, the media that go with them, the request's JSON and its key in the cache."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import soundfile
from jinja2 import TemplateError
from PIL import Image

from emoreason.action_units import facs
from emoreason.annotate.answers import cleaned
from emoreason.annotate.templates import ENVIRONMENT, AnnotationTemplate, Kind, Modality
from emoreason.decoding import check_file
from emoreason.emotions import LABEL_SPACES
from emoreason.faults import UserError
from emoreason.files import sha256
from emoreason.media import load_audio, load_frames, load_picture, load_video
from emoreason.recipe import MediaSettings
from emoreason.records import Media, Record

JPEG_QUALITY = 95
_VIDEO_TYPES = {".mp4": "mp4", ".m4v": "mp4", ".webm": "webm", ".mov": "quicktime", ".mkv": "x-matroska", ".avi": "x-msvideo"}


@dataclass(frozen=True)
class Sending:
    """How media and answers travel."""

    model: str
    settings: MediaSettings = field(default_factory=MediaSettings)
    clips: Literal["frames", "file"] = "frames"
    """Clips as sampled pictures, or the file itself as `video_url`, which the server then samples."""
    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"

    @property
    def signature(self) -> str:
        """The model as records and reports name it: of a path, which is what vLLM calls a model from a folder, the last part."""
        is_path = self.model.startswith(("/", ".", "~", "\\")) or self.model[1:3] == ":\\"
        return re.split(r"[/\\]", self.model.rstrip("/\\"))[-1] if is_path else self.model


@dataclass(frozen=True, eq=False)
class Ask:
    """One request about one record, of one modality alone where that is given."""

    record: Record
    modality: Modality | None
    kinds: tuple[Kind, ...]
    system: str | None
    user: str
    turns: list[tuple[str, str]] = field(default_factory=list)
    """(an answer that was rejected, what was said of it), in order."""


# Which records, and what is said of them ------------------------------------------------------------------------------------------------


def missing_needs(record: Record, template: AnnotationTemplate) -> list[str]:
    """The fields that the template needs and this record leaves empty."""
    return [need for need in template.needs if not any(_field(record, name.strip()) for name in need.split("|"))]


def present_kinds(media: Media) -> tuple[Kind, ...]:
    """The kinds of media that a record has; the sound track of a clip counts where it is heard."""
    there = {"image": media.images, "video": media.video or media.frames, "audio": media.audio or media.audio_in_video}
    return tuple(kind for kind, found in there.items() if found)


def modalities(record: Record) -> list[Modality]:
    """The kinds of media, and text."""
    return [*present_kinds(record.media), *(["text"] if record.text else [])]


def asks_of(record: Record, template: AnnotationTemplate) -> list[Ask]:
    """One request, or one for each modality.

    Raises:
        UserError: a text of the template cannot be rendered for this record.
    """
    if template.each == "record":
        return [_ask(record, template, None, tuple(kind for kind in present_kinds(record.media) if kind in template.media))]
    return [_ask(record, template, one, () if one == "text" else (one,)) for one in modalities(record) if one == "text" or one in template.media]


def _ask(record: Record, template: AnnotationTemplate, modality: Modality | None, kinds: tuple[Kind, ...]) -> Ask:
    context = {**context_of(record), "modality": modality, "media": list(kinds)}
    system = rendered(template, "system", template.system, context) if template.system else None
    return Ask(record, modality, kinds, system, rendered(template, "user", template.user, context))


def context_of(record: Record) -> dict[str, Any]:
    """What the texts of a template may name; paths of media are not in it, since their folders often name the label."""
    target = record.target
    present = {code: level for code, level in (target.action_units or {}).items() if level is None or level > 0}
    units = [{"code": code, "name": _unit_name(code), "intensity": level} for code, level in sorted(present.items(), key=lambda one: int(one[0][2:]))]
    return {
        "record": record.model_dump(exclude={"media", "preference"}), "target": target.model_dump(), "text": record.text, "question": record.question,
        "label": target.label, "labels": target.labels, "classes": list(LABEL_SPACES.get(target.label_space, ())), "action_units": units,
    }  # fmt: skip


def rendered(template: AnnotationTemplate, place: str, text: str, context: dict[str, Any]) -> str:
    """The text with the record's words put in, and no half of a character, which a request cannot hold.

    Raises:
        UserError: it names what is not there, or fails over what is.
    """
    try:
        return cleaned(ENVIRONMENT.from_string(text).render(context).strip())
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        record = context["record"]["id"]
        raise UserError(f"template {template.name}: {place}, record {record!r}: {error}") from error


def _unit_name(code: str) -> str:
    unit = facs().get(int(code[2:]))
    return unit.name if unit else "not in FACS"


def _field(record: Record, name: str) -> Any:
    value: Any = record
    for part in name.split("."):
        value = getattr(value, part)
    return value


# The request ----------------------------------------------------------------------------------------------------------------------------


def request_body(ask: Ask, folder: Path, template: AnnotationTemplate, sending: Sending) -> dict[str, Any]:
    """The JSON of /v1/chat/completions; media are decoded and encoded anew, without what cameras write beside the picture.

    Raises:
        UserError: a medium cannot be read.
    """
    content = list(_media_parts(ask, folder, sending))
    return _body(ask, content, template, sending)


def request_key(ask: Ask, folder: Path, template: AnnotationTemplate, sending: Sending) -> str:
    """Hex SHA-256 of all that the answer depends on: model, texts, contents of the media files, settings, template.

    Raises:
        UserError: a medium is missing or cannot be read.
    """
    media = [{"kind": kind, "sha256": _file_digest(folder / name, kind, sending.settings)} for kind, name in media_files(ask)]
    timing = {"frames_fps": ask.record.media.frames_fps, "clips": sending.clips, "settings": sending.settings.model_dump()} if media else {}
    parts = [_body(ask, media, template, sending), timing, template.request_digest]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def media_files(ask: Ask) -> list[tuple[Kind, str]]:
    """(kind, path in the record) of every file that is sent."""
    media, found = ask.record.media, []
    if "image" in ask.kinds:
        found += [("image", name) for name in media.images]
    if "video" in ask.kinds:
        found += [("video", name) for name in ([media.video] if media.video else media.frames)]
    if "audio" in ask.kinds:
        found += [("audio", media.audio or media.sound_track or media.video)]
    return found


def shown_body(body: dict[str, Any]) -> dict[str, Any]:
    """The request for eyes: media by type, size and the start of their hash."""

    def show(value: Any) -> Any:
        if isinstance(value, dict):
            # The sound's data stand without a type before them.
            return {key: f"<wav, {_told_bytes(one)}>" if key == "data" and "format" in value else show(one) for key, one in value.items()}
        if isinstance(value, list):
            return [show(one) for one in value]
        if isinstance(value, str) and value.startswith("data:"):
            head, _, data = value.partition(";base64,")
            return f"<{head.removeprefix('data:')}, {_told_bytes(data)}>"
        return value

    return show(body)


def _told_bytes(data: str) -> str:
    content = base64.b64decode(data)
    return f"{len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()[:12]}"


def _body(ask: Ask, content: list[dict[str, Any]], template: AnnotationTemplate, sending: Sending) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": ask.system}] if ask.system else []
    messages.append({"role": "user", "content": [*content, {"type": "text", "text": ask.user}] if content else ask.user})
    for answer, said in ask.turns:
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": said}]
    body = {"model": sending.model, "messages": messages, **template.sampling.model_dump(exclude={"extra"}, exclude_none=True)}
    if sending.response_format == "json_schema":
        named = {"name": template.name, "schema": template.answer_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    elif sending.response_format == "json_object":
        body["response_format"] = {"type": "json_object"}
    return {**body, **template.sampling.extra}


def _file_digest(path: Path, kind: str, settings: MediaSettings) -> str:
    check_file(path, {"image": "picture", "video": "clip", "audio": "sound"}[kind], settings.max_megabytes)
    return sha256(path)


def _media_parts(ask: Ask, folder: Path, sending: Sending) -> Iterator[dict[str, Any]]:
    """The content of the user turn before its text."""
    media, settings = ask.record.media, sending.settings
    if "image" in ask.kinds:
        for name in media.images:
            check_file(folder / name, "picture", settings.max_megabytes)
            yield _picture_part(load_picture(folder / name), settings.max_pixels)
    if "video" in ask.kinds:
        yield from _clip_parts(media, folder, sending)
    if "audio" in ask.kinds:
        is_track = not media.audio and not media.sound_track
        medium = load_audio(folder / (media.audio or media.sound_track or media.video), settings, in_video=is_track)
        wav = io.BytesIO()
        soundfile.write(wav, medium.content, medium.sample_rate, format="WAV", subtype="PCM_16")
        yield {"type": "input_audio", "input_audio": {"data": base64.b64encode(wav.getvalue()).decode(), "format": "wav"}}


def _clip_parts(media: Media, folder: Path, sending: Sending) -> Iterator[dict[str, Any]]:
    if media.video and sending.clips == "file":
        path = folder / media.video
        check_file(path, "clip", sending.settings.max_megabytes)
        data = base64.b64encode(path.read_bytes()).decode()
        yield {"type": "video_url", "video_url": {"url": f"data:video/{_VIDEO_TYPES.get(path.suffix.lower(), 'mp4')};base64,{data}"}}
        return
    if media.video:
        clip = load_video(folder / media.video, sending.settings)
    else:
        clip = load_frames([folder / name for name in media.frames], media.frames_fps, sending.settings)
    times = ", ".join(f"{seconds:.1f}" for seconds in clip.times)
    yield {"type": "text", "text": f"{len(clip.times)} frames of one clip, at {times} s:"}
    for frame in clip.content:
        yield _picture_part(Image.fromarray(frame), sending.settings.video_max_pixels)


def _picture_part(image: Image.Image, max_pixels: int) -> dict[str, Any]:
    """The picture as a data URI, scaled down where it has more pixels than the settings let a model see."""
    scale = (max_pixels / (image.width * image.height)) ** 0.5
    if scale < 1:
        image = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"}}
