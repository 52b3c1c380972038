"""The two sides compute the same, operations are counted right, and rows are whole; how fast they are is the machine's business."""

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from emoreason import bench_training, cli
from emoreason.bench_training import GRIDS, MAKERS, QUICK, Bench, Case, check_equal, draw, measure
from emoreason.commands import terminal
from emoreason.flops import LanguageSizes, PromptRows, TowerSizes, padded_flops, shared_flops, speedup_limit

pytestmark = pytest.mark.slow
KEYS = ["prompt_tokens", "completion_tokens", "group_size", "seconds", "trl_seconds", "ratio", "limit", "memory_ratio", "prefix_grouper_seconds"]
SMALL = {
    "grpo": Case("grpo", 86, 6, 3),
    "dpo": Case("dpo", 86, 6, 2, num_prompts=2),
    "sft": Case("sft", 152, 24, num_prompts=3),
}
# One layer, 4 wide, 2 heads of 2 on 1: q 16, k 8, v 8, o 16 and 3 x 32 in the MLP are 144 weights, 288 operations a token;
# 2 heads x 2 numbers x 2 operations, for scores and again for values, are 16 a pair.
LANGUAGE = LanguageSizes(num_layers=1, hidden_size=4, intermediate_size=8, num_heads=2, num_kv_heads=1, head_size=2)
TOWER = TowerSizes(
    depth=2, num_full_blocks=1, hidden_size=2, intermediate_size=3, out_hidden_size=4, values_per_patch=12, merge_size=2, window_size=4
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("bench"))
    made.build()
    return made


def test_operations_of_a_language_model_by_hand() -> None:
    assert LANGUAGE.linear_flops(5) == 5 * 288
    assert LANGUAGE.attention_flops(5) == 5 * 16


def test_operations_of_a_tower_by_hand() -> None:
    # 24 patches: 12 x 2 to embed, and twice 16 + 18; 6 merged ones of 8 numbers: 8 x 8 and 8 x 4; a block that sees all 24, and one
    # that sees windows of 4 x 4 and 4 x 2.
    assert TOWER.flops((1, 4, 6)) == 2 * 24 * (24 + 2 * 34) + 2 * 6 * (64 + 32) + 4 * 2 * (24**2 + 16**2 + 8**2)
    assert TOWER.flops((3, 4, 6)) == 3 * TOWER.flops((1, 4, 6))


def test_the_limit_of_a_group_by_hand() -> None:
    picture = TOWER.flops((1, 4, 6))
    group = PromptRows(prompt_length=10, completion_lengths=(4, 4, 4), grids=((1, 4, 6),))
    separate = 3 * (picture + 14 * 288 + 16 * 14 * 14 / 2)
    shared = picture + (10 + 3 * 4) * 288 + 16 * (10 * 10 / 2 + 3 * (4 * 10 + 4 * 4 / 2))
    assert padded_flops(LANGUAGE, TOWER, [group]) == separate
    assert shared_flops(LANGUAGE, TOWER, [group]) == shared
    assert speedup_limit(LANGUAGE, TOWER, [group]) == separate / shared


def test_the_limit_of_padded_rows_by_hand() -> None:
    rows = [PromptRows(10, (2,), ()), PromptRows(3, (1,), ())]
    padded = 2 * (12 * 288 + 16 * 72)
    packed = 16 * 288 + 16 * (72 + 8)
    assert speedup_limit(LANGUAGE, TOWER, rows) == pytest.approx(padded / packed)
    assert speedup_limit(LANGUAGE, TOWER, rows[:1]) == pytest.approx(1)


@pytest.mark.parametrize("grid", [(1, 16, 16), (1, 6, 10)])
def test_operations_are_those_that_torch_counts(bench: Bench, grid: tuple[int, int, int]) -> None:
    model, _, _ = bench.opened()
    language, tower = LanguageSizes.of(model.config.get_text_config()), TowerSizes.of(model.config.vision_config)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as of_tower:
        model.model.visual(torch.zeros(math.prod(grid), tower.values_per_patch), grid_thw=torch.tensor([grid]))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as of_language:
        model.model.language_model(inputs_embeds=torch.zeros(1, 20, language.hidden_size))
    assert of_tower.get_total_flops() == tower.flops(grid)
    assert of_language.get_total_flops() == language.linear_flops(20) + language.attention_flops(20 * 20)  # nothing is skipped here


