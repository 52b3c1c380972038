"""Talking faces, made on the spot from the tiny set: whole, free of leaks, and telling in each modality what they claim."""

import importlib
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import soundfile
from PIL import Image
from scipy.signal import find_peaks

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.prompts import target_problems, target_text
from emoreason.records import Record, read_records
from emoreason.rewards.modality_consistency import modality_consistency_reward

ROOT = Path(__file__).parents[2]
TINY = ROOT / "recipes" / "tiny" / "data"
SPLITS = {"train": 36, "calibration": 12, "heldout": 18}  # clips at six a label
EMOTIONS = ("joy", "sadness", "anger", "fear", "surprise", "neutral")


@pytest.fixture(scope="module")
def load() -> Iterator:
    """A function that imports a script of data_prep by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "data_prep")
        yield importlib.import_module


@pytest.fixture(scope="module")
def script(load) -> ModuleType:
    return load("talking_faces")


@pytest.fixture(scope="module")
def voices(load) -> ModuleType:
    return load("voices")


@pytest.fixture(scope="module")
def folder(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with six training clips a label, in the synthetic voice."""
    out = tmp_path_factory.mktemp("clips") / "talking_faces"
    script.build(TINY, out, num_per_label=6, seed=0, voice="synthetic")
    return out


@pytest.fixture(scope="module")
def records(folder: Path) -> dict[str, list[Record]]:
    return {split: read_records(folder / f"{split}.jsonl") for split in SPLITS}


def every(records: dict[str, list[Record]]) -> list[Record]:
    return [record for split in SPLITS for record in records[split]]


def shown_and_told(record: Record) -> tuple[str, str]:
    """(emotion of the face in the tiny set, emotion of the voice), from the record's id."""
    _, picture = record.id.split("/", 1)
    face, voice = picture.split("+")
    return FACES[face], voice


FACES = {face.id: face.target.label for path in TINY.glob("*.jsonl") if "_text" not in path.name for face in read_records(path)}


