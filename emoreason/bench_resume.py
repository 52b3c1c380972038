"""How a stage survives `kill -9`: killed at a moment drawn at random, started again, and compared with the run that nobody disturbed.

    emoreason bench resume

A moment is in one of the things that a stage does: a training step, the writing of a checkpoint, a rollout, a reward, the publishing of a
result between phases and stages. Which call of it, and when in that call, is drawn; how often and how long each is called is taken from the
undisturbed run.
"""

import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from emoreason import preemption
from emoreason.faults import UserError
from emoreason.files import read_json, write_json
from emoreason.recipe import AnyRecipe
from emoreason.recipe_files import moved
from emoreason.short_line import PARENT, short_line, variants_of

MOMENTS = {
    "step": ("emoreason.trainers.guarded", "GuardedTrainer", "training_step"),
    "checkpoint": ("transformers", "Trainer", "_save_checkpoint"),
    "sealing": ("emoreason.trainers.callbacks", "KeepCheckpoints", "on_save"),
    "rollout": ("emoreason.trainers.grpo", "MediaGRPOTrainer", "_generate_single_turn"),
    "sampling": ("emoreason.rollouts.transformers_engine", "TransformersEngine", "_drawn"),
    "reward": ("emoreason.rewarding", "RewardFunc", "__call__"),
    "between": ("emoreason.run_dir", "RunDir", "finish"),
}
"""{moment: (module, class, method) whose calls are it}."""
VOLATILE = ("step_time", "train_runtime", "train_samples_per_second", "train_steps_per_second", "sync/seconds")
"""Columns of metrics.jsonl that tell the time."""


@dataclass(frozen=True)
class Moment:
    """When a process is killed: so many seconds into the n-th call of something."""

    name: str
    call: int
    seconds: float


