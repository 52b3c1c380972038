"""Rollouts by transformers: batches change nothing, seeds repeat, every conversation has its completions in its place."""

from functools import partial
from pathlib import Path

import pytest
from conftest import Line

from emoreason.collate import PromptEncoder
from emoreason.completions import Template
from emoreason.families import placeholder_ids
from emoreason.models import load_for_sampling
from emoreason.recipe import Sampling
from emoreason.recipe_files import load_recipe
from emoreason.rollouts.transformers_engine import generate
from emoreason.training_data import Rows, read_sources

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(line: Line, monkeypatch: pytest.MonkeyPatch):
    """(model, processor, prompts to encode) of the run's stage 1."""
    monkeypatch.chdir(line.folder)
    recipe = load_recipe(Path("recipes/tiny/stage1_sft.yaml"), ["model.path=runs/tiny/stage1_sft/checkpoint"])
    rows = Rows(recipe, Template("free", "list"))
    examples = [*read_sources(recipe.data)[0][:3], *read_sources(recipe.phases[2].data[1:])[0][:2]]
    model, processor = load_for_sampling(recipe.model, recipe.media)
    encoder = PromptEncoder(processor, model.config, recipe.media)
    return model, processor, [partial(encoder, rows.prompt(example), example.media(recipe.media)) for example in examples]


def texts(opened, **settings) -> list[list[str]]:
    return [[rollout.text for rollout in group] for group in generate(*opened, Sampling(max_new_tokens=24, **settings), seed=3)]


def test_greedy_text_is_the_same_in_any_batch(opened) -> None:
    greedy = {"num_completions": 1, "temperature": 0.0}
    assert texts(opened, batch_size=1, **greedy) == texts(opened, batch_size=5, **greedy)


def test_the_same_seed_samples_the_same_text(opened) -> None:
    first = texts(opened, num_completions=4, temperature=1.5, batch_size=8)
    assert first == texts(opened, num_completions=4, temperature=1.5, batch_size=8)
    assert [len(group) for group in first] == [4] * 5
    assert any(len(set(group)) > 1 for group in first)


def test_a_completion_that_is_cut_off_says_so(opened) -> None:
    (group, *_) = generate(*opened, Sampling(num_completions=1, temperature=0.0, max_new_tokens=2), seed=0)
    assert not group[0].is_finished and len(group[0].token_ids) == 2
    (group, *_) = generate(*opened, Sampling(num_completions=1, temperature=0.0, max_new_tokens=64), seed=0)
    assert group[0].is_finished and group[0].text.endswith("</answer>")


def test_completions_never_hold_a_token_that_stands_for_media(opened) -> None:
    model, processor, _ = opened
    banned = set(placeholder_ids(model.config).values())
    groups = generate(*opened, Sampling(num_completions=8, temperature=50.0, max_new_tokens=40), seed=1)
    drawn = [token for group in groups for rollout in group for token in rollout.token_ids]
    assert len(set(drawn)) > 200 and not banned & set(drawn)
    assert banned < set(range(len(processor.tokenizer)))
