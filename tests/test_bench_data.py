"""Conversions are timed on rows that are all kept, by the scripts themselves."""

import json
from pathlib import Path

import pytest

from emoreason import bench_data
from emoreason.faults import UserError

SCRIPTS = Path(__file__).parents[1] / "data_prep"


def test_every_sample_is_converted_whole() -> None:
    told = []
    found = bench_data.measure(120, SCRIPTS, told.append)
    assert [(row["data_set"], row["kind"], row["rows"]) for row in found] == [("meld", "CSV", 120), ("vecbench", "JSON Lines", 120)]
    for row in found:
        assert row["rows_per_second"] == pytest.approx(120 / row["seconds"], rel=0.02) and row["peak_mb"] > 10
        assert 0 < row["reached"] < 1
    assert told[0] == "meld: making 120 rows"


def test_clips_are_links_to_few_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_data, "LINKS_TO_A_FILE", 3)
    bench_data._make_meld(tmp_path, 7)
    assert len({path.stat().st_ino for path in (tmp_path / "train_splits").iterdir()}) == 3


def test_a_script_that_drops_rows_or_fails_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no such script"):
        bench_data.measure(5, tmp_path)
    for name, code in (("meld", "import sys; sys.exit('broken')"), ("vecbench", "")):
        (tmp_path / f"{name}.py").write_text(code)
    with pytest.raises(UserError, match=r"ended with 1: broken"):
        bench_data.measure(5, tmp_path)
    (tmp_path / "meld.py").write_text("import json, pathlib, sys\nout = pathlib.Path(sys.argv[2])\nout.mkdir()\n"
                                      "(out / 'conversion.json').write_text(json.dumps({'rows_kept': 4}))\n")  # fmt: skip
    with pytest.raises(UserError, match="kept 4 of 5 rows"):
        bench_data.measure(5, tmp_path)


def test_the_command_prints_a_table_or_json(emoreason) -> None:
    code, out, _ = emoreason("bench", "data", "--rows", "30", "--scripts", str(SCRIPTS), "--json")
    assert code == 0 and [row["rows"] for row in json.loads(out)] == [30, 30]
    code, out, _ = emoreason("bench", "data", "--rows", "30", "--scripts", str(SCRIPTS))
    assert code == 0 and "vecbench (JSON Lines)" in out
