"""Whether a stage fits its hardware, and what to change where it does not: `emoreason check --topology`, without torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from emoreason.memory_estimate import (
    ENGINE_ASLEEP,
    ENGINE_OVERHEAD,
    FLOAT,
    RESERVED,
    SAFETY,
    Batch,
    Lengths,
    ModelSizes,
    activation_parts,
    batch_of,
    cache_bytes,
    host_bytes,
    reference_bytes,
    state_parts,
    step_bytes,
    transient_parts,
)
from emoreason.stage_plan import Plan
from emoreason.topology import GIB, Topology
from emoreason.world_size import World, world_of


@dataclass(frozen=True)
class Moment:
    """What a GPU holds at once, in bytes by part."""

    name: str
    parts: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())


@dataclass(frozen=True)
class EngineCache:
    """vLLM's, on one GPU."""

    num_bytes: float
    sequence_bytes: float
    max_model_len: int

    @property
    def num_sequences(self) -> int:
        """Of `max_model_len`, at once."""
        return max(0, int(self.num_bytes // self.sequence_bytes))


@dataclass(frozen=True)
class Fit:
    """The table of one plan."""

    plan: Plan
    topology: Topology
    world: World
    sizes: ModelSizes
    lengths: Lengths
    batch: Batch
    moments: tuple[Moment, ...]
    cache: EngineCache | None
    host: float
    """Bytes of a node's memory that are offloaded to."""
    checkpoint: float
    """Bytes on disk of one checkpoint, of all ranks."""
    exported: float
    """Bytes of the policy that the stage publishes."""
    faults: tuple[str, ...]
    """Arithmetic and lengths, each with what to set."""
    lacks_room: bool = False
    """Memory is short, now or once vLLM has the share that it needs."""
    advice: tuple[str, ...] = ()
    """Then the settings that make it fit together, or nothing where none do."""
    advised_host: float = 0.0
    """Bytes of a node's memory that the advice offloads to."""

    @property
    def peak(self) -> Moment:
        return max(self.moments, key=lambda moment: moment.total)

    @property
    def has_room(self) -> bool:
        return self.peak.total <= (1 - SAFETY) * self.topology.gpu_bytes

    @property
    def fits(self) -> bool:
        return self.has_room and not self.faults and not self.lacks_room


def fit(plan: Plan, topology: Topology, sizes: ModelSizes, lengths: Lengths, advise: bool = True) -> Fit:
    """The table of `plan` on this hardware, with advice where memory is short."""
    world = world_of(plan, topology.world_size, lengths.num_records)
    batch = batch_of(plan, lengths)
    cache = _engine_cache(plan, topology, sizes, lengths)
    faults = (*world.faults, *_length_faults(plan, sizes, lengths), *_engine_faults(plan, topology, sizes, cache))
    adapter = sizes.trained(plan) * (plan.value_bytes if plan.zero_stage else FLOAT)
    found = Fit(
        plan, topology, world, sizes, lengths, batch, tuple(_moments(plan, topology, sizes, lengths, world, batch)), cache,
        topology.gpus * host_bytes(plan, sizes, topology.world_size), _checkpoint_bytes(plan, sizes),
        adapter if plan.lora else plan.value_bytes * sizes.total, faults,
    )  # fmt: skip
    if not advise:
        return found
    share = _least_share(plan, topology, sizes, cache)
    with_engine = fit(replace(plan, utilization=share), topology, sizes, lengths, advise=False) if share else found
    if with_engine.has_room:
        return found
    advice, host = _advice(with_engine)
    return replace(found, advice=tuple(advice), advised_host=host, lacks_room=True)


def _moments(plan: Plan, topology: Topology, sizes: ModelSizes, lengths: Lengths, world: World, batch: Batch) -> list[Moment]:
    """The moments of a stage; sampling stages load the model for their samples first and let it go."""
    size = topology.world_size
    states = state_parts(plan, sizes, size)
    if reference := reference_bytes(plan, sizes, size):
        states["reference"] = reference
    share = plan.utilization * topology.gpu_bytes if plan.engine == "vllm" else 0.0
    colocated = plan.stage == "grpo" and share > 0
    idle = {"engine": ENGINE_ASLEEP if plan.sleep else share} if colocated else {}
    rest = {"CUDA and NCCL": RESERVED}
    found = [Moment("backward", {**states, **idle, **activation_parts(plan, sizes, batch), **transient_parts(plan, sizes, size), **rest}),
             Moment("update", {**states, **idle, "float32 gradients": step_bytes(plan, sizes, size), **rest})]  # fmt: skip
    if plan.engine == "vllm":
        found.append(Moment("sampling", {**(states if colocated else {}), "engine": share, **rest}))
    elif plan.engine == "transformers":
        found.append(Moment("sampling", _generating(plan, sizes, lengths, world, states)))
    return found


def _generating(plan: Plan, sizes: ModelSizes, lengths: Lengths, world: World, states: dict[str, float]) -> dict[str, float]:
    """transformers' `generate`: the cache of all rows at once, a step's logits in float32 three times over, and its scores.

    In GRPO TRL generates a GPU's whole generation batch at once, with the weights that ZeRO-3 has spread gathered on every GPU
    (`ds3_gather_for_generation`). In the other stages the model is loaded for it, and the scores of every step are kept.
    """
    in_training = plan.stage == "grpo"
    rows = world.rows_generated if in_training else max(plan.rows_drawn, plan.num_generations)
    parts = dict(states) if in_training else {"weights": float(plan.value_bytes * sizes.total)}
    if in_training and plan.zero_stage == 3:
        parts["gathered weights"] = float(plan.value_bytes * sizes.held(plan))
    parts["KV cache"] = cache_bytes(sizes, rows * (lengths.prompt + plan.max_new_tokens), plan.value_bytes)
    kept = 0 if in_training else plan.max_new_tokens
    parts["logits"] = float(rows * sizes.vocab_size * FLOAT * (3 + kept))
    return parts | {"CUDA and NCCL": RESERVED}


def _engine_cache(plan: Plan, topology: Topology, sizes: ModelSizes, lengths: Lengths) -> EngineCache | None:
    if plan.engine != "vllm":
        return None
    length = plan.max_model_len or sizes.max_positions
    free = plan.utilization * topology.gpu_bytes - plan.value_bytes * sizes.total - ENGINE_OVERHEAD
    return EngineCache(max(0.0, free), cache_bytes(sizes, length, plan.value_bytes), length)


def _least_share(plan: Plan, topology: Topology, sizes: ModelSizes, cache: EngineCache | None) -> float | None:
    """The share of a GPU that vLLM needs for one sequence, where it has less."""
    if cache is None or cache.num_sequences:
        return None
    needed = plan.value_bytes * sizes.total + ENGINE_OVERHEAD + cache.sequence_bytes
    return math.ceil(100 * needed / topology.gpu_bytes) / 100


def _engine_faults(plan: Plan, topology: Topology, sizes: ModelSizes, cache: EngineCache | None) -> list[str]:
    if topology.vllm_nodes and plan.engine in ("transformers", "vllm"):
        return [f"vllm_nodes={topology.vllm_nodes} would stand idle, since rollouts.engine is {plan.engine}; set rollouts.engine vllm_server, or "
                "leave vllm_nodes out"]  # fmt: skip
    if plan.engine == "vllm_server" and not topology.vllm_nodes and not plan.server_runs:
        return ["rollouts.engine is vllm_server and every GPU trains; give --topology vllm_nodes=1, or set rollouts.server.url"]
    share = _least_share(plan, topology, sizes, cache)
    if share is None:
        return []
    beside = f"one sequence of {cache.max_model_len} tokens beside {plan.value_bytes * sizes.total / GIB:.1f} GiB of weights"
    if share > 1 - SAFETY:
        return [f"a GPU has no room for {beside} in vLLM; set rollouts.engine vllm_server with a server that spreads them, or lower "
                "rollouts.max_model_len"]  # fmt: skip
    return [f"vLLM's share of {plan.utilization * topology.gpu_memory:.1f} GiB has no room for {beside}; set "
            f"rollouts.gpu_memory_utilization {share:g}"]  # fmt: skip


def _length_faults(plan: Plan, sizes: ModelSizes, lengths: Lengths) -> list[str]:
    """Rows that the stage would refuse; of guessed lengths only what is beyond them by a fifth."""
    faults, slack = [], 1.0 if lengths.exact else 1.2
    longest = lengths.prompt + lengths.completion
    if plan.max_length is not None and longest > slack * plan.max_length:
        faults.append(f"the longest row has {longest} tokens; set trainer.max_length {longest}, or lower the pixels or frames of media")
    if longest > slack * sizes.max_positions:
        faults.append(f"the longest row has {longest} tokens, the model has {sizes.max_positions} positions; lower the pixels or frames of media")
    drawn = lengths.prompt + plan.max_new_tokens
    if plan.engine.startswith("vllm") and plan.max_model_len is not None and drawn > slack * plan.max_model_len:
        faults.append(f"prompt and completion have up to {drawn} tokens; set rollouts.max_model_len {drawn}")
    return faults


def _checkpoint_bytes(plan: Plan, sizes: ModelSizes) -> float:
    """What all ranks write of one checkpoint: weights and optimizer. DeepSpeed keeps its own copy of the weights beside the exported ones."""
    trained = sizes.trained(plan)
    if plan.zero_stage:
        exported = plan.value_bytes * (trained if plan.lora else sizes.total)
        return exported + plan.value_bytes * (trained if plan.lora else sizes.held(plan)) + 3 * FLOAT * trained
    own = FLOAT if plan.lora else plan.value_bytes
    return own * (trained if plan.lora else sizes.total) + 2 * own * trained


Change = tuple[str, Callable[[Plan], Plan]]


def _advice(found: Fit) -> tuple[list[str], float]:
    """(the first single change that makes it fit, else the shortest run of changes, the cheapest first, [] where nothing does; what it offloads)"""
    def tried(plan: Plan) -> Fit:
        return fit(plan, found.topology, found.sizes, found.lengths, advise=False)

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
        if fit(plan_with(rest), found.topology, found.sizes, found.lengths, advise=False).has_room:
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
