"""Leaks between two records files, one kind at a time, and what looks like one and is none."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import TINY, copy_records, rows_of
from encoded_media import RATE, speech
from media_samples import face
from PIL import Image

from emoreason.faults import UserError
from emoreason.files import write_jsonl
from emoreason.leaks.report import Comparison, check_outputs, compare, write_clean, write_report
from emoreason.leaks.search import Found, Search

LONG = "Where did you put the keys to the house?"


def row(name: str, group: str | None = None, dataset: str = "made", **fields) -> dict:
    return {"id": name, "dataset": dataset, "split": "s", "group": group or name, "licence": "CC0-1.0", "source": "drawn"} | fields


def found_between(folder: Path, train: list[dict], test: list[dict], search: Search | None = None, media: bool = True) -> tuple[Comparison, Found]:
    write_jsonl(folder / "train.jsonl", train)
    write_jsonl(folder / "test.jsonl", test)
    compared = compare(folder / "train.jsonl", [folder / "test.jsonl"], search or Search(), media, 1, None, lambda what, total: lambda: None)
    return compared, compared.tests[0][1]


def kinds(found: Found) -> list[tuple[str, bool, tuple[int, ...], tuple[int, ...]]]:
    return [(leak.kind, leak.certain, leak.train, leak.test) for leak in found.leaks]


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        (row("1", "a"), row("1", "b"), [("id", True)]),
        (row("1", "a"), row("1", "b", "other"), []),  # every set has a first record
        (row("caf\u00e9_1", "a"), row("cafe\u0301_1", "b"), [("id", True)]),
        (row("clip_10077", "a"), row("clip_10077", "b", "other"), [("id", False)]),
        (row("1", "a", "made/one"), row("1", "b", "made/two"), [("id", False)]),
        (row("clip_10077", "a", "made/one"), row("clip_10077", "b", "made/two"), [("id", True)]),
        (row("1", "ann"), row("2", "ann"), [("group", True)]),
        (row("1", "ann"), row("2", " ann "), [("group", True)]),
        (row("1", "ann"), row("2", "ann", "other"), []),
        (row("1", "spk_00042"), row("2", "spk_00042", "other"), [("group", False)]),
        (row("1", "actor_12", "ravdess"), row("2", "actor_12", "crema_d"), []),
        (row("1", "unknown"), row("2", "unknown"), []),
        (row("train/clip_12345", "a"), row("test/clip_0012345.mp4", "b"), [("alike_id", False)]),
        (row("train_dia1_utt2", "a", "meld"), row("test_dia1_utt2", "b", "meld"), []),
        (row("train/1", "a"), row("test/1", "b"), []),
        (row("0001", "a"), row("1", "b"), [("alike_id", False)]),
        (row("sample_00000021", "a", "mer2023"), row("x/sample_00000021.mp4", "b", "emer"), [("clip_id", True)]),
        (row("awe_00012", "a", "emoset"), row("1", "b", "mvei", media={"images": ["emoset/awe_00012.jpg"]}), [("clip_id", True)]),
        (row("awe_00012", "a", "emoset"), row("1", "b", "my_photos", media={"images": ["awe_00012.jpg"]}), [("clip_id", False)]),
        (row("7", "a", "dfew", media={"video": "part_1/7.mp4"}), row("q", "b", "emorealm", media={"video": "part_1/7.mp4"}), [("clip_id", True)]),
        (row("1", "a", text=LONG), row("2", "b", text="where DID you put... the keys to the house"), [("text_record", True)]),
        (row("1", "a", text="Yeah."), row("2", "b", text="yeah"), []),
        (row("1", "a", text="我真的不知道该怎么办"), row("2", "b", text="我真的不知道该怎么办！"), [("text_record", True)]),
        (row("1", "a", text="我真的很开心"), row("2", "b", text="我真的很开心"), []),
    ],
)
def test_names_and_texts(tmp_path: Path, train: dict, test: dict, expected: list) -> None:
    _, found = found_between(tmp_path, [row("other"), train], [row("another"), row("more"), test], media=False)
    assert kinds(found) == [(kind, certain, (1,), (2,)) for kind, certain in expected]


def test_a_transcript_of_clips_is_likely_and_a_script_that_all_say_is_none(tmp_path: Path) -> None:
    said = [row(str(number), f"speaker{number}", text=LONG, media={"audio": f"{number}.wav"}) for number in range(6)]
    _, found = found_between(tmp_path, said[:1], said[1:3], media=False)
    assert kinds(found) == [("text", False, (0,), (0, 1))]
    _, found = found_between(tmp_path, said[:3], said[3:], media=False)
    assert found.leaks == [] and found.left_out == {"transcripts that more than 2 groups of one side say, and both sides have": 1}
    _, found = found_between(tmp_path, [row("1", text="Yeah!")], [row("2", text="yeah")], media=False)
    assert found.left_out == {"transcripts of fewer than 24 letters that both sides have": 1}


def save(picture: Image.Image, path: Path, **options) -> str:
    picture.save(path, **options)
    return path.name


def test_pictures_by_bytes_and_by_looks(tmp_path: Path) -> None:
    one = face(0, (112, 112))
    files = {
        "a.png": one, "copy.png": one, "again.jpg": one, "small.png": one.resize((60, 60)), "other.png": face(1, (112, 112)),
        "turned.png": one.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(8, fillcolor="white"),
    }  # fmt: skip
    for name, picture in files.items():
        save(picture, tmp_path / name)
    shown = {name: row(name, media={"images": [name]}) for name in files}
    _, found = found_between(tmp_path, [shown["a.png"], shown["other.png"]], [shown[name] for name in list(files)[1:4]])
    assert kinds(found) == [("file", True, (0,), (0,)), ("picture", False, (0,), (1,)), ("picture", False, (0,), (2,))]
    _, found = found_between(tmp_path, [shown["a.png"]], [shown["other.png"], shown["turned.png"]])
    assert found.leaks == []
    _, found = found_between(tmp_path, [shown["a.png"]], [shown["copy.png"]], Search(kinds=frozenset({"picture"})))
    assert kinds(found) == [("picture", False, (0,), (0,))]


def test_what_a_worse_answer_was_shown_with_was_seen_in_training(tmp_path: Path) -> None:
    save(face(0), tmp_path / "a.png")
    save(face(1), tmp_path / "b.png")
    pair = {"chosen": "joy", "rejected": "fear", "rejected_media": {"images": ["b.png"]}}
    _, found = found_between(tmp_path, [row("1", media={"images": ["a.png"]}, preference=pair)], [row("2", media={"images": ["b.png"]})])
    assert kinds(found) == [("file", True, (0,), (0,))]


def test_one_colour_silence_and_empty_files_are_shared_by_chance_and_counted(tmp_path: Path) -> None:
    save(Image.new("RGB", (64, 64)), tmp_path / "black.png")
    (tmp_path / "empty.png").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(2 * RATE), RATE)
    soundfile.write(tmp_path / "short.wav", speech(0, 0.8), RATE)
    media = [{"images": ["black.png"]}, {"images": ["empty.png"]}, {"audio": "silent.wav"}, {"audio": "short.wav"}]
    compared, found = found_between(tmp_path, [row(f"a{place}", media=one) for place, one in enumerate(media)],
                                    [row(f"b{place}", media=one) for place, one in enumerate(media)])  # fmt: skip
    assert kinds(found) == [("file", True, (3,), (3,))]
    assert found.left_out == {"files that are empty, of one colour or silent, and that both sides have": 3}
    assert compared.summary()["media"] == {"files": 4, "constant": 1, "silent": 1, "short": 1, "no sound": 0, "damaged": 1}
    assert compared.notes()[0] == "without a fingerprint, of 4 files: 1 of one colour, 1 silent, 1 sounds of less than 1.2 s"
    assert compared.notes()[1] == (
        f"cannot be decoded, so that only its bytes are compared: {tmp_path / 'empty.png'}: the file is empty; copy or download it again"
    )


def test_sounds_and_frames(tmp_path: Path) -> None:
    voice = speech(3)
    soundfile.write(tmp_path / "a.wav", voice, RATE)
    soundfile.write(tmp_path / "quiet.ogg", voice * 0.2, RATE)
    for number in range(8):
        save(face(number // 2, (112, 112)), tmp_path / f"f{number}.png")
        save(face(number // 2, (80, 80)), tmp_path / f"g{number}.jpg")
    frames = [{"frames": [f"{name}{number}.{end}" for number in range(8)], "frames_fps": 4.0} for name, end in (("f", "png"), ("g", "jpg"))]
    _, found = found_between(tmp_path, [row("1", media={"audio": "a.wav"}), row("2", media=frames[0])],
                             [row("3", media={"audio": "quiet.ogg"}), row("4", media=frames[1])])  # fmt: skip
    assert kinds(found) == [("clip", False, (1,), (1,)), ("sound", False, (0,), (0,))]


def test_ids_that_are_alike_are_two_where_their_pictures_or_texts_differ(tmp_path: Path) -> None:
    for index in (0, 1):
        save(face(index), tmp_path / f"{index}.png")
    shown = (("train", "0.png"), ("test", "1.png"), ("val", "0.png"))
    train, *tests = [row(f"{split}/clip_54321", split, media={"images": [name]}) for split, name in shown]
    _, found = found_between(tmp_path, [train], tests)
    assert kinds(found) == [("file", True, (0,), (1,)), ("alike_id", False, (0,), (1,))]
    assert found.left_out == {"pairs of alike ids whose media or transcripts differ": 1}
    told = [row(f"{split}/clip_54321", split, text=text) for split, text in (("train", "Good morning."), ("test", "Good night."))]
    assert found_between(tmp_path, told[:1], told[1:], media=False)[1].leaks == []


def test_drawn_faces_of_other_emoji_are_no_leak(tmp_path: Path) -> None:
    """The tiny set's training faces beside those that it holds out: one drawing is another's but for an eye."""
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("train", "heldout_emoji")}
    for name, path in paths.items():
        copy_records(rows_of(TINY / "data" / f"{name}.jsonl"), TINY / "data", path)
    compared = compare(paths["train"], [paths["heldout_emoji"]], Search(), True, 1, None, lambda what, total: lambda: None)
    (leak,) = compared.tests[0][1].leaks
    assert (leak.kind, leak.certain) == ("picture", False)
    assert [next(compared.rows())[side][0]["id"] for side in ("train", "test")] == ["streamline-emojis/1f61b", "streamline-emojis/1f61c"]


def test_every_leak_is_written_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("")
    train, test = [row("1", "a"), row("2", "b"), row("3", "b")], [row("4", "b"), row("3", "c")]
    compared, _ = found_between(tmp_path, train, test, media=False)
    path = tmp_path / "test.jsonl"
    path.write_text("\n" + path.read_text())  # lines are those of the file, empty ones included
    compared = compare(tmp_path / "train.jsonl", [path], Search(), False, 1, None, lambda what, total: lambda: None)
    write_report(compared, tmp_path / "leaks.jsonl")
    train_file, test_file = str(tmp_path / "train.jsonl"), str(path)
    assert rows_of(tmp_path / "leaks.jsonl") == [
        {"kind": "id", "certain": True, "evidence": "3", "train": [{"file": train_file, "line": 3, "id": "3"}],
         "test": [{"file": test_file, "line": 3, "id": "3"}]},
        {"kind": "group", "certain": True, "evidence": "b",
         "train": [{"file": train_file, "line": 2, "id": "2"}, {"file": train_file, "line": 3, "id": "3"}],
         "test": [{"file": test_file, "line": 2, "id": "4"}]},
    ]  # fmt: skip
    assert list(compared.first_pairs(1))[1] == f"certain group: {train_file}:2 '2' and 1 more = {test_file}:2 '4': b"


def test_the_clean_file_holds_the_rest(tmp_path: Path) -> None:
    train = [row("1", "a"), row("train/clip_55555", "b"), row("3", "c"), row("4", "d", media={"images": ["a.png"]})]
    save(face(), tmp_path / "a.png")
    compared, _ = found_between(tmp_path, train, [row("1", "z"), row("test/clip_55555", "y")])
    counts = write_clean(compared, tmp_path / "elsewhere" / "clean.jsonl", keep_likely=False)
    assert counts == {"file": str(tmp_path / "elsewhere" / "clean.jsonl"), "num_records": 4, "num_kept": 2, "num_dropped": 2,
                      "num_certain": 1, "num_likely": 1}  # fmt: skip
    kept = rows_of(tmp_path / "elsewhere" / "clean.jsonl")
    assert [one["id"] for one in kept] == ["3", "4"]
    assert (tmp_path / "elsewhere" / kept[1]["media"]["images"][0]).is_file()
    assert write_clean(compared, tmp_path / "certain.jsonl", keep_likely=True)["num_kept"] == 3
    compared, _ = found_between(tmp_path, train[:1], [row("1")], media=False)
    with pytest.raises(UserError, match=r"every record of .*train\.jsonl leaks; none is left to write"):
        write_clean(compared, tmp_path / "none.jsonl", keep_likely=False)
    assert not (tmp_path / "none.jsonl").exists()


def test_known_overlaps_are_told_by_the_records_datasets(tmp_path: Path) -> None:
    compared, _ = found_between(tmp_path, [row("1", dataset="mer2023")], [row("2", "x", "emer"), row("3", "y", "meld")], media=False)
    assert [(one["train"], one["test"]) for one in compared.summary()["known_overlaps"]] == [("mer2023", "emer")]


def test_what_is_refused(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.jsonl" for name in ("a", "b", "c")]
    paths[2].write_text("x")
    with pytest.raises(UserError, match=r"a\.jsonl: is given twice"):
        check_outputs(paths[0], [tmp_path / "." / "a.jsonl"], None, None)
    with pytest.raises(UserError, match=r"b\.jsonl: is one of the files that are compared"):
        check_outputs(paths[0], [paths[1]], paths[1], None)
    with pytest.raises(UserError, match=r"c\.jsonl: is there already"):
        check_outputs(paths[0], [paths[1]], None, paths[2])
    with pytest.raises(UserError, match="--out and --write-clean are one file"):
        check_outputs(paths[0], [paths[1]], tmp_path / "d", tmp_path / "d")
    with pytest.raises(UserError) as error:
        found_between(tmp_path, [row("1", media={"images": ["gone.png"]})], [row("2")])
    assert error.value.faults[0] == f"{tmp_path / 'gone.png'}: no such file" and "--no-media" in error.value.faults[1]


def test_on_the_command_line(tmp_path: Path, emoreason) -> None:
    save(face(0), tmp_path / "a.png")
    save(face(0), tmp_path / "a.jpg")
    write_jsonl(tmp_path / "train.jsonl", [row("1", "[bold]", media={"images": ["a.png"]}), row("2")])
    write_jsonl(tmp_path / "likely.jsonl", [row("3", media={"images": ["a.jpg"]})])
    write_jsonl(tmp_path / "certain.jsonl", [row("4", "[bold]")])
    paths = [tmp_path / f"{name}.jsonl" for name in ("train", "likely", "certain")]
    cache = ("--cache", tmp_path / "cache")
    code, out, _ = emoreason("leaks", *paths[:2], *cache)
    assert code == 0 and "pictures alike" in out and "likely picture: " in out
    assert emoreason("leaks", *paths[:2], *cache, "--strict")[0] == 1
    assert emoreason("leaks", *paths[:2], *cache, "--strict", "--skip", "picture")[0] == 0
    code, out, _ = emoreason("leaks", *paths, *cache, "--json", "--out", tmp_path / "leaks.jsonl", "--write-clean", tmp_path / "clean.jsonl")
    summary = json.loads(out)
    assert code == 1 and (summary["num_certain"], summary["num_likely"]) == (1, 1)
    assert summary["clean"]["num_kept"] == 1 and len(rows_of(tmp_path / "leaks.jsonl")) == 2
    assert Counter(one["kind"] for one in rows_of(tmp_path / "leaks.jsonl")) == {"picture": 1, "group": 1}
    code, out, _ = emoreason("leaks", paths[0], paths[2], "--no-media")
    assert code == 1 and "'1' = " in out and out.count("[bold]") == 1
    code, _, err = emoreason("leaks", *paths[:2], "--skip", "pictur")
    assert code == 2 and "--skip pictur: no kind of leak; did you mean 'picture'?" in err
    for where in ("--write-clean", "--out"):
        code, _, err = emoreason("leaks", paths[0], paths[2], "--no-media", where, "/proc/absent/a.jsonl")
        assert code == 2 and "error: /proc/absent/" in err
    assert emoreason("leaks", paths[0], tmp_path / "absent.jsonl")[0] == 2
