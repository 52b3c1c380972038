"""How long one update of training takes beside TRL's own trainer, on the same weights and the same rows.

    emoreason bench grpo --quick

Both sides run in one process and take turns; before any clock starts, their log-probabilities, loss and gradients are compared.
What is left out is the same on both: generation, reading and preparing data, the optimizer. Where the package prefix_grouper
(arXiv 2506.05433) is installed, its attention runs a GRPO group on the very row that `shared_prefix` would pack.
"""

import gc
import importlib.util
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface, PreTrainedModel, ProcessorMixin, Trainer
from trl import DPOTrainer, GRPOTrainer, SFTTrainer

from emoreason.collate import CompletionCollator, EncodedPrompt, PreferenceCollator, PromptEncoder, completion_ids
from emoreason.families import tower_inputs
from emoreason.flops import LanguageSizes, PromptRows, TowerSizes, speedup_limit
from emoreason.from_scratch import build_checkpoint
from emoreason.media import Medium
from emoreason.recipe import FromScratch, MediaSettings, ModelSettings, Packing, PreferenceLoss, TrainingRecipe
from emoreason.run_dir import RunDir
from emoreason.trainers.dpo import ComparisonCollator, MediaDPOTrainer
from emoreason.trainers.grpo import MediaGRPOTrainer
from emoreason.trainers.session import CONFIGS, open_model, share_prompts
from emoreason.training_data import completion_message, lazy_dataset

Kind = Literal["grpo", "dpo", "sft"]
NUM_REPEATS = 5
MAX_DIFFERENCE = {"log-probability": 1e-4, "loss": 1e-5, "gradient": 1e-3}
"""The largest of a log-probability, of the loss, and of the gradient as a share of its norm."""
TEXTS = [
    "Which emotion is shown, and what tells you so?",
    "<think>The brows are lowered and the jaw is tight, so the face looks angry.</think><answer>anger</answer>",
    "<think>The corners of the mouth are drawn down; the eyes are wet.</think><answer>sadness</answer>",
]
MODEL = FromScratch(
    vocab_size=600,
    text_config={"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                 "max_position_embeddings": 8192, "initializer_range": 0.1,
                 "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]}},
    vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 128, "patch_size": 14,
                   "window_size": 56, "fullatt_block_indexes": [1], "initializer_range": 0.1},
)  # fmt: skip
MEDIA = MediaSettings(min_pixels=56 * 56, max_pixels=448 * 448)
PICTURE_SIDE, PICTURE_TOKENS, TEXT_TOKENS = 224, 66, 20
"""Pixels of a picture, the tokens that it takes with its two markers, and about those of a prompt around it."""


@dataclass(frozen=True)
class Case:
    """What one row of the table measures."""

    kind: Kind
    prompt_tokens: int
    """About so many, nearly all of them pictures'; for `sft` at most."""
    completion_tokens: int
    """For `sft` at most."""
    group_size: int = 1
    num_prompts: int = 1
    """Prompts in a batch."""


GRIDS: dict[Kind, list[Case]] = {
    "grpo": [Case("grpo", prompt, completion, size) for completion in (32, 64, 256) for size in (4, 8, 16) for prompt in (150, 300, 600, 1200, 2400)],
    "dpo": [Case("dpo", 600, 64, 2, num_prompts=3)],
    "sft": [Case("sft", 420, 160, num_prompts=8)],
}
QUICK: dict[Kind, list[Case]] = {
    "grpo": [Case("grpo", prompt, 32, 4) for prompt in (150, 300)],
    "dpo": [Case("dpo", 150, 32, 2, num_prompts=2)],
    "sft": [Case("sft", 280, 48, num_prompts=3)],
}


@dataclass(frozen=True)
class Sample:
    """A prompt with its pictures, and what is answered to it."""

    media: tuple[Medium, ...]
    answers: tuple[Any, ...]
    """Token ids for `grpo`, else messages."""

    @property
    def row(self) -> dict[str, Any]:
        """Without the answers. TRL reads `images`, ours `media`."""
        content = [*({"type": "image"} for _ in self.media), {"type": "text", "text": TEXTS[0]}]
        return {"prompt": [{"role": "user", "content": content}], "images": [medium.content for medium in self.media], "media": self.media}


