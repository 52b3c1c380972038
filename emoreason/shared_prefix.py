"""Runs a packed row (see `packing`) through a model: attention that shares the prompt's keys, and the forward pass around it.

`share_prefixes(model, settings)` is all that a trainer does. After it, a call of the model with TRL's fused LM head and `prompts`,
one `EncodedPrompt` a row, runs every distinct prompt and every distinct medium once.
"""

import functools
import logging
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from emoreason.collate import EncodedPrompt, distinct_media
from emoreason.families import MediaItem, placeholder_ids, tower_inputs, towers_once, without_shared_prefix
from emoreason.faults import UserError
from emoreason.media_tokens import Modality
from emoreason.packing import Group, find_groups, saves, split_by_budget
from emoreason.recipe import Packing

_LOG = logging.getLogger("emoreason")
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7, torch.float16: 1e-3}
"""Largest mean difference of a log-probability that the self-check lets pass, unless padded rows differ more among themselves. In bfloat16 that
is its spacing at 1: kernels round at other places, by 0.004 on one processor where another stays below 0.001. A dropped mask shows as 0.1."""
PROBE_TOKENS = 8
FIELDS = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")


@dataclass(frozen=True)
class Block:
    """Where one group stands in the packed row, for attention."""

    start: int
    prompt_length: int
    lengths: tuple[int, ...]
    """Of the branches, which follow one another behind the prompt."""
    padded: torch.Tensor | None = None
    """(num_branches, longest): the token at each place of the branches, padded; None where all are of one length."""
    valid: torch.Tensor | None = None
    """(num_branches * longest,) indices of the places that are no padding."""

    @property
    def end(self) -> int:
        return self.start + self.prompt_length + sum(self.lengths)


@dataclass(frozen=True)
class Layout:
    """What attention and the LM head have to know of a packed row. Passed through the model as the argument `shared_prefix`."""

    blocks: tuple[Block, ...]
    predicting: torch.Tensor
    """(num_scored,) tokens whose hidden state predicts a scored one, in the order of the padded batch."""


def layout_of(groups: Sequence[Group], device: torch.device, predicting: torch.Tensor) -> Layout:
    """The blocks of these groups, one behind the other."""
    blocks, start = [], 0
    for group in groups:
        lengths = tuple(len(branch.columns) for branch in group.branches)
        padded = valid = None
        if len(set(lengths)) > 1:
            begin = torch.tensor([0, *lengths[:-1]]).cumsum(0)[:, None] + start + len(group.columns)
            places = torch.arange(max(lengths))[None]
            inside = places < torch.tensor(lengths)[:, None]
            padded = torch.where(inside, begin + places, begin).to(device)
            valid = inside.flatten().nonzero()[:, 0].to(device)
        blocks.append(Block(start, len(group.columns), lengths, padded, valid))
        start = blocks[-1].end
    return Layout(tuple(blocks), predicting)


def shared_prefix_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, scale: float | None) -> torch.Tensor:
    """Attention output (1, num_tokens, num_heads, head size) of a packed row; query (1, num_heads, num_tokens, head size).

    Each prompt attends causally to itself; its branches are a batch whose keys are [prompt | own], with a causal mask aligned at
    the bottom right, which is how FlashAttention reads more keys than queries. No score between branches is ever computed.
    """
    if key.shape[1] != query.shape[1]:
        repeats = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    pieces = []
    for block in layout.blocks:
        middle = block.start + block.prompt_length
        if len(block.lengths) == 1:
            rows = slice(block.start, block.end)
            pieces.append(F.scaled_dot_product_attention(query[:, :, rows], key[:, :, rows], value[:, :, rows], is_causal=True, scale=scale))
            continue
        prompt = slice(block.start, middle)
        if block.prompt_length:
            pieces.append(F.scaled_dot_product_attention(query[:, :, prompt], key[:, :, prompt], value[:, :, prompt], is_causal=True, scale=scale))
        pieces.append(_branches(query, key, value, block, middle, prompt, scale))
    return torch.cat(pieces, 2).transpose(1, 2).contiguous()


def _branches(query, key, value, block: Block, middle: int, prompt: slice, scale: float | None) -> torch.Tensor:
    """(1, num_heads, tokens of all branches, head size)"""
    num_heads, size = query.shape[1], query.shape[-1]
    count, longest = len(block.lengths), max(block.lengths)

    def batched(x: torch.Tensor) -> torch.Tensor:  # -> (num_branches, num_heads, longest, head size)
        own = x[0, :, middle : block.end] if block.padded is None else x[0].index_select(1, block.padded.flatten())
        return own.view(num_heads, count, longest, size).transpose(0, 1)

    keys = torch.cat([key[:, :, prompt].expand(count, -1, -1, -1), batched(key)], 2)
    values = torch.cat([value[:, :, prompt].expand(count, -1, -1, -1), batched(value)], 2)
    mask = causal_lower_right(longest, block.prompt_length + longest)
    out = F.scaled_dot_product_attention(batched(query), keys, values, attn_mask=mask, scale=scale)
    out = out.transpose(0, 1).reshape(num_heads, count * longest, size)
    return (out if block.valid is None else out.index_select(1, block.valid))[None]


