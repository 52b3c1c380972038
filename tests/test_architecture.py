"""Sizes of models without weights, from every place that a recipe may name; the shipped tables are held to published counts."""

from pathlib import Path

import pytest
from tiny_models import BUILDERS, checkpoint

from emoreason.architecture import architecture_of, config_of, shipped_architectures, sizes_of
from emoreason.recipe_files import load_folder, load_recipe

pytestmark = pytest.mark.slow  # imports torch and transformers
ROOT = Path(__file__).parents[1]
PUBLISHED = {
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
    "runs/qwen2_5_omni_7b_thinker": 8_931_813_888,
    "Qwen/Qwen3-Omni-30B-A3B-Thinking": 31_719_205_488,
}


@pytest.mark.parametrize(("name", "total"), PUBLISHED.items())
def test_a_shipped_architecture_has_as_many_weights_as_were_published(name: str, total: int) -> None:
    file = shipped_architectures()[name]
    assert file["total_parameters"] == total and file["source"]
    sizes = sizes_of(config_of(file), "table")
    assert sizes.total == total
    assert 0 < sizes.largest_layer < sizes.total / 4


def test_the_parts_of_qwen2_5_vl_7b_are_the_published_ones() -> None:
    """676,550,144 in the tower with its merger, as counted on the checkpoint."""
    sizes = sizes_of(config_of(shipped_architectures()["Qwen/Qwen2.5-VL-7B-Instruct"]), "table")
    assert sizes.parameters["vision"] + sizes.parameters["projector"] == 676_550_144
    assert sizes.parameters["language"] == 7_615_616_512
    assert sizes.head == 152064 * 3584
    assert (sizes.num_layers, sizes.num_heads, sizes.num_kv_heads, sizes.head_size) == (28, 28, 4, 128)


def test_of_experts_a_token_has_its_own_widths() -> None:
    sizes = sizes_of(config_of(shipped_architectures()["Qwen/Qwen3-Omni-30B-A3B-Instruct"]), "table")
    assert (sizes.num_experts, sizes.experts_per_token, sizes.intermediate_size) == (128, 8, 8 * 768)
    assert sorted(sizes.adapted) == ["embed_tokens", "gate", "k_proj", "lm_head", "o_proj", "q_proj", "v_proj"]


@pytest.mark.parametrize("name", sorted(BUILDERS.keys() - {"smolvlm"}))
def test_sizes_are_those_of_the_real_model(name: str) -> None:
    model = BUILDERS[name](0)[0]
    sizes = sizes_of(model.config, "here")
    assert sizes.total == sum(parameter.numel() for parameter in model.parameters())
    assert sizes.tower_depth == 2 and sizes.merge_size == 2


def test_a_checkpoint_on_disk_comes_first_with_its_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint("qwen2_5_vl", tmp_path)
    monkeypatch.chdir(ROOT)
    recipe = load_recipe(Path("recipes/qwen2_5_vl_7b/stage1_sft.yaml"), [f"model.path={folder}"])
    found = architecture_of(recipe, [])
    assert found.sizes.source == str(folder) and found.sizes.total < 1e6
    assert found.text_tokens("<think>") > 0


def test_a_stage_has_the_architecture_of_the_one_that_it_starts_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    folder = Path("recipes/tiny")
    recipes = load_folder(folder)[0]
    sizes = {architecture_of(recipe, list(recipes.values())).sizes.total for recipe in recipes.values() if recipe.stage != "evaluate"}
    assert len(sizes) == 1
    assert architecture_of(recipes[folder / "stage3_grpo.yaml"], list(recipes.values())).sizes.source == "model.from_scratch"
