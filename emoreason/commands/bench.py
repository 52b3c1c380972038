"""`emoreason bench`: how fast the parts are on this machine, each beside what it can be compared with, in one run."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from emoreason.commands.terminal import AsJson, err, out, quiet, stdout_kept
from emoreason.faults import UserError

bench_app = typer.Typer(no_args_is_help=True, help="How fast the parts are on this machine, beside what they can be compared with.")


@bench_app.command("rewards")
def bench_rewards(as_json: AsJson = False) -> None:
    """Pairs of label lists, and completions, that are scored in a second, in one run on one core.

    Example: emoreason bench rewards --json
    """
    from emoreason.bench import bench_rewards as measure

    figures = measure()
    if as_json:
        print(json.dumps(figures))
        return
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, ", ".join(value) if isinstance(value, list) else f"{value:,}")
    out.print(table)


@bench_app.command("data")
def bench_data(
    rows: Annotated[int, typer.Option(min=1, help="Rows of each data set.")] = 200_000,
    scripts: Annotated[Path, typer.Option(help="The folder of the scripts.")] = Path("data_prep"),
    as_json: AsJson = False,
) -> None:
    """Rows that scripts of data_prep/ convert in a second, and their peak of memory: a CSV set and one of JSON Lines.

    Each has made-up rows in the data set's own layout: MELD with a clip a row, VECBench over a thousand pictures. A script runs as users
    run it, in a process of its own, its start included, on one core.

    limit: rows a second of reading the same table by Python's csv or json and writing every row as JSON, with nothing in between.

    reached: our speed as a share of it. Between the two lie validation of every field, labels, ids that are unique, a look at each file,
    hashes of all that is read and written, and the records of each split written a second time.

    Example: emoreason bench data --rows 1000000
    """
    from emoreason.bench_data import measure

    with err.status("data") as status:
        found = measure(rows, scripts, status.update)
    if as_json:
        print(json.dumps(found))
        return
    table = Table("data set", "rows", "rows a second", "limit", "reached", "peak, MB")
    for row in found:
        speeds = [f"{row[name]:,}" for name in ("rows_per_second", "limit_rows_per_second")]
        table.add_row(f"{row['data_set']} ({row['kind']})", f"{row['rows']:,}", *speeds, f"{row['reached']:.2f}", f"{row['peak_mb']:,.0f}")
    out.print(table)


Quick = Annotated[bool, typer.Option("--quick", help="The small corner of the grid, in half a minute.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Leave out rows whose padded batch has more tokens than this.")]
PlotPath = Annotated[Path | None, typer.Option("--plot", help="Draw the ratio against the prompt's tokens, the limit dashed.", metavar="FILE.png")]
BENCH_COLUMNS = {
    "prompt_tokens": "P", "completion_tokens": "C", "group_size": "G", "seconds": "ours, s", "trl_seconds": "TRL, s", "ratio": "ratio",
    "limit": "limit", "memory_ratio": "memory", "prefix_grouper_seconds": "prefix_\ngrouper, s",
}  # fmt: skip


@bench_app.command("grpo")
def bench_grpo(as_json: AsJson = False, plot: PlotPath = None, quick: Quick = False, max_tokens: MaxTokens = None) -> None:
    """A GRPO update beside TRL's GRPOTrainer: the same weights, tokens and pictures, in one run.

    An update takes one group through three passes: old log-probabilities,
    reference log-probabilities, and the policy's with entropies, loss and
    gradients. Left out on both sides: generation, rewards, preparing the batch,
    the optimizer. Before the clock starts, all log-probabilities, the loss and
    the gradients of both sides must agree.

    The model is a random Qwen2.5-VL made here (128 wide, 2 layers, 4 heads on
    2, a vision tower of 2 layers 32 wide), float32, on the CPU, without
    gradient checkpointing, on as many threads as OMP_NUM_THREADS gives torch.
    Nearly all tokens of a prompt are pictures'; completions are of one length,
    so nothing is won by leaving padding out. No large model and no GPU is
    measured.

    ratio: TRL's seconds over ours, medians of five updates each, which take
    turns after one to warm up.

    limit: how many times fewer floating-point operations the shared form needs
    in towers, linear layers and attention. The LM head is not counted; on a CPU
    TRL runs it over the prompt too, so a ratio can exceed its limit.

    memory: ours over TRL's, of what weights, a batch and one update add to the
    peak of a fresh process.

    prefix_grouper: seconds with that package's attention on the same packed
    row, where it is installed.

    Example: emoreason bench grpo --quick
    """
    _bench_training("grpo", as_json, plot, quick, max_tokens)


@bench_app.command("dpo")
def bench_dpo(as_json: AsJson = False, plot: PlotPath = None, quick: Quick = False) -> None:
    """A DPO update beside TRL's DPOTrainer: chosen and rejected answers share their prompt.

    An update is policy log-probabilities, reference log-probabilities, loss and
    gradients of a few pairs, each with pictures of its own. Everything else is
    as `emoreason bench grpo --help` says.

    Example: emoreason bench dpo --json
    """
    _bench_training("dpo", as_json, plot, quick)


@bench_app.command("sft")
def bench_sft(as_json: AsJson = False, plot: PlotPath = None, quick: Quick = False) -> None:
    """An SFT update beside TRL's SFTTrainer: no prompt is shared, but ours lays rows side by side where TRL pads them.

    An update is log-probabilities, loss and gradients of answers of mixed
    lengths to prompts of one to six pictures; prompt and completion are their
    means. The limit counts the operations that go into padding. On padded rows
    torch's attention on a CPU also computes what causality masks, so the ratio
    can exceed it. Everything else is as `emoreason bench grpo --help` says.

    Example: emoreason bench sft
    """
    _bench_training("sft", as_json, plot, quick)


@bench_app.command("rollouts")
def bench_rollouts(
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option("--quick", help="One small row and one step of each kind.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the speeds, and the seconds of a step by part.", metavar="FILE.png")] = None,
) -> None:
    """Rollouts by vLLM beside transformers, the sync of the policy, and where the seconds of a GRPO step go, in one run.

    The model is a random Qwen2.5-VL made here (256 wide, 4 layers, 8 heads on 4,
    a vision tower of 2 layers 32 wide), float32, without gradient checkpointing.
    Prompts are pictures but for some twenty tokens. Both engines run in fresh
    processes on as many threads as OMP_NUM_THREADS gives torch, and take turns;
    every prompt is new to them. No large model is measured, and no server.

    Rollouts: tokens a second for 4 prompts x 8 completions, temperature 1,
    medians of three after a short one to warm up. No completion ends early.
    Left out on both sides: reading and encoding the pictures.

    Sync: seconds until vLLM has proved that it holds the policy (all weights,
    adapters merged into them, or the adapter alone), and those of the canary.

    Step: a whole GRPO step on 4 x 8 completions, with a reference model; the
    one of median length of three after a first one. log probs are the passes
    without gradient: the reference's and, where vLLM draws, the policy's own,
    by which TRL weighs its tokens; rest is reading, preparing and logging.
    limit is the step without generation, sync and canary: rollouts that cost
    nothing. reached is the limit over the step, 1 at best; below it, the share
    of each part.

    vLLM has to be installed.

    Example: emoreason bench rollouts --quick
    """
    if plot is not None and (plot.suffix != ".png" or not plot.parent.is_dir()):
        raise UserError(f"--plot {plot}: accepted is a file that ends in .png, in a folder that exists")
    quiet()
    with stdout_kept():
        from emoreason.bench_rollouts import draw, measure

        with err.status("rollouts") as status:
            found = measure(quick, status.update)
    if plot is not None:
        draw(found, plot)
    if as_json:
        print(json.dumps(found))
        return
    rollouts = Table("P", "C", "vLLM, tokens/s", "transformers, tokens/s", "ratio", caption="P, C: tokens of a prompt and of a completion")
    for row in found["rollouts"]:
        speeds = [row["vllm_tokens_per_second"], row["transformers_tokens_per_second"]]
        rollouts.add_row(str(row["prompt_tokens"]), str(row["completion_tokens"]), *(f"{speed:,.0f}" for speed in speeds), f"{row['ratio']:.3g}")
    syncs = Table("handed over", "tensors", "sync, s", "canary, s")
    for row in found["syncs"]:
        syncs.add_row(row["handed_over"], str(row["num_tensors"]), f"{row['sync_seconds']:.3g}", f"{row['canary_seconds']:.3g}")
    steps = Table("GRPO step", *(row["rollouts"] for row in found["steps"]), caption=f"vLLM {found['vllm']}; threads: {found['num_threads']}")
    for name, key in (("seconds", "seconds"), ("limit, s", "limit_seconds"), ("reached", "limit_ratio")):
        steps.add_row(name, *(f"{row[key]:.3g}" for row in found["steps"]))
    steps.add_section()
    for part in found["steps"][0]["shares"]:
        steps.add_row(part.replace("_", " "), *(f"{row['shares'][part]:.1%}" for row in found["steps"]))
    for table in (rollouts, syncs, steps):
        out.print(table)


@bench_app.command("resume")
def bench_resume(
    recipes_dir: Annotated[Path, typer.Argument(help="A folder of recipes that a CPU can train.")] = Path("recipes/tiny"),
    trials: Annotated[int, typer.Option(min=1, help="Kills of each stage.")] = 20,
    stage: Annotated[str | None, typer.Option(help="Only this one, as the table names it, e.g. grpo_lora.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Kill stages with -9 at moments drawn at random, start them again, compare with the run that nobody disturbed.

    Every stage of the folder is shrunk to a few records and seconds, and tried
    as it is and with or without adapters. The moments are in a training step,
    in the writing and the sealing of a checkpoint, in a rollout, in sampling,
    in a reward, and at the end of a stage; which call, and when in it, is drawn.

    survived: weights, metrics.jsonl (but for times), completions and pairs are
    bit for bit those of the undisturbed run.

    checkpoint, share: seconds of one, with its hashes, and their share of the
    time between two at the shrunk recipe's save_steps (2 to 10 steps of a tiny
    model; real recipes save each hundred).

    room: seconds from USR1 in the middle of a step until the process has
    written its checkpoint and ended.

    Anything that did not survive ends it with 1.

    Example: emoreason bench resume --trials 5 --stage grpo_lora
    """
    quiet()
    with stdout_kept():
        from emoreason.bench_resume import measure

        with err.status("resume") as status:
            rows = measure(recipes_dir, trials, seed, stage, status.update)
    if as_json:
        print(json.dumps(rows))
    else:
        table = Table("stage", "trials", "survived", "killed in", "checkpoint, s", "MB", "share", "room, s")
        for row in rows:
            moments = ", ".join(f"{name} {count}" for name, count in row["moments"].items())
            room = "-" if row["seconds_to_make_room"] is None else f"{row['seconds_to_make_room']:.2f}"
            table.add_row(row["stage"], str(row["trials"]), str(row["survived"]), moments, f"{row['checkpoint_seconds']:.2f}",
                          f"{row['checkpoint_megabytes']:.1f}", f"{row['checkpoint_share']:.0%}", room)  # fmt: skip
        out.print(table)
    for row in rows:
        for one in row["lost"]:
            where = f"{one['seconds']:.3f} s into call {one['call']} of {one['moment']}"
            err.print(f"{row['stage']}: killed {where}: {'; '.join(one['why'])}", markup=False)
    if any(row["lost"] for row in rows):
        raise typer.Exit(1)