@pytest.mark.parametrize("kind", SMALL)
def test_a_row_is_whole(kind: str) -> None:
    (row,) = measure([SMALL[kind]], num_repeats=1)
    assert list(row) == KEYS
    has_grouper = kind == "grpo" and importlib.util.find_spec("prefix_grouper") is not None
    assert (row.pop("prefix_grouper_seconds") is not None) == has_grouper
    assert all(value > 0 and math.isfinite(value) for value in row.values())
    assert row["ratio"] == row["trl_seconds"] / row["seconds"]
    assert row["group_size"] == SMALL[kind].group_size and row["limit"] > 1
    if kind == "grpo":
        assert row["completion_tokens"] == 6 and abs(row["prompt_tokens"] - 86) < 33


@pytest.mark.parametrize("kind", SMALL)
def test_another_weight_on_one_side_is_found(bench: Bench, kind: str) -> None:
    sides = {name: MAKERS[kind](name, SMALL[kind], bench) for name in ("trl", "ours")}
    check_equal(sides)
    with torch.no_grad():
        sides["ours"].trainer.model.model.visual.patch_embed.proj.weight[0, 0] += 0.5  # only pictures show it
    with pytest.raises(AssertionError, match="ours and trl differ in"):
        check_equal(sides)


def test_a_reference_that_is_the_policy_would_hide_half_of_the_loss(bench: Bench) -> None:
    trainer = MAKERS["dpo"]("ours", SMALL["dpo"], bench).trainer
    pairs = zip(trainer.model.parameters(), trainer.ref_model.parameters(), strict=True)
    assert all(not torch.equal(policy, reference) for policy, reference in pairs)


def test_prefix_grouper_computes_the_same(bench: Bench) -> None:
    pytest.importorskip("prefix_grouper")
    check_equal({name: MAKERS["grpo"](name, SMALL["grpo"], bench) for name in ("trl", "prefix_grouper")})


def test_a_batch_is_the_same_every_time_and_no_two_pictures_are(bench: Bench) -> None:
    _, processor, _ = bench.opened()
    case = replace(SMALL["sft"], prompt_tokens=420, num_prompts=8)
    first, second = (bench_training.draw_samples(case, processor) for _ in range(2))
    assert [sample.answers for sample in first] == [sample.answers for sample in second]
    digests = [[medium.digest for medium in sample.media] for sample in first]
    assert digests == [[medium.digest for medium in sample.media] for sample in second]
    drawn = [digest for one in digests for digest in one]
    assert len(set(drawn)) == len(drawn) > 8
    assert len({len(one) for one in digests}) > 1


def test_the_quick_corner_lies_within_the_grid_of_grpo() -> None:
    assert set(QUICK["grpo"]) < set(GRIDS["grpo"]) and len(GRIDS["grpo"]) == 45


def test_the_command_prints_json_and_draws(monkeypatch: pytest.MonkeyPatch, capfd, tmp_path: Path) -> None:
    monkeypatch.setitem(QUICK, "sft", [SMALL["sft"]])
    monkeypatch.setattr(sys, "argv", ["emoreason", "bench", "sft", "--quick", "--json", "--plot", str(tmp_path / "ratio.png")])
    cli.main()
    printed = json.loads(capfd.readouterr().out)
    assert printed["num_threads"] == torch.get_num_threads()
    assert [list(row) for row in printed["rows"]] == [KEYS]
    assert (tmp_path / "ratio.png").read_bytes().startswith(b"\x89PNG")


def test_what_libraries_print_stays_out_of_the_result(capfd) -> None:
    with terminal.stdout_kept():
        print("loaded")
        subprocess.run(["echo", "started"], check=True)
    print("{}")
    captured = capfd.readouterr()
    assert captured.out == "{}\n" and captured.err == "loaded\nstarted\n"


def test_a_plot_that_cannot_be_written_is_refused_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch, capfd, tmp_path: Path) -> None:
    for path in (tmp_path / "ratio.txt", tmp_path / "nowhere" / "ratio.png"):
        monkeypatch.setattr(sys, "argv", ["emoreason", "bench", "grpo", "--plot", str(path)])
        with pytest.raises(SystemExit, match="2"):
            cli.main()
        assert f"--plot {path}: accepted is a file that ends in .png" in capfd.readouterr().err


def test_a_plot_has_a_panel_for_each_length_and_two_lines_for_each_group_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **kwargs: drawn.append(figure))
    rows = [{"prompt_tokens": prompt, "completion_tokens": length, "group_size": size, "ratio": 2.0 + size, "limit": 3.0 + size}
            for length in (32, 64) for size in (4, 8) for prompt in (300, 150)]  # fmt: skip
    draw(rows, tmp_path / "ratio.png")
    (figure,) = drawn
    assert [len(panel.lines) for panel in figure.axes] == [4, 4]
    measured, limit = figure.axes[0].lines[:2]
    assert list(measured.get_xdata()) == [150, 300] and list(measured.get_ydata()) == [6.0, 6.0]
    assert limit.get_linestyle() == "--" and list(limit.get_ydata()) == [7.0, 7.0]
