"""Files are whole or absent, and a broken one is named with its line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emoreason.faults import UserError
from emoreason.files import append_jsonl, read_json, read_jsonl, sha256, whole_rows, write_json, write_jsonl, write_text

WRITE_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from emoreason.files import write_text

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
write_text(Path(sys.argv[1]), "new" * 100_000)
"""


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_write_that_runs_out_of_space_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the file size fails in the middle of a write, as a full disk does."""
    path = tmp_path / "run.json"
    path.write_text("old")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITE_UNDER_A_LIMIT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert f"UserError: {path}: cannot be written: File too large; free some space or choose another output folder" in done.stderr
    assert path.read_text() == "old"
    assert files_below(tmp_path) == ["run.json"], "the half-written file is gone"


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match=r"taken/run.json: cannot be written"):
        write_text(tmp_path / "taken" / "run.json", "new")
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_folder_in_place_of_the_file_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(UserError, match=r"run.json: cannot be written"):
        write_text(tmp_path / "run.json", "new")
    assert files_below(tmp_path) == ["run.json"]


def test_text_that_utf8_cannot_hold_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "run.json", "lone surrogate \ud83d")
    assert (tmp_path / "run.json").read_text() == "old"
    assert files_below(tmp_path) == ["run.json"]


def test_a_write_makes_its_folder_and_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "run.txt"
    write_text(path, "old")
    write_text(path, "new 😀")
    assert path.read_text(encoding="utf-8") == "new 😀"
    assert path.stat().st_mode & 0o777 == 0o644, "others may read it, unlike a plain temporary file"
    assert files_below(path.parent) == ["run.txt"]


def test_a_write_swaps_files_of_one_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the old file open reads it to its end, and the folder for temporary files, often another disk, is not used."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    path = tmp_path / "run.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_what_json_has_no_word_for(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": number})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_jsonl(tmp_path / "a.jsonl", [{"loss": 1.0}, {"loss": number}])
    assert files_below(tmp_path) == []


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"word": "Trübsal 😀", "numbers": [1, 0.1, None]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "Trübsal 😀" in (tmp_path / "a.json").read_text(encoding="utf-8"), "people read these files"


def test_unreadable_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1,}')
    with pytest.raises(UserError, match=r"a.json: not JSON: .* line 1 column"):
        read_json(tmp_path / "a.json")
    (tmp_path / "b.json").write_bytes(b'"\xff"')
    with pytest.raises(UserError, match=r"b.json: not JSON: .*utf-8"):
        read_json(tmp_path / "b.json")
    with pytest.raises(UserError, match=r"c.json: no such file"):
        read_json(tmp_path / "c.json")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_json(tmp_path)


def test_jsonl_round_trip(tmp_path: Path) -> None:
    rows = [{"text": "one\nline \u2028 each"}, {"text": "😀"}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    append_jsonl(tmp_path / "a.jsonl", {"text": "three"})
    faults: list[str] = []
    assert list(read_jsonl(tmp_path / "a.jsonl", faults)) == [(1, rows[0]), (2, rows[1]), (3, {"text": "three"})]
    assert faults == []


def test_append_starts_a_file_and_its_folder(tmp_path: Path) -> None:
    append_jsonl(tmp_path / "new" / "a.jsonl", {"a": 1})
    assert (tmp_path / "new" / "a.jsonl").read_text() == '{"a": 1}\n'


def test_jsonl_lines_keep_their_numbers_past_blank_and_broken_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": \r\n[2]\n{"a": 3}')
    faults: list[str] = []
    assert list(read_jsonl(path, faults)) == [(1, {"a": 1}), (5, {"a": 3})]
    assert len(faults) == 2
    assert faults[0].startswith(f"{path}:3: not JSON: Expecting value at column ")
    assert faults[1] == f"{path}:4: a list where a JSON object is expected"


def test_jsonl_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(b'{"a": "\xff"}')
    faults: list[str] = []
    for path in (tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path):
        assert list(read_jsonl(path, faults)) == []
    assert [fault.partition(": ")[2][:12] for fault in faults] == ["no such file", "not UTF-8 te", "cannot be re"]


def test_sha256_of_a_known_content(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    write_json(tmp_path / "same.json", {"a": 1})
    write_json(tmp_path / "again.json", json.loads((tmp_path / "same.json").read_text()))
    assert sha256(tmp_path / "same.json") == sha256(tmp_path / "again.json")


def test_a_line_that_was_cut_off_is_left_out_wherever_the_cut_is() -> None:
    """Also behind an inner brace, where the end of the line looks whole, and within a letter."""
    row = {"step": 1, "rewards": {"format": 1.0}, "completion": "é"}
    line = json.dumps(row, ensure_ascii=False).encode()
    for cut in range(len(line)):
        assert whole_rows(line + b"\n" + line[:cut] + b"\n" + line) == [row, row], line[:cut]
        assert whole_rows(line + b"\n" + line[:cut]) == [row]
    assert whole_rows(b"") == []


def test_rows_stream_and_what_is_no_object_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n[2]\n' + b"[" * 100_000 + b'\n{"a": 3}')
    faults, lengths = [], []
    assert list(read_jsonl(path, faults, lengths.append)) == [(1, {"a": 1}), (5, {"a": 3})]
    assert faults == [f"{path}:3: a list where a JSON object is expected", f"{path}:4: JSON that is nested too deeply"]
    assert sum(lengths) == path.stat().st_size - 3
    path.write_bytes(b'{"a": 1}\n' * 10_000 + b"\xff\n")
    assert len(list(read_jsonl(path, faults))) > 1000 and "not UTF-8 text" in faults[-1]