def measure(
    recipes_dir: Path, trials: int, seed: int = 0, only: str | None = None, say: Callable[[str], None] = lambda text: None
) -> list[dict[str, Any]]:
    """For each stage of a folder, full and with adapters: `trials`, `survived`, the moments and the trials that failed, and what checkpoints cost.

    Recipes and records are shrunk to seconds. A trial survives when weights, metrics and completions are bit for bit those of the undisturbed
    run. `checkpoint_seconds` is the mean of one, `checkpoint_share` its share of the time between two at the recipe's own `save_steps`,
    `seconds_to_make_room` from USR1 in the middle of a step until the process has ended.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="emoreason_resume_") as name:
        folder = Path(name)
        variants = dict(variants_of(short_line(recipes_dir, folder)))
        tried = [stage for stage in variants if stage != PARENT]
        if only is not None and only not in tried:
            raise UserError(f"--stage {only}: accepted: {', '.join(tried)}")
        for stage, recipe in variants.items():
            is_tried = stage in tried and only in (None, stage)
            if is_tried or only is None or _is_needed(recipe, variants, only):
                say(f"{stage}: undisturbed")
                whole = _train(recipe, folder / f"{stage}.log")
                if whole["exit"] != 0:
                    raise UserError(f"{stage} fails undisturbed: {(folder / f'{stage}.log').read_text()[-3000:]}")
                if is_tried:
                    found.append(_try(stage, recipe, whole, trials, random.Random(f"{seed}:{stage}"), folder, say))
    return found


def _is_needed(recipe: AnyRecipe, variants: dict[str, AnyRecipe], only: str) -> bool:
    """Whether the stage that is asked for starts from this one, or from one that does."""
    target = variants[only]
    while True:
        parent = next((one for one in variants.values() if Path(target.model.path).is_relative_to(one.output_dir)), None)
        if parent is None or parent is recipe:
            return parent is recipe
        target = parent


def _try(
    stage: str, recipe: AnyRecipe, whole: dict[str, Any], trials: int, draw: random.Random, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    moments, lost = [], []
    calls = {name: seconds for name, seconds in whole["calls"].items() if seconds}
    for trial in range(trials):
        name = list(calls)[trial % len(calls)]
        call = draw.randrange(len(calls[name]))
        moment = Moment(name, call, draw.random() * calls[name][call])
        disturbed = moved(recipe, Path(recipe.output_dir), folder / "trials" / stage / str(trial))
        log = folder / f"{stage}_{trial}.log"
        killed = _train(disturbed, log, moment)
        again = _train(disturbed, log)
        differs = [f"killed run ended with {killed['exit']}"] if killed["exit"] != -signal.SIGKILL else []
        differs += [log.read_text()[-2000:]] if again["exit"] != 0 else _differences(Path(recipe.output_dir), Path(disturbed.output_dir))
        moments.append(name)
        if differs:
            lost.append({"moment": name, "call": call, "seconds": moment.seconds, "why": differs})
        shutil.rmtree(disturbed.output_dir, ignore_errors=True)
        say(f"{stage}: {trial + 1 - len(lost)} of {trial + 1} survived, killed in: {name}")
    saves = [sum(pair) for pair in zip(whole["calls"]["checkpoint"], whole["calls"]["sealing"], strict=True)]
    step, save = (sum(seconds) / len(seconds) for seconds in (whole["calls"]["step"], saves))
    return {
        "stage": stage, "trials": trials, "survived": trials - len(lost), "lost": lost,
        "moments": {name: moments.count(name) for name in dict.fromkeys(moments)}, "step_seconds": step, "checkpoint_seconds": save,
        "checkpoint_megabytes": whole["bytes"] / 1e6, "checkpoint_share": save / (save + step * whole["save_steps"]),
        "seconds_to_make_room": _room(recipe, folder, calls),
    }  # fmt: skip


def _room(recipe: AnyRecipe, folder: Path, calls: dict[str, list[float]]) -> float | None:
    """Seconds from USR1 in the first step until the process has ended with what it needs to go on."""
    disturbed = moved(recipe, Path(recipe.output_dir), folder / "trials" / "room")
    ended = _train(disturbed, folder / "room.log", Moment("step", 0, 0.5 * calls["step"][0]), signal.SIGUSR1)
    shutil.rmtree(disturbed.output_dir, ignore_errors=True)
    return ended["ended"] - ended["signalled"] if ended["exit"] == 75 else None


def _train(recipe: AnyRecipe, log: Path, moment: Moment | None = None, number: signal.Signals = signal.SIGKILL) -> dict[str, Any]:
    """Run a stage in a process of its own, perhaps disturbed; how it ended and, undisturbed, the seconds of each call of each moment."""
    context = multiprocessing.get_context("forkserver")  # a fresh process, forked from one that has imported everything already
    context.set_forkserver_preload([f"emoreason.stages.{stage}" for stage in ("sft", "confidence", "grpo", "dpo")])
    report = log.with_suffix(".json")
    report.unlink(missing_ok=True)
    child = context.Process(target=_stage, args=(recipe, log, report, moment, number))
    child.start()
    child.join()
    found = read_json(report) if report.exists() else {}
    return {"exit": child.exitcode, "ended": time.time(), **found}


def _stage(recipe: AnyRecipe, log: Path, report: Path, moment: Moment | None, number: signal.Signals) -> None:
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import importlib

    import torch

    torch.set_num_threads(1)  # sums are in the same order then
    preemption.listen()
    calls: dict[str, list[float]] = {name: [] for name in MOMENTS}
    sizes: list[int] = []
    for name, (module, owner, method) in MOMENTS.items():
        mine = moment if moment and moment.name == name else None
        _watch(getattr(importlib.import_module(module), owner), method, calls[name], mine, report, number)
    if moment is None:
        _watch_sizes(sizes)
    code = 1
    try:
        importlib.import_module(f"emoreason.stages.{recipe.stage}").run(recipe)
        code = 0
        if moment is None:
            write_json(report, {"calls": calls, "bytes": max(sizes, default=0), "save_steps": recipe.trainer["save_steps"]})
    except preemption.Preempted as asked:
        code = asked.exit_code
    except Exception:  # whatever ends the stage ends this process; the trial shows what the log says of it
        logging.exception("%s has failed", recipe.output_dir)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # at once: the process that scores rewards would be waited for


def _watch(owner: type, method: str, seconds: list[float], moment: Moment | None, report: Path, number: signal.Signals) -> None:
    """Note how long each call takes; in the call that the moment names, have this process killed after its seconds."""
    original = getattr(owner, method)

    @wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        timer = threading.Timer(moment.seconds, _disturb, (report, number)) if moment is not None and len(seconds) == moment.call else None
        if timer is not None:
            timer.start()
        started = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - started)
            if timer is not None:
                timer.join()  # a call that is quicker than it was before must not get away

    setattr(owner, method, watched)


def _disturb(report: Path, number: signal.Signals) -> None:
    if number != signal.SIGKILL:
        write_json(report, {"signalled": time.time()})
    os.kill(os.getpid(), number)


def _watch_sizes(sizes: list[int]) -> None:
    from emoreason import checkpoints

    original = checkpoints.seal

    @wraps(original)
    def sealed(folder: Path, files: dict[str, list], facts: dict[str, Any]) -> None:
        sizes.append(sum(size for size, _ in files.values()))
        original(folder, files, facts)

    checkpoints.seal = sealed


def _differences(whole: Path, resumed: Path) -> list[str]:
    """What is not as in the undisturbed run: weights, metrics, completions and pairs, bit for bit."""
    found = []
    for path in sorted((whole / "checkpoint").glob("*.safetensors")):
        before, after = load_file(path), load_file(resumed / "checkpoint" / path.name)
        found += [f"weights of {name}" for name in before if not (name in after and (before[name] == after[name]).all())][:3]
    for name in ("metrics.jsonl", "completions.jsonl", "pairs.jsonl"):
        one, other = (_rows(run / name) for run in (whole, resumed))
        found += [f"{name}: {len(one)} rows, {len(other)} when resumed"] if len(one) != len(other) else []
        pairs = enumerate(zip(one, other, strict=False))
        found += [f"{name}: row {place}: {left} became {right}" for place, (left, right) in pairs if left != right][:2]
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows that tell of the training, without the times; a resumed run adds up another summary."""
    if not path.exists():
        return []
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [{key: value for key, value in row.items() if key not in VOLATILE} for row in rows if "train_runtime" not in row]