def draw_samples(case: Case, processor: ProcessorMixin) -> list[Sample]:
    """The batch of a case, always the same: pictures of noise, no two alike, and random answers."""
    draw, pixels = random.Random(0), np.random.default_rng(0)
    plain = sorted(set(range(len(processor.tokenizer))) - set(processor.tokenizer.all_special_ids))
    samples = []
    for _ in range(case.num_prompts):
        count, length = max(1, round((case.prompt_tokens - TEXT_TOKENS) / PICTURE_TOKENS)), case.completion_tokens
        if case.kind == "sft":
            count, length = draw.randint(1, count), draw.randint(length // 8, length)
        noise = pixels.integers(0, 256, (count, PICTURE_SIDE, PICTURE_SIDE, 3), dtype=np.uint8)
        media = tuple(Medium.of("image", Image.fromarray(picture)) for picture in noise)
        if case.kind == "grpo":
            answers = tuple(draw.choices(plain, k=length) for _ in range(case.group_size))
        else:
            answers = tuple(completion_message(_text(processor, length, draw)) for _ in range(case.group_size))
        samples.append(Sample(media, answers))
    return samples


def _text(processor: ProcessorMixin, num_tokens: int, draw: random.Random) -> str:
    """Words in random order, so many tokens in all."""
    text = " ".join(draw.choices(" ".join(TEXTS).split(), k=num_tokens))
    while len(processor.tokenizer(text)["input_ids"]) > num_tokens:
        text = text[:-1]
    return text


@dataclass(frozen=True, eq=False)
class Side:
    """A trainer with its batch."""

    trainer: Trainer
    update: Callable[[], torch.Tensor]
    """Adds gradients to the policy and returns the loss."""


@dataclass(frozen=True)
class Bench:
    """A checkpoint that all sides of all cases start from."""

    folder: Path

    @property
    def recipe(self) -> TrainingRecipe:
        model = ModelSettings(path=str(self.folder / "model"), dtype="float32")
        return TrainingRecipe(output_dir=str(self.folder / "run"), model=model, media=MEDIA, data=[], packing=Packing(shared_prefix="always"))

    def build(self) -> None:
        build_checkpoint(self.folder / "model", MODEL, MEDIA, TEXTS, [], 0, None, lambda step, steps, loss: None)

    def opened(self) -> tuple[PreTrainedModel, ProcessorMixin, PromptEncoder]:
        model, processor = open_model(self.recipe, [])
        return model, processor, PromptEncoder(processor, model.config, MEDIA)

    def config(self, kind: Kind, **more: Any) -> Any:
        """The same for all sides. Gradient checkpointing would run the forward pass of the policy twice, on each of them."""
        return CONFIGS[kind](output_dir=self.recipe.output_dir, use_cpu=True, bf16=False, report_to="none", remove_unused_columns=False,
                             gradient_checkpointing=False, **more)  # fmt: skip

    def ready(self, trainer: Trainer, name: str) -> None:
        """What `train` does before the first step, and a reference model that is not the policy, so that nothing cancels out."""
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = 1
        generator = torch.Generator().manual_seed(1)
        for parameter in trainer.ref_model.parameters() if getattr(trainer, "ref_model", None) else ():
            parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator)
        if name == "ours":
            share_prompts(trainer, self.recipe)


