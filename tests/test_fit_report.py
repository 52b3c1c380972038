"""The tables of `check --topology`: what the shipped recipes say of themselves, what is printed, and how it ends."""

import re
from pathlib import Path

import pytest

from emoreason.fit_report import fits_of, summary, table
from emoreason.topology import parse_topology

pytestmark = pytest.mark.slow  # imports torch and transformers
ROOT = Path(__file__).parents[1]
SHIPPED = sorted(path.relative_to(ROOT) for path in (ROOT / "recipes").glob("qwen*/stage*.yaml"))
GRPO = Path("recipes/qwen2_5_vl_7b/stage3_grpo.yaml")


@pytest.fixture(autouse=True)
def checkout_without_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("recipes", "rewards"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


def test_recipes_of_three_base_models_are_shipped() -> None:
    assert len(SHIPPED) == 12


@pytest.mark.parametrize("path", SHIPPED, ids=str)
def test_what_a_recipe_says_of_its_hardware_is_what_the_command_prints(path: Path) -> None:
    command, given, line = re.search(r"^#   (emoreason check \S+ --topology (\S+))\n# (.*)$", path.read_text(), re.MULTILINE).groups()
    assert command.split()[2] == str(path)
    fits = fits_of(path, parse_topology(given))
    assert summary(fits) == line
    assert all(found.fits for found in fits)


def test_the_table_is_printed_and_what_fits_ends_with_0(emoreason) -> None:
    code, out, err = emoreason("check", GRPO, "--topology", "nodes=1,gpus=8,gpu_memory=80")
    assert (code, err) == (0, "")
    rows = {cells[0]: " ".join(cells[1:]) for line in out.splitlines() if (cells := [cell.strip() for cell in line.strip("│").split("│")])[0]}
    assert rows["batch"].startswith("256 completions an update 4 a GPU x 8 x 8 GPUs")
    assert rows["generation"].startswith("64 prompts x 8 512 completions at once, for 2")
    assert rows["verdict"].strip() == "fits"
    assert "sequences of 4096 tokens at once" in rows["vLLM's cache"]


def test_the_readme_shows_what_the_table_says() -> None:
    """Each row of its block, up to where it is cut off."""
    block = re.search(r"`recipes/qwen2_5_vl_7b/stage3_grpo.yaml`:\n\n((?:    .*\n)+)", (ROOT / "README.md").read_text()).group(1)
    (found,) = fits_of(GRPO, parse_topology("nodes=1,gpus=8,gpu_memory=80"))
    columns = [list(column.cells) for column in table(GRPO, found).columns]
    printed = {name: (value, note) for name, value, note in zip(*columns, strict=True)}
    rows = [re.split(r"  +", line.strip()) for line in block.splitlines()]
    assert len(rows) == 8
    for name, value, note in rows:
        assert printed[name][0] == value
        assert printed[name][1].startswith(note.removesuffix("..."))


def test_what_does_not_fit_ends_with_1_and_says_what_to_set(emoreason) -> None:
    """Every table first, so that one run tells all."""
    dpo = GRPO.with_name("stage3_dpo.yaml")
    code, out, err = emoreason("check", dpo, GRPO, "--topology", "nodes=1,gpus=8,gpu_memory=40")
    assert code == 1 and out.count("verdict") == 2
    short, share, _ = err.splitlines()
    assert re.match(rf"{dpo}: dpo: backward needs [\d.]+ GiB of a GPU and 38.0 are there; set zero.stage 3 and sampling.batch_size 32$", short)
    assert "set rollouts.gpu_memory_utilization 0.47" in share


def test_what_does_not_divide_ends_with_1(emoreason) -> None:
    code, _, err = emoreason("check", GRPO, "--topology", "nodes=1,gpus=6,gpu_memory=80")
    assert code == 1
    assert "generation_batch_size 512 is no multiple of 4 rows x 6 GPUs; set trainer.generation_batch_size 528" in err


def test_a_fault_of_the_recipe_or_the_topology_ends_with_2(emoreason) -> None:
    assert emoreason("check", "recipes/absent.yaml", "--topology", "nodes=1")[0] == 2
    code, _, err = emoreason("check", GRPO, "--topology", "gpu=8")
    assert code == 2 and "is no part of a topology; did you mean 'gpus'?" in err


def test_an_unknown_model_is_a_fault_that_names_the_known_ones(emoreason, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(GRPO.with_name("stage1_sft.yaml").read_text().replace("Qwen/Qwen2.5-VL-7B-Instruct", "someone/else"))
    code, _, err = emoreason("check", other, "--topology", "nodes=1")
    assert code == 2 and "someone/else" in err and "Qwen/Qwen2.5-VL-7B-Instruct" in err


def test_an_evaluation_has_no_table(emoreason) -> None:
    code, out, _ = emoreason("check", "recipes/tiny/evaluate.yaml", "--topology", "nodes=1")
    assert (code, out) == (0, "recipes/tiny/evaluate.yaml: ok\n")
