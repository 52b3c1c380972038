"""Whether a stage fits its hardware: the arithmetic of `emoreason check --topology`, without torch."""

import math
from dataclasses import dataclass

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


def fit(plan: Plan, topology: Topology, sizes: ModelSizes, lengths: Lengths) -> Fit:
    """The table of `plan` on this hardware, without advice."""
    world = world_of(plan, topology.world_size, lengths.num_records)
    batch = batch_of(plan, lengths)
    cache = _engine_cache(plan, topology, sizes, lengths)
    faults = (*world.faults, *_length_faults(plan, sizes, lengths), *_engine_faults(plan, topology, sizes, cache))
    adapter = sizes.trained(plan) * (plan.value_bytes if plan.zero_stage else FLOAT)
    return Fit(
        plan, topology, world, sizes, lengths, batch, tuple(_moments(plan, topology, sizes, lengths, world, batch)), cache,
        topology.gpus * host_bytes(plan, sizes, topology.world_size), _checkpoint_bytes(plan, sizes),
        adapter if plan.lora else plan.value_bytes * sizes.total, faults,
    )  # fmt: skip


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
    found = [Moment("backward", {**states, **idle, **activation_parts(plan, sizes, batch), **transient_parts(plan, sizes), **rest}),
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


def least_share(plan: Plan, topology: Topology, sizes: ModelSizes, cache: EngineCache | None) -> float | None:
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
    share = least_share(plan, topology, sizes, cache)
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