def grpo_side(name: str, case: Case, bench: Bench) -> Side:
    """Old, reference and policy log-probabilities of one group, with entropies, loss and gradients."""
    model, processor, encoder = bench.opened()
    (sample,) = draw_samples(case, processor)
    size = case.group_size
    advantages = torch.randn(size, generator=torch.Generator().manual_seed(2))
    config = bench.config("grpo", per_device_train_batch_size=size, num_generations=size, max_completion_length=case.completion_tokens, beta=0.04)
    made = {"trl": GRPOTrainer, "ours": MediaGRPOTrainer, "prefix_grouper": PrefixGrouperTrainer}[name]
    more = {"encoder": encoder, "run_dir": RunDir(bench.recipe.output_dir)} if name == "ours" else {}
    trainer = made(model, _no_reward, config, lazy_dataset(1, lambda index: sample.row), processing_class=processor, **more)
    bench.ready(trainer, name)
    if name == "trl":
        # The one thing that is not TRL's own: which completions were sampled.
        trainer._generate_single_turn = lambda *args, **kwargs: (list(sample.answers), None)
        inputs = trainer._generate_and_score_completions([sample.row for _ in range(size)])
        media = {key: inputs[key] for key in ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")}
        return Side(trainer, lambda: grpo_update(trainer, {**inputs, "advantages": advantages}, media))
    prompt = encoder(sample.row["prompt"], sample.media)
    prompt_ids, completion_ids = prompt.token_ids.repeat(size, 1), torch.tensor(sample.answers)
    inputs = {"prompt_ids": prompt_ids, "prompt_mask": torch.ones_like(prompt_ids), "completion_ids": completion_ids, "advantages": advantages,
              "completion_mask": torch.ones_like(completion_ids), "num_items_in_batch": torch.tensor(completion_ids.numel())}  # fmt: skip

    def update() -> torch.Tensor:
        trainer._rows = _fresh([prompt] * size)
        return grpo_update(trainer, {**inputs, "prompts": trainer._rows}, {})

    return Side(trainer, update)


def _no_reward(completions: list, **columns: Any) -> list[float]:
    """Advantages are drawn, not earned."""
    return [0.0] * len(completions)


def grpo_update(trainer: GRPOTrainer, inputs: dict[str, Any], media: dict[str, Any]) -> torch.Tensor:
    """The loss, after the two passes without gradient that come before it in training."""
    ids, mask = (torch.cat([inputs[f"prompt_{name}"], inputs[f"completion_{name}"]], 1) for name in ("ids", "mask"))
    found, length = {}, inputs["completion_ids"].shape[1]
    with torch.no_grad():
        for name, model in (("old", trainer.model), ("ref", trainer.ref_model)):
            found[f"{name}_per_token_logps"] = trainer._get_per_token_logps_and_entropies(model, ids, mask, length, batch_size=len(ids), **media)[0]
    loss = trainer._compute_loss(trainer.model, {**inputs, **found})
    loss.backward()
    return loss.detach()


def _fresh(prompts: Sequence[EncodedPrompt]) -> list[EncodedPrompt]:
    """The same prompts with nothing remembered from the update before, as they come in training."""
    made = {id(prompt): replace(prompt, memo={}) for prompt in prompts}
    return [made[id(prompt)] for prompt in prompts]


def dpo_side(name: str, case: Case, bench: Bench) -> Side:
    """Policy and reference log-probabilities of chosen and rejected answers, loss and gradients."""
    model, processor, encoder = bench.opened()
    rows = []
    for sample in draw_samples(case, processor):
        chosen, rejected = sample.answers
        ours = {"rejected": [rejected], "weights": [1.0], "rejected_media": None} if name == "ours" else {}
        rows.append({**sample.row, "chosen": chosen, "rejected": rejected, **ours})
    arguments = {"train_dataset": lazy_dataset(len(rows), rows.__getitem__), "processing_class": processor}
    config = bench.config("dpo", max_length=None, per_device_train_batch_size=len(rows))
    if name == "ours":
        collator = ComparisonCollator(PreferenceCollator(encoder), plain=True)
        trainer: DPOTrainer = MediaDPOTrainer(model, None, config, data_collator=collator, preference=PreferenceLoss(), **arguments)
    else:
        trainer = DPOTrainer(model, None, config, **arguments)
    bench.ready(trainer, name)
    return _collated_side(trainer, rows, lambda inputs: trainer._compute_loss(trainer.model, inputs, return_outputs=False))


def sft_side(name: str, case: Case, bench: Bench) -> Side:
    """Log-probabilities of the answers, loss and gradients."""
    model, processor, encoder = bench.opened()
    rows = [{**sample.row, "completion": sample.answers[0]} for sample in draw_samples(case, processor)]
    config = bench.config("sft", max_length=None, per_device_train_batch_size=len(rows))
    trainer = SFTTrainer(model, config, train_dataset=lazy_dataset(len(rows), rows.__getitem__), processing_class=processor,
                         data_collator=CompletionCollator(encoder) if name == "ours" else None)  # fmt: skip
    bench.ready(trainer, name)
    return _collated_side(trainer, rows, lambda inputs: trainer.compute_loss(trainer.model, inputs))


def _collated_side(trainer: Trainer, rows: list[dict[str, Any]], compute_loss: Callable[[dict[str, Any]], torch.Tensor]) -> Side:
    batch = trainer.data_collator([dict(row) for row in rows])

    def update() -> torch.Tensor:
        loss = compute_loss({**batch, **({"prompts": _fresh(batch["prompts"])} if "prompts" in batch else {})})
        loss.backward()
        return loss.detach()

    return Side(trainer, update)


class PrefixGrouperTrainer(GRPOTrainer):
    """TRL's trainer on one group whose prompt and pictures run once, by the attention of the package prefix_grouper.

    The row, its positions and what the LM head sees are those of `shared_prefix`, so that attention is all that differs.
    """

    _rows: list[EncodedPrompt]

    def __init__(self, *args: Any, **kwargs: Any):
        from prefix_grouper.utils.register_transformers import register_attention

        super().__init__(*args, **kwargs)
        register_attention()
        AttentionInterface.register("causal_sdpa", _causal_sdpa)
        for model in (self.model, self.ref_model):
            model.config.get_text_config()._attn_implementation = "prefix_grouper_attention"
            model.base_model.register_forward_hook(_keep_completions, with_kwargs=True)

    def _get_per_token_logps_and_entropies(
        self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, compute_entropy=False, compute_aux_loss=False, **media
    ):
        from prefix_grouper import PrefixGrouper

        prompt, completions = self._rows[0], input_ids[:, -logits_to_keep:]
        # [prompt without its last token | that token and a completion without its last one | ...]
        branches = torch.cat([prompt.token_ids[-1:].expand(len(completions), 1), completions[:, :-1]], 1)
        of_prompt, (count, length) = prompt.positions(model), branches.shape
        of_branches = (of_prompt[:, -1:] + torch.arange(length)).repeat(1, count)
        outputs = model(
            input_ids=torch.cat([prompt.token_ids[:-1], branches.flatten()])[None], shift_labels=completions.reshape(1, -1),
            position_ids=torch.cat([of_prompt[:, :-1], of_branches], 1)[:, None], attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool),
            prefix_grouper=PrefixGrouper([[len(prompt.token_ids) - 1, *[length] * count]]), prefix_grouper_attn_func="causal_sdpa",
            fused_lm_head=True, **tower_inputs(model.config, prompt.items, input_ids.device),
        )  # fmt: skip
        return outputs.log_probs.view(count, length), outputs.entropy.view(count, length) if compute_entropy else None, None


