"""Tokens of a recipe's rows, held to what the encoder of the trainer counts."""

from pathlib import Path

import pytest
from tiny_models import checkpoint
from transformers import AutoConfig

from emoreason.architecture import architecture_of
from emoreason.collate import PromptEncoder, completion_ids
from emoreason.models import load_processor
from emoreason.prompts import target_text
from emoreason.recipe_files import load_recipe
from emoreason.record_lengths import guessed_tokens, lengths_of
from emoreason.stage_plan import plans_of
from emoreason.training_data import Rows, completion_message, read_sources

pytestmark = pytest.mark.slow  # imports torch and transformers
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def checkout_without_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("recipes", "rewards"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl"])
def test_with_a_tokenizer_lengths_are_the_encoders(name: str, tmp_path: Path) -> None:
    """Up to the few tokens that a template writes around a turn."""
    folder = checkpoint(name, tmp_path)
    recipe = load_recipe(Path("recipes/tiny/stage1_sft.yaml"), [f"model.path={folder}", "model.from_scratch=null"])
    found, plan = architecture_of(recipe, []), plans_of(recipe)[2]
    lengths = lengths_of(recipe, plan, found.sizes, found.text_tokens)
    processor = load_processor(str(folder), recipe.media)
    encoder, template = PromptEncoder(processor, AutoConfig.from_pretrained(folder), recipe.media), recipe.template.build()
    rows = Rows(recipe, template)
    examples = [example for source in read_sources(recipe.phases[2].data) for example in source]
    prompts = [rows.prompt(example) for example in examples]
    counted = [encoder.num_tokens(prompt, example.media(recipe.media)) for prompt, example in zip(prompts, examples, strict=True)]
    targets = [completion_message(target_text(example.record, template)) for example in examples]
    written = [len(completion_ids(processor, prompt, target)) for prompt, target in zip(prompts, targets, strict=True)]
    assert lengths.exact and lengths.num_records == len(examples)
    assert lengths.prompt == pytest.approx(max(counted), abs=16) and lengths.completion == pytest.approx(max(written), abs=2)
    assert lengths.prompt_mean == pytest.approx(sum(counted) / len(counted), abs=16)


def test_a_picture_of_the_published_size_takes_the_published_tokens() -> None:
    """EmoCaliber: 256 tokens at the least, where a patch is 14 pixels and four make a token."""
    recipe = load_recipe(Path("recipes/qwen2_5_vl_7b/stage1_sft.yaml"))
    lengths = lengths_of(recipe, plans_of(recipe)[0], architecture_of(recipe, []).sizes, None)
    assert lengths.patches == 4 * 256 and not lengths.exact


def test_a_stage_that_samples_has_completions_as_long_as_it_may_draw() -> None:
    line = [load_recipe(path) for path in sorted(Path("recipes/tiny").glob("stage*.yaml"))]
    expected = {"confidence": 48 + guessed_tokens("<confidence>0.85</confidence>") + 2, "grpo": 48, "dpo": 48}
    for recipe in line[1:]:
        found = lengths_of(recipe, plans_of(recipe)[0], architecture_of(recipe, line).sizes, None)
        assert found.completion == expected[recipe.stage]


def test_a_guess_counts_bytes() -> None:
    assert guessed_tokens("") == 0
    assert guessed_tokens("seven b") == 2
    assert guessed_tokens("é" * 7) == 4
