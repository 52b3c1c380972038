"""DPO beyond pairs: by hand from log-probabilities, equal to TRL's where TRL can, fair to order."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from media_samples import clip, messages, picture, sound
from torch.nn import functional as F
from trl import DPOConfig

from emoreason.collate import PreferenceCollator, PromptEncoder
from emoreason.faults import UserError
from emoreason.recipe import MediaSettings, Packing, PreferenceLoss
from emoreason.trainers.dpo import ComparisonCollator, MediaDPOTrainer, without_media
from emoreason.trainers.session import share_prompts
from emoreason.training_data import completion_message, lazy_dataset

pytestmark = pytest.mark.slow
SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)
TEXTS = ["joy, the lips part", "anger", "a loud voice, fear", "sadness"]


def row(media, rejected: list[str], weights: list[float], other=None) -> dict:
    return {"prompt": messages(media), "media": media, "chosen": completion_message(TEXTS[0]),
            "rejected": [completion_message(text) for text in rejected], "weights": weights, "rejected_media": other, "images": [],
            "id": "x"}  # fmt: skip


ROWS = [
    row((clip(0), sound(0)), TEXTS[1:3], [0.75, 0.25], (clip(1), sound(1))),
    row((picture(0),), TEXTS[3:], [1.0]),
    row((sound(2),), TEXTS[1:], [0.5, 0.3, 0.2], (sound(3),)),
]


def trainer(tmp_path: Path, preference: PreferenceLoss, packing: str = "always", **settings) -> MediaDPOTrainer:
    model, processor = tiny_models.qwen2_5_omni_thinker()
    reference, _ = tiny_models.qwen2_5_omni_thinker(seed=1)
    config = DPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1,
                       gradient_checkpointing=False, remove_unused_columns=False, **settings)  # fmt: skip
    collator = ComparisonCollator(PreferenceCollator(PromptEncoder(processor, model.config, SETTINGS)), preference.text_prior > 0)
    made = MediaDPOTrainer(
        model, reference, config, train_dataset=lazy_dataset(len(ROWS), ROWS.__getitem__), processing_class=processor, data_collator=collator,
        preference=preference,
    )  # fmt: skip
    share_prompts(made, SimpleNamespace(packing=Packing(shared_prefix=packing)))
    made.model.eval()
    return made


def log_probability(model, encoder: PromptEncoder, media, text: str, with_media: bool = True) -> torch.Tensor:
    """Of the whole assistant turn, from one plain row."""
    from emoreason.collate import completion_ids, padded_rows

    prompt = messages(media)
    encoded = encoder(prompt, media) if with_media else encoder(without_media(prompt), ())
    batch = padded_rows([encoded], [completion_ids(encoder.processor, prompt, completion_message(text))], 0)
    labels = batch["input_ids"].masked_fill(batch.pop("completion_mask") == 0, -100)
    return model(**batch, labels=labels, fused_lm_head=True).log_probs.sum()


@pytest.mark.parametrize("text_prior", [0.0, 0.2])
@pytest.mark.parametrize("packing", ["always", "never"])
def test_the_loss_is_the_formula_on_separate_rows(tmp_path: Path, text_prior: float, packing: str) -> None:
    made = trainer(tmp_path, PreferenceLoss(media_weight=0.7, text_prior=text_prior), packing, beta=0.3)
    batch = made.data_collator(ROWS)
    encoder = made.data_collator.pairs.encoder
    with torch.no_grad():
        expected = []
        for one in ROWS:
            texts = [message[0]["content"][0]["text"] for message in (one["chosen"], *one["rejected"])]

            def ratio(media, text):
                policy, reference = (log_probability(model, encoder, media, text) for model in (made.model, made.ref_model))
                return policy - reference

            chosen, *rejected = [ratio(one["media"], text) for text in texts]
            known, *others = [log_probability(made.model, encoder, one["media"], text, with_media=False) for text in texts]
            margin = chosen - sum(weight * value for weight, value in zip(one["weights"], rejected, strict=True))
            prior = known - sum(weight * value for weight, value in zip(one["weights"], others, strict=True))
            loss = -F.logsigmoid(0.3 * margin - text_prior * prior)
            if one["rejected_media"]:
                loss = loss - 0.7 * F.logsigmoid(0.3 * (chosen - ratio(one["rejected_media"], texts[0])))
            expected.append(loss)
        found = made._compute_loss(made.model, batch)
    assert found.item() == pytest.approx(torch.stack(expected).mean().item(), abs=1e-5)
    logged = {name: values[0] for name, values in made._metrics["eval"].items()}
    assert {"loss/answers", "loss/media", "rewards/margins", "rewards/accuracies", "entropy"} <= logged.keys()


def test_the_text_prior_has_no_gradient(tmp_path: Path) -> None:
    made = trainer(tmp_path, PreferenceLoss(text_prior=0.05), beta=0.01)
    batch = made.data_collator([{**ROWS[1], "media": (), "prompt": messages(())}])  # no media: prior and policy see the same rows
    without = trainer(tmp_path, PreferenceLoss(text_prior=0.0), beta=0.01)
    made._compute_loss(made.model, batch).backward()
    weight = made.model.lm_head.weight
    # d/dtheta of -log sigmoid(beta m - prior p) with p held fixed points along dm alone
    with_prior = weight.grad.clone()
    without._compute_loss(without.model, {name: value for name, value in batch.items() if name != "without_media"}).backward()
    plain = without.model.lm_head.weight.grad
    cosine = (with_prior * plain).sum() / (with_prior.norm() * plain.norm())
    assert cosine == pytest.approx(1.0, abs=1e-4) and not torch.allclose(with_prior, plain)


def test_one_rejected_answer_is_trls_own_loss(tmp_path: Path) -> None:
    made = trainer(tmp_path, PreferenceLoss())
    pair = {**ROWS[1]}
    plain = made.data_collator([pair])
    assert "comparisons" not in plain
    comparing = trainer(tmp_path, PreferenceLoss(text_prior=1e-9))
    batch = comparing.data_collator([pair])
    assert "comparisons" in batch
    with torch.no_grad():
        assert comparing._compute_loss(comparing.model, batch).item() == pytest.approx(made._compute_loss(made.model, plain).item(), abs=1e-5)
    for name in ("rewards/margins", "rewards/chosen", "logps/chosen", "logps/rejected", "entropy"):
        assert comparing._metrics["eval"][name] == pytest.approx(made._metrics["eval"][name], abs=1e-4), name


def test_comparisons_train(tmp_path: Path) -> None:
    schedule = {"max_steps": 4, "per_device_train_batch_size": 3, "learning_rate": 1e-3, "lr_scheduler_type": "constant"}
    made = trainer(tmp_path, PreferenceLoss(text_prior=0.2), **schedule)
    made.train()
    logged = [row for row in made.state.log_history if "loss" in row]
    assert logged[-1]["loss"] < logged[0]["loss"] and logged[-1]["rewards/margins"] > logged[0]["rewards/margins"]


def test_other_losses_than_sigmoid_are_refused_for_comparisons(tmp_path: Path) -> None:
    made = trainer(tmp_path, PreferenceLoss(), loss_type="ipo")
    with pytest.raises(UserError, match="defined for the plain sigmoid loss"):
        made._compute_loss(made.model, made.data_collator(ROWS))
