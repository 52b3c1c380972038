"""What the numbers of the bench mean, by hand and on a real trainer; what needs vLLM is in tests/vllm."""

import importlib.util
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from emoreason import bench_rollouts, cli
from emoreason.bench_rollouts import GRID, PARTS, QUICK_GRID, SIDES, STEP, Batch, Bench, Stopwatch, draw, rollout_row, step_row, sync_row
from emoreason.files import read_jsonl

OURS = SIDES["transformers"]
SMALL = Batch(86, 6, num_prompts=1, group_size=4)
SLOW_REWARD = """import time

def slow_reward(completions, **kwargs):
    time.sleep(0.3)
    return [float(index) for index in range(len(completions))]
"""


def lap(**seconds: float) -> dict[str, float]:
    return dict.fromkeys(PARTS, 0.0) | seconds


FOUND = {
    "vllm": "0.29.0", "num_threads": 2,
    "rollouts": [{"prompt_tokens": 150, "completion_tokens": 64, "vllm_tokens_per_second": 3000.0, "transformers_tokens_per_second": 1200.0,
                  "ratio": 2.5}],
    "syncs": [{"handed_over": "vllm, all weights", "num_tensors": 81, "sync_seconds": 0.25, "canary_seconds": 0.125}],
    "steps": [step_row("transformers", [lap(generation=3.0, rest=1.0)]), step_row("vllm, all weights", [lap(generation=1.0, sync=0.5, rest=0.5)])],
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("bench"))
    made.build([SMALL], num_draws=2)
    return made


