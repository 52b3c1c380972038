"""Whether recipes fit their hardware, as a table for each stage and as one line: what `emoreason check --topology` prints."""

from pathlib import Path

from rich.table import Table

from emoreason.architecture import architecture_of
from emoreason.memory_estimate import SAFETY
from emoreason.recipe_files import load_folder, load_recipe
from emoreason.record_lengths import BYTES_PER_TOKEN, lengths_of
from emoreason.stage_advice import fit_with_advice, spelt_out
from emoreason.stage_fit import Fit, Moment
from emoreason.stage_plan import plans_of
from emoreason.topology import GIB, Topology


def fits_of(path: Path, topology: Topology) -> list[Fit]:
    """One for each training run of the recipe, its phases in SFT; [] for an evaluation.

    Raises:
        UserError: the architecture of its model is not known.
    """
    recipe = load_recipe(path)
    if recipe.stage == "evaluate":
        return []
    architecture = architecture_of(recipe, list(load_folder(path.parent)[0].values()))
    return [fit_with_advice(plan, topology, architecture.sizes, lengths_of(recipe, plan, architecture.sizes, architecture.text_tokens))
            for plan in plans_of(recipe)]  # fmt: skip


def problems(found: Fit) -> list[str]:
    """What keeps the stage from running there, each with what to set."""
    if found.has_room and not found.lacks_room:
        return list(found.faults)
    short = f"{found.peak.name} needs {_gib(found.peak.total)} GiB of a GPU and {_gib(_usable(found))} are there"
    if found.has_room:
        short = "with that share the rest of the stage has no room"
    if not found.advice:
        return [*found.faults, f"{short}; no setting alone makes it fit: give model.lora, more GPUs or larger ones"]
    changes = " and ".join(spelt_out(found))
    host = f" ({_gib(found.advised_host)} GiB of the node's memory)" if found.advised_host else ""
    return [*found.faults, f"{short}; set {changes}{host}"]


def summary(fits: list[Fit]) -> str:
    """One line for all of a recipe's runs."""
    worst = max(fits, key=lambda found: found.peak.total)
    verdict = "fits" if all(found.fits for found in fits) else "does not fit"
    steps = " + ".join(str(found.world.num_steps) for found in fits)
    return (f"{worst.topology}: {verdict}, {_gib(worst.peak.total)} GiB of a GPU at most ({worst.peak.name}); {steps} steps of "
            f"{' or '.join(sorted({_rows(found) for found in fits}))}; {_gib(max(found.checkpoint for found in fits))} GiB a checkpoint")


def table(path: Path, found: Fit) -> Table:
    """The table of one run."""
    plan, world, lengths = found.plan, found.world, found.lengths
    made = Table("", "", "", title=f"{path}{f', phase {plan.phase}' if plan.phase else ''}", show_header=False, title_justify="left")
    made.add_row("GPUs", f"{world.size}", f"{found.topology}; {_zero(found)}")
    made.add_row("model", f"{found.sizes.total / 1e9:.2f} B weights", f"{found.sizes.trained(plan) / 1e6:,.0f} M trained; {found.sizes.source}")
    made.add_row("batch", f"{_rows(found)} an update", f"{plan.rows} a GPU x {plan.accumulation} x {world.size} GPUs")
    if plan.stage == "grpo":
        updates = world.steps_per_generation * plan.num_iterations / plan.accumulation
        made.add_row("generation", f"{world.generated // max(1, plan.num_generations)} prompts x {plan.num_generations}",
                     f"{world.generated} completions at once, for {updates:g} update{'' if updates == 1 else 's'}")
    made.add_row("steps", f"{world.num_steps}", f"{world.steps_per_epoch} an epoch of {lengths.num_records} rows")
    how = "" if lengths.exact else f"; text guessed at {BYTES_PER_TOKEN:g} bytes a token"
    made.add_row("prompt", f"{lengths.prompt} tokens at most", f"{lengths.prompt_mean:.0f} on average{how}")
    made.add_row("completion", f"{lengths.completion} tokens at most", f"{lengths.completion_mean:.0f} on average, of those that may be written")
    made.add_row("forward pass", f"{found.batch.tokens} tokens", f"the longest row {found.batch.longest_row}, {found.batch.scored} scored, "
                 f"{'prompts once' if plan.shares else 'padded'}{', gradient checkpointing' if plan.checkpointing else ''}")
    for moment in found.moments:
        made.add_row(moment.name, f"{_gib(moment.total)} of {_gib(_usable(found))} GiB", _parts(moment))
    if found.cache:
        made.add_row("vLLM's cache", f"{found.cache.num_sequences} sequences",
                     f"of {found.cache.max_model_len} tokens at once in {_gib(found.cache.num_bytes)} GiB")
    if found.host:
        made.add_row("node's memory", f"{_gib(found.host)} GiB", "what the processes of a node offload, and the weights of engines that sleep")
    made.add_row("disk", f"{_gib(found.checkpoint * (plan.num_kept + 1))} GiB",
                 f"{plan.num_kept} checkpoints of {_gib(found.checkpoint)} and one that is written; the policy {_gib(found.exported)}")
    made.add_row("verdict", "fits" if found.fits else "does not fit", "; ".join(problems(found)))
    return made


def _rows(found: Fit) -> str:
    what = {"grpo": "completions", "dpo": "pairs"}.get(found.plan.stage, "rows")
    return f"{found.world.global_batch} {what}"


def _zero(found: Fit) -> str:
    plan = found.plan
    off = [name for name, is_off in (("optimizer", plan.offload_optimizer), ("parameters", plan.offload_parameters)) if is_off]
    return (f"ZeRO-{plan.zero_stage}" if plan.zero_stage else "no ZeRO") + (f", {' and '.join(off)} offloaded" if off else "")


def _usable(found: Fit) -> float:
    return (1 - SAFETY) * found.topology.gpu_bytes


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / GIB:,.1f}"


def _parts(moment: Moment) -> str:
    """The parts, the largest first; what rounds to nothing is left out."""
    shown = [(size, name) for name, size in moment.parts.items() if size >= 0.05 * GIB]
    return ", ".join(f"{name} {_gib(size)}" for size, name in sorted(shown, reverse=True))
