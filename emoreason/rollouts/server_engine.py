"""A vLLM server (`vllm serve`): on other devices or another node, started for the run or running already."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from transformers import PretrainedConfig, ProcessorMixin

from emoreason.collate import EncodedPrompt
from emoreason.families import family_of
from emoreason.recipe import Rollouts, Sampling
from emoreason.rollouts import Adapter, MakePrompt, Progress, Receipt, Rollout
from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.server_client import ServerClient
from emoreason.rollouts.server_process import SERVE_ENVIRONMENT, WORKER_EXTENSION, ServerProcess, serve_command
from emoreason.rollouts.vllm_engine import check_prompt_ids, made_rollout, sampling_arguments
from emoreason.rollouts.vllm_folder import check_vllm, overrides
from emoreason.rollouts.weights import engine_weights, write_weights

GENERATE = "/inference/v1/generate"
ADMITTED_AT_ONCE = 64


class ServerEngine:
    """`vllm serve`, asked over HTTP; every process asks for its own prompts, the main one hands over weights."""

    name = "vllm_server"

    def __init__(
        self, folder: str, config: PretrainedConfig, processor: ProcessorMixin, settings: Rollouts, dtype: str, scratch: Path,
        has_weights: bool = True, adapter_rank: int | None = None,
    ):  # fmt: skip
        check_vllm(config.model_type, adapter_rank is not None)
        self.config, self.processor, self.settings, self.version = config, processor, settings, -1
        self.scratch = Path(settings.server.weights_dir or scratch)
        self.state, self.process = PartialState(), None
        if settings.server.url is None and self.state.is_main_process:
            on_cpu = self.state.device.type == "cpu"
            self.process = ServerProcess(
                lambda port: command(folder, port, config, settings, dtype, has_weights, adapter_rank, on_cpu), Path(scratch) / "vllm_server.log",
                environment=environment(on_cpu), start_timeout_s=settings.server.start_timeout_s,
            )  # fmt: skip
            self.process.start()
        told = [self.process.url if self.process else settings.server.url]
        if self.state.num_processes > 1:
            broadcast_object_list(told, from_process=0)
        check_alive = self.process.check_alive if self.process else None
        self.client = ServerClient(told[0], timeout_s=settings.request_timeout_s, check_alive=check_alive)
        try:
            if self.process is None:
                self.client.wait_until_healthy(settings.server.start_timeout_s)
                check_flags(self.client.get_json("/server_info?config_format=json")["vllm_config"], told[0])
            self.model = self.client.get_json("/v1/models")["data"][0]["id"]
            if family_of(config).positions != "text" and self.state.is_main_process:
                self._call_workers("place_as_trainer")
        except BaseException:
            self.close()
            raise

    def generate(
        self, prompts: Sequence[MakePrompt], sampling: Sampling, seed: int, progress: Progress = lambda done, total: None
    ) -> list[list[Rollout]]:
        """See `Engine.generate`."""
        arguments = [sampling_arguments(sampling, seed * 1_000_003 + place * 1009, self.config) for place in range(len(prompts))]
        answers = self._ask(prompts, arguments, [()] * len(prompts), progress)
        return [[self._rollout(one) for one in sorted(answer["choices"], key=lambda one: one["index"])] for answer in answers]

    def log_probs(self, prompts: Sequence[MakePrompt], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """See `Engine.log_probs`."""
        arguments = [{"temperature": 1.0, "max_tokens": 1, "prompt_logprobs": 0}] * len(prompts)
        answers = self._ask(prompts, arguments, completions)
        found = []
        for make, ids, answer in zip(prompts, completions, answers, strict=True):
            sent, read = [*make().token_ids.tolist(), *ids], answer["prompt_logprobs"]
            check_prompt_ids(sent[1:], [int(next(iter(one))) for one in read[1:]], self.config, f"prompt {len(found)}")
            found.append([one[str(token)]["logprob"] for token, one in zip(ids, read[len(read) - len(ids) :], strict=True)])
        return found

    def _ask(
        self, prompts: Sequence[MakePrompt], arguments: list[dict[str, Any]], more: Sequence[Sequence[int]],
        progress: Progress = lambda done, total: None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        bodies = _Bodies(self, prompts, arguments, more)
        answers = self.client.post_many(GENERATE, bodies, ADMITTED_AT_ONCE, self.settings.request_timeout_s, progress=progress)
        failed = [(place, answer) for place, answer in enumerate(answers) if isinstance(answer, EngineError)]
        if failed:
            raise EngineError([f"prompt {place}: {error}" for place, error in failed[:5]])
        for place, answer in enumerate(answers):
            if (num_read := answer["usage"]["prompt_tokens"]) != bodies.lengths[place]:
                raise EngineError(f"prompt {place}: the server read {num_read} tokens of the {bodies.lengths[place]} that were sent")
        return answers

    def body(self, prompt: EncodedPrompt, arguments: dict[str, Any], more: Sequence[int]) -> dict[str, Any]:
        """The JSON of one request.

        Raises:
            EngineError: a sound track heard in its clip, whose tokens alternate with the clip's, which the server's API cannot say.
        """
        from vllm.entrypoints.scale_out.token_in_token_out.mm_serde import encode_mm_kwargs_item

        from emoreason.rollouts.vllm_inputs import engine_input

        made = engine_input(prompt, self.config, f"{self.version}:", more)
        body = {"model": self.model, "token_ids": made["prompt_token_ids"], "sampling_params": arguments}
        if made["type"] == "multimodal":
            places = made["mm_placeholders"]
            if prompt.audio_in_video:
                raise EngineError("a sound track heard in its clip (audio_in_video) cannot be sent to a vLLM server, whose API places a medium's "
                                  "tokens side by side; set rollouts.engine to vllm or transformers")
            body["features"] = {
                "mm_hashes": made["mm_hashes"],
                "mm_placeholders": {kind: [{"offset": one.offset, "length": one.length} for one in found] for kind, found in places.items()},
                "kwargs_data": {kind: [encode_mm_kwargs_item(item) for item in items] for kind, items in made["mm_kwargs"].items()},
            }
            if any(one.is_embed is not None for found in places.values() for one in found):
                raise EngineError(f"{self.config.model_type} writes text between the frames of a clip, which the server's API cannot say; "
                                  "set rollouts.engine to vllm or transformers")
        return body

    def _rollout(self, choice: dict[str, Any]) -> Rollout:
        log_probs = [one["logprob"] for one in choice["logprobs"]["content"]]
        return made_rollout(choice["token_ids"], log_probs, choice["finish_reason"], self.processor)

    def as_read(self, weights: Iterator[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        """See `Engine.as_read`."""
        return engine_weights(self.config, weights)

    def sync(self, weights: "Iterator[tuple[str, torch.Tensor]] | Adapter", version: int) -> list[Receipt]:
        """See `Engine.sync`. The tensors go through files, which workers on any node read, each its own part."""
        self.version = version
        told = [self._take_adapter(weights) if isinstance(weights, Adapter) else self._take_weights(weights)]
        if self.state.num_processes > 1:
            broadcast_object_list(told, from_process=0)
        return [Receipt(one["version"], one["digests"], one["not_loaded"]) for one in told[0] or ()]

    def _take_weights(self, weights: Iterator[tuple[str, torch.Tensor]]) -> list[dict[str, Any]] | None:
        if not self.state.is_main_process:
            write_weights(weights, None)  # takes part where tensors are gathered
            return None
        folder = self.scratch / f"weights_{self.version}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            write_weights(weights, folder)
            answers = self._call_workers("take_weights_from", str(folder.absolute()), self.version)
        finally:
            shutil.rmtree(folder)
        self._reset_cache()
        return answers

    def _take_adapter(self, adapter: Adapter) -> list[dict[str, Any]] | None:
        name = f"version_{self.version}"
        previous, self.model = self.model, name
        if not self.state.is_main_process:
            return None
        timeout = self.settings.sync_timeout_s
        if previous.startswith("version_"):
            self.client.post_json("/v1/unload_lora_adapter", {"lora_name": previous}, timeout)
        # In place, since a server that outlives runs may still hold the same version of an earlier one.
        body = {"lora_name": name, "lora_path": str(adapter.folder.absolute()), "load_inplace": True}
        self.client.post_json("/v1/load_lora_adapter", body, timeout)
        return self._call_workers("adapter_digests", None, self.version)

    def _call_workers(self, method: str, *arguments: Any) -> list[dict[str, Any]]:
        timeout = self.settings.sync_timeout_s
        answer = self.client.post_json("/collective_rpc", {"method": method, "args": list(arguments), "timeout": timeout}, timeout)
        return answer["results"]

    def examine(self, prompt: EncodedPrompt) -> dict[str, Any]:
        """What the engine makes of a prompt before its language model, see `vllm_inputs.examined`."""
        from emoreason.rollouts.vllm_inputs import examined

        return examined(prompt, self.config, self._call_workers)

    def _reset_cache(self) -> None:
        self.client.post_json("/reset_prefix_cache", {}, self.settings.sync_timeout_s)

    def close(self) -> None:
        if self.process is not None:
            self.process.stop()


class _Bodies(Sequence):
    """Requests, each made when its turn comes, so that the media of all prompts are never in memory together."""

    def __init__(self, engine: ServerEngine, prompts: Sequence[MakePrompt], arguments: list[dict[str, Any]], more: Sequence[Sequence[int]]):
        self.engine, self.prompts, self.arguments, self.more = engine, prompts, arguments, more
        self.lengths = [0] * len(prompts)

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, place: int) -> dict[str, Any]:
        prompt = self.prompts[place]()
        self.lengths[place] = len(prompt.token_ids) + len(self.more[place])
        return self.engine.body(prompt, self.arguments[place], self.more[place])


def command(
    folder: str, port: int, config: PretrainedConfig, settings: Rollouts, dtype: str, has_weights: bool, adapter_rank: int | None, on_cpu: bool
) -> list[str]:
    """`vllm serve` for this checkpoint: media as the trainer's processor made them, log-probabilities of what is drawn from, our workers."""
    extra = ["--no-mm-device-do-normalize", "--mm-processor-cache-gb", "0", "--max-num-seqs", str(settings.max_num_seqs),
             "--disable-uvicorn-access-log", *(["--no-enable-chunked-prefill"] if on_cpu else [])]  # fmt: skip
    extra += [] if has_weights else ["--load-format", "dummy"]
    extra += ["--enable-lora", "--max-lora-rank", str(adapter_rank)] if adapter_rank else []
    extra += ["--hf-overrides", json.dumps(changes)] if (changes := overrides(config)) else []
    return serve_command(folder, port, dtype=dtype, max_model_len=settings.max_model_len, enforce_eager=on_cpu,
                         extra=[*extra, *settings.server.arguments])  # fmt: skip


def environment(on_cpu: bool) -> dict[str, str]:
    """What the server sees beside our own environment; `vllm` is the one beside this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    few = {"TORCH_COMPILE_DISABLE": "1", "VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", "1")} if on_cpu else {}
    return {**SERVE_ENVIRONMENT, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "PATH": path, **few}


def check_flags(found: dict[str, Any], url: str) -> None:
    """Refuse a server that runs with flags under which its answers are not the policy's.

    Raises:
        EngineError: with every flag that is missing.
    """
    wanted = {
        ("model_config", "logprobs_mode"): ("processed_logprobs", "--logprobs-mode processed_logprobs"),
        ("parallel_config", "worker_extension_cls"): (WORKER_EXTENSION, f"--worker-extension-cls {WORKER_EXTENSION}"),
    }
    missing = [flag for (part, key), (value, flag) in wanted.items() if found[part].get(key) != value]
    normalize = (found["model_config"].get("multimodal_config") or {}).get("mm_device_do_normalize")
    missing += ["--no-mm-device-do-normalize"] if normalize else []
    if missing:
        raise EngineError(f"{url}: the server runs without {', '.join(missing)}; restart it with these flags of `vllm serve`")
