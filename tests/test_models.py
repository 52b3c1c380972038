"""Parts of a model by name, on the meta device: what is frozen, where adapters go, how large the shipped model is."""

from pathlib import Path

import pytest
import tiny_models
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

from emoreason.faults import UserError
from emoreason.models import freeze, load_model, lora_config, parts_of
from emoreason.recipe import LoraSettings, ModelSettings
from emoreason.recipe_files import load_recipe

pytestmark = pytest.mark.slow  # imports torch and transformers
STAGE1 = Path(__file__).parents[1] / "recipes" / "tiny" / "stage1_sft.yaml"


@pytest.fixture(scope="module")
def vl():
    settings = load_recipe(STAGE1).model.from_scratch
    config = Qwen2_5_VLConfig(text_config={**settings.text_config, "vocab_size": settings.vocab_size}, vision_config=settings.vision_config)
    with torch.device("meta"):
        return Qwen2_5_VLForConditionalGeneration(config)


@pytest.fixture(scope="module")
def omni():
    small = {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = Qwen2_5OmniThinkerConfig(
        text_config={**small, "vocab_size": 300},
        vision_config={"depth": 1, "hidden_size": 32, "num_heads": 2, "out_hidden_size": 64},
        audio_config={"encoder_layers": 1, "d_model": 32, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "output_dim": 64},
    )
    with torch.device("meta"):
        return Qwen2_5OmniThinkerForConditionalGeneration(config)


def test_the_demo_model_has_one_to_five_million_parameters(vl) -> None:
    assert 1e6 <= sum(parameter.numel() for parameter in vl.parameters()) <= 5e6


@pytest.mark.parametrize("family", ["vl", "omni"])
def test_every_parameter_belongs_to_one_part(family: str, request: pytest.FixtureRequest) -> None:
    owners = parts_of(request.getfixturevalue(family))
    assert set(owners.values()) == {"vision", "projector", "language"}
    assert all(part != "language" for name, part in owners.items() if "visual" in name or "audio_tower" in name)
    assert owners["lm_head.weight" if "lm_head.weight" in owners else next(name for name in owners if "embed_tokens" in name)] == "language"


def test_freezing_the_tower_leaves_its_projector(vl) -> None:
    freeze(vl, ["vision"])
    trained = {name for name, parameter in vl.named_parameters() if parameter.requires_grad}
    assert any("visual.merger" in name for name in trained) and not any("visual.blocks" in name for name in trained)
    freeze(vl, [])
    assert all(parameter.requires_grad for parameter in vl.parameters())


@pytest.mark.parametrize("family", ["vl", "omni"])
def test_adapters_stay_out_of_the_towers(family: str, request: pytest.FixtureRequest) -> None:
    # The vision tower's MLP has gate_proj, up_proj and down_proj too, so names alone do not tell.
    targets = lora_config(LoraSettings(), request.getfixturevalue(family)).target_modules
    assert targets and not [name for name in targets if "visual" in name or "audio" in name]
    assert {name.rpartition(".")[2] for name in targets} == set(LoraSettings().target_modules)


def test_adapters_on_nothing_are_refused(vl) -> None:
    with pytest.raises(UserError, match="the language model has none of these"):
        lora_config(LoraSettings(target_modules=["q_projj"]), vl)


def test_an_unknown_family_is_named_with_those_that_are_known() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=10))
    with pytest.raises(UserError, match=r"'gpt2'.*accepted: qwen2_vl, qwen2_5_vl, qwen3_vl, qwen2_5_omni_thinker"):
        freeze(model, ["vision"])


def test_a_folder_without_a_model_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="transformers cannot load it"):
        load_model(ModelSettings(path=str(tmp_path)))


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["qwen2_5_omni_thinker", "qwen3_omni_thinker"])
def test_the_audio_tower_hears_window_by_window(name: str, implementation: str) -> None:
    """What comes seconds later must not change the features of the first window, whatever computes the attention."""
    model, _ = getattr(tiny_models, name)()
    tower = model.model.audio_tower
    tower.config._attn_implementation = implementation
    window = 2 * tower.config.n_window
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(tower.config.num_mel_bins, 8 * window, generator=generator)
    changed = features.clone()
    changed[:, 4 * window :] = torch.randn(tower.config.num_mel_bins, 4 * window, generator=generator)
    lengths = torch.tensor([8 * window])
    with torch.no_grad():
        first, second = (tower(one, feature_lens=lengths).last_hidden_state for one in (features, changed))
    quarter = len(first) // 4
    assert torch.allclose(first[:quarter], second[:quarter], atol=1e-5)
    assert not torch.allclose(first[-quarter:], second[-quarter:], atol=1e-2), "the change is heard where it is"


def test_a_family_that_needs_a_newer_transformers_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(transformers, "__version__", "5.19.0")
    load_model(ModelSettings(path=str(tiny_models.checkpoint("qwen2_5_vl", tmp_path / "vl")), dtype="float32"))
    with pytest.raises(UserError, match=r"smolvlm needs transformers 5\.24 or newer, this is 5\.19\.0; pip install"):
        load_model(ModelSettings(path=str(tiny_models.checkpoint("smolvlm", tmp_path / "smol")), dtype="float32"))


def test_an_attention_that_ignores_windows_is_refused() -> None:
    from emoreason.models import check_windows

    model, _ = tiny_models.qwen2_5_omni_thinker()
    check_windows(model)
    for layer in model.model.audio_tower.layers:  # as sdpa did in older versions: one window over everything
        attend = layer.self_attn.forward
        layer.self_attn.forward = lambda cu_seqlens, attend=attend, **rest: attend(cu_seqlens=cu_seqlens[[0, -1]], **rest)
    with pytest.raises(UserError, match=r"attn_implementation sdpa: the audio tower .* hears beyond its window"):
        check_windows(model)


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_a_checkpoint_with_other_weights_than_the_model_is_refused(tmp_path: Path, change: str) -> None:
    folder = tiny_models.checkpoint("qwen2_5_vl", tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    name = next(key for key in weights if key.endswith("layers.1.mlp.up_proj.weight"))
    if change == "missing":
        del weights[name]
    elif change == "unexpected":
        weights["model.layers.9.mlp.up_proj.weight"] = weights[name].clone()
    else:
        weights[name] = weights[name][:-1].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    said = {"missing": "has no weights for", "unexpected": "has weights that the model does not know", "shape": "has weights of another shape for"}
    with pytest.raises(UserError, match=said[change]):
        load_model(ModelSettings(path=str(folder), dtype="float32"))
