"""What every trainer here does beside its algorithm: it says that it lives, stops at a loss that is none, and saves where it can resume.

Overridden of transformers' Trainer, and nothing else: `_prepare_inputs` (the batch's record ids are kept aside), `training_step` (it
says that it lives), `compute_loss` (the loss is looked at before its gradients are taken: with DeepSpeed the weights change within the
backward pass), `_maybe_log_save_evaluate` (a save waits for a step from which it can be resumed, and logs first).
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from transformers import Trainer, TrainerCallback
from trl import SFTTrainer

from emoreason import ranks
from emoreason.families import MediaItem
from emoreason.faults import UserError
from emoreason.media_tokens import Modality
from emoreason.trainers.watchdog import alive

RECORD_IDS = "record_ids"
"""The key of a batch under which collators put the id of each row's record."""
MAX_SHOWN = 8


class CountOn(TrainerCallback):
    """Lets TRL's count of tokens go on where a run resumes; it keeps it in no checkpoint, but in the log that the checkpoint holds."""

    def __init__(self, trainer: "GuardedTrainer"):
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        counts = [row["num_tokens"] for row in state.log_history if "num_tokens" in row]
        if counts and hasattr(self.trainer, "_total_train_tokens"):
            self.trainer._total_train_tokens = int(counts[-1])


class GuardedTrainer(Trainer):
    """To be inherited from before a trainer of TRL's."""

    max_loss = math.inf
    """A larger loss ends the run."""
    blanks: Mapping[Modality, MediaItem] = MappingProxyType({})
    """A medium of each kind that the data holds, for batches that lack it; none where there is one process."""
    batch_ids: Sequence[str] = ()
    """The records of the batch that is being trained on."""
    _save_is_due = False

    @property
    def can_save(self) -> bool:
        """Whether a run could go on from here exactly as it would have."""
        return True

    def _prepare_inputs(self, inputs: Any) -> Any:
        if isinstance(inputs, dict) and RECORD_IDS in inputs:
            inputs = dict(inputs)
            self.batch_ids = inputs.pop(RECORD_IDS)
        return super()._prepare_inputs(inputs)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        alive()
        return super().training_step(*args, **kwargs)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        found = super().compute_loss(*args, **kwargs)
        loss = float(found[0] if isinstance(found, tuple) else found)
        if self.model.training and not abs(loss) <= self.max_loss:
            shown = ", ".join(map(repr, dict.fromkeys(self.batch_ids[:MAX_SHOWN])))
            raise UserError(
                f"step {self.state.global_step + 1}: the loss is {loss} in {ranks.name()}, at records {shown}; accepted: up to "
                f"watchdog.max_loss {self.max_loss:g}. The weights of the last checkpoint are untouched by it: look at these records, lower "
                "trainer.learning_rate or trainer.max_grad_norm, or set model.dtype to float32, under another output_dir whose model.path is that "
                "checkpoint"
            )  # fmt: skip
        return found

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        wanted = self.control.should_save or self._save_is_due
        self.control.should_save = wanted and self.can_save
        self._save_is_due = wanted and not self.can_save
        if self.control.should_save:
            self.control.should_log = True  # what has been gathered since the last line would be lost with the process
        super()._maybe_log_save_evaluate(*args, **kwargs)


class MediaSFTTrainer(GuardedTrainer, SFTTrainer):
    """`trl.SFTTrainer` on rows of `prompt`, `media`, `completion`.

    The loss is the mean over the tokens of a whole step, whatever the number of processes and micro-batches. transformers says of the
    vision-language models that they take no number of tokens, which is true of their own loss and not of TRL's; TRL then takes the mean of
    the micro-batches' means.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = True