def _register(base: str) -> str:
    """The name of an attention implementation that is `base` for every row but a packed one."""
    name = f"shared_prefix_over_{base}"

    def attention(module: nn.Module, query, key, value, attention_mask, scaling=None, dropout=0.0, shared_prefix: Layout | None = None, **kwargs):
        if shared_prefix is None:
            plain = ALL_ATTENTION_FUNCTIONS.get(base) or sys.modules[type(module).__module__].eager_attention_forward
            return plain(module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs)
        return shared_prefix_attention(query, key, value, shared_prefix, scaling), None

    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[base])
    return name


def share_prefixes(model: PreTrainedModel, settings: Packing, blanks: Mapping[Modality, MediaItem] = MappingProxyType({})) -> None:
    """Teach a model that has TRL's fused LM head to take `prompts` beside padded rows, and to run a shared prompt once.

    With `settings.shared_prefix` "never", or where a batch has nothing to share, rows run padded, with the same positions and with
    towers once for each distinct medium.

    With `blanks`, one for each kind of medium that the data holds, every process runs the same modules as often as every other in each call,
    whatever its rows hold.

    Raises:
        UserError: `settings.shared_prefix` is "always" and the family cannot share a prompt.
    """
    reason = without_shared_prefix(model.config)
    if reason and settings.shared_prefix == "always":
        raise UserError(f"packing.shared_prefix: always, but {reason}; set it to auto or never")
    if reason and settings.shared_prefix == "auto":
        _LOG.warning("%s, so its prompts are not shared; rows run as they are", reason)
    shares = settings.shared_prefix != "never" and reason is None
    if shares:
        text = model.config.get_text_config()
        if not text._attn_implementation.startswith("shared_prefix_over_"):
            text._attn_implementation = _register(text._attn_implementation)
        # Once for a model that passes through several trainers; copies of it bring the hook along.
        if not getattr(model.base_model, "keeps_predicting", False):
            model.base_model.register_forward_hook(_keep_predicting, with_kwargs=True)
            model.base_model.keeps_predicting = True
    fused = model.forward
    runner = RowRunner(model, fused, settings, shares, blanks)

    # The signature stays: `generate` checks its arguments against it.
    @functools.wraps(type(model).forward)
    def forward(self, *args: Any, prompts: Sequence[EncodedPrompt] | None = None, **kwargs: Any) -> Any:
        return fused(*args, **kwargs) if prompts is None else runner(prompts, **kwargs)

    model.forward = types.MethodType(forward, model)