def test_splits_are_of_the_size_asked_for_and_balanced(records: dict[str, list[Record]]) -> None:
    for split, size in SPLITS.items():
        assert Counter(record.target.label for record in records[split]) == dict.fromkeys(EMOTIONS, size // 6)
        assert Counter(record.aligned_modality for record in records[split]) == dict.fromkeys((None, "video", "audio"), size // 3)
        assert {(record.split, record.dataset) for record in records[split]} == {(split, "talking_faces")}


def test_the_target_follows_the_modality_that_is_asked_for(script: ModuleType, voices: ModuleType, records: dict[str, list[Record]]) -> None:
    for record in every(records):
        face, voice = shown_and_told(record)
        assert (face == voice) == (record.aligned_modality is None), record.id
        assert record.target.label == (voice if record.aligned_modality == "audio" else face), record.id
        assert record.target.cues["audio"] == voices.voice_cues(voice)
        assert record.target.cues["video"][-1] == script.MOTIONS[face]
        if record.aligned_modality:
            assert record.question == script.QUESTIONS[record.aligned_modality]


def test_questions_and_texts_do_not_tell_the_label(script: ModuleType, records: dict[str, list[Record]]) -> None:
    assert {record.text for record in every(records)} == {None}
    clips = list(script.plan("train", read_records(TINY / "train.jsonl"), 9, np.random.default_rng(0)))
    # Of nine clips a label six are in conflict, three for each modality, and the three that agree get a question each.
    counts = {"video": 4, "audio": 4, "both": 1}
    assert Counter((clip.question, clip.label) for clip in clips) == {
        (script.QUESTIONS[name], label): count for name, count in counts.items() for label in EMOTIONS
    }


def test_every_emotion_is_in_conflict_with_every_other(script: ModuleType) -> None:
    faces = read_records(TINY / "train.jsonl")
    clips = list(script.plan("train", faces, 15, np.random.default_rng(0)))
    pairs = {(clip.face.target.label, clip.voice) for clip in clips if clip.kind == "video"}
    assert pairs == {(face, voice) for face in EMOTIONS for voice in EMOTIONS if face != voice}


def test_no_emoji_and_no_speaker_of_the_heldout_split_is_elsewhere(voices: ModuleType, records: dict[str, list[Record]]) -> None:
    heldout = {record.group for record in records["heldout"]}
    assert heldout.isdisjoint(record.group for record in records["train"] + records["calibration"])
    names = [(speaker.variant, speaker.pitch, speaker.tract) for split in SPLITS for speaker in voices.SPEAKERS[split]]
    assert len({variant for variant, *_ in names}) == len(names) == len({(pitch, tract) for _, pitch, tract in names})
    told = {split: {record.source.partition("voice: ")[2] for record in records[split]} for split in ("train", "heldout")}
    assert told["train"] and told["heldout"]


def test_sound_comes_in_the_video_beside_it_and_beside_frames(records: dict[str, list[Record]]) -> None:
    forms = Counter("frames" if record.media.frames else "track" if record.media.audio_in_video else "wav" for record in every(records))
    assert forms == {"frames": 4, "wav": 22, "track": 40}
    assert all(record.media.audio for record in every(records) if not record.media.audio_in_video)


def test_media_decode_and_last_as_long_as_each_other(script: ModuleType, folder: Path, records: dict[str, list[Record]]) -> None:
    used = set()
    for record in every(records):
        media = record.media
        if media.frames:
            frames = [np.asarray(Image.open(folder / name)) for name in media.frames]
            assert media.frames_fps == script.FPS
        else:
            with av.open(str(folder / media.video)) as container:
                assert [stream.type for stream in container.streams] == ["video", "audio"][: 1 + media.audio_in_video]
                assert container.streams.video[0].average_rate == script.FPS
                decoded = list(container.decode(video=0))
            assert [round(frame.time * script.FPS) for frame in decoded] == list(range(len(decoded)))
            frames = [frame.to_ndarray(format="rgb24") for frame in decoded]
        assert {frame.shape for frame in frames} == {(64, 64, 3)}
        assert 10 <= len(frames) <= 13
        sound, rate = soundfile.read(folder / media.audio) if media.audio else read_track(folder / media.video)
        assert rate == script.SAMPLE_RATE
        # An AAC track is filled up to whole packets of 1024 samples.
        assert 0 <= len(sound) - len(frames) * rate // script.FPS <= (0 if media.audio else 1023)
        assert 0.02 < np.abs(sound).max() <= 1
        used |= {name for name in (media.video, media.audio, *media.frames) if name}
    assert {path.relative_to(folder).as_posix() for path in folder.glob("media/*")} == used, "no file without a record"


def read_track(path: Path) -> tuple[np.ndarray, int]:
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)]), rate


def test_a_sound_track_is_in_time_with_its_frames(script: ModuleType, tmp_path: Path) -> None:
    sound = np.zeros(16_000, np.float32)
    sound[8000:8400] = 0.5 * np.sin(2 * np.pi * 1000 / 16_000 * np.arange(400))
    script.write_video(tmp_path / "tone.mp4", [Image.new("RGB", (64, 64))] * 8, sound)
    heard, _ = read_track(tmp_path / "tone.mp4")
    lag = np.correlate(heard[:16_000], sound, "full").argmax() - (len(sound) - 1)
    assert abs(lag) <= 2  # samples


def test_the_jaw_falls_with_the_loudness_of_the_voice(script: ModuleType) -> None:
    picture = Image.new("RGB", (100, 100), "white")
    picture.paste("black", (0, 68, 100, 70))
    open_mouth, shut = script.animate(picture, "neutral", np.array([1.0, 0.0]), np.random.default_rng(0))
    lowest = [np.flatnonzero(np.asarray(frame)[:, 32, 0] < 128).max() for frame in (open_mouth, shut)]
    assert lowest[0] > lowest[1]
    voice = np.concatenate([np.full(2000, 0.1), np.full(2000, 0.4), np.full(4000, 0.2)]).astype(np.float32)
    _, openings = script.place_voice(voice, np.random.default_rng(0))
    assert openings.max() == 1 and openings[5:].max() == 0  # four frames of voice, perhaps on five, then silence


