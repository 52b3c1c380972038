"""Talking faces as records: short clips with sound in which a face and a voice agree on an emotion or conflict.

    python data_prep/talking_faces.py recipes/tiny/data runs/talking_faces
    python data_prep/talking_faces.py recipes/tiny/data runs/talking_faces --num-per-label 8 --voice synthetic
    python data_prep/talking_faces_baselines.py runs/talking_faces

The faces are the pictures of the tiny data set, set in motion; the voice says one sentence, always the same, in the tone
of an emotion (see voices.py). It comes from espeak-ng where that is installed and is synthesised here where it is not.
A third of the clips agrees. In the others face and voice show two emotions and the question asks for one of them: `target`
describes the face where `aligned_modality` is `video`, the voice where it is `audio`. Clips that agree ask about the face,
the voice or both, so a question says nothing of the label. `text` stays empty: the words are the same in all clips.

Splits: `train`; `calibration`, pictures of that split of the tiny set and other speakers; `heldout`, emoji and speakers
that are in no other split. Each is also written in three parts by what the label follows: `heldout_consistent.jsonl`,
`heldout_face.jsonl`, `heldout_voice.jsonl`. Sound comes in the video file, in a WAV file beside it (a third), or beside
frames (a twentieth).
The output is the same for the same seed and voice. A folder that an earlier run has made is replaced, as a whole.
"""

import argparse
import itertools
import math
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import soundfile
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from voices import ENGINES, PROSODY, SAMPLE_RATE, SENTENCE, SPEAKERS, Speaker, find_engine, speak, voice_cues

from emoreason.faults import UserError
from emoreason.files import write_jsonl, write_text
from emoreason.records import Media, Record, Target, read_records
from emoreason.run_dir import publish

SPLITS = {"train": ("train", 1.0), "calibration": ("calibration", 0.25), "heldout": ("heldout_emoji", 0.5)}  # split: (tiny split, share)
LABELS = tuple(PROSODY)
KINDS = (None, "video", "audio")  # `aligned_modality`
SUBSETS = {None: "consistent", "video": "face-aligned", "audio": "voice-aligned"}
QUESTIONS = {"video": "Which emotion does the face show?", "audio": "Which emotion does the voice carry?", "both": "Which emotion is expressed?"}
MOTIONS = {"joy": "head bouncing", "sadness": "head sinking", "anger": "head shaking", "fear": "head trembling",
           "surprise": "head jumping back", "neutral": "head still"}  # fmt: skip
FPS, SIDE, NUM_FRAMES = 8, 64, (10, 13)  # frames a second, pixels, fewest and most frames
CODEC = "libx264" if "libx264" in av.codecs_available else "mpeg4"
TITLE = "# Talking faces"
README = """{title}

{count} clips ({kinds}), written by
`data_prep/talking_faces.py` with `--seed {seed} --voice {engine}`: {side} by {side} pixels, {fps} frames a second, sound at {sample_rate} Hz.

The voice says "{sentence}" in each of them. {voice}
Faces are drawings and voices are machines: the clips teach and test the machinery, not how people express emotion.

A clip is under the licence of its picture, which stands in `licence` of its record; that the
pictures were cut to size and set in motion is our change. Motion, sound and cues add no condition.

| clips | licence | drawn by |
| --- | --- | --- |
{pictures}
"""
PROVENANCE = {
    "espeak-ng": "It was made by running espeak-ng, whose licence (GPL-3.0-or-later) covers the program, not the sound.",
    "synthetic": "It is made of harmonics and formants by `data_prep/voices.py`; nobody was recorded.",
}


class Clip(NamedTuple):
    """What a clip shows; `kind` is the modality that is asked about where face and voice conflict, else None."""

    face: Record
    voice: str
    kind: str | None
    question: str
    speaker: Speaker

    @property
    def label(self) -> str:
        return self.voice if self.kind == "audio" else self.face.target.label