def _keep_predicting(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> Any:
    """Drop the hidden states that predict nothing that is scored, before the LM head sees them."""
    layout = kwargs.get("shared_prefix")
    if layout is not None:
        output.last_hidden_state = output.last_hidden_state.index_select(1, layout.predicting)
    return output


class RowRunner:
    """Runs padded rows of prompts and completions through one model, packed where that is shorter."""

    def __init__(
        self, model: PreTrainedModel, fused: Any, settings: Packing, shares: bool, blanks: Mapping[Modality, MediaItem] = MappingProxyType({})
    ):
        self.model, self.fused, self.settings, self.shares, self.blanks = model, fused, settings, shares, blanks
        self.is_checked = False
        self.num_packed = self.num_padded = 0
        """Tokens that ran in packed rows and in padded ones."""

    def __call__(self, prompts: Sequence[EncodedPrompt], input_ids, attention_mask, labels=None, fused_lm_head=False, **kwargs) -> Any:
        # A router's load balance counts tokens, and a shared prompt would be counted once.
        if not (self.shares and fused_lm_head) or kwargs.get("output_router_logits"):
            return self.padded(prompts, input_ids, attention_mask, labels=labels, fused_lm_head=fused_lm_head, **kwargs)
        if not self.is_checked:
            self.check(prompts[0])
        if not self.shares:
            return self.padded(prompts, input_ids, attention_mask, labels=labels, fused_lm_head=True, **kwargs)
        keys = [prompt.key for prompt in prompts]
        groups = find_groups(input_ids.cpu().numpy(), attention_mask.cpu().numpy(), labels.cpu().numpy(), keys)
        chunks = split_by_budget(groups, self.settings.max_tokens) if groups and saves(groups, *input_ids.shape) else []
        num_idle = self._most(max(len(chunks), 1)) - max(len(chunks), 1)
        if chunks:
            output = self._in_rows([self.packed(one, prompts, input_ids, labels) for one in chunks], labels, kwargs.get("num_items_in_batch"))
        else:
            output = self.padded(prompts, input_ids, attention_mask, labels=labels, fused_lm_head=True, **kwargs)
        for _ in range(num_idle):
            output.log_probs = output.log_probs + 0.0 * self._idle(prompts, input_ids, attention_mask, labels)
        return output

    def _most(self, count: int) -> int:
        """The largest `count` of all processes. Where they need not go in step it is this one's."""
        if self.settings.max_tokens is None or not _go_in_step():
            return count
        found = torch.tensor(count, device=next(self.model.parameters()).device)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        return int(found)

    def _most_wrong(self, is_wrong: bool) -> bool:
        """Whether any process is wrong, so that all of them go on alike."""
        if not (self.blanks and _go_in_step()):
            return is_wrong
        found = torch.tensor(int(is_wrong), device=next(self.model.parameters()).device)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        return bool(found)

    def _idle(self, prompts: Sequence[EncodedPrompt], input_ids, attention_mask, labels) -> torch.Tensor:
        """A pass through the whole model that changes nothing, for a process that has fewer packed rows than another: the shortest row again."""
        row = int(attention_mask.sum(1).argmin())
        only = slice(row, row + 1)
        width = int(attention_mask[row].sum())
        return self.padded([prompts[row]], input_ids[only, :width], attention_mask[only, :width], labels=labels[only, :width],
                           fused_lm_head=True).log_probs.sum()  # fmt: skip

    def padded(self, prompts: Sequence[EncodedPrompt], input_ids, attention_mask, **kwargs) -> Any:
        """The rows as they are, with the positions that each would have alone."""
        self.num_padded += input_ids.numel()
        placed = [_row_positions(prompt.positions(self.model), mask) for prompt, mask in zip(prompts, attention_mask.cpu(), strict=True)]
        positions = torch.stack(_of_one_type(placed), 1)
        items, occurrences = distinct_media(prompts, self.blanks)
        arguments = tower_inputs(self.model.config, items, input_ids.device)
        with towers_once(self.model, items, occurrences):
            position_ids = _as_arguments(positions, input_ids.device)
            return self.fused(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, **arguments, **kwargs)

    def packed(self, groups: Sequence[Group], prompts: Sequence[EncodedPrompt], input_ids, labels, drop_mask=False) -> tuple[torch.Tensor, Any]:
        """(places in the flat (num_rows, num_columns - 1) batch, TRL's fused output for them) of one packed row."""
        width, device = input_ids.shape[1], input_ids.device
        source, positions, predicting, targets, start = [], [], [], [], 0
        for group in groups:
            of_prompt = prompts[group.row].positions(self.model)
            length = len(group.columns)
            source.append(torch.from_numpy(group.columns) + group.row * width)
            positions.append(_extended(of_prompt, length))
            start += length
            for branch in group.branches:
                source.append(torch.from_numpy(branch.columns) + branch.row * width)
                # A branch restarts behind the largest position of the prompt, which is that of its last token.
                positions.append(_extended(of_prompt, length + len(branch.columns))[:, length:])
                scored = torch.from_numpy(branch.scored)
                predicting.append(scored.nonzero()[:, 0] + start)
                targets.append(source[-1][scored] + 1)
                start += len(branch.columns)
        predicting, targets = torch.cat(predicting), torch.cat(targets)
        order = targets.argsort()
        predicting, targets = predicting[order].to(device), targets[order].to(device)
        layout = layout_of(groups, device, predicting)
        if drop_mask:
            layout = Layout((Block(0, 0, (layout.blocks[-1].end,)),), predicting)
        self.num_packed += start
        ids = input_ids.flatten().index_select(0, torch.cat(source).to(device))[None]
        items, occurrences = distinct_media([prompts[group.row] for group in groups], self.blanks)
        with towers_once(self.model, items, occurrences):
            output = self.fused(
                input_ids=ids, position_ids=_as_arguments(torch.cat(_of_one_type(positions), 1)[:, None], device), shared_prefix=layout,
                fused_lm_head=True,
                # Four axes: transformers hands such a mask on as it is and builds none; the layout stands for it.
                attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),
                shift_labels=labels.flatten().index_select(0, targets)[None], **tower_inputs(self.model.config, items, device),
            )  # fmt: skip
        rows = torch.div(targets, width, rounding_mode="floor")
        return targets - 1 - rows, output

    def _in_rows(self, found: list[tuple[torch.Tensor, Any]], labels: torch.Tensor, num_items: Any) -> Any:
        """TRL's output in the shape of the padded batch: zero where nothing is scored."""
        places, outputs = torch.cat([place for place, _ in found]), [output for _, output in found]
        shape = (labels.shape[0], labels.shape[1] - 1)
        fields = {}
        for name in FIELDS:
            values = [getattr(output, name) for output in outputs]
            if values[0] is not None:
                flat = torch.cat([value[0] for value in values])
                fields[name] = flat.new_zeros(shape[0] * shape[1]).index_copy(0, places, flat).view(shape)
        mask = labels[:, 1:] != -100
        count = mask.sum().clamp(min=1) if num_items is None else num_items
        return type(outputs[0])(loss=-fields["log_probs"].sum() / count, label_mask=mask, **fields)

    def check(self, prompt: EncodedPrompt) -> None:
        """Compare a packed row with padded ones on this very model, once; where they differ, do not pack.

        Two made-up completions behind a real prompt, so that every process does the same. The negative control is the packed row
        with its mask dropped, which has to fail: if it does not, attention never saw the layout.

        Raises:
            UserError: they differ and `settings.shared_prefix` is "always".
        """
        self.is_checked = True
        generator = torch.Generator().manual_seed(0)
        banned = set(placeholder_ids(self.model.config).values())
        allowed = [token for token in torch.randperm(self.model.get_input_embeddings().weight.shape[0] or 2**15, generator=generator).tolist()[:200]
                   if token not in banned]  # fmt: skip
        device = next(self.model.parameters()).device
        tails = torch.tensor(allowed[: 2 * PROBE_TOKENS]).view(2, -1)
        ids = torch.cat([prompt.token_ids.expand(2, -1), tails], 1).to(device)
        labels = ids.clone()
        labels[:, : len(prompt.token_ids)] = -100
        mask, pair = torch.ones_like(ids), [prompt, prompt]
        groups = find_groups(ids.cpu().numpy(), mask.cpu().numpy(), labels.cpu().numpy(), [prompt.key] * 2)
        was_training = self.model.training
        self.model.eval()  # dropout would make any two passes differ
        counts = self.num_packed, self.num_padded
        with torch.no_grad():
            plain = self.padded(pair, ids, mask, labels=labels, fused_lm_head=True).log_probs
            wider = self.padded(pair, F.pad(ids, (0, 8)), F.pad(mask, (0, 8)), labels=F.pad(labels, (0, 8), value=-100), fused_lm_head=True).log_probs
            shared = self._in_rows([self.packed(groups, pair, ids, labels)], labels, None).log_probs
            control = self._in_rows([self.packed(groups, pair, ids, labels, drop_mask=True)], labels, None).log_probs
        self.num_packed, self.num_padded = counts
        self.model.train(was_training)
        noise, difference, dropped = ((plain - other[:, : plain.shape[1]]).abs().sum().item() / tails.numel() for other in (wider, shared, control))
        computed_in = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else self.model.dtype
        bound = max(TOLERANCE.get(computed_in, TOLERANCE[torch.float32]), 4 * noise)
        if not self._most_wrong(not difference <= bound < dropped):
            return
        said = (f"a packed row differs from padded rows by {difference:.1e} in the mean log-probability, {dropped:.1e} without its mask; "
                f"accepted: at most {bound:.1e}, and more than that without the mask")  # fmt: skip
        if self.settings.shared_prefix == "always":
            raise UserError(f"packing.shared_prefix: always, but on {self.model.config.model_type} {said}; set it to never")
        _LOG.warning("%s: %s; prompts are not shared", self.model.config.model_type, said)
        self.shares = False


