"""The door. Each command imports what it needs when it runs, so that `check` and `--help` never wait for torch."""

import errno
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from emoreason.faults import UserError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
    help="Fine-tune multimodal language models to reason about emotion: SFT, confidence, GRPO or DPO, evaluation, release.\n\n"
    "Start with: [bold]emoreason run recipes/tiny[/bold]",
)  # fmt: skip
RecipePath = Annotated[Path, typer.Argument(help="A recipe (YAML).", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Changes to the recipe, e.g. trainer.learning_rate=1.0e-6", show_default=False),
]
out, err = Console(), Console(stderr=True)


@app.command()
def check(recipes: Annotated[list[Path], typer.Argument(help="Recipes, or folders of recipes.", show_default=False)]) -> None:
    """Find every fault of recipes without a GPU: keys, types, data, pictures, targets, rewards, the parent's settings.

    Example: emoreason check recipes/tiny recipes/qwen2_5_vl_7b
    """
    paths = [path for given in recipes for path in (sorted(given.glob("*.yaml")) if given.is_dir() else [given])]
    if not paths:
        raise UserError(f"no recipes in {', '.join(map(str, recipes))}")
    faults = []
    for path in paths:
        found = _faults(path)
        print(f"{path}: {f'{len(found)} faults' if found else 'ok'}")
        faults += found
    if faults:
        raise UserError(faults)


@app.command()
def train(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Run one stage. A stage that ended is skipped, one that was cut off goes on.

    Example: emoreason train recipes/tiny/stage3_grpo.yaml trainer.max_steps=20 output_dir=runs/try
    """
    loaded = _checked(recipe, overrides)
    if loaded.stage == "evaluate":
        raise UserError(f"{recipe}: stage is evaluate; run: emoreason evaluate {recipe}")
    import importlib

    run_dir = importlib.import_module(f"emoreason.stages.{loaded.stage}").run(loaded)
    out.print(f"finished: {run_dir.checkpoint_path}", highlight=False, soft_wrap=True)


@app.command()
def run(
    recipes_dir: Annotated[Path, typer.Argument(help="A folder with one recipe a stage.", show_default=False)],
    overrides: Overrides = None,
    runs_dir: Annotated[Path | None, typer.Option(help="Write here instead of the folder that the recipes name.")] = None,
) -> None:
    """Run all stages of a folder in order, evaluate each, release the last. Run it again to go on where it stopped.

    Example: emoreason run recipes/tiny --runs-dir runs/tiny_seed1 seed=1
    """
    _quiet()
    from emoreason.preflight import check_recipe
    from emoreason.recipe_files import load_folder, moved

    recipes, faults = load_folder(recipes_dir, overrides)
    if runs_dir is not None:
        roots = {Path(recipe.output_dir).parent for recipe in recipes.values()}
        if len(roots) > 1:
            raise UserError(f"{recipes_dir}: --runs-dir needs output_dirs side by side, these are in {', '.join(map(str, sorted(roots)))}")
        recipes = {path: moved(recipe, *roots, runs_dir) for path, recipe in recipes.items()}
    faults += [fault for path, recipe in recipes.items() for fault in check_recipe(path, recipe, list(recipes.values()))]
    if faults:
        raise UserError(faults)
    from emoreason.pipeline import make_line, run_line
    from emoreason.report import metrics_table

    training, evaluation = make_line(recipes_dir, list(recipes.values()))
    runs, released = run_line(training, evaluation, lambda line: out.rule(line))
    print(metrics_table([run_dir.path for run_dir in runs]))
    if released:
        print(f"released checkpoint: {released}")


@app.command()
def evaluate(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Evaluate a checkpoint on the recipe's test sets and print the metrics with their intervals.

    Example: emoreason evaluate recipes/tiny/evaluate.yaml model.path=runs/tiny/release output_dir=runs/tiny/release_eval
    """
    loaded = _checked(recipe, overrides)
    if loaded.stage != "evaluate":
        raise UserError(f"{recipe}: stage is {loaded.stage}; run: emoreason train {recipe}")
    from emoreason import evaluate as evaluation
    from emoreason.report import metrics_table

    evaluation.run(loaded)
    print(metrics_table([Path(loaded.output_dir)]))


@app.command()
def report(
    runs_dirs: Annotated[list[Path], typer.Argument(help="Folders that `emoreason run` wrote, e.g. one a seed.", show_default=False)],
    markdown: Annotated[bool, typer.Option(help="Print a Markdown table.")] = False,
) -> None:
    """The metrics of every stage; over several folders the mean and the range.

    Example: emoreason report runs/tiny runs/tiny_seed1 runs/tiny_seed2 --markdown
    """
    from emoreason.report import metrics_table, stage_paths

    print(metrics_table(stage_paths(runs_dirs), markdown))


@app.command()
def release(
    run_dir: Annotated[Path, typer.Argument(help="A finished run, e.g. runs/tiny/stage3_grpo.", show_default=False)],
    destination: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
) -> None:
    """Merge, prove the merged model's answers equal, write a folder that transformers loads, with a model card.

    Example: emoreason release runs/tiny/stage3_grpo runs/tiny/release
    """
    _quiet()
    from emoreason.release import release as write_release
    from emoreason.run_dir import RunDir

    print(f"released checkpoint: {write_release(RunDir(run_dir), destination)}")


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(help="A release.", show_default=False)],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures.", show_default=False)],
    jsonl: Annotated[bool, typer.Option("--json", help="Print JSON lines instead of a table.")] = False,
) -> None:
    """Reasoning, emotion and confidence for pictures.

    Example: emoreason predict runs/tiny/release recipes/tiny/data/images/twemoji/1f622.png
    """
    _quiet()
    from emoreason.faults import raise_faults
    from emoreason.preflight import prediction_faults

    raise_faults(prediction_faults(folder, pictures))  # before torch is waited for
    from emoreason.predict import predict as predict_pictures

    rows = predict_pictures(folder, pictures)
    if jsonl:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    table = Table("picture", "reasoning", "emotions", "confidence", "problems")
    for row in rows:
        confidence = "-" if row["confidence"] is None else f"{row['confidence']:.2f}"
        table.add_row(row["picture"], row["reasoning"] or "-", ", ".join(row["emotions"]) or "-", confidence, "; ".join(row["problems"]))
    out.print(table)


