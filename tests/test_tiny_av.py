"""The audiovisual line from its clips to its report, shrunk to seconds: every stage with its real code, real clips and real sounds."""

import importlib
from pathlib import Path

import pytest
import yaml
from conftest import Line, run_emoreason

from emoreason.files import read_json, read_jsonl
from emoreason.preflight import check_recipe
from emoreason.recipe_files import load_recipe
from emoreason.records import read_records

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def av(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A finished `emoreason run` over recipes/tiny_av with a few clips and steps."""
    folder = tmp_path_factory.mktemp("av")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "data_prep")
        importlib.import_module("talking_faces").build(
            ROOT / "recipes/tiny/data", folder / "recipes/tiny_av/data", num_per_label=4, seed=0, voice="synthetic"
        )
    for path in (ROOT / "recipes/tiny_av").glob("*.yaml"):
        recipe = yaml.safe_load(path.read_text())
        if recipe["stage"] == "sft":
            recipe["model"]["from_scratch"]["warm_start"] |= {"steps": 4, "batch_size": 4}
            for phase in recipe["phases"]:
                phase["trainer"] |= {"max_steps": 6}
            recipe["trainer"] |= {"per_device_train_batch_size": 8, "save_steps": 50}
        if recipe["stage"] == "grpo":
            recipe["trainer"] |= {"max_steps": 2, "per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 8}
        if recipe["stage"] == "dpo":
            recipe["trainer"] |= {"max_steps": 2, "per_device_train_batch_size": 4}
        if recipe["stage"] == "evaluate":
            recipe["decoding"] |= {"max_new_tokens": 8}
            recipe["num_bootstrap"] = 100
        (folder / "recipes/tiny_av" / path.name).write_text(yaml.safe_dump(recipe, sort_keys=False))
    return Line(folder, run_emoreason(folder, "run", "recipes/tiny_av").stdout)


def test_the_recipes_are_right_once_the_clips_are_there(av: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(av.folder)
    for path in sorted(Path("recipes/tiny_av").glob("*.yaml")):
        assert check_recipe(path, load_recipe(path)) == []


def test_the_line_reports_by_what_the_label_follows(av: Line) -> None:
    for stage in ("stage1_sft", "stage3_dpo", "stage3_grpo"):
        found = {path.stem: read_json(path) for path in (av.folder / "runs/tiny_av" / stage / "eval").glob("*.json")}
        assert found.keys() == {"consistent", "face_aligned", "voice_aligned"}
        assert all("accuracy" in report["metrics"] for report in found.values())
    assert "voice_aligned" in av.printed


def test_grpo_scored_clips_with_their_sound(av: Line) -> None:
    rows = [row for _, row in read_jsonl(av.folder / "runs/tiny_av/stage3_grpo/completions.jsonl", [])]
    records = {record.id: record for split in ("calibration", "train") for record in read_records(av.folder / f"recipes/tiny_av/data/{split}.jsonl")}
    assert {row["id"] for row in rows} <= records.keys()
    assert all("modality_consistency_reward" in row["rewards"] for row in rows)


def test_the_release_answers_for_a_clip_and_hears_it(av: Line) -> None:
    clip = next(record.media.video for record in read_records(av.folder / "recipes/tiny_av/data/heldout.jsonl") if record.media.audio_in_video)
    done = av.emoreason("predict", "runs/tiny_av/release", f"recipes/tiny_av/data/{clip}", "--hear-clips", "--json")
    assert clip in done.stdout
