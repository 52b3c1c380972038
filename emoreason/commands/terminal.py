"""What the commands share: where they print, how they name a recipe, and how they read it before torch is waited for."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from emoreason.faults import UserError

RecipePath = Annotated[Path, typer.Argument(help="A recipe (YAML).", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Changes to the recipe, e.g. trainer.learning_rate=1.0e-6", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
out, err = Console(), Console(stderr=True)


@contextmanager
def stdout_kept() -> Iterator[None]:
    """What libraries print meanwhile, in this process and those that it starts, goes to stderr: DeepSpeed logs to stdout on import."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def paged(page: bool) -> Iterator[None]:
    """What is printed meanwhile goes through the pager where it is longer than the terminal; nothing changes off a terminal."""
    if not (page and out.is_terminal):
        yield
        return
    with out.capture() as captured:
        yield
    text = captured.get()
    if text.count("\n") < out.height:
        out.out(text, end="", highlight=False)
        return
    from rich.pager import SystemPager

    os.environ.setdefault("LESS", "-R")  # colours and links as they are, as git sets it
    SystemPager().show(text)


def flat(values: dict, prefix: str = "") -> list[tuple[str, object]]:
    """(dotted key, value) of everything in nested dictionaries."""
    pairs = []
    for key, value in values.items():
        pairs += flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return pairs


def faults_of(path: Path) -> list[str]:
    """Every fault of a recipe, in its own file and in what it names."""
    from emoreason.preflight import check_recipe
    from emoreason.recipe_files import load_recipe

    try:
        return check_recipe(path, load_recipe(path))
    except UserError as error:
        return error.faults


def checked(path: Path, overrides: list[str] | None):
    """The recipe, after everything that can be checked before torch is imported."""
    quiet()
    from emoreason.preflight import check_recipe
    from emoreason.recipe_files import load_recipe

    recipe = load_recipe(path, overrides)
    if faults := check_recipe(path, recipe):
        raise UserError(faults)
    return recipe


def quiet() -> None:
    """Progress and results only: libraries tell of each file they load."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    logging.getLogger("torch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
