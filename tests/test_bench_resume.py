"""The trials of `emoreason bench resume` really kill, really compare, and find what was lost."""

from pathlib import Path

import pytest

from emoreason import bench_resume
from emoreason.bench_resume import MOMENTS, measure
from emoreason.faults import UserError

pytestmark = pytest.mark.slow
TINY = Path(__file__).parents[1] / "recipes" / "tiny"


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TINY.parents[1])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_grpo_with_adapters_survives_each_kind_of_moment(checkout) -> None:
    (row,) = measure(Path("recipes/tiny"), trials=5, seed=1, only="grpo_lora")
    assert row["lost"] == [] and (row["stage"], row["trials"], row["survived"]) == ("grpo_lora", 5, 5)
    assert set(row["moments"]) <= set(MOMENTS) and len(row["moments"]) == 5
    assert row["checkpoint_seconds"] > 0 and 0 < row["checkpoint_share"] < 1 and row["checkpoint_megabytes"] > 1
    assert row["seconds_to_make_room"] > 0


def test_sft_with_adapters_begins_alike_whatever_was_done_before_in_the_process(checkout) -> None:
    """Its first run also builds the base model, which draws random numbers, too."""
    (row,) = measure(Path("recipes/tiny"), trials=1, only="sft_lora")
    assert row["lost"] == []


def test_a_run_that_differs_does_not_survive(tmp_path: Path) -> None:
    (tmp_path / "one/checkpoint").mkdir(parents=True)
    (tmp_path / "other/checkpoint").mkdir(parents=True)
    (tmp_path / "one/metrics.jsonl").write_text('{"step": 1, "loss": 0.5, "step_time": 1.0}\n{"step": 2, "loss": 0.25}\n')
    (tmp_path / "other/metrics.jsonl").write_text('{"step": 1, "loss": 0.5, "step_time": 2.0}\n{"step": 2, "loss": 0.26}\n')
    (found,) = bench_resume._differences(tmp_path / "one", tmp_path / "other")
    assert found.startswith("metrics.jsonl: row 1: ") and "0.26" in found


def test_a_stage_that_is_not_there_is_named(checkout) -> None:
    with pytest.raises(UserError, match="--stage grpo_full: accepted: sft, confidence, dpo_lora, grpo_lora, sft_lora, confidence_lora, dpo, grpo"):
        measure(Path("recipes/tiny"), trials=1, only="grpo_full")
