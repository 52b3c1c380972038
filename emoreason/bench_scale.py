"""What a second process brings: the same update by one process and by two, plain, under ZeRO-2 and under ZeRO-3, on this machine.

    emoreason bench scale
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from emoreason.faults import UserError
from emoreason.recipe import FromScratch, GrpoRecipe
from emoreason.recipe_files import load_folder

ROWS = 16
"""Rows of a step, of all processes together."""
NUM_STEPS = 12
WARM_STEPS = 3
"""Left out: compilers and caches warm up in them."""
CASES = (("one process", 1, None), ("two, plain", 2, None), ("two, ZeRO-2", 2, 2), ("two, ZeRO-3", 2, 3))


def measure(recipes_dir: Path, say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """For each way to spread the SFT update of a folder: `seconds` a step (median), `scaling` (one process's seconds over them) and `share` of
    the best that so many processes could do, with one thread each.

    The mix is that of the folder's data, the batch of a step the same in all. On a machine whose processes share memory bandwidth and cores
    with others this says little of GPUs; it says what the exchange costs.
    """
    recipes, faults = load_folder(recipes_dir)
    if faults:
        raise UserError(faults)
    recipe = next((one for one in recipes.values() if one.stage == "sft"), None)
    if recipe is None:
        raise UserError(f"{recipes_dir}: has no recipe of stage sft")
    assert not isinstance(recipe, GrpoRecipe)
    with tempfile.TemporaryDirectory(prefix="emoreason_scale_") as name:
        folder = Path(name)
        values = recipe.model_dump()
        values["phases"] = [{**values["phases"][-1], "freeze": None, "data": None, "trainer": {}}]
        values["model"]["path"] = str(folder / "base")
        if isinstance(recipe.model.from_scratch, FromScratch):
            values["model"]["from_scratch"]["warm_start"] = None
        values["trainer"] = {**values["trainer"], "max_steps": NUM_STEPS, "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True}
        found = []
        for title, processes, stage in CASES:
            say(title)
            values["output_dir"] = str(folder / title.replace(" ", "_"))
            values["zero"] = {"stage": stage} if stage else None
            values["trainer"]["per_device_train_batch_size"] = ROWS // processes
            path = folder / "recipe.yaml"
            path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
            seconds = _seconds(path, processes, folder / "seconds.json")
            found.append({"case": title, "processes": processes, "zero_stage": stage or 0, "seconds": statistics.median(seconds[WARM_STEPS:])})
    for row in found:
        row["scaling"] = found[0]["seconds"] / row["seconds"]
        row["share"] = row["scaling"] / row["processes"]
    return found


def _seconds(recipe: Path, processes: int, report: Path) -> list[float]:
    """Of each step of a run in so many processes."""
    launcher = ["-m", "torch.distributed.run", "--nnodes=1", f"--nproc-per-node={processes}", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "emoreason.bench_scale", str(recipe), str(report)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode != 0:
        raise UserError(f"{recipe}: the run in {processes} processes failed:\n{done.stderr[-3000:]}")
    return json.loads(report.read_text())


def _run(recipe: Path, report: Path) -> None:
    """In each process: run the stage, and note in the first how long each step took."""
    import time

    from emoreason import ranks
    from emoreason.recipe_files import load_recipe
    from emoreason.stages import sft
    from emoreason.trainers.callbacks import MetricsLog

    times: list[float] = []
    log = MetricsLog.on_log

    def on_log(self, args, state, control, logs=None, **kwargs):
        times.append(time.perf_counter())
        log(self, args, state, control, logs=logs, **kwargs)

    MetricsLog.on_log = on_log
    sft.run(load_recipe(recipe))
    if ranks.rank() == 0:
        report.write_text(json.dumps([after - before for before, after in itertools.pairwise(times[:NUM_STEPS])]))


if __name__ == "__main__":
    _run(Path(sys.argv[1]), Path(sys.argv[2]))
