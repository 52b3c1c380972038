"""The commands: exit codes, one line a mistake, and no wait for torch where none is needed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import rows_of
from saved_runs import write_run

from emoreason import cli
from emoreason.files import write_json
from emoreason.media import load_picture

COMMANDS = [
    *("check", "train", "run", "evaluate", "report", "confidence", "track", "show", "release", "predict", "score", "metric"),
    *("media", "split", "leaks", "annotate", "export", "preflight", "serve"),
]

CHECK_AND_LIST_MODULES = """
import sys
from emoreason.cli import main

sys.argv = ["emoreason", "check", "recipes/tiny"]
main()
print(sorted({"torch", "transformers", "trl", "datasets", "peft", "accelerate"} & {name.split(".")[0] for name in sys.modules}))
"""


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


SUBCOMMANDS = [("reward", "new"), ("reward", "check"), ("bench", "rewards"), ("bench", "rollouts")]


@pytest.mark.parametrize("command", SUBCOMMANDS, ids=" ".join)
def test_help_of_a_command_in_a_group_shows_an_example_that_names_it(emoreason, command: tuple[str, str]) -> None:
    code, out, _ = emoreason(*command, "--help")
    assert code == 0
    example = re.search(r"Example: emoreason (\w+) (\w+)", out)
    assert example and example.groups() == command


@pytest.fixture
def gold_and_predictions(tmp_path: Path) -> tuple[Path, Path]:
    """Two of four labels right, one missing, in two lists of words and two groups."""
    gold, predictions = tmp_path / "gold.csv", tmp_path / "predictions.jsonl"
    gold.write_text("id,label,kind\n1,joy,photo\n2,joy,photo\n3,anger,photo\n4,fear,drawing\n")
    predictions.write_text('{"id": 3, "label": "Anger"}\n{"id": 1, "label": "joy"}\n{"id": 2, "label": "fear"}\n')
    return gold, predictions


def test_a_metric_is_one_json_object(gold_and_predictions, emoreason) -> None:
    code, out, err = emoreason("metric", "accuracy", *gold_and_predictions, "--by", "kind", "--bootstrap", "5", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["accuracy"], result["n"], result["missing"]) == (0.5, 4, 1)
    assert result["groups"]["drawing"] == {"accuracy": 0.0, "n": 1}


def test_a_metric_is_a_table_of_numbers(gold_and_predictions, emoreason) -> None:
    code, out, _ = emoreason("metric", "wheel_f", *gold_and_predictions, "--wheels", "ekman, plutchik", "--bootstrap", "2")
    assert code == 0
    cells = [re.findall(r"[^│┃\s]+(?: [^│┃\s]+)*", line) for line in out.splitlines()]
    # two of four words in the right cluster, each alone in its row: P and R 1/2
    assert ["f", "0.5000"] in cells
    assert ["by_wheel.plutchik.f", "0.5000"] in cells
    assert ["wheels", "own wheels ekman, plutchik"] in cells


def test_a_metric_against_other_predictions_and_with_named_classes(gold_and_predictions, emoreason) -> None:
    gold, predictions = gold_and_predictions
    arguments = ("--against", gold, "--labels", "joy,anger,fear,pride", "--bootstrap", "2", "--json")
    _, out, _ = emoreason("metric", "uar", gold, predictions, *arguments)
    result = json.loads(out)
    # recalls 1/2 of joy, 1 of anger, 0 of fear; gold against itself has 1
    assert (result["uar"], result["difference"]["value"]) == (0.5, -0.5)


@pytest.mark.parametrize(("arguments", "shown"), [(["list"], "wheel_f"), (["accuracy", "--compat", "list"], "emobserver_eemo")])
def test_the_metrics_and_the_published_scorers_are_listed(emoreason, arguments: list[str], shown: str) -> None:
    code, out, _ = emoreason("metric", *arguments)
    assert code == 0
    assert shown in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["acuracy", "{gold}", "{predictions}"], "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        (["accuracy", "{gold}"], "needs two files: gold and predictions"),
        (["accuracy", "{gold}", "absent.csv"], "absent.csv: cannot be read: No such file or directory"),
        (["accuracy", "{gold}", "{predictions}", "--by", "kinds"], "{gold}: no column 'kinds' for groups; did you mean 'kind'?"),
        (["accuracy", "{gold}", "{predictions}", "--compat", "vecbench"], "{predictions}: id '3': no completion, which compat vecbench reads"),
        (["ccc", "{gold}", "{predictions}"], "{gold}: no row has value, which ccc reads; columns: id, label, kind, labels"),
        (["uar", "{gold}", "{predictions}", "--labels", "joy,fear"], "{gold}: gold label 'anger' given; accepted: joy, fear"),
        (["wheel_f", "{gold}", "{predictions}", "--level", "outer"], "--level outer; accepted: inner, middle"),
        (["wheel_f", "{gold}", "{predictions}", "--wheels", "ekmann"], "unknown wheel 'ekmann'; did you mean 'ekman'?"),
        (["wheel_f", "{gold}", "{predictions}", "--official", "nowhere"], "nowhere: no format.csv"),
    ],
)
def test_a_mistake_with_a_metric_ends_with_2(gold_and_predictions, emoreason, arguments: list[str], message: str) -> None:
    names = dict(zip(("gold", "predictions"), gold_and_predictions, strict=True))
    code, out, err = emoreason("metric", *(argument.format(**names) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message.format(**names) in err


def completions_of(tiny_dir: Path) -> Path:
    """A right, a wrong and a broken completion for one record of the tiny GRPO recipe."""
    record = json.loads((tiny_dir / "data" / "train.jsonl").read_text().splitlines()[0])
    label = record["target"]["label"]
    texts = [f"<think>eyes open</think><answer>{answer}</answer><confidence>0.8</confidence>" for answer in (label, "disgust")]
    path = tiny_dir / "completions.jsonl"
    path.write_text(json.dumps({"id": record["id"], "completions": [*texts, label]}) + "\n")
    return path


def test_score_prints_a_json_object_a_completion(tiny_dir: Path, emoreason) -> None:
    code, out, err = emoreason("score", tiny_dir / "stage3_grpo.yaml", completions_of(tiny_dir), "--json")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["rewards"]["answer_format_reward"] for row in rows] == [1.0, 1.0, 0.0]
    assert [row["rewards"]["emotion_label_reward"] for row in rows] == [1.0, 0.0, 0.0]
    assert rows[0]["total"] > rows[1]["total"] > rows[2]["total"]


def test_score_prints_a_line_a_reward(tiny_dir: Path, emoreason) -> None:
    code, out, err = emoreason("score", tiny_dir / "stage3_grpo.yaml", completions_of(tiny_dir))
    assert code == 0, err
    cells = [re.findall(r"[^│┃\s]+", line) for line in out.splitlines()]
    # 1, 1, 0: mean 2/3, deviation sqrt(2)/3; likewise 1, 0, 0
    assert ["answer_format_reward", "0.667", "0.000", "1.000", "0.471", "3", "0"] in cells
    assert ["emotion_label_reward", "0.333", "0.000", "1.000", "0.471", "3", "0"] in cells
    assert "1 of 3 completions break the template" in out


def test_a_mistake_with_score_ends_with_2(tiny_dir: Path, emoreason) -> None:
    path = completions_of(tiny_dir)
    path.write_text('{"id": "nobody", "completion": "joy"}\n{"id": 1}\n')
    code, out, err = emoreason("score", tiny_dir / "stage3_grpo.yaml", path)
    assert (code, out) == (2, "")
    assert [line.startswith(f"error: {path}:{number}: no record ") for number, line in enumerate(err.splitlines(), 1)] == [True, True]
    code, _, err = emoreason("score", tiny_dir / "stage1_sft.yaml", path)
    assert code == 2
    assert "has no rewards; give a recipe of stage grpo, dpo or evaluate that has" in err


def test_show_prints_a_head_and_groups_or_json_rows(tmp_path: Path, faces_path: Path, emoreason) -> None:
    record = rows_of(faces_path)[0]
    lines = [{"step": step, "id": record["id"], "completion": "joy", "rewards": {"label_reward": float(step)}} for step in range(3)]
    run = write_run(tmp_path / "run", faces_path, lines)
    code, out, err = emoreason("show", run, "--worst", "--limit", 2)
    assert (code, err) == (0, "")
    assert out.startswith(f"{run}/completions.jsonl: 3 rollouts in 3 groups of 1 records, steps 0 to 2\n")
    assert re.findall(r"\(step (\d)\)", out) == ["0", "1"]
    assert out.endswith("1 more groups; --limit 0 shows them\n")
    code, out, err = emoreason("show", run, "--step", 1, "--json")
    assert (code, err) == (0, "")
    assert [(row["id"], row["step"], row["total"]) for row in map(json.loads, out.splitlines())] == [(record["id"], 1, 1.0)]


def test_a_mistake_with_show_ends_with_2(tmp_path: Path, faces_path: Path, emoreason) -> None:
    code, out, err = emoreason("show", tmp_path / "absent.jsonl")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path}/absent.jsonl: no such file")
    run = write_run(tmp_path / "run", faces_path, [{"step": 0, "id": "a", "completion": "joy"}])
    code, _, err = emoreason("show", run, "--worst", "--disagree")
    assert (code, err) == (2, "error: --worst and --disagree are two orders; give one of them\n")


def test_a_new_reward_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emoreason) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = emoreason("reward", "new", "my_reward")
    assert (code, out) == (0, "wrote my_reward.py; next: emoreason reward check my_reward.py:my_reward\n")
    code, out, err = emoreason("reward", "check", "my_reward.py:my_reward")
    assert (code, err) == (0, "")
    assert out.startswith("my_reward.py:my_reward keeps the contract: address, signature, values")
    written = Path("my_reward.py").read_text()
    code, _, err = emoreason("reward", "new", "my_reward")
    assert (code, err) == (2, "error: my_reward.py is there already; choose another name, or move it away\n")
    assert Path("my_reward.py").read_text() == written


def test_a_name_that_is_no_name_makes_no_reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emoreason) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = emoreason("reward", "new", "My-Reward")
    assert code == 2
    assert err.startswith("error: ") and "My-Reward" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ("[float('nan') for _ in completions]", "values: returned nan for record "),
        ("[float(place) for place, _ in enumerate(completions)]", "rows: "),
    ],
    ids=["nan", "order"],
)
def test_a_broken_reward_ends_with_2_and_the_property(tmp_path: Path, emoreason, values: str, fault: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(f"def broken_reward(completions, **kwargs):\n    return {values}\n")
    code, out, err = emoreason("reward", "check", f"{path}:broken_reward")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: reward {path}:broken_reward: {fault}")


def test_a_reward_that_is_not_there_ends_with_2(emoreason) -> None:
    code, _, err = emoreason("reward", "check", "emoreason.rewards.emotion_label:emotion_lable_reward")
    assert code == 2
    assert err.startswith("error: ") and "emotion_lable_reward" in err


@pytest.mark.parametrize("as_json", [True, False])
def test_bench_prints_its_figures(monkeypatch: pytest.MonkeyPatch, emoreason, as_json: bool) -> None:
    monkeypatch.setattr("emoreason.bench.NUM_PAIRS", 100)
    monkeypatch.setattr("emoreason.bench.NUM_COMPLETIONS", 8)
    code, out, _ = emoreason("bench", "rewards", *(["--json"] if as_json else []))
    assert code == 0
    assert json.loads(out)["words_per_completion"] == 150 if as_json else "wheel_speedup" in out
