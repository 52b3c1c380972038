"""The commands: exit codes, one line a mistake, and no wait for torch where none is needed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from emoreason import cli
from emoreason.files import write_json
from emoreason.media import load_picture

COMMANDS = ["check", "train", "run", "evaluate", "report", "release", "predict"]

CHECK_AND_LIST_MODULES = """
import sys
from emoreason.cli import main

sys.argv = ["emoreason", "check", "recipes/tiny"]
main()
print(sorted({"torch", "transformers", "trl", "datasets", "peft", "accelerate"} & {name.split(".")[0] for name in sys.modules}))
"""


@pytest.fixture
def emoreason(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture):
    """Run the command line in this process: (exit code, standard output, standard error)."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emoreason", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


def test_check_says_ok_and_never_imports_torch(tiny_dir: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CHECK_AND_LIST_MODULES], capture_output=True, text=True, check=True)
    *checked, imported = done.stdout.splitlines()
    assert checked == [f"{path}: ok" for path in sorted(tiny_dir.glob("*.yaml"))]
    assert len(checked) == 5
    assert imported == "[]"


def test_a_fault_ends_the_process_with_2(tiny_dir: Path) -> None:
    command = [sys.executable, "-m", "emoreason", "check", "recipes/tiny/absent.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "recipes/tiny/absent.yaml: 1 faults\n")
    assert done.stderr == f"error: recipes/tiny/absent.yaml: no such recipe (relative paths start at {Path.cwd()})\n"


def test_check_reports_the_faults_of_all_recipes(tiny_dir: Path, emoreason) -> None:
    sft, grpo = tiny_dir / "stage1_sft.yaml", tiny_dir / "stage3_grpo.yaml"
    sft.write_text(sft.read_text().replace("weight_decay: 0.1", "weight_decai: 0.1").replace("seed: 0", "seed: zero"))
    grpo.write_text(grpo.read_text().replace("train.jsonl", "absent.jsonl"))
    code, out, err = emoreason("check", tiny_dir)
    assert code == 2
    assert out.splitlines() == [
        f"{tiny_dir}/evaluate.yaml: ok", f"{sft}: 2 faults", f"{tiny_dir}/stage2_confidence.yaml: 1 faults",
        f"{tiny_dir}/stage3_dpo.yaml: ok", f"{grpo}: 1 faults",
    ]  # fmt: skip
    line = sft.read_text().splitlines().index("  weight_decai: 0.1") + 1
    assert f"error: {sft}:{line}: trainer.weight_decai: SFTConfig has no such setting; did you mean 'weight_decay'?" in err.splitlines()
    assert f"error: {sft}:6: seed: Input should be a valid integer (given: 'zero')" in err.splitlines()
    assert any(line.startswith("error: recipes/tiny/data/absent.jsonl: no such file") for line in err.splitlines())
    assert all(line.startswith("error: ") for line in err.splitlines())


def test_a_long_path_stays_on_its_line(tmp_path: Path, emoreason) -> None:
    folder = tmp_path / ("a long name " * 10) / "[bold]"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("stage: sft\n")
    _, out, _ = emoreason("check", folder)
    assert re.fullmatch(re.escape(f"{folder}/recipe.yaml: ") + r"\d+ faults\n", out)


def test_a_folder_without_recipes(tmp_path: Path, emoreason) -> None:
    assert emoreason("check", tmp_path) == (2, "", f"error: no recipes in {tmp_path}\n")


@pytest.mark.parametrize(
    ("command", "recipe", "message"),
    [
        ("train", "evaluate", "stage is evaluate; run: emoreason evaluate recipes/tiny/evaluate.yaml"),
        ("evaluate", "stage3_grpo", "stage is grpo; run: emoreason train recipes/tiny/stage3_grpo.yaml"),
    ],
)
def test_a_recipe_of_another_command_names_the_right_one(tiny_dir: Path, emoreason, command: str, recipe: str, message: str) -> None:
    assert emoreason(command, f"recipes/tiny/{recipe}.yaml") == (2, "", f"error: recipes/tiny/{recipe}.yaml: {message}\n")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_overrides_are_checked_before_anything_runs(tiny_dir: Path, emoreason, command: str) -> None:
    recipe = "recipes/tiny/evaluate.yaml" if command == "evaluate" else "recipes/tiny/stage3_dpo.yaml"
    code, _, err = emoreason(command, recipe, "seed=x")
    assert (code, err) == (2, "error: override 'seed=x': seed: Input should be a valid integer (given: 'x')\n")
    code, _, err = emoreason(command, recipe, "model.path=runs/nowhere/checkpoint")
    assert code == 2 and err.startswith(f"error: {recipe}: model.path: runs/nowhere/checkpoint does not exist")
    assert not Path("runs").exists()


@pytest.mark.parametrize("options", [[], ["--runs-dir", "elsewhere"]], ids=["in place", "elsewhere"])
def test_run_checks_every_recipe_before_the_first_stage(tiny_dir: Path, emoreason, options: list[str]) -> None:
    for name in ("stage2_confidence", "stage3_dpo"):
        path = tiny_dir / f"{name}.yaml"
        path.write_text(path.read_text().replace("learning_rate: 5.0e-4", "learning_rate: 5e-4"))
    picture = next((tiny_dir / "data/images").rglob("*.png"))
    picture.unlink()
    load_picture.cache_clear()
    code, _, err = emoreason("run", tiny_dir, *options)
    assert code == 2
    assert err.count("write 5.0e-4") == 2
    assert f"{picture}: no such picture" in err
    assert not Path("runs").exists() and not Path("elsewhere").exists()


def test_report_tables_what_was_evaluated(tmp_path: Path, emoreason) -> None:
    code, _, err = emoreason("report", tmp_path)
    assert (code, err.split(":")[0]) == (2, "error") and "no evaluated run below it" in err
    entry = {"value": 0.5, "low": 0.4, "high": 0.6}
    write_json(tmp_path / "stage1_sft" / "eval" / "held_out.json", {"n": 12, "metrics": {"accuracy": entry}})
    code, out, _ = emoreason("report", tmp_path, "--markdown")
    assert code == 0
    assert out.splitlines()[2].startswith("| stage1_sft | held_out | 1 | 12 | 0.50 [0.40, 0.60] | - |")


@pytest.mark.slow
def test_predict_in_a_folder_that_is_no_release(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emoreason", "predict", str(tmp_path), "face.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"error: {tmp_path}: no release here (emoreason.json is missing); make one: emoreason release RUN {tmp_path}" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_that_names_the_command(emoreason, command: str) -> None:
    code, out, _ = emoreason(command, "--help")
    assert code == 0
    example = re.search(r"Example: (emoreason .+)", out)
    assert example and example[1].split()[1] == command


def test_every_command_is_in_the_list_above(emoreason) -> None:
    assert [command.name or command.callback.__name__ for command in cli.app.registered_commands] == COMMANDS
    code, out, _ = emoreason("--help")
    assert code == 0
    assert all(re.search(rf"^\W*{command}\s", out, re.MULTILINE) for command in COMMANDS)
    assert "emoreason run recipes/tiny" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc", "recipes"], "No such command 'chekc'"),
        (["train"], "Missing argument"),
        (["report", "runs", "--markdwn"], "No such option"),
    ],
)
def test_a_slip_on_the_command_line_ends_with_2(emoreason, arguments: list[str], message: str) -> None:
    code, _, err = emoreason(*arguments)
    assert code == 2
    assert message in err


def test_without_arguments_the_help_is_shown(emoreason) -> None:
    code, out, err = emoreason()
    assert code == 2
    assert "Usage: " in out + err and "predict" in out + err