@bench_app.command("scale")
def bench_scale(
    recipes_dir: Annotated[Path, typer.Argument(help="A folder of recipes that a CPU can train.")] = Path("recipes/tiny"), as_json: AsJson = False
) -> None:
    """The same SFT update by one process and by two: plain, under ZeRO-2, under ZeRO-3, one thread each.

    16 rows a step in all, 8 in each of two processes. seconds: median of a step
    after three to warm up. scaling: one process's seconds over these, 2 at
    best. share: of that best. The two processes speak by gloo within this
    machine, so it tells what the exchange costs here and nothing of GPUs.

    Example: emoreason bench scale
    """
    quiet()
    with stdout_kept():
        from emoreason.bench_scale import measure

        with err.status("scale") as status:
            rows = measure(recipes_dir, status.update)
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("update", "seconds", "scaling", "share of the best")
    for row in rows:
        table.add_row(row["case"], f"{row['seconds']:.3f}", f"{row['scaling']:.2f}", f"{row['share']:.2f}")
    out.print(table)


def _bench_training(kind: str, as_json: bool, plot: Path | None, quick: bool, max_tokens: int | None = None) -> None:
    if plot is not None and (plot.suffix != ".png" or not plot.parent.is_dir()):
        raise UserError(f"--plot {plot}: accepted is a file that ends in .png, in a folder that exists")
    quiet()
    with stdout_kept():
        import torch
        from rich.progress import track

        from emoreason.bench_training import GRIDS, QUICK, draw, measure

    cases = (QUICK if quick else GRIDS)[kind]
    if max_tokens is not None:
        cases = [case for case in cases if case.group_size * (case.prompt_tokens + case.completion_tokens) <= max_tokens]
        if not cases:
            raise UserError(f"--max-tokens {max_tokens}: no row of the grid is that small; give more")
    with stdout_kept():
        rows = list(track(measure(cases), f"{kind}, ours beside TRL's", total=len(cases), console=err))
    if plot is not None:
        draw(rows, plot)
    if as_json:
        print(json.dumps({"num_threads": torch.get_num_threads(), "rows": rows}))
        return
    caption = "P, C: tokens of a prompt and of a completion; G: completions a prompt"
    table = Table(*BENCH_COLUMNS.values(), caption=f"{caption}\ntorch threads: {torch.get_num_threads()}")
    for row in rows:
        values = [row[name] for name in BENCH_COLUMNS]
        table.add_row(*("-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value) for value in values))
    out.print(table)
