"""The table of metrics: one run with its intervals, several with mean and range."""

from pathlib import Path

import pytest

from emoreason.faults import UserError
from emoreason.files import write_json
from emoreason.report import metrics_table, stage_paths


def evaluated(root: Path, accuracy: float) -> Path:
    metrics = {"accuracy": {"value": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1, "n": 9}}
    write_json(root / "stage1_sft" / "eval" / "heldout.json", {"metrics": metrics, "n": 9, "unparsed": 0})
    return root


def test_one_run_shows_value_and_interval(tmp_path: Path) -> None:
    table = metrics_table(stage_paths([evaluated(tmp_path / "a", 0.5)]), markdown=True)
    assert table.splitlines()[2].startswith("| stage1_sft | heldout | 1 | 9 | 0.50 [0.40, 0.60] | - |")


def test_runs_of_one_stage_are_averaged(tmp_path: Path) -> None:
    roots = [evaluated(tmp_path / name, accuracy) for name, accuracy in (("a", 0.5), ("b", 0.6), ("c", 0.85))]
    table = metrics_table(stage_paths(roots), markdown=True)
    assert "| stage1_sft | heldout | 3 | 9 | 0.650 (0.50 to 0.85) |" in table  # (0.5 + 0.6 + 0.85) / 3
    assert "0.650 (0.50 to" in metrics_table(stage_paths(roots)).replace("\n", " ")


def test_a_folder_without_evaluations_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no evaluated run below it"):
        stage_paths([tmp_path])
