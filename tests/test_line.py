"""Which job comes after which, and what each is given."""

from pathlib import Path

import pytest
from conftest import TINY

from emoreason.faults import UserError
from emoreason.files import write_json
from emoreason.line import Job, plan
from emoreason.recipe import AnyRecipe
from emoreason.recipe_files import load_folder, moved


def tiny(tmp_path: Path, *overrides: str) -> dict[Path, AnyRecipe]:
    """The tiny line, written below a folder of this test."""
    recipes, faults = load_folder(TINY, list(overrides))
    assert faults == []
    return {path: moved(recipe, Path("runs/tiny"), tmp_path / "tiny") for path, recipe in recipes.items()}


def finish(recipe: AnyRecipe, **changes: object) -> None:
    write_json(Path(recipe.output_dir) / "run.json", {"status": "finished", "recipe": {**recipe.model_dump(mode="json"), **changes}})


def test_each_stage_waits_for_its_parent_and_the_release_for_the_last_evaluation(tmp_path: Path) -> None:
    found = {job.name.removeprefix("tiny-"): (job.script, [name.removeprefix("tiny-") for name in job.after]) for job in plan(tiny(tmp_path))}
    assert found == {
        "stage1_sft": ("stage1_sft.sh", []),
        "stage1_sft-evaluate": ("evaluate.sh", ["stage1_sft"]),
        "stage2_confidence": ("stage2_confidence.sh", ["stage1_sft"]),
        "stage2_confidence-evaluate": ("evaluate.sh", ["stage2_confidence"]),
        "stage3_dpo": ("stage3_dpo.sh", ["stage2_confidence"]),
        "stage3_dpo-evaluate": ("evaluate.sh", ["stage3_dpo"]),
        "stage3_grpo": ("stage3_grpo.sh", ["stage2_confidence"]),
        "stage3_grpo-evaluate": ("evaluate.sh", ["stage3_grpo"]),
        "stage3_grpo-release": ("release.sh", ["stage3_grpo-evaluate"]),
    }


def test_a_job_comes_after_those_that_it_waits_for(tmp_path: Path) -> None:
    jobs = plan(dict(reversed(tiny(tmp_path).items())))
    names = [job.name for job in jobs]
    assert all(names.index(before) < place for place, job in enumerate(jobs) for before in job.after)
    assert names[-1].endswith("-release")


def test_arguments_write_where_the_line_is_moved_to_and_an_override_goes_where_it_suits(tmp_path: Path) -> None:
    overrides = ["seed=3", "trainer.max_steps=5", "num_bootstrap=200"]
    jobs = {job.name: list(job.arguments) for job in plan(tiny(tmp_path, *overrides), overrides)}
    runs = tmp_path / "tiny"
    assert jobs["tiny-stage2_confidence"] == [
        str(TINY / "stage2_confidence.yaml"), "seed=3", "trainer.max_steps=5",
        f"output_dir={runs}/stage2_confidence", f"model.path={runs}/stage1_sft/checkpoint",
    ]  # fmt: skip
    assert jobs["tiny-stage3_dpo-evaluate"] == [
        str(TINY / "evaluate.yaml"), "seed=3", "num_bootstrap=200", f"output_dir={runs}/stage3_dpo", f"model.path={runs}/stage3_dpo/checkpoint",
    ]  # fmt: skip
    assert jobs["tiny-stage3_grpo-release"] == [f"{runs}/stage3_grpo", f"{runs}/release"]


def test_what_has_ended_is_left_out_and_waited_for_by_nobody(tmp_path: Path) -> None:
    recipes = tiny(tmp_path)
    finish(recipes[TINY / "stage1_sft.yaml"])
    jobs = {job.name: job.after for job in plan(recipes)}
    assert "tiny-stage1_sft" not in jobs
    assert jobs["tiny-stage1_sft-evaluate"] == jobs["tiny-stage2_confidence"] == ()


def test_a_stage_that_ended_with_another_recipe_is_for_the_job_to_refuse(tmp_path: Path) -> None:
    recipes = tiny(tmp_path)
    finish(recipes[TINY / "stage1_sft.yaml"], seed=7)
    assert "tiny-stage1_sft" in [job.name for job in plan(recipes)]


def test_a_line_is_parted_by_tabs_and_has_no_empty_part() -> None:
    assert Job("a", "evaluate.sh", (), ("x y", "z=1")).line() == "a\tevaluate.sh\t-\tx y\tz=1"
    assert Job("b", "release.sh", ("a", "c"), ("x",)).line() == "b\trelease.sh\ta,c\tx"


@pytest.mark.parametrize("word", ["prompt.question=What\tis it?", "prompt.question=What\nis it?"])
def test_an_argument_that_would_break_a_line_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(UserError, match="a tab or a line's end"):
        plan(tiny(tmp_path), [word])
