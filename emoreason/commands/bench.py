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
