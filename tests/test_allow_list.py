"""Which records an allow-list leaves, what it says of the others, and what it refuses to be used for."""

import json
import logging
from pathlib import Path

import pytest
from conftest import rows_of

from emoreason import allow_list
from emoreason.allow_list import changed_media, read_source, write_allow_list
from emoreason.faults import UserError
from emoreason.files import sha256, write_jsonl
from emoreason.preflight import check_recipe, data_paths, data_sources
from emoreason.recipe import DataSource
from emoreason.recipe_files import load_recipe
from emoreason.record_media import Use, media_uses
from emoreason.records import Media, Record, read_records
from emoreason.run_dir import RunDir
from emoreason.short_line import short_line


@pytest.fixture(autouse=True)
def said_anew() -> None:
    allow_list._tell.cache_clear()


def allowed_by(records_path: Path, *refused: str) -> Path:
    """An allow-list of all media of these records, the named ones refused as silent."""
    path = records_path.with_name("allowed.jsonl")
    digest = sha256(records_path)
    uses = dict.fromkeys(use for record in read_records(records_path) for use in media_uses(record))
    rows = [{"records": digest, **use._asdict(), "sha256": sha256(records_path.parent / use.path)} for use in uses]
    rows = [row | ({"refused": "silent"} if row["path"] in refused else {}) for row in rows]
    write_allow_list(path, {digest: str(records_path)}, {"max_seconds": 120.0}, rows)
    return path


def source(records_path: Path, allow: Path) -> DataSource:
    return DataSource(path=str(records_path), allow=str(allow))


def pictures(records_path: Path) -> list[str]:
    return [row["media"]["images"][0] for row in rows_of(records_path)]


