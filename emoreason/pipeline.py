"""A folder of recipes as one line of work: every stage in the order of its parents, evaluated, the last one released.

    emoreason run recipes/tiny
    emoreason run recipes/tiny --runs-dir runs/tiny_seed1 seed=1      # the same line elsewhere, with other settings
"""

import importlib
from collections.abc import Callable
from pathlib import Path

from emoreason import evaluate
from emoreason.faults import UserError
from emoreason.recipe import AnyRecipe, EvaluateRecipe
from emoreason.release import release
from emoreason.run_dir import RunDir


def make_line(recipes_dir: Path, recipes: list[AnyRecipe]) -> tuple[list[AnyRecipe], EvaluateRecipe | None]:
    """(training recipes, parents first; the evaluation recipe).

    Raises:
        UserError: recipes that make no line: none that trains, two evaluations, two releases, a circle of parents.
    """
    training = [recipe for recipe in recipes if recipe.stage != "evaluate"]
    evaluations = [recipe for recipe in recipes if recipe.stage == "evaluate"]
    if len(evaluations) > 1 or not training:
        raise UserError(f"{recipes_dir}: {len(training)} training and {len(evaluations)} evaluate recipes; accepted: at least one, at most one")
    if sum(recipe.release for recipe in training) > 1:
        raise UserError(f"{recipes_dir}: more than one recipe says release: true; one checkpoint is released")
    return parents_first(training), evaluations[0] if evaluations else None


def parents_first(recipes: list[AnyRecipe]) -> list[AnyRecipe]:
    """The recipes so that each comes after the one whose output its `model.path` lies in; otherwise the order given."""
    ordered: list[AnyRecipe] = []
    waiting = list(recipes)
    while waiting:
        ready = next((one for one in waiting if not any(other is not one and _is_parent(other, one) for other in waiting)), None)
        if ready is None:
            raise UserError("these recipes start from each other's output: " + ", ".join(recipe.output_dir for recipe in waiting))
        ordered.append(ready)
        waiting.remove(ready)
    return ordered


def _is_parent(parent: AnyRecipe, child: AnyRecipe) -> bool:
    return Path(child.model.path).is_relative_to(parent.output_dir)


def run_line(training: list[AnyRecipe], evaluation: EvaluateRecipe | None, say: Callable[[str], None]) -> tuple[list[RunDir], Path | None]:
    """Run what is not done yet; (the run of each stage, the released folder or None)."""
    runs, released = [], None
    for recipe in training:
        run_dir = RunDir(recipe.output_dir)
        say(f"{recipe.stage}: {'done already' if run_dir.is_finished else 'runs'}, {run_dir.path}")
        stage = importlib.import_module(f"emoreason.stages.{recipe.stage}")
        runs.append(stage.run(recipe))
        if evaluation is not None:
            evaluate.run(evaluation_of(evaluation, recipe))
    for recipe in training:
        if recipe.release:
            released = release(RunDir(recipe.output_dir), Path(recipe.output_dir).parent / "release")
            say(f"released: {released}")
    return runs, released


def evaluation_of(evaluation: EvaluateRecipe, recipe: AnyRecipe) -> EvaluateRecipe:
    """The evaluation of this stage's checkpoint, written beside it."""
    model = evaluation.model.model_copy(update={"path": str(RunDir(recipe.output_dir).checkpoint_path)})
    return evaluation.model_copy(update={"output_dir": recipe.output_dir, "model": model})
