"""The figures are there and are numbers; how large they are is the machine's business, so nothing here looks at that."""

import importlib
import math
import random

import pytest

from emoreason import bench
from emoreason.completions import parse_completion
from emoreason.wheels import own_wheels

FIGURES = [
    "wheel_pairs_per_second", "plain_wheel_pairs_per_second", "wheel_speedup", "completions_per_second", "mention_scans_per_second",
    "words_per_completion", "rewards", "seconds_to_import",
]  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "NUM_PAIRS", 200)
    monkeypatch.setattr(bench, "NUM_COMPLETIONS", 2 * bench.GROUP_SIZE)


def test_the_figures_are_there(small: None) -> None:
    figures = bench.bench_rewards()
    assert list(figures) == FIGURES
    assert figures.pop("rewards") == list(bench.DEFAULT_STACK)
    assert figures["words_per_completion"] == bench.NUM_WORDS
    assert all(isinstance(value, int | float) and math.isfinite(value) for value in figures.values())


def test_the_plain_score_that_the_wheels_are_compared_with_is_the_same_score() -> None:
    wheels = own_wheels()
    plain = bench._plain_score(wheels)
    # joy and fear are two clusters everywhere, and delight is in that of joy on some wheels at least
    assert plain(["joy"], ["joy", "fear"]) == pytest.approx(2 / 3)
    assert plain(["joy"], ["fear"]) == 0.0
    assert plain(["delight"], ["joy"]) == pytest.approx(wheels.set_f1(["delight"], ["joy"]))


def test_the_completions_follow_their_template_and_differ(small: None) -> None:
    batches = bench._completions(random.Random(0), own_wheels().vocabulary)
    texts = [text for batch in batches for text in batch["completions"]]
    assert len(texts) == len(set(texts)) == bench.NUM_COMPLETIONS
    parsed = [parse_completion(text, template) for batch in batches for text, template in zip(batch["completions"], batch["template"], strict=True)]
    assert [one.problems for one in parsed] == [[]] * bench.NUM_COMPLETIONS
    assert all(len(one.think.split()) >= bench.NUM_WORDS for one in parsed)
    assert texts == [text for batch in bench._completions(random.Random(0), own_wheels().vocabulary) for text in batch["completions"]]


@pytest.mark.parametrize("name", bench.DEFAULT_STACK)
def test_every_reward_of_the_stack_scores_what_it_is_timed_on(small: None, name: str) -> None:
    reward = getattr(importlib.import_module(f"emoreason.rewards.{name}"), f"{name}_reward")
    batch, _ = bench._completions(random.Random(0), own_wheels().vocabulary)
    values = reward(**batch)
    assert len(values) == bench.GROUP_SIZE
    assert None not in values  # a reward that does not apply would be timed doing nothing