def _faults(path: Path) -> list[str]:
    """Every fault of a recipe, in its own file and in what it names."""
    from emoreason.preflight import check_recipe
    from emoreason.recipe_files import load_recipe

    try:
        return check_recipe(path, load_recipe(path))
    except UserError as error:
        return error.faults


def _checked(path: Path, overrides: list[str] | None):
    """The recipe, after everything that can be checked before torch is imported."""
    _quiet()
    from emoreason.preflight import check_recipe
    from emoreason.recipe_files import load_recipe

    recipe = load_recipe(path, overrides)
    if faults := check_recipe(path, recipe):
        raise UserError(faults)
    return recipe


def _quiet() -> None:
    """Progress and results only: libraries tell of each file they load."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    logging.getLogger("torch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def main() -> None:
    """Run the command line; the user's mistakes end with exit code 2, an interrupt with 130."""
    try:
        # Typer turns an interrupt into an exit code that it returns.
        if (code := app(standalone_mode=False)) == 130:
            raise KeyboardInterrupt
        if code:
            sys.exit(code)
    except UserError as error:
        for fault in error.faults:
            print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except Exception as error:  # the last door: what is not the user's mistake goes on as it is
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a mistake on the command line, found by click
            error.show()
            sys.exit(error.exit_code)
        if _has_no_room(error):
            print(f"error: a file has no room: {error}; free some space or raise the limit, then run the same command again", file=sys.stderr)
            sys.exit(2)
        raise


def _has_no_room(error: BaseException) -> bool:
    """Full disk, quota, or limit on a file's size; safetensors reports it in an error of its own, with the number in its text."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in codes or any(f"(os error {code})" in str(error) or f"code: {code}," in str(error) for code in codes)
