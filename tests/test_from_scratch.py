"""The tokenizer of a model made from scratch: lossless, special tokens whole, room for what later stages say."""

from pathlib import Path

import pytest
from conftest import Line

pytestmark = pytest.mark.slow


@pytest.fixture
def tokenizer(line: Line):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(line.folder / "runs/tiny/base", local_files_only=True)


@pytest.mark.parametrize("text", ["<think>eyes wide (AU5)</think><answer>fear</answer>", "Größe 😀\n\ttab", "<confidence>0.35</confidence>"])
def test_text_comes_back_as_it_was(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_special_tokens_are_one_token_each(tokenizer) -> None:
    for token in ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>"):
        assert tokenizer(token)["input_ids"] == [tokenizer.convert_tokens_to_ids(token)]
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|endoftext|>"


def test_the_same_seed_builds_the_same_checkpoint(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.numpy import load_file

    from emoreason.recipe_files import load_recipe
    from emoreason.stages.sft import build

    monkeypatch.chdir(line.folder)
    recipe = load_recipe(Path("recipes/tiny/stage1_sft.yaml"), [f"model.path={tmp_path / 'again'}"])
    build(recipe)
    first, again = (load_file(path / "model.safetensors") for path in (Path("runs/tiny/base"), tmp_path / "again"))
    assert first.keys() == again.keys() and all((first[name] == again[name]).all() for name in first)
    assert not list(tmp_path.glob(".tmp_*"))
