"""Whatever records hold: what is exported and read back says the same, with the same media in the same order."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoreason.completions import Template
from emoreason.exports.files import read_rows
from emoreason.exports.samples import Kind, MediaFile, Sample, Style
from emoreason.exports.writing import FORMATS, Export, export
from emoreason.files import write_jsonl
from emoreason.prompts import prompt_messages, target_text
from emoreason.recipe import PromptSettings
from emoreason.records import Media, Record

MARKS = ("<image>", "<video>", "<audio>")
NAMES = ("a.png", "b c.png", "é/ü.png", "http.png", "clip.mp4", "other.mp4", "voice.wav", "f/1.png", "f/2.png")
CASES = [(framework, kind, suffix) for framework, format in FORMATS.items() for kind in format.KINDS for suffix in format.SUFFIXES]
TEMPLATES = {
    "label": Template("free", "label"), "list": Template("free", "list"), "choice": Template("none", "choice"),
    "verdict": Template("free", "verdict"), "confident": Template("free", "list", confidence=True),
}  # fmt: skip

words = st.one_of(st.text(max_size=12), st.sampled_from(["I was <image> there", "<video>", "a\r\nb\u2028c", "笑った 😀", "e\u0301", "<img>x</img>"]))
pictures = st.lists(st.sampled_from(NAMES[:4]), max_size=3)
CLIPS = [
    {}, {"video": "clip.mp4"}, {"video": "other.mp4"}, {"video": "clip.mp4", "audio_in_video": True}, {"audio": "voice.wav"},
    {"video": "clip.mp4", "audio": "voice.wav"}, {"video": "clip.mp4", "audio_in_video": True, "sound_track": "voice.wav"},
    {"frames": ["f/1.png", "f/2.png"], "frames_fps": 2.5}, {"frames": ["f/2.png"], "frames_fps": 1.0, "audio": "voice.wav"},
]  # fmt: skip


@st.composite
def preferences(draw: st.DrawFn, media: dict) -> dict:
    chosen, *rejected = draw(st.lists(words, min_size=2, max_size=4, unique=True))
    made = {"chosen": chosen, "rejected": rejected}
    if draw(st.booleans()) and media.get("images"):
        made["rejected_media"] = {**media, "images": [next(name for name in NAMES[:4] if name != media["images"][0]), *media["images"][1:]]}
    if draw(st.booleans()):
        made["weights"] = [1.0, *([2.0] * (len(rejected) - 1))]
    return made


@st.composite
def records(draw: st.DrawFn) -> list[dict]:
    made = []
    for number in range(draw(st.integers(1, 4))):
        media = {"images": draw(pictures), **draw(st.sampled_from(CLIPS))}
        target = {"label": "joy", "labels": ["joy", "pride"], "choices": ["sadness", "joy"], "reasoning": draw(words)}
        made.append({
            "id": f"{number}\u0000é", "dataset": "d", "split": "train", "group": "g", "licence": "l", "source": "s", "media": media,
            "text": draw(st.none() | words), "question": draw(st.none() | words),
            "target": draw(st.sampled_from([target, {}, {"label": "correct", "reasoning": "so", "distribution": None}])),
            "preference": draw(st.none() | preferences(media)),
        })  # fmt: skip
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    for name in NAMES:
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(name.encode())
    return made


def media_said(media: Media) -> tuple[MediaFile, ...]:
    """The media by the record's own words, as seen from the folder `out` beside it."""
    at = "../{}".format
    files = [MediaFile("image", (at(name),)) for name in media.images]
    if media.video:
        heard = media.sound_track or media.video
        files.append(MediaFile("video", (at(media.video),), sound=at(heard) if media.audio_in_video else None))
    if media.frames:
        files.append(MediaFile("video", tuple(at(name) for name in media.frames), fps=media.frames_fps))
    return (*files, *(MediaFile("audio", (at(media.audio),)) for _ in range(bool(media.audio))))


def said(record: Record, kind: Kind, style: Style) -> list[tuple]:
    """(user, system, media, better answer, worse answer, other media) of each row that a record could give."""
    *system, user = prompt_messages(record, style.template, style.prompt, style.label_space)
    start = (user["content"][-1]["text"], system[0]["content"][0]["text"] if system else None, media_said(record.media))
    if kind != "dpo":
        return [(*start, target_text(record, style.template) if kind == "sft" else None, None, ())]
    pair = record.preference
    if pair is None:
        return []
    rows = [(*start, pair.chosen, text, ()) for text in pair.rejected]
    return [*rows, (*start, pair.chosen, pair.chosen, media_said(pair.rejected_media))] if pair.rejected_media else rows


def parts(sample: Sample) -> tuple:
    return (sample.user, sample.system, sample.media, sample.answer, sample.rejected, sample.rejected_media)


@pytest.mark.parametrize(("framework", "kind", "suffix"), CASES)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(rows=records(), template=st.sampled_from(sorted(TEMPLATES)), system=st.none() | words)
def test_what_is_exported_and_read_back_says_the_same(
    framework: str, kind: Kind, suffix: str, folder: Path, rows: list[dict], template: str, system: str | None
) -> None:
    records_path, out = folder / "records.jsonl", folder / "out" / f"{kind}_{suffix[1:]}{suffix}"
    write_jsonl(records_path, rows)
    out.unlink(missing_ok=True)
    style = Style(TEMPLATES[template], PromptSettings(system=system))
    report = export(Export(records_path, out, framework, kind, style))
    found = [FORMATS[framework].read(row) for row in read_rows(out)] if report.rows else []
    assert out.exists() == bool(report.rows)
    possible = [one for row in rows for one in said(Record.model_validate(row), kind, style)]
    remaining = iter(possible)
    assert all(parts(sample) in remaining for sample in found), "each row is one of what the records say, in their order"
    assert len(found) == report.rows
    assert report.records == len(rows) == report.exported + report.left_out.counts.total()
    if FORMATS[framework].PLACEHOLDERS:
        texts = [text for sample in found for text in sample.texts]
        assert not any(mark in text for mark in MARKS for text in texts)
