"""What to change in a recipe whose stage does not fit: settings that are tried one by one on the same arithmetic, the cheapest in time first."""

from collections.abc import Callable
from dataclasses import replace

from emoreason.memory_estimate import Lengths, ModelSizes
from emoreason.stage_fit import Fit, fit, least_share
from emoreason.stage_plan import Plan
from emoreason.topology import Topology

Change = tuple[str, Callable[[Plan], Plan]]
"""(key and value of a setting, the plan with it)"""


def fit_with_advice(plan: Plan, topology: Topology, sizes: ModelSizes, lengths: Lengths) -> Fit:
    """The table of `plan` on this hardware, with advice where memory is short, now or once vLLM has the share that it needs."""
    found = fit(plan, topology, sizes, lengths)
    share = least_share(plan, topology, sizes, found.cache)
    with_engine = fit(replace(plan, utilization=share), topology, sizes, lengths) if share else found
    if with_engine.has_room:
        return found
    advice, host = _advice(with_engine)
    return replace(found, advice=tuple(advice), advised_host=host, lacks_room=True)


def _advice(found: Fit) -> tuple[list[str], float]:
    """(the first single change that makes it fit, else the shortest run of changes, the cheapest first, [] where nothing does; what it offloads)"""
    def tried(plan: Plan) -> Fit:
        return fit(plan, found.topology, found.sizes, found.lengths)

    changes = _changes(found)
    for text, change in changes:
        one = tried(change(found.plan))
        if one.has_room and len(one.faults) <= len(found.faults):
            return [text], one.host
    taken, plan, least = [], found.plan, found.peak.total
    for text, change in changes:
        one = tried(change(plan))
        if one.peak.total < least and len(one.faults) <= len(found.faults):
            plan, least = change(plan), one.peak.total
            taken = [other for other in taken if other.split()[0] != text.split()[0]] + [text]  # a later value of a key replaces an earlier one
        if one.has_room and text in taken:
            return _thinned(found, taken, changes), one.host
    return [], 0.0


def _thinned(found: Fit, taken: list[str], changes: list[Change]) -> list[str]:
    """Without those that the others make needless."""
    by_text = dict(changes)

    def plan_with(texts: list[str]) -> Plan:
        plan = found.plan
        for text in texts:
            plan = by_text[text](plan)
        return plan

    for text in list(taken):
        rest = [one for one in taken if one != text]
        if fit(plan_with(rest), found.topology, found.sizes, found.lengths).has_room:
            taken = rest
    return taken


def _changes(found: Fit) -> list[Change]:
    """What may be tried, as settings of the recipe: the cheapest in time first. All keep the number of rows of an update."""
    plan, changes = found.plan, []
    if not plan.checkpointing:
        changes.append(("trainer.gradient_checkpointing true", lambda one: replace(one, checkpointing=True)))
    for stage in range(plan.zero_stage + 1, 4):
        if stage != 1:
            changes.append((f"zero.stage {stage}", lambda one, stage=stage: replace(one, zero_stage=stage)))
    if plan.engine == "vllm" and plan.stage == "grpo":
        if not plan.sleep:
            changes.append(("rollouts.sleep true", lambda one: replace(one, sleep=True)))
        for percent in range(int(100 * plan.utilization) - 5, 5, -5):
            changes.append((f"rollouts.gpu_memory_utilization {percent / 100:g}", lambda one, share=percent / 100: replace(one, utilization=share)))
    if plan.shares and plan.max_tokens is None:
        longest = found.lengths.prompt + found.lengths.completion
        for tokens in (32768, 16384, 8192, 4096):
            if longest < tokens < found.batch.tokens:
                changes.append((f"packing.max_tokens {tokens}", lambda one, tokens=tokens: replace(one, max_tokens=tokens)))
    rows = plan.rows
    while rows % 2 == 0:
        rows //= 2
        times = plan.rows // rows * plan.accumulation
        changes.append((f"trainer.per_device_train_batch_size {rows}",
                        lambda one, rows=rows, times=times: replace(one, rows=rows, accumulation=times)))  # fmt: skip
    if plan.engine == "transformers" and plan.stage == "grpo":
        changes += _smaller_generations(found)
    drawn = plan.rows_drawn
    while plan.engine == "transformers" and drawn > max(1, plan.num_generations):
        drawn = max(plan.num_generations, drawn // 2)
        changes.append((f"sampling.batch_size {drawn}", lambda one, drawn=drawn: replace(one, rows_drawn=drawn)))
    changes.append(("zero.offload_optimizer true", lambda one: replace(one, zero_stage=max(2, one.zero_stage), offload_optimizer=True)))
    changes.append(("zero.offload_parameters true", lambda one: replace(one, zero_stage=3, offload_parameters=True)))
    return changes


def _smaller_generations(found: Fit) -> list[Change]:
    """Fewer completions generated together, as long as groups stay whole."""
    plan, world, changes = found.plan, found.world, []
    at_once, steps = plan.rows * world.size, world.steps_per_generation
    while steps % 2 == 0 and steps // 2 * at_once % plan.num_generations == 0:
        steps //= 2
        if plan.generation_batch_size is None:
            changes.append((f"trainer.steps_per_generation {steps}", lambda one, steps=steps: replace(one, steps_per_generation=steps)))
        else:
            rows = steps * at_once
            changes.append((f"trainer.generation_batch_size {rows}", lambda one, rows=rows: replace(one, generation_batch_size=rows)))
    return changes


def spelt_out(found: Fit) -> list[str]:
    """The advice as settings of the recipe, with what has to be set beside it: the rows of an update stay, and what ZeRO offloads it has to hold."""
    stages = [int(text.split()[1]) for text in found.advice if text.startswith("zero.stage ")]
    needed = 3 if "zero.offload_parameters true" in found.advice else 2 if "zero.offload_optimizer true" in found.advice else 0
    settings = [text for text in found.advice if not text.startswith("zero.stage ")]
    if stages or needed > found.plan.zero_stage:
        settings.insert(0, f"zero.stage {max([*stages, needed])}")
    for text in found.advice:
        key, _, value = text.partition(" ")
        if key == "trainer.per_device_train_batch_size":
            times = found.plan.rows // int(value) * found.plan.accumulation
            settings.insert(settings.index(text) + 1, f"trainer.gradient_accumulation_steps {times}")
    return settings
