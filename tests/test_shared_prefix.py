"""A packed row gives the log-probabilities, entropies and gradients of separate rows, in every family and for every mix of media."""

import functools

import pytest
import tiny_models
import torch
from media_samples import clip, messages, picture, sound
from torch import nn
from trl.trainer.utils import add_fused_lm_head

from emoreason.collate import PromptEncoder, padded_rows
from emoreason.families import blank
from emoreason.faults import UserError
from emoreason.media_tokens import MODALITIES
from emoreason.recipe import MediaSettings, Packing
from emoreason.shared_prefix import FIELDS, RowRunner, share_prefixes

pytestmark = pytest.mark.slow
SETTINGS = MediaSettings(min_pixels=28 * 28 * 4, max_pixels=28 * 28 * 16, video_min_pixels=28 * 28 * 4, video_max_pixels=28 * 28 * 16)
VISION = {"pictures": (picture(0), picture(1)), "clip": (clip(0),), "text": (), "picture": (picture(2),)}
MEDIA = {
    "qwen2_5_vl": VISION,
    "qwen3_vl": VISION,
    "qwen2_5_omni_thinker": VISION | {"sound": (sound(0),), "clip and sound": (clip(1, 6), sound(1)), "sound track": (clip(2), sound(2, 1.3, True))},
    "qwen3_omni_thinker": VISION | {"sound": (sound(0),), "clip and sound": (clip(1, 6), sound(1)), "sound track": (clip(2), sound(2, 1.3, True))},
    "smolvlm": {"pictures": (picture(0), picture(1)), "text": (), "picture": (picture(2),)},
}
FAMILIES = tuple(MEDIA)


@functools.cache
def opened(name: str):
    """(model with TRL's LM head, processor, a fresh runner over it) without packing installed."""
    model, processor = getattr(tiny_models, name)()
    add_fused_lm_head(model, outputs=FIELDS)
    return model, processor


def packed_model(name: str, packing: Packing | None = None):
    model, processor = getattr(tiny_models, name)()
    add_fused_lm_head(model, outputs=FIELDS)
    fused = model.forward
    share_prefixes(model, packing or Packing(shared_prefix="always"))
    return model, processor, RowRunner(model, fused, Packing(), False)


def rows(model, processor, kinds: list[str], name: str, num_completions: int = 3, ragged: bool = True, side: str = "right") -> dict:
    """A batch of completions under prompts with these media, the rows of a prompt not side by side."""
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    generator = torch.Generator().manual_seed(0)
    prompts, completions = [], []
    for place in range(num_completions):
        for number, kind in enumerate(kinds):
            prompts.append(encoder(messages(MEDIA[name][kind], "Which emotion? " * (1 + number % 2)), MEDIA[name][kind]))
            length = 4 + (3 * place + number if ragged else 0)
            completions.append(torch.randint(40, 200, (length,), generator=generator).tolist())
    batch = padded_rows(prompts, completions, processor.tokenizer.pad_token_id)
    if side == "left":
        for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
            for key in ("input_ids", "attention_mask", "completion_mask"):
                batch[key][row] = batch[key][row].roll(batch[key].shape[1] - length)
    mask = batch.pop("completion_mask")
    return {**batch, "labels": batch["input_ids"].masked_fill(mask == 0, -100)}


