"""A folder of recipes as one line of work: every stage in the order of its parents, evaluated, the last one released.

    emoreason run recipes/tiny
    emoreason run recipes/tiny --runs-dir runs/tiny_seed1 seed=1      # the same line elsewhere, with other settings
"""

import importlib
from collections.abc import Callable
from pathlib import Path

from emoreason import evaluate
from emoreason.line import evaluation_of, release_path
from emoreason.recipe import AnyRecipe, EvaluateRecipe
from emoreason.release import release
from emoreason.run_dir import RunDir


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
            released = release(RunDir(recipe.output_dir), release_path(recipe))
            say(f"released: {released}")
    return runs, released
