"""The line of work in a folder of recipes: which stage comes after which, and the jobs that a scheduler would be given for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emoreason.faults import UserError, raise_faults
from emoreason.recipe import RECIPE_CLASSES, AnyRecipe, EvaluateRecipe
from emoreason.run_dir import RunDir

SCRIPTS = {"sft": "stage1_sft.sh", "confidence": "stage2_confidence.sh", "grpo": "stage3_grpo.sh", "dpo": "stage3_dpo.sh"}


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


def evaluation_of(evaluation: EvaluateRecipe, recipe: AnyRecipe) -> EvaluateRecipe:
    """The evaluation of this stage's checkpoint, written beside it."""
    model = evaluation.model.model_copy(update={"path": str(RunDir(recipe.output_dir).checkpoint_path)})
    return evaluation.model_copy(update={"output_dir": recipe.output_dir, "model": model})


def release_path(recipe: AnyRecipe) -> Path:
    """Where the checkpoint of this stage is released to."""
    return Path(recipe.output_dir).parent / "release"


@dataclass(frozen=True)
class Job:
    """One job of the line."""

    name: str
    """That of its folder and of the one above, e.g. `tiny-stage3_grpo`: two lines never share one."""
    script: str
    after: tuple[str, ...]
    """Names of the jobs that must have ended well."""
    arguments: tuple[str, ...]

    def line(self) -> str:
        """The job for a script that reads lines, tab-separated: name, script, the jobs before it (with commas, or -), arguments."""
        return "\t".join([self.name, self.script, ",".join(self.after) or "-", *self.arguments])


def plan(recipes: dict[Path, AnyRecipe], overrides: Iterable[str] = ()) -> list[Job]:
    """The jobs that are left to do, those that others wait for first. A stage that has ended with this very recipe is left out.

    `recipes` are the resolved ones, moved to another folder where the line is to be written there; `overrides` go to the recipes whose
    stage has their first key, as in `load_folder`.

    Raises:
        UserError: recipes that make no line, a tab or a line's end in an argument.
    """
    training, evaluation = make_line(next(iter(recipes)).parent, list(recipes.values()))
    paths = {id(recipe): str(path) for path, recipe in recipes.items()}
    jobs: list[Job] = []
    stage_jobs: dict[int, str] = {}
    for recipe in training:
        name = _job_name(recipe)
        if not _is_done(recipe):
            after = tuple(stage_jobs[id(other)] for other in training if id(other) in stage_jobs and _is_parent(other, recipe))
            arguments = [paths[id(recipe)], *_suiting(overrides, recipe), f"output_dir={recipe.output_dir}", f"model.path={recipe.model.path}"]
            jobs.append(Job(name, SCRIPTS[recipe.stage], after, tuple(arguments)))
            stage_jobs[id(recipe)] = name
        waits = (name,) if id(recipe) in stage_jobs else ()
        if evaluation is not None:
            mine = evaluation_of(evaluation, recipe)
            arguments = [paths[id(evaluation)], *_suiting(overrides, mine), f"output_dir={mine.output_dir}", f"model.path={mine.model.path}"]
            jobs.append(Job(f"{name}-evaluate", "evaluate.sh", waits, tuple(arguments)))
            waits = (f"{name}-evaluate",)
        if recipe.release:
            last = Job(f"{name}-release", "release.sh", waits, (recipe.output_dir, str(release_path(recipe))))
    jobs += [last] if any(recipe.release for recipe in training) else []
    unreadable = sorted({word for job in jobs for word in job.arguments if set(word) & set("\t\n\r")})
    raise_faults([f"{word!r}: a tab or a line's end cannot be handed to a job; leave it out" for word in unreadable])
    return jobs


def _job_name(recipe: AnyRecipe) -> str:
    return "-".join(Path(recipe.output_dir).absolute().parts[-2:]).replace(" ", "_").replace(",", "_")


def _is_done(recipe: AnyRecipe) -> bool:
    """Whether the stage has ended with this very recipe; another recipe's run is for the job itself to refuse."""
    run_dir = RunDir(recipe.output_dir)
    return run_dir.is_finished and run_dir.manifest["recipe"] == recipe.model_dump()


def _suiting(overrides: Iterable[str], recipe: AnyRecipe) -> list[str]:
    return [one for one in overrides if one.partition("=")[0].split(".")[0] in RECIPE_CLASSES[recipe.stage].model_fields]
