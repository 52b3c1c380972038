"""Requests: the texts, the media and the key in the cache."""

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from media_samples import clip, face, sound
from PIL import Image

from emoreason.annotate.asking import Ask, Sending, asks_of, missing_needs, present_kinds, request_body, request_key, shown_body
from emoreason.annotate.templates import AnnotationTemplate, load_template
from emoreason.faults import UserError
from emoreason.recipe import MediaSettings
from emoreason.records import Record

SETTINGS = MediaSettings(max_pixels=3136, min_pixels=784, video_max_pixels=3136, video_min_pixels=784, fps=4, max_frames=4)
SENDING = Sending("tiny", SETTINGS)


def record(media: dict | None = None, text: str | None = None, **target: Any) -> Record:
    base = {"id": "r", "dataset": "d", "split": "s", "group": "g", "licence": "l", "source": "s", "media": media or {}, "text": text}
    return Record.model_validate({**base, "target": target})


def own(user: str = "Why {{ label }}?", **changes: Any) -> AnnotationTemplate:
    base = {"name": "mine", "about": "x", "source": "x", "user": user, "fill": {"target.reasoning": "a"}}
    return AnnotationTemplate.model_validate({**base, "answer_schema": {"type": "object", "properties": {"a": {}}}, **changes})


def only_ask(one: Record, template: AnnotationTemplate) -> Ask:
    (ask,) = asks_of(one, template)
    return ask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture with a place of taking in it, a clip with sound, a sound."""
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    face(0, (120, 80)).save(tmp_path / "face.jpg", exif=exif)
    soundfile.write(tmp_path / "voice.wav", sound(0).content, 16000)
    frames, tone = clip(0, num_frames=8, fps=8.0).content, sound(1).content
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        video, audio = container.add_stream("mpeg4", rate=8), container.add_stream("aac", rate=16000, layout="mono")
        video.width, video.height, video.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode(None))
        heard = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone[None]), format="fltp", layout="mono")
        heard.sample_rate = 16000
        container.mux(audio.encode(heard))
        container.mux(audio.encode(None))
    return tmp_path


def parts(body: dict) -> list[dict]:
    return body["messages"][-1]["content"]


def data_of(part: dict) -> bytes:
    url = part[part["type"]].get("url") or part[part["type"]]["data"]
    return base64.b64decode(url.partition(";base64,")[2] or url)


def test_a_picture_is_sent_scaled_and_without_what_the_camera_wrote(folder: Path) -> None:
    one = record({"images": ["face.jpg"]}, label="joy")
    body = request_body(only_ask(one, own(system="Look.")), folder, own(), SENDING)
    picture, text = parts(body)
    image = Image.open(io.BytesIO(data_of(picture)))
    assert image.format == "JPEG" and image.size == (68, 45) and image.width * image.height <= 3136 and not image.getexif()
    assert text == {"type": "text", "text": "Why joy?"} and body["messages"][0] == {"role": "system", "content": "Look."}
    assert "taken at home" not in json.dumps(body) and str(folder) not in json.dumps(body)


def test_a_clip_is_sent_as_frames_with_their_times_and_its_sound(folder: Path) -> None:
    one = record({"video": "clip.mp4", "audio_in_video": True}, label="joy")
    told, *frames, heard, _ = parts(request_body(only_ask(one, own()), folder, own(), SENDING))
    assert told["text"].startswith("4 frames of one clip, at 0.0, ") and [part["type"] for part in frames] == ["image_url"] * 4
    samples, rate = soundfile.read(io.BytesIO(data_of(heard)))
    assert heard["type"] == "input_audio" and heard["input_audio"]["format"] == "wav" and rate == 16000 and 0.9 < len(samples) / rate < 1.2


def test_a_clip_is_sent_as_its_file_where_that_is_asked(folder: Path) -> None:
    one = record({"video": "clip.mp4"}, label="joy")
    video, _ = parts(request_body(only_ask(one, own()), folder, own(), Sending("tiny", SETTINGS, clips="file")))
    assert video["video_url"]["url"].startswith("data:video/mp4;base64,") and data_of(video) == (folder / "clip.mp4").read_bytes()


def test_a_clip_of_pictures_and_a_sound(folder: Path) -> None:
    one = record({"frames": ["face.jpg"] * 4, "frames_fps": 4.0, "audio": "voice.wav"})
    _, *frames, heard, _ = parts(request_body(only_ask(one, own("x")), folder, own("x"), SENDING))
    assert len(frames) == 4 and len(data_of(heard)) == 44 + 2 * 16000


def test_only_the_kinds_of_the_template_are_sent(folder: Path) -> None:
    one = record({"images": ["face.jpg"], "audio": "voice.wav"}, label="joy")
    template = own(media=["audio"])
    assert [part["type"] for part in parts(request_body(only_ask(one, template), folder, template, SENDING))] == ["input_audio", "text"]
    text_only = own(media=[])
    assert request_body(only_ask(one, text_only), folder, text_only, SENDING)["messages"] == [{"role": "user", "content": "Why joy?"}]


def test_a_modality_sees_nothing_of_the_others(folder: Path) -> None:
    template = load_template("unimodal_descriptions")
    one = record({"images": ["face.jpg"], "audio": "voice.wav"}, "I lost my keys.", label="sad", label_space="mer_6")
    asks = asks_of(one, template)
    assert [ask.modality for ask in asks] == ["image", "audio", "text"]
    bodies = [request_body(ask, folder, template, SENDING) for ask in asks]
    assert [("keys" in json.dumps(body)) for body in bodies] == [False, False, True]
    kinds = [[part["type"] for part in parts(body)] if isinstance(parts(body), list) else "text" for body in bodies]
    assert kinds == [["image_url", "text"], ["input_audio", "text"], "text"]


def test_sampling_the_schema_and_earlier_turns_are_in_the_request() -> None:
    template = own(sampling={"temperature": 0.2, "seed": None, "extra": {"chat_template_kwargs": {"enable_thinking": False}}})
    ask = only_ask(record(label="joy"), template)
    ask.turns.append(("{}", "Again."))
    body = request_body(ask, Path(), template, SENDING)
    assert (
        body["temperature"] == 0.2
        and body["max_tokens"] == 1024
        and "seed" not in body
        and body["chat_template_kwargs"] == {"enable_thinking": False}
    )
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "mine", "schema": template.answer_schema}}
    assert request_body(ask, Path(), template, Sending("tiny", response_format="json_object"))["response_format"] == {"type": "json_object"}
    assert "response_format" not in request_body(ask, Path(), template, Sending("tiny", response_format="none"))


@pytest.mark.parametrize(
    ("model", "told"),
    [("/data/models/Qwen2.5-VL/", "Qwen2.5-VL"), ("Qwen/Qwen2.5-VL", "Qwen/Qwen2.5-VL"), ("C:\\models\\tiny", "tiny"), ("gpt:mini", "gpt:mini")],
)
def test_a_model_that_a_server_names_by_its_folder_is_told_without_it(model: str, told: str) -> None:
    assert Sending(model).signature == told


def test_the_key_is_of_contents_and_not_of_names(folder: Path) -> None:
    shutil.copy(folder / "face.jpg", folder / "same.jpg")
    face(1, (120, 80)).save(folder / "other.jpg")

    def key(name: str, template: AnnotationTemplate = own(), sending: Sending = SENDING, label: str = "joy") -> str:  # noqa: B008
        return request_key(only_ask(record({"images": [name]}, label=label), template), folder, template, sending)

    assert key("face.jpg") == key("same.jpg") == key("face.jpg", own(filters={"length": {"min_words": 2}}))
    smaller = Sending("tiny", SETTINGS.model_copy(update={"max_pixels": 1000}))
    changed = [key("other.jpg"), key("face.jpg", label="fear"), key("face.jpg", sending=Sending("large", SETTINGS)), key("face.jpg", sending=smaller),
               key("face.jpg", own("How?")), key("face.jpg", own(sampling={"seed": 1}))]  # fmt: skip
    assert len({key("face.jpg"), *changed}) == 7


def test_a_record_of_text_has_a_key_without_media_settings() -> None:
    ask = only_ask(record(text="x", label="joy"), own())
    assert request_key(ask, Path(), own(), SENDING) == request_key(ask, Path(), own(), Sending("tiny"))


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no picture")
    for name, fault in (("none.jpg", "no such picture"), ("empty.jpg", "the file is empty")):
        with pytest.raises(UserError, match=fault):
            request_key(only_ask(record({"images": [name]}, label="joy"), own()), folder, own(), SENDING)
    with pytest.raises(UserError, match="not a picture"):
        request_body(only_ask(record({"images": ["text.jpg"]}, label="joy"), own()), folder, own(), SENDING)


def test_a_name_that_is_not_there_names_template_place_and_record() -> None:
    with pytest.raises(UserError, match=r"template mine: user, record 'r': .*'lable' is undefined"):
        asks_of(record(), own("{{ lable }}"))
    with pytest.raises(UserError, match="template mine: user, record 'r': "):
        asks_of(record(), own("{{ ''.__class__.__mro__ }}"))
    with pytest.raises(UserError, match="template mine: user"):
        asks_of(record(), own("{{ 1 / 0 }}"))


def test_texts_of_records_are_not_templates_and_are_whole_characters() -> None:
    one = record(text="{{ label }} \ud83d", label="joy")
    assert only_ask(one, own("{{ text }}")).user == "{{ label }} \ufffd"


def test_needs_and_kinds() -> None:
    template = own(needs=["target.label", "media.images|media.video", "target.action_units"])
    assert missing_needs(record({"video": "a.mp4"}, label="joy", action_units={"AU1": None}), template) == []
    assert missing_needs(record(action_units={}), template) == template.needs
    assert present_kinds(record({"video": "a.mp4", "audio_in_video": True}).media) == ("video", "audio")


def test_media_are_shown_by_type_and_size(folder: Path) -> None:
    one = record({"images": ["face.jpg"], "audio": "voice.wav"}, label="joy")
    body = request_body(only_ask(one, own()), folder, own(), SENDING)
    shown = json.dumps(shown_body(body))
    assert "<image/jpeg, " in shown and "<wav, 32,044 bytes, sha256 " in shown and len(shown) < 1500
    assert parts(body)[0]["image_url"]["url"].startswith("data:")  # the request itself is as it was
