"""Of several processes that fail, the first has the word."""

import json
from pathlib import Path

import pytest

from emoreason import ranks


@pytest.fixture
def of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Become rank N of two over a run's folder."""
    monkeypatch.setattr(ranks, "WAIT_S", 0.3)

    def become(rank: int) -> None:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setattr(ranks, "_folder", tmp_path)

    return become


def failure(error: Exception) -> str | None:
    return ranks.first_failure(error, f"{type(error).__name__}: {error}")


def test_the_first_failure_is_told_by_those_that_it_takes_along(of_two, tmp_path: Path) -> None:
    of_two(1)
    assert failure(ValueError("no such emotion")) is None  # it says its own error itself
    of_two(0)
    told = failure(RuntimeError("[gloo] Connection closed by peer [127.0.0.1]:1234"))
    assert told.startswith("rank 0 of 2 on ") and "stops since rank 1 of 2 on " in told and told.endswith("failed: ValueError: no such emotion")


def test_an_exchange_that_fails_by_itself_is_an_error_of_its_own(of_two) -> None:
    of_two(0)
    assert failure(RuntimeError("Connection closed by peer")) is None


def test_two_failures_of_their_own_are_both_said(of_two) -> None:
    of_two(1)
    failure(ValueError("one"))
    of_two(0)
    assert failure(ValueError("another")) is None


def test_one_process_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    ranks.watch_failures(tmp_path)
    assert failure(ValueError("one")) is None and list(tmp_path.iterdir()) == []


def test_a_new_start_forgets_the_failure_of_the_last(of_two, tmp_path: Path) -> None:
    of_two(0)
    failure(ValueError("one"))
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())["error"] == "ValueError: one"
    ranks.watch_failures(tmp_path)
    assert list(tmp_path.iterdir()) == []