def _go_in_step() -> bool:
    """Whether there are other processes that this one exchanges weights or gradients with."""
    return torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1


def _extended(positions: torch.Tensor, length: int) -> torch.Tensor:
    """The first `length` positions of a prompt and the text behind it."""
    behind = length - positions.shape[1]
    if behind <= 0:
        return positions[:, :length]
    return torch.cat([positions, (positions.max() + 1 + torch.arange(behind)).expand(len(positions), -1)], 1)


def _as_arguments(positions: torch.Tensor, device: torch.device) -> torch.Tensor:
    """(3, num_rows, num_columns) for M-RoPE, (num_rows, num_columns) for text positions."""
    return (positions if len(positions) > 1 else positions[0]).to(device)


def _of_one_type(positions: list[torch.Tensor]) -> list[torch.Tensor]:
    """The same, as fractions where one of them has fractions."""
    fraction = next((one.dtype for one in positions if one.is_floating_point()), None)
    return positions if fraction is None else [one.to(fraction) for one in positions]


def _row_positions(of_prompt: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(axes, num_columns): those of the row where it is no padding, else 0."""
    found = torch.zeros(len(of_prompt), len(mask), dtype=of_prompt.dtype)
    found[:, mask.bool()] = _extended(of_prompt, int(mask.sum()))
    return found