@pytest.mark.parametrize("label", EMOTIONS)
def test_the_words_do_not_depend_on_the_emotion(voices: ModuleType, label: str) -> None:
    speaker, prosody = voices.SPEAKERS["train"][0], voices.PROSODY[label]
    words = [part.split("<")[0] for part in voices.espeak_command(prosody, speaker)[-1].split(">")]
    assert " ".join(filter(str.strip, words)) == voices.SENTENCE
    # The synthetic voice has five syllables in each tone: as many peaks of loudness.
    sound = voices.synthesise(prosody, speaker, np.random.default_rng(0))
    loudness = np.sqrt(np.convolve(sound**2, np.hanning(800), "same"))
    assert len(find_peaks(loudness, prominence=0.2 * loudness.max())[0]) == 5


def test_pitch_loudness_and_rate_follow_the_settings(load, voices: ModuleType) -> None:
    features = load("talking_faces_baselines").voice_features
    padding = np.zeros(800)
    heard = {}
    for label in EMOTIONS:
        voice = voices.speak(label, voices.SPEAKERS["train"][0], "synthetic", np.random.default_rng(0))
        heard[label] = dict(zip(("pitch", "spread", "rise", "loudness", "seconds", "centre"),
                                features(np.concatenate([padding, voice, padding]), voices.SAMPLE_RATE), strict=True))  # fmt: skip
    neutral = heard["neutral"]
    assert 2 ** neutral["pitch"] == pytest.approx(voices.PITCH * 2 ** 0.04, rel=0.04)  # varied by up to 0.07 octaves
    assert heard["fear"]["pitch"] - neutral["pitch"] == pytest.approx(np.log2(1.9), abs=0.06)
    assert heard["sadness"]["loudness"] < neutral["loudness"] - 7 < heard["anger"]["loudness"] - 14
    assert heard["sadness"]["seconds"] > neutral["seconds"] > heard["anger"]["seconds"]
    assert heard["surprise"]["rise"] > 0.4 and heard["anger"]["rise"] < -0.15
    assert heard["anger"]["centre"] > neutral["centre"] > heard["sadness"]["centre"]


def test_voice_cues_are_told_from_the_settings(voices: ModuleType) -> None:
    assert voices.voice_cues("neutral") == ["pitch middle", "melody flat", "tempo even", "volume middle"]
    assert voices.voice_cues("fear") == ["pitch high", "melody flat", "tempo fast", "volume soft", "tone trembling"]
    assert len({tuple(voices.voice_cues(label)) for label in EMOTIONS}) == 6


def test_targets_teach_the_format_and_earn_the_reward_of_their_modality(records: dict[str, list[Record]]) -> None:
    form, rows = Template("free", "list"), every(records)
    assert [problem for record in rows for problem in target_problems(record, form)] == []
    columns = [form] * len(rows), [record.target.cues for record in rows], [record.aligned_modality for record in rows]
    assert set(modality_consistency_reward([target_text(record, form) for record in rows], *columns)) == {1.0}
    # The cues of the other modality earn nothing in a conflict, and a half where both count.
    others = [record.target.cues["video" if record.aligned_modality == "audio" else "audio"] for record in rows]
    texts = [f"<think>{'; '.join(cues)}</think><answer>joy</answer>" for cues in others]
    for record, value in zip(rows, modality_consistency_reward(texts, *columns), strict=True):
        assert value == (0.0 if record.aligned_modality else 0.5), record.id


def test_the_reasoning_names_the_conflict(records: dict[str, list[Record]]) -> None:
    for record in every(records):
        assert ("conflicts" in record.target.reasoning) == (record.aligned_modality is not None)
        face, voice = shown_and_told(record)
        assert [word for word in EMOTIONS if word in record.target.reasoning] == [voice if record.aligned_modality == "audio" else face]


