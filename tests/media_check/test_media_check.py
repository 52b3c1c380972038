"""All media of records files: findings, workers, the cache, the command."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_samples import face
from test_media import FLOWING, tone, write_clip

from emoreason.faults import UserError
from emoreason.files import write_jsonl
from emoreason.media_check import check as media_check
from emoreason.media_check.cache import MediaCache, default_path
from emoreason.media_check.check import MediaCheck, Options, check_media, in_workers
from emoreason.media_check.findings import Place
from emoreason.media_check.probe import Found, Looked
from emoreason.media_check.report import decibels, summary
from emoreason.recipe import MediaSettings
from emoreason.record_media import Use

LIMITS = MediaSettings()


def row(name: str, **fields: object) -> dict:
    return {"id": name, "dataset": "d", "split": "train", "group": name, "licence": "l", "source": "s", **fields}


def write_records(path: Path, *rows: dict) -> Path:
    write_jsonl(path, rows)
    return path


@pytest.fixture(scope="module")
def media_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records with every trouble, and some without."""
    folder = tmp_path_factory.mktemp("media")
    sound = np.stack([tone(1, 48000)] * 2)
    write_clip(folder / "heard.mp4", FLOWING[:25], codec="libx264", sound=sound)
    write_clip(folder / "silent.mp4", FLOWING[:25], codec="libx264", sound=0 * sound)
    write_clip(folder / "mute.mp4", FLOWING[:25], codec="libx264")
    soundfile.write(folder / "tone.wav", tone(1, 16000), 16000)
    soundfile.write(folder / "zeros.wav", np.zeros(16000), 16000)
    soundfile.write(folder / "short.wav", tone(0.05, 16000), 16000)
    soundfile.write(folder / "loud.wav", np.clip(tone(1, 16000, peak=3.0), -1, 1), 16000)
    soundfile.write(folder / "really_flac.wav", tone(1, 16000), 16000, format="FLAC")
    soundfile.write(folder / "integers.wav", (tone(1, 16000) * 32767).astype(np.float32), 16000, subtype="FLOAT")
    soundfile.write(folder / "nan.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    for name, size in (("0.png", (84, 56)), ("1.png", (84, 56)), ("2.png", (80, 56))):
        face(0, size).save(folder / name)
    face(1).save(folder / "really_png.jpg", format="PNG")
    (folder / "empty.png").write_bytes(b"")
    (folder / "lfs.mp4").write_text("version https://git-lfs.github.com/spec/v1\n")
    write_records(
        folder / "records.jsonl",
        row("good", media={"images": ["0.png"], "audio": "tone.wav"}, person=[10, 10, 84, 56]),
        row("text", text="no media"),
        row("box", media={"images": ["0.png"]}, person=[10, 10, 85, 56]),
        row("gone", media={"images": ["absent.png"]}),
        row("empty", media={"images": ["0.png", "empty.png"]}),
        row("pointer", media={"video": "lfs.mp4"}),
        row("heard", media={"video": "heard.mp4", "audio_in_video": True}),
        row("silent track", media={"video": "silent.mp4", "audio_in_video": True}),
        row("mute", media={"video": "mute.mp4", "audio_in_video": True}),
        row("seen only", media={"video": "mute.mp4"}),
        row("zeros", media={"audio": "zeros.wav"}),
        row("short", media={"audio": "short.wav"}),
        row("loud", media={"audio": "loud.wav"}),
        row("flac", media={"audio": "really_flac.wav"}),
        row("integers", media={"audio": "integers.wav"}),
        row("nan", media={"audio": "nan.wav"}),
        row("png", media={"images": ["really_png.jpg"]}),
        row("frames", media={"frames": ["0.png", "1.png", "2.png"], "frames_fps": 1.0}),
        row("rejected", media={"images": ["1.png"]}, preference={"chosen": "a", "rejected": "b", "rejected_media": {"images": ["gone_too.png"]}}),
    )
    return folder


def run(*paths: Path, cache: MediaCache | None = None, **options: object) -> MediaCheck:
    made = Options(**{"limits": LIMITS, "workers": 2, "deadline_s": 60.0, **options})
    return check_media(list(paths), cache or MediaCache(None), made, lambda what, number, total: None)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a worker takes longer than what these tests look at."""
    monkeypatch.setattr(media_check, "in_workers", lambda function, tasks, options, done: (function(*task) for task in tasks))


@pytest.fixture(scope="module")
def checked(media_dir: Path) -> MediaCheck:
    return run(media_dir / "records.jsonl")


def test_every_finding_by_hand(checked: MediaCheck) -> None:
    found = {(one.place.use.path, one.place.use.role): (one.reason, one.is_fault, one.record) for one in checked.findings}
    assert found == {
        ("0.png", "picture"): ("box", False, "box"),
        ("absent.png", "picture"): ("missing", True, "gone"),
        ("empty.png", "picture"): ("zero bytes", True, "empty"),
        ("lfs.mp4", "clip"): ("LFS pointer", True, "pointer"),
        ("silent.mp4", "clip"): ("silent sound track", False, "silent track"),
        ("silent.mp4", "sound track"): ("silent", True, "silent track"),
        ("mute.mp4", "sound track"): ("no sound", True, "mute"),
        ("zeros.wav", "sound"): ("silent", True, "zeros"),
        ("short.wav", "sound"): ("too short", True, "short"),
        ("loud.wav", "sound"): ("clipped", False, "loud"),
        ("really_flac.wav", "sound"): ("extension", False, "flac"),
        ("integers.wav", "sound"): ("not scaled", True, "integers"),
        ("nan.wav", "sound"): ("not finite", True, "nan"),
        ("really_png.jpg", "picture"): ("extension", False, "png"),
        ("2.png", "frame"): ("frame size", True, "frames"),
        ("gone_too.png", "picture"): ("missing", True, "rejected"),
    }
    assert len(checked.findings) == len(found)


def test_records_are_counted_by_whether_training_reads_them(checked: MediaCheck) -> None:
    (records,) = checked.records
    assert (records.num_records, records.num_readable) == (19, 8)  # good, text, box, heard, seen only, loud, flac, png


def test_a_summary_by_hand(checked: MediaCheck) -> None:
    found = summary(checked)
    clip, sound = found["roles"]["clip"], found["roles"]["sound"]
    assert (clip["num_files"], clip["num_readable"], clip["num_with_sound"], clip["num_heard"]) == (4, 3, 2, 1)
    assert clip["measures"]["seconds"] == {"n": 3, "min": 1.0, "p5": 1.0, "median": 1.0, "p95": 1.0, "max": 1.0}
    assert clip["values"]["size"] == {"num_different": 1, "most": [["64 x 48", 3]]}
    assert (sound["num_files"], sound["num_readable"]) == (7, 3)
    loudness = sound["measures"]["loudness, dBFS"]
    assert (loudness["n"], loudness["min"]) == (3, pytest.approx(-9.03, abs=0.01))  # 20 log10(0.5 / sqrt 2)
    assert sound["values"]["sample rate"]["most"] == [[16000, 3]]
    assert decibels(1.0) == 0 and decibels(0.1) == pytest.approx(-20)
    assert sum(role["num_files"] for role in found["roles"].values()) == len(found["files"])
    json.dumps(found, allow_nan=False)


def test_the_number_of_workers_changes_nothing(checked: MediaCheck, media_dir: Path) -> None:
    assert json.dumps(summary(run(media_dir / "records.jsonl", workers=1))) == json.dumps(summary(checked))


def test_limits_are_those_of_the_recipe(in_this_process: None, media_dir: Path) -> None:
    named = [{"video": "heard.mp4", "audio_in_video": True}, {"images": ["0.png"]}, {"audio": "tone.wav"},
             {"frames": ["0.png", "1.png"], "frames_fps": 2.0}]  # fmt: skip
    path = write_records(media_dir / "long.jsonl", *(row(str(number), media=media) for number, media in enumerate(named)))
    reasons = [one.reason for one in run(path, limits=MediaSettings(max_seconds=0.9)).findings if one.is_fault]
    assert reasons == ["too long"] * 4  # the clip, its sound track, the sound, and two frames at two a second
    reasons = [one.reason for one in run(path, limits=MediaSettings(max_megabytes=0.02)).findings if one.is_fault]
    assert reasons == ["too large"]  # the sound: 16 000 samples of 2 bytes


# Workers.


def test_what_crashes_or_hangs_a_worker_is_a_finding_and_the_rest_goes_on() -> None:
    tasks, options = [(os._exit, 3), (time.sleep, 60), (abs, -1)], Options(LIMITS, workers=2, deadline_s=1.5)
    crashed, hung, fine = in_workers(_apply, tasks, options, lambda number: None)
    assert isinstance(crashed, Found) and crashed.reason == "crashed the decoder" and "exit code 3" in crashed.problem
    assert isinstance(hung, Found) and hung.reason == "took too long" and "1.5 s" in hung.problem
    assert fine == 1


def _apply(function, argument):
    return function(argument)


def test_results_come_in_the_order_of_the_tasks() -> None:
    done = []
    tasks = [(_late, number) for number in range(4)]
    assert list(in_workers(_apply, tasks, Options(LIMITS, workers=2), done.append)) == [0, 1, 2, 3]
    assert done == [1, 2, 3, 4]


def _late(number: int) -> int:
    time.sleep(0.1 if number == 0 else 0)
    return number


# The cache.


def test_a_second_run_looks_at_nothing(in_this_process: None, media_dir: Path, checked: MediaCheck, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "media.jsonl"
    first = run(media_dir / "records.jsonl", cache=MediaCache(path), workers=1)
    again = run(media_dir / "records.jsonl", cache=MediaCache(path), workers=1)
    assert (first.num_cached, again.num_cached, again.num_looked) == (0, first.num_looked - 4, first.num_looked)  # 4 cannot be read at all
    assert again.findings == first.findings == checked.findings and again.files == first.files


def test_a_file_is_known_by_its_bytes_wherever_it_lies(in_this_process: None, tmp_path: Path) -> None:
    cache = tmp_path / "media.jsonl"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        face(0).save(tmp_path / name / f"{name}.png")
    paths = [write_records(tmp_path / name / "a.jsonl", row("a", media={"images": [f"{name}.png"]})) for name in ("one", "two")]
    assert run(paths[0], cache=MediaCache(cache)).num_cached == 0
    assert run(paths[1], cache=MediaCache(cache)).num_cached == 1
    assert MediaCache(cache).digest(tmp_path / "two" / "two.png"), "and needs no hash the next time"


def test_a_file_that_changes_is_looked_at_again(in_this_process: None, tmp_path: Path) -> None:
    cache, picture = tmp_path / "media.jsonl", tmp_path / "a.png"
    face(0).save(picture)
    records = write_records(tmp_path / "a.jsonl", row("a", media={"images": ["a.png"]}))
    run(records, cache=MediaCache(cache))
    content = picture.read_bytes()
    picture.write_bytes(content[: len(content) // 2])
    assert [one.reason for one in run(records, cache=MediaCache(cache)).findings] == ["truncated"]


def looked(digest: str) -> Looked:
    return Looked(digest, 3, 4, Found(width=5, height=6))


def test_a_cache_that_was_cut_loses_a_line_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    cache = MediaCache(path)
    for name in "abc":
        cache.add(tmp_path / name, "picture", looked(name))
    cache.write()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b'"sha256": "c"') + 20] + b"\xff")  # in the middle of the line of c's content
    cut = MediaCache(path)
    assert [cut.found(name, "picture") is not None for name in "abc"] == [True, True, False]
    cut.add(tmp_path / "c", "picture", looked("c"))
    cut.write()
    assert MediaCache(path).found("c", "picture") == Found(width=5, height=6)


def test_a_cache_leaves_out_what_is_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    cache = MediaCache(path)
    cache.add(tmp_path / "a", "picture", looked("a"))
    cache.write()
    old = path.read_text().replace('"made_by": "', '"made_by": "0')
    path.write_text(old + '[]\n{}\n{"path": "b"}\n{"sha256": "b", "look": "picture", "made_by": 1}\n')
    assert MediaCache(path).is_empty
    path.write_text(old.replace('"made_by": "0', '"made_by": "').replace('"width"', '"breadth"'))
    assert MediaCache(path).is_empty


def test_what_names_its_file_or_depends_on_the_moment_is_not_kept(tmp_path: Path) -> None:
    cache = MediaCache(None)
    cache.add(tmp_path / "a.ts", "clip", Looked("x", 1, 1, Found(problem="mend it: ffmpeg -i a.ts a.mp4")))
    cache.add(tmp_path / "b.ts", "clip", Looked(None, 1, 1, Found(problem="took longer than 3 s")))
    assert cache.is_empty


def test_a_cache_that_cannot_be_used_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Is a directory; choose another file"):
        MediaCache(tmp_path)
    (tmp_path / "file").write_text("")
    cache = MediaCache(None)
    cache.path = tmp_path / "file" / "media.jsonl"
    cache.add(tmp_path / "a", "picture", looked("a"))
    with pytest.raises(UserError, match="cannot be written"):
        cache.write()


def test_the_cache_is_in_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "emoreason" / "media.jsonl"


# The command.


def test_the_command_prints_tables_and_findings(in_this_process: None, media_dir: Path, tmp_path: Path, emoreason) -> None:
    code, out, err = emoreason("media", media_dir / "records.jsonl", "--no-cache", "--workers", 1)
    assert (code, err) == (1, "")
    assert f"fault: {media_dir}/absent.png (picture of record 'gone'): missing: no such picture" in out
    assert f"note: {media_dir}/0.png (picture of record 'box'): box: the box [10.0, 10.0, 85.0, 56.0]" in out
    assert f"{media_dir}/records.jsonl: all media of 8 of 19 records are readable" in out
    assert "0 of 18 files were known from the cache" in out


def test_the_command_ends_with_0_where_all_is_readable(faces_path: Path, tmp_path: Path, emoreason) -> None:
    code, out, _ = emoreason("media", faces_path, "--cache", tmp_path / "c.jsonl", "--workers", 1, "--json")
    found = json.loads(out)
    assert (code, found["findings"], found["roles"]["picture"]["num_readable"]) == (0, [], 4)
    code, out, _ = emoreason("media", faces_path, "--cache", tmp_path / "c.jsonl", "--json")
    assert (code, json.loads(out)["cache"]) == (0, {"num_cached": 4, "num_looked": 4})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["absent.jsonl", "gone.jsonl"], "absent.jsonl: no such file"), (["absent.jsonl", "gone.jsonl"], "gone.jsonl: no such file"),
     (["absent.jsonl", "--no-cache", "--cache", "a"], "--cache and --no-cache are both given")],
)  # fmt: skip
def test_mistakes_end_with_2(tmp_path: Path, emoreason, arguments: list[str], words: str) -> None:
    code, _, err = emoreason("media", *arguments)
    assert code == 2 and words in err


def test_a_name_that_a_terminal_would_obey_is_shown_harmless(in_this_process: None, tmp_path: Path, emoreason) -> None:
    records = write_records(tmp_path / "a.jsonl", row("a", media={"images": ["\x1b[31mred\n.png"]}))
    code, out, _ = emoreason("media", records, "--no-cache")
    assert code == 1 and "\x1b[31m" not in out and "missing" in out


def test_two_records_files_have_their_own_folders(in_this_process: None, tmp_path: Path) -> None:
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths.append(write_records(tmp_path / name / "a.jsonl", row("a", media={"images": ["a.png"]})))
    face(0).save(tmp_path / "one" / "a.png")
    check = run(*paths)
    assert [one.place for one in check.findings] == [Place(paths[1], Use("a.png", "picture"))]
    assert [one.num_readable for one in check.records] == [1, 0]
