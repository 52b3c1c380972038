"""GPU memory of a stage by part, by arithmetic on sizes, without torch.

Model states: Rajbhandari et al. 2020, arXiv 1910.02054, table 1 and section 5: of mixed-precision Adam 2 bytes a weight, 2 a gradient and
K = 12 of optimizer (a float32 copy and two moments), parted over N GPUs from stage 1 (optimizer), 2 (gradients), 3 (weights). DeepSpeed keeps the
float32 copy of float32 weights too. Without DeepSpeed torch's AdamW keeps both moments in the dtype of the weight and there is no copy.
Tests hold the sum to the bytes of real models, real optimizers and DeepSpeed on two processes.

Activations: our own count of what autograd saves in a decoder layer of Qwen's in transformers 5.24, after the manner of Korthikanti et al. 2022,
arXiv 2205.05198, section 4, which counts another layer; tests hold it to 10 % of what autograd saves, and between 0.9 and 1.3 times the peak that
torch's MemTracker sees. With the output layer it is 4 % above and 2 % below that peak on Qwen2.5-VL-7B, run without memory for its tensors (8,192
tokens with checkpointing, 2,048 without, bfloat16).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from emoreason.stage_plan import Plan
from emoreason.topology import GIB

FLOAT = 4
MAX_LIVE = 1_000_000_000
"""DeepSpeed's stage3_max_live_parameters and stage3_max_reuse_distance: gathered weights that a GPU keeps at once."""
SUB_GROUP = 1_000_000_000
"""DeepSpeed's sub_group_size: weights that ZeRO-3 steps at once."""
TILE = (4096, 32768)
"""Tokens and logits that TRL 1.16 has memory for at once (`TOKEN_CHUNK_SIZE`, `_CHUNKED_LOGPROB_CHUNK_SIZE`), however few the vocabulary has."""
RESERVED = 1.5 * GIB
"""CUDA context, NCCL's buffers and libraries' workspaces of one process; a rule of thumb, not measured here."""
SAFETY = 0.05
"""Of a GPU's memory: fragmentation and what the estimate leaves out."""
ENGINE_OVERHEAD = 3.0 * GIB
"""Activations, CUDA graphs and buffers within vLLM's share, a rule of thumb: vLLM 0.29 measures them when it starts."""
ENGINE_ASLEEP = 1.5 * GIB
"""What vLLM keeps on the device at sleep level 1; a rule of thumb."""


@dataclass(frozen=True)
class ModelSizes:
    """What the estimate has to know of an architecture."""

    family: str
    source: str
    """Where the architecture was found."""
    parameters: Mapping[str, int]
    """Of each part."""
    adapted: Mapping[str, int]
    """{last word of a projection of the language model: inputs + outputs of all of its layers}, which an adapter of rank 1 has as weights."""
    head: int
    """Weights of the output layer, those of the embedding where they are tied."""
    largest_layer: int
    """Weights of the largest module that ZeRO-3 gathers by itself, a decoder layer or the output layer."""
    num_layers: int
    hidden_size: int
    intermediate_size: int
    """Of a token: of all of its experts together in a mixture of experts."""
    num_experts: int
    experts_per_token: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    norms_heads: bool
    """Queries and keys have a norm of their own."""
    vocab_size: int
    max_positions: int
    patch_size: int = 14
    merge_size: int = 2
    temporal_patch_size: int = 2
    tower_depth: int = 0
    tower_hidden: int = 0
    tower_intermediate: int = 0

    @property
    def total(self) -> int:
        return sum(self.parameters.values())

    def trained(self, plan: Plan) -> int:
        """Weights with a gradient."""
        if plan.lora is not None:
            return plan.lora.r * sum(size for name, size in self.adapted.items() if name in plan.lora.target_modules)
        return sum(size for part, size in self.parameters.items() if part not in plan.freeze)

    def held(self, plan: Plan) -> int:
        """Weights on a GPU, adapters among them."""
        return self.total + (self.trained(plan) if plan.lora else 0)


@dataclass(frozen=True)
class Lengths:
    """Tokens of the longest row and of all, and how they were counted."""

    prompt: int
    prompt_mean: float
    completion: int
    completion_mean: float
    patches: int = 0
    """Patches of the media of the prompt that has most."""
    num_records: int = 0
    exact: bool = True
    """Text was tokenized, not guessed from its bytes."""


