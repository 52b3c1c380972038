"""TRL's own collator makes of exported rows the batch that ours makes of the records, token by token and pixel by pixel."""

from pathlib import Path

import pytest

from emoreason.exports.samples import Style
from emoreason.exports.writing import Export, export
from emoreason.prompts import target_text
from emoreason.recipe_files import load_recipe

pytestmark = pytest.mark.slow


def test_trl_trains_on_the_very_tokens_and_pixels(tiny_dir: Path, tmp_path: Path) -> None:
    import torch
    from datasets import load_dataset
    from tiny_models import qwen2_5_vl
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from emoreason.collate import CompletionCollator, PromptEncoder
    from emoreason.recipe import DataSource
    from emoreason.training_data import Rows, completion_message, read_sources

    recipe, path = load_recipe(tiny_dir / "stage1_sft.yaml"), tiny_dir / "data" / "train.jsonl"
    model, processor = qwen2_5_vl()
    style = Style.of(recipe)
    export(Export(path, tmp_path / "out.parquet", "trl", "sft", style, "embed"))
    dataset = load_dataset("parquet", data_files=str(tmp_path / "out.parquet"), split="train", cache_dir=str(tmp_path / "cache"))
    theirs = DataCollatorForVisionLanguageModeling(processor, max_length=None, completion_only_loss=True)([dataset[index] for index in range(4)])
    rows, (examples,) = Rows(recipe, style.template), read_sources([DataSource(path=str(path))])
    ours = CompletionCollator(PromptEncoder(processor, model.config, recipe.media))([
        rows.row(one, 0, completion=completion_message(target_text(one.record, style.template)), id=one.record.id) for one in examples[:4]
    ])  # fmt: skip
    for key in ("input_ids", "attention_mask", "labels"):
        assert torch.equal(ours[key], theirs[key]), key
    pixels = torch.cat([item.tensors["pixel_values"] for prompt in ours["prompts"] for item in prompt.items])
    assert torch.equal(pixels, theirs["pixel_values"])