def test_licences_are_those_of_the_pictures(folder: Path, records: dict[str, list[Record]]) -> None:
    licences = {face.id: face.licence for path in TINY.glob("*.jsonl") for face in read_records(path)}
    notes = (folder / "README.md").read_text()
    for record in every(records):
        assert record.licence == licences[record.id.split("/", 1)[1].split("+")[0]]
        assert f"{record.licence} | {record.source.partition(';')[0]} |" in notes


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_bytes(script: ModuleType, tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 4)):
        script.build(TINY, tmp_path / name, num_per_label=1, seed=seed, voice="synthetic")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one["train.jsonl"] != two["train.jsonl"]
    script.build(TINY, tmp_path / "two", num_per_label=1, seed=3, voice="synthetic")  # an earlier run's folder is replaced
    assert contents(tmp_path / "two") == one
    assert {Path(name).suffix for name in one} == {".jsonl", ".md", ".mp4", ".wav", ".jpg"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"], "nothing is left beside the folders"


def test_a_folder_with_something_else_is_left_alone(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    with pytest.raises(UserError, match="holds something else already"):
        script.build(TINY, tmp_path, num_per_label=1, seed=0, voice="synthetic")
    assert contents(tmp_path) == {"README.md": b"# Mine\n"}


def test_mistakes_are_told_on_the_command_line(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for arguments, message in (
        ([tmp_path, tmp_path / "out"], "train.jsonl: no such file"),
        ([TINY, tmp_path / "out", "--num-per-label", "0"], "at least 1"),
        ([TINY, tmp_path / "out", "--voice", "loud"], "invalid choice"),
    ):
        monkeypatch.setattr(sys, "argv", ["talking_faces.py", *map(str, arguments)])
        with pytest.raises(SystemExit, match="2"):
            script.main()
        assert message in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="give --voice synthetic"):
        script.find_engine("espeak-ng")
    assert script.find_engine("auto") == "synthetic"


def test_each_modality_tells_its_own_emotion_to_a_linear_probe(load, folder: Path) -> None:
    found = load("talking_faces_baselines").accuracies(folder)
    assert found["audio"]["consistent"] >= 0.6 and found["audio"]["voice-aligned"] >= 0.6  # chance is 0.17
    assert found["video"]["consistent"] + found["video"]["face-aligned"] >= 1.0
    assert found["audio"]["face-aligned"] <= 0.2 and found["video"]["voice-aligned"] <= 0.2


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_varies_every_voice_with_the_emotion(load, voices: ModuleType) -> None:
    features = load("talking_faces_baselines").voice_features
    for speaker in [speaker for split in SPLITS for speaker in voices.SPEAKERS[split]]:
        heard = {}
        for label in ("fear", "neutral", "sadness", "anger"):
            voice = voices.speak(label, speaker, "espeak-ng", np.random.default_rng(0))
            assert 0.6 < voice.size / voices.SAMPLE_RATE < 1.4, (speaker, label)
            heard[label] = features(voice.astype(float), voices.SAMPLE_RATE)
        pitch, loudness = ({label: values[column] for label, values in heard.items()} for column in (0, 3))
        assert pitch["fear"] > pitch["neutral"] + 0.4 and pitch["neutral"] > pitch["sadness"], (speaker, pitch)
        assert loudness["anger"] > loudness["neutral"] > loudness["sadness"]
    assert np.array_equal(voice, voices.speak("anger", speaker, "espeak-ng", np.random.default_rng(0))), "the same for the same draw"


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_an_unknown_voice_of_espeak_is_told(voices: ModuleType) -> None:
    with pytest.raises(UserError, match="espeak-ng -v nobody"):
        voices.speak("joy", voices.Speaker("nobody", 1.0, 1.0), "espeak-ng", np.random.default_rng(0))


def test_subsets_are_the_split_in_parts(folder: Path, records: dict[str, list[Record]]) -> None:
    for split in SPLITS:
        parts = {subset: read_records(folder / f"{split}_{subset}.jsonl") for subset in ("consistent", "face", "voice")}
        for subset, aligned in (("consistent", None), ("face", "video"), ("voice", "audio")):
            assert {record.aligned_modality for record in parts[subset]} == {aligned}, subset
        together = sorted((record for part in parts.values() for record in part), key=lambda record: record.id)
        assert together == sorted(records[split], key=lambda record: record.id)
