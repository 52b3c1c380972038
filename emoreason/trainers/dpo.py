"""TRL's DPO trainer for one chosen answer against several rejected ones, against other media, and less a text prior.

What is overridden of TRL: `_compute_loss`, and only for batches that hold more than pairs of answers; plain pairs run through TRL's
own. All rows of a record share its prompt, so the chosen answer and every rejected one cost one run of it.

Source: AVEm-DPO (AVERE, arXiv 2602.07054). With D the log-ratio of policy to reference, b_i the weights of the rejected answers, and
T the policy's log-probability of an answer without any media, held fixed,

    L_answer = -log sigmoid(beta (D_chosen - sum_i b_i D_i) - text_prior (T_chosen - sum_i b_i T_i))
    L_media  = -log sigmoid(beta (D_chosen - D_chosen under the rejected media)),     L = L_answer + media_weight L_media

The paper gives the text prior for one rejected answer; its weighted sum over several is our reading.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftModel
from torch.nn import functional as F
from trl import DPOTrainer
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.utils import use_adapter

from emoreason.collate import EncodedPrompt, PreferenceCollator, completion_ids, padded_rows, record_ids
from emoreason.faults import UserError
from emoreason.recipe import PreferenceLoss
from emoreason.trainers.guarded import GuardedTrainer


@dataclass(frozen=True)
class Comparison:
    """Which rows of a batch belong to one record."""

    chosen: int
    rejected: tuple[int, ...]
    weights: tuple[float, ...]
    """Of the rejected answers; they add up to 1."""
    other_media: int | None = None
    """The chosen answer under the rejected media."""


@dataclass
class ComparisonCollator:
    """Rows of `prompt`, `media`, `chosen`, `rejected` (a list), `weights`, `rejected_media` (None where there are none) as one batch."""

    pairs: PreferenceCollator
    text_prior: bool = False
    plain: bool = False
    """Every row of the data set is a pair of answers to one prompt, so that TRL's own loss serves. Not for each batch by itself: the two
    losses exchange different figures between processes, so all processes have to take the same one."""

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        if self.plain and not self.text_prior:
            return self.pairs([{**row, "rejected": row["rejected"][0]} for row in rows])
        encoder = self.pairs.encoder
        built = _Rows()
        for row in rows:
            prompt = encoder(row["prompt"], row["media"])
            bare = encoder(without_media(row["prompt"]), ()) if self.text_prior else None
            answers = [completion_ids(encoder.processor, row["prompt"], answer) for answer in (row["chosen"], *row["rejected"])]
            chosen, *rejected = (built.add(prompt, answer, bare) for answer in answers)
            other = None
            if row["rejected_media"] is not None:
                other = built.add(encoder(row["prompt"], row["rejected_media"]), answers[0], bare)
            built.comparisons.append(Comparison(chosen, tuple(rejected), tuple(row["weights"]), other))
        batch = padded_rows(built.prompts, built.answers, encoder.processor.tokenizer.pad_token_id)
        if self.text_prior:
            batch["without_media"] = padded_rows(built.bare, built.answers, encoder.processor.tokenizer.pad_token_id)
        return {**batch, "comparisons": built.comparisons, "record_ids": record_ids(rows)}


@dataclass
class _Rows:
    prompts: list[EncodedPrompt] = field(default_factory=list)
    answers: list[list[int]] = field(default_factory=list)
    bare: list[EncodedPrompt | None] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)

    def add(self, prompt: EncodedPrompt, answer: list[int], bare: EncodedPrompt | None) -> int:
        self.prompts.append(prompt)
        self.answers.append(answer)
        self.bare.append(bare)
        return len(self.prompts) - 1


def without_media(prompt: list[dict]) -> list[dict]:
    """The conversation with its text alone."""
    return [{**message, "content": [part for part in message["content"] if part["type"] == "text"]} for message in prompt]


class MediaDPOTrainer(GuardedTrainer, DPOTrainer):
    """`trl.DPOTrainer` whose batches may hold comparisons instead of pairs; see the module for the loss."""

    def __init__(self, *args, preference: PreferenceLoss, **kwargs):
        super().__init__(*args, **kwargs)
        self.preference = preference
        is_plain = self.loss_types == ["sigmoid"] and not self.label_smoothing and self.ld_alpha is None and not self.use_weighting
        if not (is_plain and self.f_divergence_type == "reverse_kl" and not self.precompute_ref_logps):
            self._refusal = ("trainer: several rejected answers, rejected media and a text prior are defined for the plain sigmoid loss; "
                             "accepted: loss_type sigmoid, no label_smoothing, ld_alpha, use_weighting, f-divergence or precomputed references")
        else:
            self._refusal = None

    def _compute_loss(self, model, inputs, return_outputs=False):
        if "comparisons" not in inputs:
            return super()._compute_loss(model, inputs, return_outputs)
        if self._refusal:
            raise UserError(self._refusal)
        log_probs, outputs, mask = self._sequence_log_probs(model, inputs)
        ratios = log_probs - self._reference_log_probs(inputs)
        prior = torch.zeros_like(ratios)
        if self.preference.text_prior:
            with torch.no_grad(), disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs):
                prior = self._sequence_log_probs(model, inputs["without_media"])[0]
        terms = [self._terms(one, ratios, prior) for one in inputs["comparisons"]]
        answers = torch.stack([term[0] for term in terms])
        media = torch.stack([term[1] for term in terms])
        self._log_comparisons(inputs["comparisons"], ratios.detach(), log_probs.detach(), answers.detach(), media.detach())
        self._log_tokens(inputs, outputs, mask)
        return (answers + self.preference.media_weight * media).mean()

    def _terms(self, one: Comparison, ratios: torch.Tensor, prior: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(loss of the answers, loss of the media, 0 where the record has no other media)"""
        rejected, weights = list(one.rejected), ratios.new_tensor(one.weights)
        margin = ratios[one.chosen] - (weights * ratios[rejected]).sum()
        known = prior[one.chosen] - (weights * prior[rejected]).sum()
        answer = -F.logsigmoid(self.beta * margin - self.preference.text_prior * known)
        if one.other_media is None:
            return answer, torch.zeros_like(answer)
        return answer, -F.logsigmoid(self.beta * (ratios[one.chosen] - ratios[one.other_media]))

    def _sequence_log_probs(self, model, inputs) -> tuple[torch.Tensor, Any, torch.Tensor]:
        """(log-probability of each row's completion, TRL's fused output, mask of the scored places)"""
        mask = inputs["completion_mask"]
        labels = inputs["input_ids"].masked_fill(mask == 0, -100)
        outputs = model(prompts=inputs["prompts"], input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], labels=labels,
                        use_cache=False, fused_lm_head=True)  # fmt: skip
        return outputs.log_probs.sum(1), outputs, mask[:, 1:]

    def _reference_log_probs(self, inputs) -> torch.Tensor:
        with torch.no_grad(), disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs):
            if self.ref_model is not None:
                return self._sequence_log_probs(self.ref_model, inputs)[0]
            policy = self.accelerator.unwrap_model(self.model)
            assert isinstance(policy, PeftModel)
            with use_adapter(policy, adapter_name="ref" if "ref" in policy.peft_config else None):
                return self._sequence_log_probs(self.model, inputs)[0]

    def _log_comparisons(self, comparisons, ratios, log_probs, answers, media) -> None:
        """TRL's own names; a rejected value is the weighted mean over the rejected answers."""
        chosen = [one.chosen for one in comparisons]
        rejected = [list(one.rejected) for one in comparisons]

        def weighted(values):
            return torch.stack([(values.new_tensor(one.weights) * values[rows]).sum() for one, rows in zip(comparisons, rejected, strict=True)])

        better, worse = self.beta * ratios[chosen], self.beta * weighted(ratios)
        found = {"rewards/chosen": better, "rewards/rejected": worse, "rewards/margins": better - worse,
                 "rewards/accuracies": (better > worse).float(), "logps/chosen": log_probs[chosen], "logps/rejected": weighted(log_probs),
                 "loss/answers": answers, "loss/media": media}  # fmt: skip
        for name, values in found.items():
            self._metrics["train" if self.model.training else "eval"][name].append(self.accelerator.gather(values.mean()).mean().item())

    def _log_tokens(self, inputs, outputs, mask) -> None:
        mode = "train" if self.model.training else "eval"
        totals = torch.stack([(outputs.entropy.detach() * mask).sum(), mask.sum().float(), inputs["attention_mask"].sum().float()])
        entropy, scored, tokens = self.accelerator.reduce(totals, reduction="sum").tolist()
        self._metrics[mode]["entropy"].append(entropy / max(scored, 1.0))
        if mode == "train":
            self._total_train_tokens += int(tokens) // self._tp_size
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
