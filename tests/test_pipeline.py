"""The whole line, run once by its own command on a few records: what every stage leaves behind, and what a second run does."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import Line

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.files import read_json, sha256
from emoreason.line import make_line, parents_first
from emoreason.recipe_files import load_folder, load_recipe

pytestmark = pytest.mark.slow
STAGES = ("stage1_sft", "stage2_confidence", "stage3_dpo", "stage3_grpo")
TESTS = ("heldout_emoji", "heldout_style", "text_conflict")


def lines_of(path: Path) -> list[dict]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_the_run_ends_with_a_table_and_the_released_folder(line: Line) -> None:
    table = line.printed.split("metrics, greedy decoding")[1]
    assert all(stage[:8] in table for stage in STAGES)
    assert line.printed.rstrip().endswith("released checkpoint: runs/tiny/release")


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_says_what_it_was(line: Line, stage: str) -> None:
    run = line.folder / "runs/tiny" / stage
    manifest = read_json(run / "run.json")
    assert manifest["status"] == "finished" and manifest["finished"] >= manifest["started"]
    assert manifest["recipe"]["output_dir"] == f"runs/tiny/{stage}"
    assert manifest["data"] == {path: sha256(line.folder / path) for path in manifest["data"]}
    assert {"trl", "torch", "transformers", "emoreason"} <= set(manifest["versions"])
    parents = {"stage1_sft": "runs/tiny/base", "stage2_confidence": "runs/tiny/stage1_sft/checkpoint"}
    assert manifest["parent"] == parents.get(stage, "runs/tiny/stage2_confidence/checkpoint")
    assert not (run / "trainer").exists(), "what resuming needs is dropped at the end"
    assert not list(run.glob(".*")), "nothing temporary is left"


@pytest.mark.parametrize("stage", STAGES)
def test_checkpoints_are_safe_and_whole(line: Line, stage: str) -> None:
    files = {path.name for path in (line.folder / "runs/tiny" / stage / "checkpoint").iterdir()}
    assert ("adapter_model.safetensors" if stage.startswith("stage3") else "model.safetensors") in files
    assert {"tokenizer.json", "chat_template.jinja"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]


def test_metrics_tell_every_phase_in_order(line: Line) -> None:
    rows = lines_of(line.folder / "runs/tiny/stage1_sft/metrics.jsonl")
    assert list(dict.fromkeys(row["phase"] for row in rows)) == ["cues", "label", "reasoning"]
    losses = [row["loss"] for row in rows if row["phase"] == "reasoning" and "loss" in row]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("test", TESTS)
def test_every_stage_is_evaluated_on_every_test_set(line: Line, stage: str, test: str) -> None:
    report = read_json(line.folder / f"runs/tiny/{stage}/eval/{test}.json")
    rows = lines_of(line.folder / f"runs/tiny/{stage}/eval/{test}.jsonl")
    records = lines_of(line.folder / report["settings"]["records"])
    assert report["n"] == len(rows) == len(records)
    assert [row["id"] for row in rows] == [record["id"] for record in records]
    assert report["unparsed"] == sum(not row["answers"] for row in rows)
    right = [bool(row["answers"]) and row["answers"][0] == row["label"] for row in rows]
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(sum(right) / len(right))
    assert all(entry["low"] <= entry["high"] for entry in report["metrics"].values())
    template = Template("free", "list", confidence=stage != "stage1_sft")
    assert report["settings"]["template"] == list(template.tags)


def test_confidence_targets_follow_from_the_samples(line: Line) -> None:
    manifest = read_json(line.folder / "runs/tiny/stage2_confidence/run.json")
    rows = lines_of(line.folder / "runs/tiny/stage2_confidence/completions.jsonl")
    assert len(rows) == 36 and all(len(row["completions"]) == 8 for row in rows)  # 3 views of 4 calibration and 8 train records
    for row in rows:
        expected = [row["answers"].count(answer) / 8 if answer else 0 for answer in row["answers"]]
        assert row["agreement"] == pytest.approx(expected)
    assert manifest["num_answers"] + manifest["num_unreadable"] == 36 * 8
    assert 0 < manifest["num_right"] <= manifest["num_answers"]


def test_grpo_keeps_each_completion_with_each_reward(line: Line) -> None:
    rows = lines_of(line.folder / "runs/tiny/stage3_grpo/completions.jsonl")
    assert len(rows) == 4 * 8
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    names = {"answer_format_reward", "emotion_label_reward", "emotion_set_reward", "confidence_calibration_reward", "length_penalty_reward"}
    assert all(set(row["rewards"]) == names for row in rows)
    logged = [row["reward"] for row in lines_of(line.folder / "runs/tiny/stage3_grpo/metrics.jsonl") if "reward" in row]
    weights = {"answer_format_reward": 0.5, "length_penalty_reward": 0.2}
    totals = [sum(weights.get(name, 1.0) * value for name, value in row["rewards"].items()) for row in rows]
    assert logged == pytest.approx([sum(totals[start : start + 8]) / 8 for start in range(0, 32, 8)], abs=1e-5)


def test_dpo_pairs_are_counted(line: Line) -> None:
    manifest = read_json(line.folder / "runs/tiny/stage3_dpo/run.json")
    rows = lines_of(line.folder / "runs/tiny/stage3_dpo/completions.jsonl")
    assert manifest["num_records"] == len(rows)
    assert 0 < manifest["num_records_with_pairs"] <= manifest["num_pairs"] <= 2 * len(rows)


def test_a_second_run_does_nothing(line: Line) -> None:
    files = sorted(path for path in (line.folder / "runs").rglob("*") if path.is_file())
    before = {path: path.stat().st_mtime_ns for path in files}
    again = line.emoreason("run", "recipes/tiny").stdout
    assert again.count("done already") == 4
    assert {path: path.stat().st_mtime_ns for path in sorted(path for path in (line.folder / "runs").rglob("*") if path.is_file())} == before


def test_a_folder_with_another_run_is_refused(line: Line) -> None:
    done = line.emoreason("train", "recipes/tiny/stage3_grpo.yaml", "trainer.learning_rate=5.0e-4", check=False)
    assert done.returncode == 2
    assert "holds another run (trainer.learning_rate: 0.0004 -> 0.0005)" in done.stderr


def test_a_prompt_longer_than_the_budget_is_refused_by_name(line: Line) -> None:
    done = line.emoreason("train", "recipes/tiny/stage2_confidence.yaml", "output_dir=runs/short", "trainer.max_length=20", check=False)
    assert done.returncode == 2
    assert "completion tokens are more than trainer.max_length 20" in done.stderr
    shutil.rmtree(line.folder / "runs/short")


def test_parents_come_first(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(line.folder)
    recipes = list(load_folder(Path("recipes/tiny"))[0].values())
    training, evaluation = make_line(Path("recipes/tiny"), recipes[::-1])
    assert [recipe.stage for recipe in training[:2]] == ["sft", "confidence"] and evaluation.stage == "evaluate"
    sft, confidence = training[:2]
    circle = sft.model_copy(update={"model": sft.model.model_copy(update={"path": f"{confidence.output_dir}/checkpoint"})})
    with pytest.raises(UserError, match="start from each other's output"):
        parents_first([circle, confidence])


def test_a_shrunken_recipe_is_still_the_tiny_one(line: Line) -> None:
    """The tests above would say little if they ran other rewards, templates or models than the demo."""
    for path in (line.folder / "recipes/tiny").glob("*.yaml"):
        mine, shipped = yaml.safe_load(path.read_text()), yaml.safe_load((Path(__file__).parents[1] / "recipes/tiny" / path.name).read_text())
        for key in ("stage", "template", "prompt", "media", "rewards", "label_space", "augment"):
            assert mine.get(key) == shipped.get(key)


def test_an_evaluation_is_done_again_when_what_it_depends_on_changes(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    from emoreason import evaluate

    monkeypatch.chdir(line.folder)
    shutil.copytree("runs/tiny/stage1_sft/checkpoint", "runs/again/checkpoint")
    records = Path("runs/again/records.jsonl")
    shutil.copytree("recipes/tiny/data/images", "runs/again/images")
    shutil.copy("recipes/tiny/data/heldout_style.jsonl", records)
    overrides = ["model.path=runs/again/checkpoint", "output_dir=runs/again", f"tests={{one: {records}}}", "template.confidence=false"]
    asked = []
    sample = evaluate.sample
    monkeypatch.setattr(evaluate, "sample", lambda *arguments: asked.append(1) or sample(*arguments))

    def times_asked(*more: str) -> int:
        asked.clear()
        evaluate.run(load_recipe(Path("recipes/tiny/evaluate.yaml"), [*overrides, *more]))
        return len(asked)

    assert (times_asked(), times_asked()) == (1, 0)
    assert times_asked("prompt.question=Who?") == 1
    assert (times_asked(), times_asked()) == (1, 0)
    records.write_text(records.read_text().splitlines(keepends=True)[0])
    assert times_asked() == 1
    weights = Path("runs/again/checkpoint/model.safetensors")
    weights.write_bytes(weights.read_bytes())  # trained again: the same place and size, another time
    assert times_asked() == 1
    shutil.rmtree("runs/again")