def plan(split: str, faces: list[Record], num_per_label: int, rng: np.random.Generator) -> Iterator[Clip]:
    """`num_per_label` clips for each label, label by label in turn; kinds, other labels, questions and pictures take turns too."""
    pictures = {}
    for label in LABELS:
        of_label = [face for face in faces if face.target.label == label]
        if not of_label:
            raise UserError(f"the tiny data set has no picture of {label} for the split {split!r}; give the folder that emoji_faces.py wrote")
        pictures[label] = itertools.cycle([of_label[index] for index in rng.permutation(len(of_label))])
    for turn, (place, label) in itertools.product(range(num_per_label), enumerate(LABELS)):
        kind, cycle = KINDS[(turn + place) % 3], turn // 3
        other = LABELS[(place + 1 + cycle % (len(LABELS) - 1)) % len(LABELS)]
        face, voice = {None: (label, label), "video": (label, other), "audio": (other, label)}[kind]
        question = QUESTIONS[kind or tuple(QUESTIONS)[(cycle + place) % 3]]
        yield Clip(next(pictures[face]), voice, kind, question, SPEAKERS[split][rng.integers(len(SPEAKERS[split]))])


def pose(label: str, time: float, share: float, side: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Where the head is: (right, down) as shares of the picture, degrees turned, size; `share` of the clip has passed."""
    match label:
        case "joy":
            return 0, 0.05 - 0.14 * abs(math.sin(2 * math.pi * 1.3 * time)), 5 * math.sin(2 * math.pi * 1.3 * time), 0.9
        case "sadness":
            return 0.03 * side * share, 0.14 * share, -side * 14 * share, 0.9 - 0.05 * share
        case "anger":
            return side * 0.09 * math.sin(2 * math.pi * 2.6 * time + 0.6), 0.02, 0, 0.98
        case "fear":
            return *rng.uniform(-0.045, 0.045, 2), rng.uniform(-4, 4), 0.82 - 0.1 * share
        case "surprise":
            return 0, -0.06 * (share > 0.35), 0, 1.02 if share <= 0.35 else 0.78
    return 0, 0, 0, 0.9


def animate(picture: Image.Image, label: str, openings: np.ndarray, rng: np.random.Generator) -> list[Image.Image]:
    """The picture in the motion of an emotion, a frame of `SIDE` pixels for each of `openings`, how far the jaw is down in [0, 1]."""
    pixels, side = np.asarray(picture.convert("RGB")), int(rng.choice([-1, 1]))
    height, frames = len(pixels), []
    for index, opening in enumerate(openings):
        rows, jaw = np.arange(height), round(0.6 * height)
        stretched = np.where(rows > jaw, jaw + (rows - jaw) / (1 + 0.2 * opening), rows)
        right, down, degrees, size = pose(label, index / FPS, index / len(openings), side, rng)
        cos, sin = (part / size for part in (math.cos(math.radians(degrees)), math.sin(math.radians(degrees))))
        x, y = height * (0.5 + right), height * (0.5 + down)
        affine = (cos, -sin, height / 2 - cos * x + sin * y, sin, cos, height / 2 - sin * x - cos * y)
        talking = Image.fromarray(pixels[stretched.round().astype(int)])
        moved = talking.transform(talking.size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC, fillcolor="white")
        frames.append(moved.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return frames


def place_voice(voice: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(sound, loudness of each frame relative to the loudest): the voice in a clip whose length says nothing of the emotion."""
    num_frames = max(int(rng.integers(NUM_FRAMES[0], NUM_FRAMES[1] + 1)), math.ceil(voice.size * FPS / SAMPLE_RATE))
    sound = np.zeros(num_frames * SAMPLE_RATE // FPS, np.float32)
    start = int(rng.integers(0, min(sound.size - voice.size, SAMPLE_RATE // 10) + 1))
    sound[start : start + voice.size] = voice
    loudness = np.sqrt(np.mean(sound.reshape(num_frames, -1) ** 2, axis=1))
    return sound, loudness / loudness.max()


def write_video(path: Path, frames: list[Image.Image], sound: np.ndarray | None) -> None:
    """An mp4 file; with `sound`, float32 samples, as its AAC track. The same bytes for the same input and libraries."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream(CODEC, rate=FPS, width=SIDE, height=SIDE, pix_fmt="yuv420p")
        video.options = {"crf": "26", "bf": "0"} if CODEC == "libx264" else {"qscale": "3"}
        video.codec_context.thread_count = 1
        streams = [(video, [av.VideoFrame.from_image(frame) for frame in frames])]
        if sound is not None:
            audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            audio.bit_rate = 32_000
            samples = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            samples.sample_rate, samples.pts = SAMPLE_RATE, 0  # without a time the encoder delay of 64 ms would count as sound
            streams.append((audio, [samples]))
        for stream, contents in streams:
            for content in contents:
                container.mux(stream.encode(content))
            container.mux(stream.encode())


def write_media(folder: Path, name: str, form: str, frames: list[Image.Image], sound: np.ndarray) -> Media:
    """The clip on disk as a video with its sound, a silent one and a WAV file, or frames and a WAV file."""
    if form == "video":
        write_video(folder / f"{name}.mp4", frames, sound)
        return Media(video=f"media/{name}.mp4", audio_in_video=True)
    soundfile.write(folder / f"{name}.wav", sound, SAMPLE_RATE, subtype="ULAW")  # half the size of 16 bits
    if form == "wav":
        write_video(folder / f"{name}.mp4", frames, None)
        return Media(video=f"media/{name}.mp4", audio=f"media/{name}.wav")
    names = [f"{name}_{index:02d}.jpg" for index in range(len(frames))]
    for frame, file in zip(frames, names, strict=True):
        frame.save(folder / file, quality=90)
    return Media(frames=[f"media/{file}" for file in names], frames_fps=FPS, audio=f"media/{name}.wav")


def to_record(clip: Clip, split: str, name: str, media: Media, engine: str) -> Record:
    """The record of a clip. Its reasoning states the cues of both modalities, names the conflict, and only the emotion asked for."""
    cues = {"video": [*clip.face.target.cues["image"], MOTIONS[clip.face.target.label]], "audio": voice_cues(clip.voice)}
    verdict = {
        None: f"face and voice agree on {clip.label}",
        "video": f"the voice conflicts with the face, the face shows {clip.label}",
        "audio": f"the face conflicts with the voice, the voice carries {clip.label}",
    }[clip.kind]
    target = Target(
        label=clip.label, labels=[clip.label], label_space=clip.face.target.label_space, cues=cues,
        reasoning="; ".join([*cues["video"], *cues["audio"], verdict]),
    )  # fmt: skip
    spoken = f"espeak-ng {clip.speaker.variant}" if engine == "espeak-ng" else f"synthesised, tract {clip.speaker.tract:g}"
    return Record(
        id=f"{name}/{clip.face.id}+{clip.voice}", dataset="talking_faces", split=split, group=clip.face.group, media=media,
        question=clip.question, target=target, aligned_modality=clip.kind, licence=clip.face.licence,
        source=f"{clip.face.source}; voice: {spoken}",
    )  # fmt: skip


def readme(records: list[Record], engine: str, seed: int) -> str:
    """Where the clips come from and under which licences."""
    kinds = Counter(SUBSETS[record.aligned_modality] for record in records)
    pictures = Counter((record.licence, record.source.partition(";")[0]) for record in records)
    table = [f"| {count} | {licence} | {author} |" for (licence, author), count in sorted(pictures.items())]
    return README.format(
        title=TITLE, count=len(records), kinds=", ".join(f"{count} {kind}" for kind, count in kinds.items()), seed=seed, engine=engine,
        side=SIDE, fps=FPS, sample_rate=SAMPLE_RATE, sentence=SENTENCE, voice=PROVENANCE[engine], pictures="\n".join(table),
    )  # fmt: skip


def build(source: Path, out: Path, num_per_label: int, seed: int, voice: str) -> list[Record]:
    """Write the data set to `out`, whole or not at all, and return its records.

    Raises:
        UserError: no tiny data set in `source`, no espeak-ng, or `out` holds something else than an earlier run's data set.
    """
    out, engine = out.resolve(), find_engine(voice)
    notes = out / "README.md"
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (notes.exists() and notes.read_text("utf-8").startswith(TITLE)))):
        raise UserError(f"{out}: holds something else already; accepted: a new folder, or one that this script has written")
    faces = {split: read_records(source / f"{name}.jsonl") for split, (name, _) in SPLITS.items()}
    temporary = out.with_name(f".tmp_{out.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "media").mkdir(parents=True)
    records = []
    for number, (split, (_, share)) in enumerate(SPLITS.items()):
        rng = np.random.default_rng([seed, number])
        clips = list(plan(split, faces[split], math.ceil(share * num_per_label), rng))
        forms = rng.permutation(["frames" if index % 20 == 0 else "wav" if index % 3 == 1 else "video" for index in range(len(clips))])
        for index, (clip, form) in enumerate(zip(track(clips, f"{split:11}"), forms, strict=True)):
            draws = np.random.default_rng([seed, number, index])
            sound, openings = place_voice(speak(clip.voice, clip.speaker, engine, draws), draws)
            with Image.open(source / clip.face.media.images[0]) as picture:
                frames = animate(picture, clip.face.target.label, openings, draws)
            name = f"{split}_{index:04d}"
            records.append(to_record(clip, split, name, write_media(temporary / "media", name, str(form), frames, sound), engine))
        rows = [record for record in records if record.split == split]
        write_jsonl(temporary / f"{split}.jsonl", [record.model_dump(exclude_defaults=True) for record in rows])
        # Files of their own, since an evaluation reports by file.
        for aligned, subset in zip(KINDS, ("consistent", "face", "voice"), strict=True):
            shares = [record.model_dump(exclude_defaults=True) for record in rows if record.aligned_modality == aligned]
            write_jsonl(temporary / f"{split}_{subset}.jsonl", shares)
    write_text(temporary / notes.name, readme(records, engine, seed))
    publish(temporary, out)
    return records


def table(records: list[Record]) -> Table:
    """Clips by split, label and kind."""
    counts = Counter((record.split, record.target.label, record.aligned_modality) for record in records)
    grid = Table("split", "label", *[SUBSETS[kind] for kind in KINDS], "all", title="clips")
    for split in SPLITS:
        for label in LABELS:
            row = [counts[split, label, kind] for kind in KINDS]
            grid.add_row(split, label, *map(str, row), str(sum(row)), end_section=label == LABELS[-1])
    return grid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the tiny data set: recipes/tiny/data")
    parser.add_argument("out", type=Path, help="folder for <split>.jsonl, <split>_{consistent,face,voice}.jsonl, media/ and README.md")
    parser.add_argument("--num-per-label", type=int, default=40, help="training clips a label; half of it held out, a quarter to calibrate (40)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other clips (0)")
    parser.add_argument("--voice", choices=["auto", *ENGINES], default="auto", help="auto: espeak-ng where installed, else synthetic")
    arguments = parser.parse_args()
    if arguments.num_per_label < 1 or arguments.seed < 0:
        parser.error("--num-per-label is at least 1 and --seed at least 0")
    try:
        records = build(arguments.source, arguments.out, arguments.num_per_label, arguments.seed, arguments.voice)
    except (UserError, OSError) as error:
        parser.error(str(error))
    Console().print(table(records))


if __name__ == "__main__":
    main()