def fault_of(records_path: Path, allow: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_source(source(records_path, allow))
    (fault,) = caught.value.faults
    return fault


def test_all_media_of_a_record_are_used() -> None:
    clip, other = Media(video="./a/clip.mp4", audio_in_video=True), Media(video="b.mp4", audio_in_video=True, sound_track="c.wav")
    record = Record(id="a", dataset="d", split="s", group="g", licence="l", source="s", media=clip,
                    preference={"chosen": "a", "rejected": "b", "rejected_media": other})  # fmt: skip
    assert list(media_uses(record)) == [Use("a/clip.mp4", "clip"), Use("a/clip.mp4", "sound track"), Use("b.mp4", "clip"), Use("c.wav", "sound")]
    frames = Media(images=["a.png"], frames=["b.png", "c.png"], frames_fps=1.0, audio="d.wav")
    assert [use.role for use in media_uses(record.model_copy(update={"media": frames, "preference": None}))] == ["picture", "frame", "frame", "sound"]


def test_without_a_list_all_records_are_read(faces_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    selection = read_source(DataSource(path=str(faces_path)))
    assert (len(selection.records), selection.num_all, selection.told, caplog.text) == (4, 4, "", "")


def test_records_of_refused_media_are_left_out_and_told_once(faces_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    allow = allowed_by(faces_path, *pictures(faces_path)[1:3])
    with caplog.at_level(logging.WARNING, logger="emoreason"):
        selection = read_source(source(faces_path, allow))
        read_source(source(faces_path, allow))
    assert [record.id for record in selection.records] == [rows_of(faces_path)[0]["id"], rows_of(faces_path)[3]["id"]]
    assert (selection.num_all, selection.num_left_out) == (4, {"silent": 2})
    assert caplog.messages == [f"{faces_path}: 2 of 4 records are left out, whose media {allow} refuses (silent 2)"]


def test_a_list_of_everything_leaves_nothing_out_and_says_nothing(faces_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(read_source(source(faces_path, allowed_by(faces_path))).records) == 4
    assert caplog.text == ""


def test_a_list_of_other_records_is_refused(faces_path: Path) -> None:
    allow = allowed_by(faces_path)
    before = sha256(faces_path)[:12]
    write_jsonl(faces_path, rows_of(faces_path)[:3])
    fault = fault_of(faces_path, allow)
    assert fault == (f"{allow}: was made for {faces_path} with SHA-256 {before}, not for {faces_path} with SHA-256 {sha256(faces_path)[:12]}; "
                     f"make it again: emoreason media {faces_path} --out {allow}")  # fmt: skip


def test_a_list_that_was_cut_does_not_cover_the_records(faces_path: Path) -> None:
    allow = allowed_by(faces_path)
    allow.write_text("".join(allow.read_text().splitlines(keepends=True)[:-1]))
    lacking = f"{allow}: does not cover {faces_path}: 1 media are missing from it, the first {pictures(faces_path)[3]!r}"
    assert fault_of(faces_path, allow).startswith(lacking)


def test_a_list_that_refuses_all_leaves_nothing_to_train_on(faces_path: Path) -> None:
    fault = fault_of(faces_path, allowed_by(faces_path, *pictures(faces_path)))
    assert f"refuses media of every record of {faces_path} (silent 4)" in fault


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "no such file"), ("", "no allow-list"), ('{"allow_list": 2, "made_for": {}}\n', "no allow-list of version 1"), ("{", "not JSON"),
     ('{"allow_list": 1, "made_for": []}\n', "no allow-list")],
)  # fmt: skip
def test_what_is_no_list_is_refused(faces_path: Path, tmp_path: Path, text: str | None, words: str) -> None:
    allow = tmp_path / "allow.jsonl"
    if text is not None:
        allow.write_text(text)
    assert words in fault_of(faces_path, allow)


def test_a_line_that_is_none_is_named(faces_path: Path) -> None:
    allow = allowed_by(faces_path)
    with allow.open("a") as file:
        file.write(json.dumps({"records": "a", "path": 3}) + "\n")
    assert f"{allow}:6: no line of an allow-list" in fault_of(faces_path, allow)


def test_a_picture_that_changed_since_is_found(faces_path: Path) -> None:
    selection = read_source(source(faces_path, allowed_by(faces_path)))
    assert changed_media(selection) == []
    changed = faces_path.parent / pictures(faces_path)[2]
    changed.write_bytes((faces_path.parent / pictures(faces_path)[1]).read_bytes())
    (fault,) = changed_media(selection)
    assert fault.startswith(f"{changed}: is another file than the one that ")


# Where recipes read.


TRAIN = Path("recipes/tiny/data/train.jsonl")


def test_check_leaves_the_same_records_out(tiny_dir: Path, emoreason, caplog: pytest.LogCaptureFixture) -> None:
    broken = TRAIN.parent / pictures(TRAIN)[0]
    broken.write_bytes(b"")
    recipe_path = tiny_dir / "stage3_grpo.yaml"
    override = f"data=[{{path: {TRAIN}, allow: allowed.jsonl}}]"
    assert any("the file is empty" in fault for fault in check_recipe(recipe_path, load_recipe(recipe_path)))
    code, out, _ = emoreason("media", TRAIN, "--out", "allowed.jsonl", "--no-cache", "--workers", 1)
    assert code == 1 and "wrote allowed.jsonl" in out
    recipe = load_recipe(recipe_path, [override])
    assert check_recipe(recipe_path, recipe) == []
    assert [one.model_dump() for one in data_sources(recipe)] == [{"path": str(TRAIN), "weight": 1.0, "allow": "allowed.jsonl"}]
    text = recipe_path.read_text()
    recipe_path.write_text(text.replace(f"path: {TRAIN}", f"path: {TRAIN}, allow: allowed.jsonl"))
    allow_list._tell.cache_clear()
    caplog.clear()
    emoreason("check", recipe_path)
    assert caplog.messages == [f"{TRAIN}: 1 of 4 records are left out, whose media allowed.jsonl refuses (zero bytes 1)"]


def test_check_says_what_the_list_lacks(tiny_dir: Path) -> None:
    recipe_path = tiny_dir / "stage3_grpo.yaml"
    faults = check_recipe(recipe_path, load_recipe(recipe_path, [f"data=[{{path: {TRAIN}, allow: absent.jsonl}}]"]))
    assert any(fault.startswith("absent.jsonl: no such file") for fault in faults)
    allowed_by(TRAIN)
    write_jsonl(TRAIN, rows_of(TRAIN)[:2])
    faults = check_recipe(recipe_path, load_recipe(recipe_path, [f"data=[{{path: {TRAIN}, allow: {TRAIN.with_name('allowed.jsonl')}}}]"]))
    assert any("was made for" in fault and "make it again" in fault for fault in faults)


def test_a_run_does_not_go_on_under_another_list(tiny_dir: Path) -> None:
    allow = allowed_by(TRAIN)
    recipe = load_recipe(tiny_dir / "stage3_grpo.yaml", [f"data=[{{path: {TRAIN}, allow: {allow}}}]"])
    run_dir = RunDir(recipe.output_dir)
    assert run_dir.begin(recipe.model_dump(), data_paths(recipe), None)
    assert run_dir.begin(recipe.model_dump(), data_paths(recipe), None)
    allowed_by(TRAIN, pictures(TRAIN)[0])
    with pytest.raises(UserError, match=f"holds another run \\(allow {allow}: "):
        run_dir.begin(recipe.model_dump(), data_paths(recipe), None)


def test_a_short_line_takes_allowed_records_alone(tiny_dir: Path, tmp_path: Path) -> None:
    allow = allowed_by(TRAIN, pictures(TRAIN)[0])
    recipe_path = tiny_dir / "stage1_sft.yaml"
    recipe_path.write_text(recipe_path.read_text().replace(f"path: {TRAIN}", f"path: {TRAIN}, allow: {allow}"))
    (tmp_path / "short").mkdir()
    sft = next(recipe for recipe in short_line(tiny_dir, tmp_path / "short") if recipe.stage == "sft")
    short = next(one for one in sft.data if one.path.endswith("/train.jsonl"))
    assert short.allow is None
    assert [row["id"] for row in rows_of(Path(short.path))] == [row["id"] for row in rows_of(TRAIN)[1:]]
