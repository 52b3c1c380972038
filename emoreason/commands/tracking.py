"""`emoreason track`: what a run's folder says, sent to TensorBoard or W&B, as often as one likes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from emoreason.commands.terminal import out
from emoreason.faults import UserError, raise_faults


def track(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs (the output_dir of a stage), or folders of them.", show_default=False)],
    to: Annotated[
        list[str] | None, typer.Option("--to", help="tensorboard or wandb; may be given twice. Default: the recipe's `trackers`.", show_default=False)
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", hidden=True, help="Feed one tracker as told on stdin; the trainer starts this.")] = False,
) -> None:
    """Send a run's metrics, evaluations and newest completions to TensorBoard or W&B. It can be repeated: what is there is not sent twice.

    metrics.jsonl is what happened; trackers are copies of it. A run keeps one id over all requeues and machines, and its steps go on
    over the phases of SFT. W&B is offline unless WANDB_MODE=online: copy the folder to where there is a network, and run the
    `wandb sync` command that is printed. Project and entity are WANDB_PROJECT and WANDB_ENTITY, the key is that of `wandb login`.

    Example: emoreason track runs/tiny --to tensorboard

    Example: WANDB_MODE=online emoreason track runs/tiny/stage3_grpo --to wandb
    """
    from emoreason.tracker_replay import follow as feed
    from emoreason.tracker_replay import replay
    from emoreason.trackers import TRACKERS, missing_package, tracked_runs, trackers_of

    if follow:
        feed(runs[0], to[0], 0)
        return
    raise_faults([f"--to {name}: no such tracker; accepted: {', '.join(TRACKERS)}" for name in to or [] if name not in TRACKERS])
    wanted = [(run, tracker) for given in runs for run in tracked_runs(given) for tracker in dict.fromkeys(to or trackers_of(run))]
    if not wanted:
        raise UserError(f"{', '.join(map(str, runs))}: the recipe has no trackers; say where to: --to tensorboard, --to wandb")
    raise_faults([problem for tracker in dict.fromkeys(tracker for _, tracker in wanted) if (problem := missing_package(tracker))])
    table, commands = Table(Column("run", overflow="fold"), "tracker", "rows sent", "skipped", Column("where", overflow="fold")), []
    for run, tracker in wanted:
        sent = replay(run, tracker)
        table.add_row(str(run), tracker, str(sent.rows), str(sent.skipped), sent.where)
        commands += [sent.command] if sent.command else []
    out.print(table)
    for command in commands:
        print(command)
