"""`emoreason bench scale` runs the same update in one process and in two."""

from pathlib import Path

import pytest
from conftest import run_emoreason

from emoreason import bench_scale

pytestmark = pytest.mark.slow


def test_one_process_is_the_measure_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.setattr(bench_scale, "CASES", bench_scale.CASES[:2])
    one, two = bench_scale.measure(Path("recipes/tiny"))
    assert (one["processes"], one["scaling"], one["share"]) == (1, 1.0, 1.0)
    assert two["processes"] == 2 and two["scaling"] == pytest.approx(one["seconds"] / two["seconds"])
    assert two["share"] == pytest.approx(two["scaling"] / 2)


def test_its_help_says_what_is_measured(tmp_path: Path) -> None:
    said = run_emoreason(tmp_path, "bench", "scale", "--help").stdout
    assert "16 rows a step" in said and "nothing of GPUs" in said
