"""A checkpoint is whole or not taken, and what is removed is neither new nor good."""

import hashlib
import json
from pathlib import Path

import pytest

from emoreason import checkpoints
from emoreason.checkpoints import SEAL, best, digests, file_names, merit_of, misfits, newest_good, problem, remove, seal, stale


def write(folder: Path, step: int, merit: float | None = None) -> Path:
    path = folder / f"checkpoint-{step}"
    (path / "global_step1").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights" * step)
    (path / "global_step1/zero_0.pt").write_bytes(b"state")
    seal(path, digests(path, file_names(path)), {"step": step, "merit": merit})
    return path


def test_a_sealed_checkpoint_names_each_file_with_its_size_and_hash(tmp_path: Path) -> None:
    path = write(tmp_path, 2)
    sizes = {name: size for name, (size, _) in json.loads((path / SEAL).read_text())["files"].items()}
    assert sizes == {"global_step1/zero_0.pt": 5, "model.safetensors": 14}
    _, digest = json.loads((path / SEAL).read_text())["files"]["model.safetensors"]
    assert digest == hashlib.sha256(b"weights" * 2).hexdigest()
    assert problem(path) is None


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda path: (path / SEAL).unlink(), "complete.json is missing, so it was cut off while it was written"),
        (lambda path: (path / SEAL).write_text('{"step": 2, "fi'), "complete.json cannot be read"),
        (lambda path: (path / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda path: (path / "model.safetensors").write_bytes(b"w"), "model.safetensors has 1 bytes, 14 were written"),
        (lambda path: (path / "global_step1/zero_0.pt").write_bytes(b"stale"), "global_step1/zero_0.pt has other content than was written"),
    ],
)
def test_a_torn_checkpoint_is_skipped_by_name_for_the_one_before(tmp_path: Path, harm, why: str) -> None:
    write(tmp_path, 1)
    torn = write(tmp_path, 2)
    harm(torn)
    said: list[str] = []
    assert newest_good(tmp_path, said.append) == tmp_path / "checkpoint-1"
    assert said == [f"{torn}: skipped: {why}"] and torn.exists()


def test_steps_are_numbers_and_not_words(tmp_path: Path) -> None:
    for step in (9, 10):
        write(tmp_path, step)
    assert newest_good(tmp_path, print) == tmp_path / "checkpoint-10"
    assert newest_good(tmp_path / "nothing", print) is None


def test_the_newest_and_the_best_stay(tmp_path: Path) -> None:
    merits = {1: 0.9, 2: 0.4, 3: 0.9, 4: None, 5: 0.1}
    paths = {step: write(tmp_path, step, merit) for step, merit in merits.items()}
    assert stale(tmp_path, 1, 0, "highest") == [paths[step] for step in (1, 2, 3, 4)]
    assert stale(tmp_path, 1, 2, "highest") == [paths[2], paths[4]]
    assert stale(tmp_path, 2, 1, "lowest") == [paths[1], paths[2], paths[3]]
    assert best(paths.values(), 1, "highest") == [paths[1]]  # of equals the earlier


def test_removing_leaves_no_torn_checkpoint_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, 3)
    monkeypatch.setattr(checkpoints.shutil, "rmtree", lambda folder, **_: None)  # killed in the middle
    remove(path)
    assert newest_good(tmp_path, pytest.fail) is None and list(tmp_path.glob("checkpoint-*")) == []
    monkeypatch.undo()
    checkpoints.clear_aside(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_merit_is_the_mean_since_the_checkpoint_before() -> None:
    log = [{"step": 1, "reward": 9.0}, {"step": 2, "reward": 1.0}, {"step": 3, "loss": 4.0}, {"step": 4, "reward": 2.0}]
    assert merit_of(log, "reward", after=1) == 1.5
    assert merit_of(log, "accuracy", after=0) is None and merit_of(log, None, after=0) is None


def test_another_number_of_processes_fits_only_where_nothing_is_spread_and_the_rows_are_the_same() -> None:
    sealed = {"zero_stage": 0, "world_size": 2, "rows_per_step": 16, "versions": {"torch": "2.13"}}
    same = {**sealed}
    assert misfits(sealed, same) == ([], [])
    assert misfits(sealed, {**same, "world_size": 4}) == ([], ["processes: 2 -> 4"])
    refused, _ = misfits(sealed, {**same, "world_size": 4, "rows_per_step": 32})
    assert refused == ["processes: 2 -> 4", "rows a step (per-device batch x accumulation x processes): 16 -> 32"]
    spread = {**sealed, "zero_stage": 3}
    assert misfits(spread, {**spread, "world_size": 4})[0] == ["processes: 2 -> 4"]
    assert misfits(spread, same)[0] == ["zero.stage: 3 -> 0"]
    assert misfits(sealed, {**same, "versions": {"torch": "2.14", "trl": "1.16"}}) == ([], ["torch: 2.13 -> 2.14", "trl: None -> 1.16"])