@pytest.fixture
def started(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The bench, with transformers as the engine of this process."""
    monkeypatch.setattr(bench_rollouts, "_engines", [])
    assert bench_rollouts._start(bench, OURS) == torch.get_num_threads()
    yield bench


def test_time_inside_another_part_counts_for_the_inner_one_alone() -> None:
    ticks = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0, 21.0])
    watch = Stopwatch(lambda: next(ticks))  # starts at 0
    with watch.part("loss_and_backward"), watch.part("generation"):  # at 1, and at 3 until 6
        pass
    watch.lap()  # the outer part ends at 10, the lap at 15
    watch.lap()  # at 21
    assert watch.laps == [lap(rest=1.0 + 5.0, loss_and_backward=2.0 + 4.0, generation=3.0), lap(rest=6.0)]


def test_a_part_that_raises_ends_and_a_new_start_drops_what_was() -> None:
    ticks = iter([0.0, 1.0, 2.0, 10.0, 14.0])
    watch = Stopwatch(lambda: next(ticks))
    with pytest.raises(KeyError), watch.part("rewards"):
        raise KeyError
    watch.restart()
    watch.lap()
    assert watch.laps == [lap(rest=4.0)]


def test_the_step_of_median_length_its_shares_and_its_limit() -> None:
    median = lap(generation=2.0, sync=0.5, canary=0.5, log_probs=1.0, loss_and_backward=3.0, rest=1.0)
    row = step_row("vllm", [lap(rest=90.0), median, lap(rest=1.0)])
    assert (row["seconds"], row["limit_seconds"], row["limit_ratio"]) == (8.0, 5.0, 0.625)
    assert row["shares"] == lap(generation=0.25, sync=0.0625, canary=0.0625, log_probs=0.125, loss_and_backward=0.375, rest=0.125)
    assert sum(row["shares"].values()) == 1


def test_seconds_of_a_sync_are_medians() -> None:
    row = sync_row("LoRA", [lap(sync=1.0, canary=9.0), lap(sync=5.0, canary=2.0), lap(sync=2.0, canary=3.0)], 56)
    assert row == {"handed_over": "LoRA", "num_tensors": 56, "sync_seconds": 2.0, "canary_seconds": 3.0}


def test_tokens_a_second_are_medians_over_draws() -> None:
    seconds = [(1.0, 4.0), (2.0, 8.0), (8.0, 1.0)]
    row = rollout_row(SMALL, [{"vllm": (86, 24, one), "transformers": (86, 24, other)} for one, other in seconds])
    assert (row["vllm_tokens_per_second"], row["transformers_tokens_per_second"], row["ratio"]) == (12.0, 6.0, 2.0)
    assert (row["prompt_tokens"], row["num_tokens"]) == (86, 24)


@pytest.mark.parametrize("other", [(85, 24, 1.0), (86, 23, 1.0)])
def test_engines_that_did_not_do_the_same_are_not_compared(other: tuple[int, int, float]) -> None:
    with pytest.raises(AssertionError, match="did not draw as many tokens"):
        rollout_row(SMALL, [{"vllm": (86, 24, 1.0), "transformers": other}])


def test_the_quick_row_is_one_of_the_grid_and_steps_have_prompts_of_their_own() -> None:
    assert set(QUICK_GRID) < set(GRID) and STEP not in GRID


def test_no_two_pictures_are_alike(bench: Bench) -> None:
    pictures = [Image.open(path).tobytes() for path in sorted(bench.folder.glob("*.png"))]
    assert len(set(pictures)) == len(pictures) == 4  # two draws, with LoRA and without


@pytest.mark.slow
def test_completions_are_as_long_as_they_may_be(started: Bench) -> None:
    prompts, short, _ = bench_rollouts._generate(started, OURS, SMALL, 0)
    again, drawn, seconds = bench_rollouts._generate(started, OURS, SMALL, 1)
    assert (short, drawn) == (4 * bench_rollouts.WARM_UP_TOKENS, 4 * 6) and seconds > 0
    assert prompts == again and abs(prompts - 86) < 10


@pytest.mark.slow
def test_the_parts_of_real_steps_add_up_and_a_slow_reward_is_found(started: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_REWARD)
    monkeypatch.setattr(bench_rollouts, "REWARDS", [f"{tmp_path / 'slow.py'}:slow_reward"])
    start = time.perf_counter()
    laps, num_tensors = bench_rollouts._train(started, OURS, SMALL, 2)
    elapsed = time.perf_counter() - start
    assert len(laps) == 2 and num_tensors == 0
    for one in laps:
        assert list(one) == list(PARTS)
        assert one["sync"] == one["canary"] == 0
        assert one["rewards"] > 0.3
        assert all(one[part] > 0 for part in PARTS if part not in ("sync", "canary"))
    assert sum(sum(one.values()) for one in laps) < elapsed
    (path,) = started.folder.glob("run_transformers*/completions.jsonl")
    assert {(row["num_tokens"], row["finish_reason"]) for _, row in read_jsonl(path, [])} == {(6, "length")}


def test_the_picture_shows_every_part_of_every_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **kwargs: drawn.append(figure))
    draw(FOUND, tmp_path / "rollouts.png")
    speeds, steps = drawn[0].axes
    assert [bar.get_height() for bar in speeds.patches] == [3000.0, 1200.0]
    assert len(steps.patches) == 2 * len(PARTS)
    assert max(bar.get_x() + bar.get_width() for bar in steps.patches) == 4.0


def emoreason(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["emoreason", "bench", "rollouts", *arguments])
    cli.main()


def test_the_command_prints_tables_and_draws(monkeypatch: pytest.MonkeyPatch, capfd, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_rollouts, "measure", lambda is_quick, say: FOUND)
    emoreason(monkeypatch, "--plot", str(tmp_path / "rollouts.png"))
    printed = capfd.readouterr().out
    lines = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for line in printed.splitlines() if (cells := line.strip("│ ").split("│"))[1:]}
    assert lines["150"] == ["64", "3,000", "1,200", "2.5"]
    assert lines["vllm, all weights"] == ["81", "0.25", "0.125"]
    assert lines["limit, s"] == ["1", "0.5"] and lines["reached"] == ["0.25", "0.25"]
    assert lines["generation"] == ["75.0%", "50.0%"] and lines["loss and backward"] == ["0.0%", "0.0%"]
    assert (tmp_path / "rollouts.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_written_is_refused_first(monkeypatch: pytest.MonkeyPatch, capfd, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        emoreason(monkeypatch, "--plot", str(tmp_path / "rollouts.txt"))
    assert "accepted is a file that ends in .png" in capfd.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is there")
def test_without_vllm_the_command_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    with pytest.raises(SystemExit, match="2"):
        emoreason(monkeypatch, "--quick")
    assert "vLLM is not installed; pip install 'emoreason[vllm]'" in capfd.readouterr().err