def _causal_sdpa(module, query, key, value, padding, scaling=None, **kwargs):
    """What prefix_grouper expects of FlashAttention, causal with queries at the end of the keys, where nothing is padded.

    transformers' own "sdpa" would take the padding masks that it is handed, (groups, keys), for all there is to mask.
    """
    key, value = (one.repeat_interleave(module.num_key_value_groups, 1) for one in (key, value))
    is_square = query.shape[2] == key.shape[2]
    mask = None if is_square else causal_lower_right(query.shape[2], key.shape[2])
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=is_square, scale=scaling).transpose(1, 2), None


def _keep_completions(module, args, kwargs, output):
    output.last_hidden_state = output.last_hidden_state[:, kwargs["prefix_grouper"].group_info[0].prefix_len :]
    return output


MAKERS: dict[Kind, Callable[[str, Case, Bench], Side]] = {"grpo": grpo_side, "dpo": dpo_side, "sft": sft_side}


def measure(cases: Sequence[Case], num_repeats: int = NUM_REPEATS) -> Iterator[dict[str, Any]]:
    """A row for each case, in order.

    `seconds` and `trl_seconds` are medians, `ratio` is the second over the first. `limit` is the ratio of floating-point operations.
    `memory_ratio` is ours over TRL's, of what weights, a batch and an update add to the peak of a fresh process.
    `prefix_grouper_seconds` is None where that package is missing, and beyond GRPO.

    Raises:
        AssertionError: the sides do not compute the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.build()
        for case in cases:
            yield _measured(case, bench, num_repeats)


def _measured(case: Case, bench: Bench, num_repeats: int) -> dict[str, Any]:
    names = ["trl", "ours"]
    if case.kind == "grpo" and importlib.util.find_spec("prefix_grouper"):
        names.append("prefix_grouper")
    peaks = {name: _in_fresh_process(_peak, name, case, bench) for name in ("trl", "ours")}
    sides = {name: MAKERS[case.kind](name, case, bench) for name in names}
    check_equal(sides)
    seconds = _median_seconds(sides, num_repeats)
    groups = _groups(case, bench)
    config = sides["trl"].trainer.model.config
    return {
        "prompt_tokens": round(statistics.mean(group.prompt_length for group in groups)),
        "completion_tokens": round(statistics.mean(length for group in groups for length in group.completion_lengths)),
        "group_size": case.group_size,
        "seconds": seconds["ours"],
        "trl_seconds": seconds["trl"],
        "ratio": seconds["trl"] / seconds["ours"],
        "limit": speedup_limit(LanguageSizes.of(config.get_text_config()), TowerSizes.of(config.vision_config), groups),
        "memory_ratio": peaks["ours"] / peaks["trl"],
        "prefix_grouper_seconds": seconds.get("prefix_grouper"),
    }


def _groups(case: Case, bench: Bench) -> list[PromptRows]:
    _, processor, encoder = bench.opened()
    groups = []
    for sample in draw_samples(case, processor):
        prompt = encoder(sample.row["prompt"], sample.media)
        answers = [answer if case.kind == "grpo" else completion_ids(processor, sample.row["prompt"], answer) for answer in sample.answers]
        grids = tuple(tuple(item.tensors["image_grid_thw"][0].tolist()) for item in prompt.items)
        groups.append(PromptRows(len(prompt.token_ids), tuple(map(len, answers)), grids))
    return groups


def check_equal(sides: dict[str, Side]) -> None:
    """Run each side once and compare it with TRL's: every scored log-probability, the loss, the gradient. Also the warm-up."""
    runs = {name: _observed(side) for name, side in sides.items()}
    theirs = runs["trl"]
    for name, run in runs.items():
        assert len(run["log_probs"]) == len(theirs["log_probs"])
        found = {
            "log-probability": max((a - b).abs().max().item() for a, b in zip(run["log_probs"], theirs["log_probs"], strict=True)),
            "loss": abs(run["loss"] - theirs["loss"]),
            "gradient": ((run["gradient"] - theirs["gradient"]).norm() / theirs["gradient"].norm()).item(),
        }
        for what, difference in found.items():
            assert difference < MAX_DIFFERENCE[what], f"{name} and trl differ in {what} by {difference:.1e}"


