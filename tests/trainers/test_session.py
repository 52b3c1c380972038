"""Sampling that is cut off keeps its pieces, and what a piece holds does not depend on who made it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from emoreason import preemption
from emoreason.recipe import Rollouts, Sampling, Watchdog
from emoreason.run_dir import RunDir
from emoreason.trainers.session import piece_size, sampled_once

# Two items a batch, so sixteen a piece.
RECIPE = SimpleNamespace(sampling=Sampling(num_completions=2, batch_size=4), rollouts=Rollouts(), watchdog=Watchdog())
ITEMS = list(range(40))


class Engine:
    """Makes a row an item; ends after so many pieces as a process would that is asked to make room."""

    def __init__(self, pieces: int | None = None):
        self.pieces, self.made, self.opened = pieces, [], 0

    @contextmanager
    def open(self) -> Iterator:
        self.opened += 1
        yield self.rows

    def rows(self, items: list[int], start: int) -> list[dict]:
        if self.pieces is not None and len(self.made) == self.pieces:
            raise preemption.Preempted(preemption.signal.SIGUSR1)
        self.made.append(start)
        return [{"item": item, "seed": start} for item in items]


def sample(run: Path, engine: Engine) -> list[dict]:
    return sampled_once(RECIPE, RunDir(run), ITEMS, engine.open)


def test_what_has_been_sampled_stays(tmp_path: Path) -> None:
    whole = sample(tmp_path / "whole", Engine())
    assert [row["item"] for row in whole] == ITEMS and {row["seed"] for row in whole} == {0, 16, 32}
    with pytest.raises(preemption.Preempted):
        sample(tmp_path / "run", Engine(pieces=2))
    again = Engine()
    assert sample(tmp_path / "run", again) == whole
    assert again.made == [32]
    third = Engine()
    assert sample(tmp_path / "run", third) == whole and third.opened == 0
    assert not (tmp_path / "run/.completions").exists()
    assert len((tmp_path / "run/completions.jsonl").read_text().splitlines()) == 40


def test_a_piece_that_was_being_written_is_made_again(tmp_path: Path) -> None:
    with pytest.raises(preemption.Preempted):
        sample(tmp_path, Engine(pieces=1))
    (tmp_path / ".completions/.tmp_half").write_text(json.dumps({"item": 16})[:5])
    engine = Engine()
    assert [row["item"] for row in sample(tmp_path, engine)] == ITEMS and engine.made == [16, 32]


def test_pieces_keep_the_engine_busy() -> None:
    assert piece_size(Sampling(num_completions=8, batch_size=128), Rollouts()) == 8 * 16
    assert piece_size(Sampling(num_completions=8, batch_size=4), Rollouts()) == 8
    assert piece_size(Sampling(num_completions=8, batch_size=4), Rollouts(engine="vllm")) == 256