@dataclass(frozen=True)
class Batch:
    """Tokens of a forward pass with gradient, on one GPU."""

    tokens: int
    """Of all rows together; they live until the backward pass, also where `packing.max_tokens` parts them."""
    longest_row: int
    """Of the packed row that is the longest, or of all padded rows."""
    scored: int
    patches: int


def batch_of(plan: Plan, lengths: Lengths) -> Batch:
    """The worst micro-batch: all prompts and completions as long as the longest, every prompt once where rows are packed."""
    prompt, completion = lengths.prompt, lengths.completion
    sides = 2 if plan.stage == "dpo" else 1
    prompts, rows = plan.rows, sides * plan.rows
    if plan.stage == "grpo":
        prompts = -(-plan.rows // plan.num_generations)
    scored, patches = rows * completion, prompts * lengths.patches
    if not plan.shares:
        tokens = rows * (prompt + completion)
        return Batch(tokens, tokens, scored, patches)
    tokens = prompts * prompt + rows * completion
    if plan.max_tokens is None or tokens <= plan.max_tokens:
        return Batch(tokens, tokens, scored, patches)
    per_row = max(1, (plan.max_tokens - prompt) // max(1, completion))  # completions behind one prompt in a row of the budget
    per_prompt = rows // max(1, prompts)
    tokens = prompts * -(-per_prompt // per_row) * prompt + rows * completion
    return Batch(tokens, max(plan.max_tokens, prompt + completion), scored, patches)


def layer_bytes(sizes: ModelSizes, value_bytes: int, packed: bool = True) -> float:
    """What autograd saves of one token in one decoder layer.

    With h hidden, i intermediate, q = heads x head size, k = KV heads x head size, w bytes a value: two norms keep a float32 input, the
    normalised and the scaled output (4 + 2w) h each; attention keeps queries, keys and values (repeated to all heads) and its output, 4wq, and a
    packed row two more copies of the output; norms of heads (4 + w)(q + k); the MLP gate, its activation, up and their product, 4wi. An expert keeps
    the token that it is given and its own output too, 2wh each.
    """
    hidden, value = sizes.hidden_size, value_bytes
    queries, keys = sizes.num_heads * sizes.head_size, sizes.num_kv_heads * sizes.head_size
    found = 2 * (FLOAT + 2 * value) * hidden + (6 if packed else 4) * value * queries + 4 * value * sizes.intermediate_size
    found += (FLOAT + value) * (queries + keys) * sizes.norms_heads
    return found + 2 * value * hidden * sizes.experts_per_token + 3 * FLOAT * sizes.num_experts


def saved_bytes(plan: Plan, sizes: ModelSizes, tokens: float, longest_row: float) -> float:
    """What the language model keeps for the backward pass: everything, or the input of each layer and one layer that is computed again."""
    value, layer = plan.value_bytes, layer_bytes(sizes, plan.value_bytes, plan.shares)
    last_norm = (FLOAT + value) * sizes.hidden_size * tokens
    if not plan.checkpointing:
        return sizes.num_layers * layer * tokens + last_norm
    return sizes.num_layers * value * sizes.hidden_size * tokens + last_norm + layer * longest_row


def tower_bytes(plan: Plan, sizes: ModelSizes, patches: int) -> float:
    """Of the vision tower: saved where it trains, else what one block holds at once. Counted like a decoder layer without KV groups."""
    value, hidden = plan.value_bytes, sizes.tower_hidden
    block = (2 * (FLOAT + 2 * value) * hidden + 5 * value * hidden + 4 * value * sizes.tower_intermediate) * patches
    trains = plan.lora is None and "vision" not in plan.freeze
    if not trains:
        return block
    return block + sizes.tower_depth * value * hidden * patches if plan.checkpointing else sizes.tower_depth * block


def activation_parts(plan: Plan, sizes: ModelSizes, batch: Batch) -> dict[str, float]:
    """Activations of a step. Gradients of one layer's activations are as large as its widest ones, four at once."""
    value, hidden = plan.value_bytes, sizes.hidden_size
    widest = max(sizes.intermediate_size, sizes.num_heads * sizes.head_size)
    backward = 4 * value * widest * batch.longest_row
    head_trains = plan.lora is None and "language" not in plan.freeze
    # TRL's fused head keeps the scored hidden states, sums both gradients in float32 and casts them, and holds one tile of logits.
    head = batch.scored * hidden * (value + FLOAT) + min(batch.scored, TILE[0]) * TILE[1] * value
    head += (FLOAT + value) * sizes.head * head_trains
    return {
        "activations": saved_bytes(plan, sizes, batch.tokens, batch.longest_row) + backward,
        "towers": tower_bytes(plan, sizes, batch.patches),
        "LM head": head,
    }


def state_parts(plan: Plan, sizes: ModelSizes, world_size: int) -> dict[str, float]:
    """Weights, gradients and optimizer of one GPU; see the module for the source. Adapters outside of DeepSpeed are float32 (peft)."""
    value, trained = plan.value_bytes, sizes.trained(plan)
    if not plan.zero_stage:
        own = FLOAT if plan.lora else value
        base = sizes.held(plan) - (trained if plan.lora else 0)
        weights = value * base + (own * trained if plan.lora else 0)
        parts = {"weights": weights, "gradients": own * trained, "optimizer": 2 * own * trained}
        return parts | ({"gradient buckets": own * trained} if world_size > 1 else {})
    spread = [world_size if plan.zero_stage >= stage else 1 for stage in (1, 2, 3)]
    parts = {"weights": value * sizes.held(plan) / spread[2], "gradients": value * trained / spread[1],
             "optimizer": (FLOAT + 2 * FLOAT) * trained / spread[0]}  # fmt: skip
    if plan.offload_optimizer:
        parts |= {"gradients": 0.0 if plan.zero_stage > 1 else parts["gradients"], "optimizer": 0.0}
    if plan.offload_parameters and plan.zero_stage == 3:
        parts["weights"] = 0.0
    return parts


def transient_parts(plan: Plan, sizes: ModelSizes) -> dict[str, float]:
    """What ZeRO holds beside the states in a backward pass: gathered weights, and buckets of gradients on their way."""
    if not plan.zero_stage:
        return {}
    trained, value = sizes.trained(plan), plan.value_bytes
    # Buckets are hidden size squared (transformers' `auto`), two at once; a larger parameter's gradient is reduced by itself.
    parts = {"ZeRO buckets": float(value * (2 * sizes.hidden_size**2 + min(trained, sizes.largest_layer)))}
    if plan.zero_stage == 3:
        parts["gathered weights"] = float(value * min(sizes.held(plan), max(MAX_LIVE, 2 * sizes.largest_layer)))
    return parts


def step_bytes(plan: Plan, sizes: ModelSizes, world_size: int) -> float:
    """Gradients in float32 while DeepSpeed's optimizer steps: of all that the GPU owns, in ZeRO-3 of one group at a time."""
    if not plan.zero_stage or plan.offload_optimizer or plan.value_bytes == FLOAT:
        return 0.0
    own = sizes.trained(plan) / world_size
    return FLOAT * (min(own, SUB_GROUP) if plan.zero_stage == 3 else own)


def reference_bytes(plan: Plan, sizes: ModelSizes, world_size: int) -> float:
    """A second model without gradient, spread by ZeRO-3 as the first is."""
    return plan.value_bytes * sizes.total / (world_size if plan.zero_stage == 3 else 1) * plan.reference


def host_bytes(plan: Plan, sizes: ModelSizes, world_size: int) -> float:
    """Of one process in the memory of its node: the optimizer with float32 gradients and the weights where they are offloaded, and the weights of an
    engine that sleeps."""
    own = sizes.trained(plan) / world_size
    found = (3 * FLOAT + FLOAT) * own if plan.offload_optimizer and plan.zero_stage else 0.0
    found += plan.value_bytes * sizes.total * (plan.engine == "vllm" and plan.sleep)
    return found + (plan.value_bytes * sizes.held(plan) / world_size if plan.offload_parameters and plan.zero_stage == 3 else 0.0)


def cache_bytes(sizes: ModelSizes, tokens: float, value_bytes: int) -> float:
    """Keys and values of so many tokens, of all layers."""
    return 2 * sizes.num_layers * sizes.num_kv_heads * sizes.head_size * value_bytes * tokens