def _observed(side: Side) -> dict[str, Any]:
    """What an update computes: the scored log-probabilities of every pass, the loss, the gradient in one vector."""
    log_probs: list[torch.Tensor] = []
    models = [model for model in (side.trainer.model, getattr(side.trainer, "ref_model", None)) if model is not None]
    handles = [model.register_forward_hook(lambda module, args, output: log_probs.append(output.log_probs[output.label_mask].detach()))
               for model in models]  # fmt: skip
    side.trainer.model.zero_grad()
    loss = side.update().item()
    for handle in handles:
        handle.remove()
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in side.trainer.model.parameters()]
    return {"log_probs": log_probs, "loss": loss, "gradient": torch.cat([gradient.flatten() for gradient in gradients])}


def _median_seconds(sides: dict[str, Side], num_repeats: int) -> dict[str, float]:
    """Of updates that take turns, so that what else the machine does falls on all."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(num_repeats):
        for name, side in sides.items():
            side.trainer.model.zero_grad()
            gc.collect()
            start = time.perf_counter()
            side.update()
            found[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in found.items()}


def _peak(name: str, case: Case, bench: Bench) -> int:
    """Peak memory of this process once it has prepared a batch and run an update, beyond what it held before."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # as the command line does in its own process
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    MAKERS[case.kind](name, case, bench).update()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start


def _in_fresh_process(work: Callable, *arguments: Any) -> Any:
    """What `work(*arguments)` returns in a process that has done nothing but import this module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a picture: the ratio against the prompt's tokens, a panel for each completion length, a line for each group size."""
    from matplotlib.figure import Figure

    lengths = sorted({row["completion_tokens"] for row in rows})
    figure = Figure(figsize=(4 * len(lengths), 3.6), layout="constrained")
    panels = figure.subplots(1, len(lengths), sharey=True, squeeze=False)[0]
    for panel, length in zip(panels, lengths, strict=True):
        shown = [row for row in rows if row["completion_tokens"] == length]
        for number, size in enumerate(sorted({row["group_size"] for row in shown})):
            points = sorted((row["prompt_tokens"], row["ratio"], row["limit"]) for row in shown if row["group_size"] == size)
            tokens, ratios, limits = zip(*points, strict=True)
            panel.plot(tokens, ratios, color=f"C{number}", marker="o", markersize=3, label=f"{size} completions")
            panel.plot(tokens, limits, color=f"C{number}", linestyle="--", linewidth=1, label="limit")
        panel.set(title=f"completions of {length} tokens", xlabel="tokens of the prompt")
    panels[0].set_ylabel("times as fast as TRL")
    panels[0].legend()
    figure.savefig(path, dpi=150)