def gradients(model, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def largest_relative(left: dict, right: dict) -> float:
    """Largest relative difference of a gradient; those that are zero in theory (a key's bias) are measured against a thousandth of the largest."""
    assert left.keys() == right.keys()
    floor = max(gradient.norm().item() for gradient in right.values()) / 1000
    return max(((left[name] - right[name]).norm() / right[name].norm().clamp(min=floor)).item() for name in left)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", FAMILIES)
def test_packed_rows_equal_padded_rows_in_every_output_and_gradient(name: str, side: str) -> None:
    model, processor, plain = packed_model(name)
    batch = rows(model, processor, list(MEDIA[name]), name, side=side)
    weights = torch.randn(batch["labels"].shape[0], batch["labels"].shape[1] - 1, generator=torch.Generator().manual_seed(1))
    packed = model(**batch, fused_lm_head=True)
    padded = plain.padded(batch["prompts"], batch["input_ids"], batch["attention_mask"], labels=batch["labels"], fused_lm_head=True)
    for field in FIELDS:
        assert torch.allclose(getattr(packed, field).float(), getattr(padded, field).float(), atol=1e-5), field
    assert torch.equal(packed.label_mask, padded.label_mask) and packed.loss.item() == pytest.approx(padded.loss.item(), abs=1e-5)
    ours, theirs = (gradients(model, (output.log_probs * weights + 0.1 * output.entropy).sum()) for output in (packed, padded))
    assert largest_relative(ours, theirs) < 1e-4


@pytest.mark.parametrize("name", FAMILIES)
def test_padded_rows_equal_the_model_on_one_row_at_a_time(name: str) -> None:
    """The model's own forward with the processor's own tensors, positions left to the model."""
    model, processor, plain = packed_model(name)
    for kind, media in MEDIA[name].items():
        batch = rows(model, processor, [kind], name, num_completions=1)
        ours = plain.padded(batch["prompts"], batch["input_ids"], batch["attention_mask"], labels=batch["labels"], fused_lm_head=True).log_probs
        (prompt,) = batch["prompts"]
        arguments = {key: torch.cat([item.tensors[key] for item in prompt.items if key in item.tensors])
                     for key in dict.fromkeys(key for item in prompt.items for key in item.tensors)}  # fmt: skip
        if name in ("qwen2_5_vl", "qwen3_vl"):
            ids = batch["input_ids"]
            arguments["mm_token_type_ids"] = (ids == model.config.image_token_id).int() + 2 * (ids == model.config.video_token_id).int()
        seconds = [item.seconds_per_grid for item in prompt.items if item.kind == "video"]
        if seconds and name == "qwen2_5_vl":
            arguments["second_per_grid_ts"] = torch.tensor(seconds)
        if "omni" in name:
            arguments["use_audio_in_video"] = any(medium.in_video for medium in media)
            arguments["video_second_per_grid"] = torch.tensor(seconds) if seconds else None
        rest = {key: value for key, value in batch.items() if key != "prompts"}
        own = plain.fused(**rest, fused_lm_head=True, **arguments)
        assert torch.allclose(ours, own.log_probs, atol=1e-5), kind


@pytest.mark.parametrize("name", FAMILIES)
def test_the_order_of_the_rows_does_not_matter(name: str) -> None:
    model, processor, _ = packed_model(name)
    batch = rows(model, processor, list(MEDIA[name]), name)
    order = torch.randperm(len(batch["prompts"]), generator=torch.Generator().manual_seed(2))
    shuffled = {key: [value[row] for row in order] if isinstance(value, list) else value[order] for key, value in batch.items()}
    with torch.no_grad():
        first, second = (model(**one, fused_lm_head=True).log_probs for one in (batch, shuffled))
    assert torch.allclose(first[order], second, atol=1e-5)


@pytest.mark.parametrize("budget", [1, 60, 200])
def test_a_token_budget_changes_no_number(budget: int) -> None:
    model, processor, plain = packed_model("qwen2_5_vl", Packing(shared_prefix="always", max_tokens=budget))
    batch = rows(model, processor, list(VISION), "qwen2_5_vl")
    padded = plain.padded(batch["prompts"], batch["input_ids"], batch["attention_mask"], labels=batch["labels"], fused_lm_head=True)
    assert torch.allclose(model(**batch, fused_lm_head=True).log_probs, padded.log_probs, atol=1e-5)


def runner_of(model) -> RowRunner:
    return next(cell.cell_contents for cell in model.forward.__func__.__closure__ if isinstance(cell.cell_contents, RowRunner))


def test_a_prompt_runs_once_for_all_its_completions() -> None:
    model, processor, _ = packed_model("qwen2_5_vl")
    batch = rows(model, processor, ["clip"], "qwen2_5_vl", num_completions=4, ragged=False)
    length = len(batch["prompts"][0].token_ids)
    seen = []
    model.model.language_model.register_forward_pre_hook(lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"].shape), with_kwargs=True)
    runner_of(model).is_checked = True
    model(**batch, fused_lm_head=True)
    assert seen == [(1, length - 1 + 4 * 4, 128)]


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen2_5_omni_thinker", "qwen3_vl", "smolvlm"])
def test_towers_run_once_for_each_distinct_medium(name: str) -> None:
    model, processor, _ = packed_model(name)
    kind = "picture"
    batch = rows(model, processor, [kind, kind], name)  # two questions on one picture: two prompts
    assert len({prompt.key for prompt in batch["prompts"]}) == 2
    runner_of(model).is_checked = True
    seen = []
    original = model.base_model.get_image_features
    model.base_model.get_image_features = lambda pixels, *args, **kwargs: seen.append(pixels.shape) or original(pixels, *args, **kwargs)
    model(**batch, fused_lm_head=True)
    assert len(seen) == 1 and seen[0] == batch["prompts"][0].items[0].tensors["pixel_values"].shape


def test_frozen_towers_keep_no_graph() -> None:
    model, processor, _ = packed_model("qwen2_5_omni_thinker")
    model.model.visual.requires_grad_(False)
    needs = []
    model.model.visual.register_forward_hook(lambda module, args, output: needs.append(output.pooler_output.requires_grad))
    batch = rows(model, processor, ["clip", "sound"], "qwen2_5_omni_thinker")
    found = gradients(model, model(**batch, fused_lm_head=True).log_probs.sum())
    assert not any(needs) and not any("visual" in key for key in found) and any("audio_tower" in key for key in found)


def test_gradient_checkpointing_computes_the_same_gradients() -> None:
    model, processor, _ = packed_model("qwen2_5_vl")
    batch = rows(model, processor, ["clip", "pictures"], "qwen2_5_vl")
    model.train()
    plain = gradients(model, model(**batch, fused_lm_head=True).log_probs.sum())
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert model.model.language_model.gradient_checkpointing
    assert largest_relative(gradients(model, model(**batch, fused_lm_head=True).log_probs.sum()), plain) < 1e-5


def test_the_self_check_passes_in_bfloat16_too() -> None:
    model, processor = tiny_models.qwen2_5_omni_thinker()
    model = model.to(torch.bfloat16)
    add_fused_lm_head(model, outputs=FIELDS)
    share_prefixes(model, Packing(shared_prefix="always"))
    batch = rows(model, processor, ["clip and sound", "text"], "qwen2_5_omni_thinker")
    model(**batch, fused_lm_head=True)
    assert runner_of(model).is_checked and runner_of(model).shares and runner_of(model).num_packed


def test_the_self_check_finds_a_layout_that_never_reaches_attention(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    model, processor, _ = packed_model("qwen2_5_vl", Packing(shared_prefix="auto"))
    for layer in model.model.language_model.layers:  # as a model would that does not hand its arguments on
        attend = layer.self_attn.forward
        layer.self_attn.forward = functools.partial(lambda attend, *args, shared_prefix=None, **kwargs: attend(*args, **kwargs), attend)
    batch = rows(model, processor, ["clip", "text"], "qwen2_5_vl")
    model(**batch, fused_lm_head=True)
    assert not runner_of(model).shares and runner_of(model).num_packed == 0
    assert any("prompts are not shared" in message for message in caplog.messages)
    runner = runner_of(model)
    runner.shares, runner.settings = True, Packing(shared_prefix="always")
    with pytest.raises(UserError, match=r"packing\.shared_prefix: always, but on qwen2_5_vl a packed row differs"):
        runner.check(batch["prompts"][0])


def test_positions_that_follow_the_length_of_the_prompt_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clip's 24 tokens span fewer positions than tokens, so this is wrong and must not pass.
    model, processor, _ = packed_model("qwen2_5_vl", Packing(shared_prefix="auto"))
    original = RowRunner.packed

    def packed(self, groups, prompts, *args, **kwargs):
        for prompt in prompts:
            prompt.positions(self.model)[:, -1] += 1
        found = original(self, groups, prompts, *args, **kwargs)
        for prompt in prompts:
            prompt.positions(self.model)[:, -1] -= 1
        return found

    monkeypatch.setattr(RowRunner, "packed", packed)
    model(**rows(model, processor, ["clip"], "qwen2_5_vl"), fused_lm_head=True)
    assert not runner_of(model).shares


def test_a_model_with_sliding_windows_is_named(caplog) -> None:
    model, _ = tiny_models.qwen2_5_vl()
    model.config.text_config.layer_types = ["full_attention", "sliding_attention"]
    add_fused_lm_head(model)
    with pytest.raises(UserError, match="qwen2_5_vl has layers of sliding_attention"):
        share_prefixes(model, Packing(shared_prefix="always"))
    share_prefixes(model, Packing())
    assert any("sliding_attention" in message and "rows run as they are" in message for message in caplog.messages)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl", "qwen2_5_omni_thinker", "qwen3_omni_thinker"])
def test_what_is_shown_and_heard_changes_what_is_said(name: str) -> None:
    """Ablations: another order of frames, a black picture, a muted sound each move the log-probabilities."""
    from emoreason.media import Medium

    model, processor, _ = packed_model(name)
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    film, tone, still = clip(0, 6), sound(0), picture(0)
    cases = [
        ((film,), (Medium.of("video", film.content[::-1].copy(), fps=film.fps, times=film.times),)),
        ((still,), (Medium.of("image", still.content.point(lambda value: 0)),)),
    ]
    if "omni" in name:
        cases.append(((tone,), (Medium.of("audio", tone.content * 0, sample_rate=16000),)))
        cases.append(((film, sound(1, 2.0, True)), (film, Medium.of("audio", tone.content * 0, sample_rate=16000, in_video=True))))
    for shown, changed in cases:
        prompts = [encoder(messages(media), media) for media in (shown, changed) for _ in range(2)]
        batch = padded_rows(prompts, [[50, 51, 52], [60, 61, 62]] * 2, processor.tokenizer.pad_token_id)
        labels = batch["input_ids"].masked_fill(batch.pop("completion_mask") == 0, -100)
        with torch.no_grad():
            found = model(**batch, labels=labels, fused_lm_head=True).log_probs
        assert len({prompt.key for prompt in prompts}) == 2
        kept = [row[row != 0] for row in found]
        assert (kept[0] - kept[2]).abs().max() > 1e-3, shown[0].kind


def test_attention_dropout_is_refused_by_nobody_silently() -> None:
    """No family here trains with attention dropout; a config that asks for it must not lose it in packed rows."""
    model, _ = tiny_models.qwen2_5_vl()
    model.config.text_config.attention_dropout = 0.1
    add_fused_lm_head(model)
    with pytest.raises(UserError, match="attention dropout"):
        share_prefixes(model, Packing(shared_prefix="always"))


def test_generation_is_as_before() -> None:
    model, _ = tiny_models.qwen2_5_vl()
    inputs = {"input_ids": torch.tensor([[50, 51, 52]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    before = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    add_fused_lm_head(model)
    share_prefixes(model, Packing(shared_prefix="always"))
    assert torch.equal(model.generate(**inputs, max_new_tokens=5, do_sample=False), before)
    assert isinstance(model, nn.Module)


def _note(ran: list[str], tower: str, *_) -> None:
    ran.append(tower)


@pytest.mark.parametrize("kind", ["text", "picture", "pictures"])
@pytest.mark.parametrize("packing", ["always", "never"])
@pytest.mark.parametrize("name", FAMILIES)
def test_blanks_run_the_towers_and_change_nothing(name: str, packing: str, kind: str) -> None:
    """Every parameter of every tower takes part, with a gradient of zero where the rows have nothing for it to read."""
    model, processor, _ = packed_model(name, Packing(shared_prefix=packing))
    batch = rows(model, processor, [kind], name)
    expected = model(**batch, fused_lm_head=True)
    with_towers = gradients(model, -expected.log_probs.sum())
    model, processor = getattr(tiny_models, name)()
    add_fused_lm_head(model, outputs=FIELDS)
    share_prefixes(model, Packing(shared_prefix=packing), {one: blank(model.config, one) for one in MODALITIES[model.config.model_type]})
    ran: list[str] = []
    for tower in ("visual", "audio_tower", "vision_model"):
        if hasattr(model.base_model, tower):
            getattr(model.base_model, tower).register_forward_hook(functools.partial(_note, ran, tower))
    found = model(**batch, fused_lm_head=True)
    check = 3 if packing == "always" else 0  # the self-check's passes at first use, and its control
    assert ran and all(ran.count(tower) > check for tower in ran)
    assert torch.allclose(found.log_probs, expected.log_probs, atol=1e-6)
    ours = gradients(model, -found.log_probs.sum())
    unread = {"model.audio_tower.audio_bos_eos_token.weight"}
    assert {parameter for parameter, _ in model.named_parameters()} - ours.keys() <= unread
    blanks = ours.keys() - with_towers.keys()
    assert all(not ours[one].any() for one in blanks)
    assert largest_relative({one: ours[one] for one in with_towers}, with_towers) < 1e-4
