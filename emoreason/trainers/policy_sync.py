"""The policy handed to the engine that samples from it, with proof, before every rollout that follows a step."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from peft import PeftModel
from transformers import PreTrainedModel, ProcessorMixin
from trl.distributed import DistributedBackend

from emoreason.models import parts_of
from emoreason.recipe import Rollouts, Sampling
from emoreason.rollouts import Adapter, Engine, MakePrompt
from emoreason.rollouts.deadline import deadline
from emoreason.rollouts.proof import Canary, Sent, check_receipts
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.weights import policy_weights, write_adapter

CANARY_TOKENS = 24
"""Length of the completions that the canary scores."""
ADAPTERS_KEPT = 2
"""Versions of an adapter that stay on disk: the one in use, and the one before, for requests that are on their way."""


class PolicySync:
    """Hands the policy's weights, or its adapter alone, to the engine, and stops the run where the engine does not have them."""

    def __init__(
        self, model: PreTrainedModel | PeftModel, processor: ProcessorMixin, accelerator: Accelerator, engine: Engine, settings: Rollouts,
        canary_prompts: Sequence[MakePrompt], scratch: Path,
    ):  # fmt: skip
        self.model, self.accelerator, self.engine, self.settings, self.scratch = model, accelerator, engine, settings, scratch
        self.gather = DistributedBackend(accelerator).gather_params
        self.base = model.get_base_model() if isinstance(model, PeftModel) else model
        self.policy = TransformersEngine(self.base, processor)
        self._prompts, self._canary = canary_prompts, None

    def __call__(self, version: int) -> dict[str, float]:
        """Sync, prove, compare; returns what to log: seconds, tensors, and the canary's difference in nat a token."""
        started = time.perf_counter()
        limit = self.settings.sync_timeout_s
        with deadline(limit, f"sync {version} of the policy to {self.engine.name}", "look at the engine's log, or raise rollouts.sync_timeout_s"):
            digests = self._send(version)
            seconds = time.perf_counter() - started
            difference = self._compare(version)
        return {"sync/seconds": seconds, "sync/num_tensors": float(len(digests)), "sync/canary_difference": difference,
                "sync/canary_seconds": time.perf_counter() - started - seconds}  # fmt: skip

    def _send(self, version: int) -> dict[str, str]:
        if self.settings.sync == "adapter":
            folder = self.scratch / f"adapter_{version}"
            digests = write_adapter(self.model, folder, self.base.dtype, self.gather, self.accelerator.is_main_process)
            self.accelerator.wait_for_everyone()
            receipts = self.engine.sync(Adapter(folder), version)
            if self.accelerator.is_main_process:
                for old in sorted(self.scratch.glob("adapter_*"), key=lambda path: int(path.name.rpartition("_")[2]))[:-ADAPTERS_KEPT]:
                    shutil.rmtree(old)
        else:
            sent = Sent(self.engine.as_read(policy_weights(self.model, self.gather)))
            receipts = self.engine.sync(sent, version)
            digests = sent.digests
        check_receipts(digests, version, receipts)
        return digests

    def _compare(self, version: int) -> float:
        was_training = self.model.training
        try:
            if self._canary is not None:
                return self._canary.check(self.engine, self.policy, version)
            greedy = Sampling(num_completions=1, temperature=0, max_new_tokens=CANARY_TOKENS, batch_size=len(self._prompts))
            completions = [group[0].token_ids for group in self.engine.generate(self._prompts, greedy, seed=0)]
            self._canary = Canary(self._prompts, completions, self.settings.max_difference, self.base.dtype)
            difference = self._canary.check(self.engine, self.policy, version)
            self._canary.check_sensitivity(self.engine, self.policy, self._controls())
            return difference
        finally:
            self.model.train(was_training)

    def _controls(self) -> dict[str, torch.nn.Parameter]:
        """A matrix of the language model, and one of every tower that reads a medium of the canary's prompts."""
        kinds = {item.kind for make in self._prompts for item in make().items}
        towers = [*(["audio_tower."] if "audio" in kinds else []), *(["visual.", "vision_model."] if kinds & {"image", "video"} else [])]
        owners, named = parts_of(self.base), dict(self.base.named_parameters())
        matrices = [name for name, parameter in named.items() if len(getattr(parameter, "ds_shape", parameter.shape)) > 1 and "lora_" not in name]
        language = [name for name in matrices if owners[name] == "language" and "layers." in name]
        seeing = [[name for name in matrices if tower in name and owners[name] == "vision"] for tower in towers]
        return {names[0]: named[names[0]] for names in (language, *seeing) if names}
