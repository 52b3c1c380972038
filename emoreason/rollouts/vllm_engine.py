"""vLLM in this process, on the trainer's own device (colocated)."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate import PartialState
from transformers import PretrainedConfig, ProcessorMixin

from emoreason.collate import EncodedPrompt
from emoreason.families import family_of, placeholder_ids
from emoreason.recipe import Rollouts, Sampling
from emoreason.rollouts import Adapter, MakePrompt, Progress, Receipt, Rollout
from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.vllm_folder import check_vllm, overrides
from emoreason.rollouts.weights import engine_weights

BANNED = -100.0
"""Added to the logit of tokens that are never drawn: the lowest that vLLM takes."""
ADMITTED_AT_ONCE = 64
"""Prompts whose media wait in the engine at the same time."""


def sampling_arguments(sampling: Sampling, seed: int, config: PretrainedConfig) -> dict[str, Any]:
    """The arguments of vLLM's `SamplingParams` for one prompt; each completion of it has a seed of its own.

    Raises:
        EngineError: a temperature that vLLM does not take.
    """
    if sampling.temperature > 2:
        raise EngineError(f"temperature {sampling.temperature:g}: vLLM takes 0 to 2; lower it, or set rollouts.engine to transformers")
    drawn = {"temperature": 0.0} if sampling.temperature == 0 else {
        "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k, "min_p": sampling.min_p,
        "seed": seed % 2**31}  # fmt: skip
    banned = {token: BANNED for token in sorted(placeholder_ids(config).values())}
    return {**drawn, "repetition_penalty": sampling.repetition_penalty, "n": sampling.num_completions, "max_tokens": sampling.max_new_tokens,
            "logprobs": 0, "logit_bias": banned, "skip_special_tokens": True}  # fmt: skip


def check_prompt_ids(sent: Sequence[int], found: Sequence[int] | None, config: PretrainedConfig, where: str) -> None:
    """Stop where the engine read another prompt than the trainer's, position by position.

    Raises:
        EngineError: with the first place at which they part, and the count of each medium's placeholders on both sides.
    """
    if found is not None and list(sent) == list(found):
        return
    if found is None:
        raise EngineError(f"{where}: the engine did not say which prompt it read, so it cannot be compared with the trainer's")
    place = next((index for index, (one, other) in enumerate(zip(sent, found, strict=False)) if one != other), min(len(sent), len(found)))
    counts = [f"{kind} {list(sent).count(token)} and {list(found).count(token)}" for kind, token in placeholder_ids(config).items()]
    raise EngineError(f"{where}: the engine read another prompt than the trainer: {len(sent)} and {len(found)} tokens, the first difference at token "
                      f"{place}; placeholders: {', '.join(counts)}. More of a medium: expanded twice, or larger pixel limits or frame rate in the "
                      "engine; fewer: a medium was lost or cut; as many: other text, or other times of frames. Give both the same media settings and "
                      "the same checkpoint folder")


def made_rollout(ids: Sequence[int], log_probs: list[float], reason: str | None, processor: ProcessorMixin) -> Rollout:
    """A completion as both of vLLM's doors give it.

    Raises:
        EngineError: it ended for another reason than its end or its length: what was aborted or failed is no completion.
    """
    if reason not in ("stop", "length"):
        raise EngineError(f"vLLM ended a completion after {len(ids)} tokens because of {reason!r}; look at the engine's log")
    return Rollout(processor.tokenizer.decode(ids, skip_special_tokens=True), list(ids), log_probs, reason)


class VllmEngine:
    """`vllm.LLM` in this process."""

    name = "vllm"

    def __init__(
        self, folder: str, config: PretrainedConfig, processor: ProcessorMixin, settings: Rollouts, dtype: str,
        has_weights: bool = True, adapter_rank: int | None = None,
    ):  # fmt: skip
        check_vllm(config.model_type, adapter_rank is not None)
        state = PartialState()
        self.config, self.processor, self.settings = config, processor, settings
        on_cpu = state.device.type == "cpu"
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # the engine lives in this process, so that weights need not travel
        if on_cpu:
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
            torch._dynamo.config.disable = True  # compiling for minutes gains nothing on a CPU
        from vllm import LLM

        launcher = {}
        if state.num_processes > 1:  # as TRL does: every process has an engine of its own, started by the launcher that started it
            os.environ |= {"RANK": str(state.process_index), "LOCAL_RANK": str(state.local_process_index), "WORLD_SIZE": str(state.num_processes)}
            launcher = {"distributed_executor_backend": "external_launcher"}
        extras: dict[str, Any] = {"enable_lora": True, "max_lora_rank": adapter_rank} if adapter_rank else {}
        if on_cpu:
            extras["enable_chunked_prefill"] = False  # vLLM 0.29 fails there on a prompt that it has cut while requests have seeds
        if settings.max_model_len:
            extras["max_num_batched_tokens"] = max(8192, settings.max_model_len)  # a medium is never cut in two
        self.llm = LLM(
            model=folder, dtype=dtype, load_format="auto" if has_weights else "dummy", seed=state.process_index,
            max_model_len=settings.max_model_len, max_num_seqs=settings.max_num_seqs, gpu_memory_utilization=settings.gpu_memory_utilization,
            enforce_eager=on_cpu, enable_sleep_mode=settings.sleep, hf_overrides=overrides(config), disable_log_stats=True,
            mm_device_do_normalize=False, mm_processor_cache_gb=0,  # media come as the trainer's processor made them
            logprobs_mode="processed_logprobs",  # of the distribution that was drawn from
            worker_extension_cls="emoreason.rollouts.vllm_worker.WorkerExtension", **extras, **launcher,
        )  # fmt: skip
        if family_of(config).positions != "text":
            self.llm.collective_rpc("place_as_trainer")
        # The first sync may be that of step 0: a version that was never used keeps what was computed before it from being found.
        self.version, self._is_asleep, self._adapter = -1, False, None

    def generate(
        self, prompts: Sequence[MakePrompt], sampling: Sampling, seed: int, progress: Progress = lambda done, total: None
    ) -> list[list[Rollout]]:
        """See `Engine.generate`."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        arguments = [sampling_arguments(sampling, seed * 1_000_003 + place * 1009, self.config) for place in range(len(prompts))]
        params = [SamplingParams(**one, output_kind=RequestOutputKind.FINAL_ONLY) for one in arguments]
        outputs = self._run(prompts, params, [()] * len(prompts), progress)
        return [[self._rollout(one) for one in sorted(output.outputs, key=lambda one: one.index)] for output in outputs]

    def log_probs(self, prompts: Sequence[MakePrompt], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """See `Engine.log_probs`."""
        from vllm import SamplingParams

        params = [SamplingParams(temperature=1.0, max_tokens=1, prompt_logprobs=0) for _ in prompts]
        outputs = self._run(prompts, params, completions)
        return [[found[token].logprob for token, found in zip(ids, output.prompt_logprobs[len(output.prompt_logprobs) - len(ids) :], strict=True)]
                for ids, output in zip(completions, outputs, strict=True)]  # fmt: skip

    def _run(self, prompts: Sequence[MakePrompt], params: list, more: Sequence[Sequence[int]], progress: Progress = lambda done, total: None) -> list:
        """One output a prompt, in order; a few are in the engine at a time, and none for longer than `request_timeout_s` without an end."""
        engine, waiting, outputs, sent = self._awake(), list(range(len(prompts)))[::-1], {}, {}
        try:
            while waiting or sent:
                while waiting and len(sent) < ADMITTED_AT_ONCE:
                    place = waiting.pop()
                    prompt = prompts[place]()
                    self._admit(engine, place, prompt, params[place], more[place])
                    sent[str(place)] = (time.monotonic() + self.settings.request_timeout_s, [*prompt.token_ids.tolist(), *more[place]])
                for output in engine.step():
                    if output.finished:
                        _, ids = sent.pop(output.request_id)
                        check_prompt_ids(ids, output.prompt_token_ids, self.config, f"prompt {int(output.request_id)}")
                        outputs[int(output.request_id)] = output
                        progress(len(outputs), len(prompts))
                self._check_late([name for name, (deadline, _) in sent.items() if time.monotonic() > deadline])
        except BaseException:
            engine.abort_request(list(sent))  # so that the engine is free for whoever asks next
            raise
        self._rest()
        return [outputs[place] for place in range(len(prompts))]

    def _check_late(self, late: list[str]) -> None:
        if late:
            raise EngineError(f"vLLM: no answer to prompt {', '.join(late[:3])} after rollouts.request_timeout_s "
                              f"{self.settings.request_timeout_s:g}; raise it, lower max_new_tokens, or leave the record out")

    def _admit(self, engine: Any, place: int, prompt: EncodedPrompt, params: Any, more: Sequence[int]) -> None:
        from vllm.exceptions import VLLMValidationError

        from emoreason.rollouts.vllm_inputs import engine_input

        try:
            engine.add_request(str(place), engine_input(prompt, self.config, f"{self.version}:", more), params, lora_request=self._adapter)
        except (ValueError, VLLMValidationError) as error:
            raise EngineError(f"vLLM refuses prompt {place} of {len(prompt.token_ids)} tokens: {error}") from error

    def _rollout(self, output: Any) -> Rollout:
        ids = list(output.token_ids)
        log_probs = [found[token].logprob for token, found in zip(ids, output.logprobs, strict=True)]
        return made_rollout(ids, log_probs, output.finish_reason, self.processor)

    def as_read(self, weights: Iterator[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        """See `Engine.as_read`."""
        return engine_weights(self.config, weights)

    def sync(self, weights: "Iterator[tuple[str, torch.Tensor]] | Adapter", version: int) -> list[Receipt]:
        """See `Engine.sync`."""
        self._awake()
        self.version = version
        if isinstance(weights, Adapter):
            return self._take_adapter(weights)
        answers = self.llm.collective_rpc("take_weights", args=(weights, version))
        self.llm.reset_prefix_cache()
        self.llm.llm_engine.reset_encoder_cache()
        return [Receipt(one["version"], one["digests"], one["not_loaded"]) for one in answers]

    def _take_adapter(self, adapter: Adapter) -> list[Receipt]:
        """Answer with this adapter; each one has an id of its own, so that nothing cached under an older one is found."""
        if self._adapter:
            self.llm.llm_engine.remove_lora(self._adapter.lora_int_id)
        from vllm.lora.request import LoRARequest

        self._adapter = LoRARequest(f"version {self.version}", self.version + 2, str(adapter.folder.absolute()))
        self.llm.llm_engine.add_lora(self._adapter)
        answers = self.llm.collective_rpc("adapter_digests", args=(self._adapter.lora_int_id, self.version))
        return [Receipt(one["version"], one["digests"], one["not_loaded"]) for one in answers]

    def examine(self, prompt: EncodedPrompt) -> dict[str, Any]:
        """What the engine makes of a prompt before its language model, see `vllm_inputs.examined`."""
        from emoreason.rollouts.vllm_inputs import examined

        self._awake()
        return examined(prompt, self.config, lambda method, *arguments: self.llm.collective_rpc(method, args=arguments))

    def _awake(self) -> Any:
        if self._is_asleep:
            self.llm.wake_up()
            self._is_asleep = False
        return self.llm.llm_engine

    def _rest(self) -> None:
        # Level 1 keeps the weights in main memory: level 2 drops them and the buffers of some models, which no sync brings back.
        if self.settings.sleep:
            self.llm.sleep(level=1)
            self._is_asleep = True

    def close(self) -> None:
        del self.llm
