"""Real TensorBoard files and real offline W&B runs hold what metrics.jsonl says, once, however often it is sent and whatever was cut off."""

import importlib.machinery
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from tracked import add, go_on_from, make_run, row, tensorboard_scalars, wandb_history, wandb_records

from emoreason.faults import UserError
from emoreason.files import read_json, write_json
from emoreason.tracker_replay import follow, replay, wandb_mode
from emoreason.trackers import run_id

FIRST = [row(1, "cues", loss=4.0), row(2, "cues", loss=3.0), row(2, "cues", train_loss=3.5), row(1, "label", loss=2.0), row(2, "label", loss=1.5)]
# Cut off at step 3 of `label`, gone on from a checkpoint of step 1, and the two steps done again with other numbers.
CUT = [*FIRST, row(3, "label", loss=1.2)]
RESUMED = [*FIRST[:-1], row(2, "label", loss=1.6), row(3, "label", loss=1.3), row(4, "label", loss=1.0)]
LOSSES = [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.6), (5, 1.3), (6, 1.0)]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """{file: its bytes and time} of all that trackers have in a run's folder."""
    files = [path for part in ("tensorboard", "wandb", "trackers") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files if path.suffix != ".lock"}


def test_tensorboard_reads_back_what_was_logged(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", FIRST)
    sent = replay(run, "tensorboard")
    assert (sent.rows, sent.skipped, sent.where, sent.command) == (4, 0, f"{run}/tensorboard", f"tensorboard --logdir {run}/tensorboard")
    scalars = tensorboard_scalars(run)
    assert scalars["loss"] == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.5)] and scalars["train_loss"] == [(2, 3.5)]
    assert (scalars["eval/faces/accuracy"], scalars["eval/faces/accuracy/low"]) == ([(4, 0.5)], [(4, 0.25)])
    assert "phase" not in scalars and "step" not in scalars
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in ("config/text_summary", "completions/text_summary")}
    assert '"output_dir": "runs/a"' in texts["config/text_summary"] and '"commit": "121212' in texts["config/text_summary"]
    assert re.findall(r"step (\d), r(\d), total ([\d.]+)\n    <think>(\d)</think>", texts["completions/text_summary"]) == [
        ("1", "1", "0.5", "1"), ("2", "2", "1.0", "2"), ("3", "3", "1.5", "3"),
    ]  # fmt: skip


def test_wandb_offline_reads_back_what_was_logged(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", FIRST)
    sent = replay(run, "wandb")
    ((folder, records),) = wandb_records(run).items()
    assert (sent.rows, sent.skipped, sent.where, sent.command) == (4, 0, str(folder), f"wandb sync {folder}")
    assert wandb_history(run) == [
        {"_step": 1, "phase": "cues", "loss": 4.0}, {"_step": 2, "phase": "cues", "loss": 3.0, "train_loss": 3.5},
        {"_step": 3, "phase": "label", "loss": 2.0}, {"_step": 4, "phase": "label", "loss": 1.5},
    ]  # fmt: skip
    begun = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (begun.run_id, begun.display_name) == (run_id(run), "runs/a")
    config = {item.key: json.loads(item.value_json) for record in records for item in record.run.config.update}
    assert config["recipe"]["output_dir"] == "runs/a" and config["commit"] == "12" * 20
    summary = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for record in records for item in record.summary.update}
    assert summary["eval/faces/accuracy"] == 0.5 and summary["eval/faces/accuracy/high"] == 0.75
    (table,) = folder.rglob("*.table.json")
    assert read_json(table) == {"columns": ["step", "id", "total", "completion"],
                                "data": [[step, f"r{step}", 0.5 * step, f"<think>{step}</think>"] for step in (1, 2, 3)]}  # fmt: skip


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb"])
def test_a_run_that_was_cut_off_and_resumed_is_one_series(tmp_path: Path, tracker: str) -> None:
    run = make_run(tmp_path / "a", CUT)
    replay(run, tracker)
    first_id = read_json(run / f"trackers/{tracker}.json")["run_id"]
    go_on_from(run, RESUMED)
    sent = replay(run, tracker)
    assert (sent.rows, sent.skipped) == (6, 0), "files are written anew, with the numbers that led to the checkpoint"
    if tracker == "tensorboard":
        assert tensorboard_scalars(run)["loss"] == LOSSES
        assert len(list((run / "tensorboard").iterdir())) == 1
    else:
        assert [(one["_step"], one["loss"]) for one in wandb_history(run)] == LOSSES, "of the one folder that there is"
        assert next(iter(wandb_records(run))).name.endswith(f"-{first_id}")
    assert read_json(run / f"trackers/{tracker}.json")["run_id"] == first_id


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb"])
def test_a_second_replay_changes_nothing(tmp_path: Path, tracker: str) -> None:
    run = make_run(tmp_path / "a", FIRST)
    first = replay(run, tracker)
    before = contents(run)
    second = replay(run, tracker)
    assert contents(run) == before
    assert (second.rows, second.skipped, second.where, second.command) == (0, 4, first.where, first.command)


def test_what_came_later_or_was_lost_is_sent(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", FIRST)
    replay(run, "tensorboard")
    write_json(run / "eval/later.json", {"metrics": {"uar": {"value": 0.25}}})
    replay(run, "tensorboard")
    assert tensorboard_scalars(run)["eval/later/uar"] == [(4, 0.25)]
    for path in (run / "tensorboard").iterdir():
        path.unlink()
    (run / "tensorboard").rmdir()
    assert replay(run, "tensorboard").rows == 4 and len(tensorboard_scalars(run)["loss"]) == 4


def test_a_run_without_rows_has_its_evaluations(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    assert (replay(run, "tensorboard").rows, tensorboard_scalars(run)["eval/faces/accuracy"]) == (0, [(0, 0.5)])


def test_rows_are_followed_as_they_come(tmp_path: Path) -> None:
    """Two sessions, of which the second begins with rows dropped."""
    run = make_run(tmp_path / "a", CUT[:2])
    for before, after in ((None, CUT[2:]), (RESUMED[:4], RESUMED[4:])):
        if before:
            go_on_from(run, before)
        reading, writing = os.pipe()
        add(run, *after)
        os.write(writing, b"\n")
        os.write(writing, b"e")
        assert follow(run, "tensorboard", reading).rows == len({(one["phase"], one["step"]) for one in (CUT if before is None else RESUMED)})
        os.close(reading)
        os.close(writing)
    assert tensorboard_scalars(run)["loss"] == LOSSES


class Server:
    """In the place of the wandb package, as far as it is used, with a server that keeps what is logged, as W&B's does, in step order only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.asked: list[dict] = []
        self.history: list[tuple[int, dict]] = []
        module = types.ModuleType("wandb")
        module.__spec__ = importlib.machinery.ModuleSpec("wandb", None, origin="a test")
        error = type("Error", (Exception,), {})
        module.errors = types.SimpleNamespace(Error=error)
        module.Settings, module.Table, module.init = lambda **given: given, lambda **given: given, self.init
        self.module, self.fails = module, False
        monkeypatch.setitem(sys.modules, "wandb", module)
        monkeypatch.setenv("WANDB_MODE", "online")

    def init(self, **given: object) -> types.SimpleNamespace:
        if self.fails:
            raise self.module.errors.Error("network is down")
        self.asked.append(given)
        self.summary: dict = {}
        return types.SimpleNamespace(dir=f"{given['dir']}/wandb/run-1/files", url="https://wandb.ai/me/p/runs/1", log=self.log, summary=self.summary,
                                     finish=lambda: None)  # fmt: skip

    def log(self, values: dict, step: int) -> None:
        assert not self.history or step >= self.history[-1][0], "it goes backwards"
        self.history.append((step, values))


def test_a_run_on_a_server_goes_on_beyond_the_last_step_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, run = Server(monkeypatch), make_run(tmp_path / "a", CUT)
    assert replay(run, "wandb").rows == 5
    go_on_from(run, RESUMED)
    sent = replay(run, "wandb")
    assert (sent.rows, sent.skipped, sent.where, sent.command) == (1, 5, "https://wandb.ai/me/p/runs/1", "")
    assert [step for step, _ in server.history] == [1, 2, 3, 4, 5, 6], "each once"
    assert [(one["id"], one["resume"], one["mode"], one["name"]) for one in server.asked] == [(run_id(run), "allow", "online", "runs/a")] * 2
    assert server.summary["eval/faces/accuracy"] == 0.5
    replay(run, "wandb")
    assert len(server.asked) == 2, "nothing is new, so nobody is asked"


def test_what_was_written_offline_is_no_reason_to_send_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "a", FIRST)
    replay(run, "wandb")
    server = Server(monkeypatch)
    assert replay(run, "wandb").rows == 4 and [step for step, _ in server.history] == [1, 2, 3, 4]


def test_a_server_that_does_not_answer_is_said_and_the_rows_are_sent_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, run = Server(monkeypatch), make_run(tmp_path / "a", FIRST)
    server.fails = True
    with pytest.raises(UserError, match=r"wandb: network is down; metrics\.jsonl has everything: try again later, or with WANDB_MODE=offline"):
        replay(run, "wandb")
    server.fails = False
    assert replay(run, "wandb").rows == 4


def test_nothing_leaves_the_machine_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wandb_mode() == "offline"
    for asked, mode in (("", "offline"), ("Online", "online"), ("dryrun", "offline"), ("disabled", "disabled")):
        monkeypatch.setenv("WANDB_MODE", asked)
        assert wandb_mode() == mode
    monkeypatch.setenv("WANDB_MODE", "sideways")
    with pytest.raises(UserError, match="WANDB_MODE is 'sideways'; accepted: offline, online, disabled"):
        wandb_mode()


def test_wandb_that_is_disabled_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "a", FIRST)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert replay(run, "wandb").where == "nowhere: WANDB_MODE is disabled" and not (run / "wandb").exists()


def test_a_run_that_is_being_fed_is_not_sent_twice_at_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", FIRST)
    code = f"from emoreason.tracker_replay import follow; from pathlib import Path; follow(Path({str(run)!r}), 'tensorboard', 0)"
    feeder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        feeder.stdin.write(b"\n")
        feeder.stdin.flush()
        while not (run / "trackers/tensorboard.json").exists():
            assert feeder.poll() is None
        with pytest.raises(UserError, match="tensorboard is being fed by the run itself; wait until it ends"):
            replay(run, "tensorboard")
    finally:
        feeder.stdin.close()
        assert feeder.wait(20) == 0
    assert tensorboard_scalars(run)["loss"] == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.5)]


# The command.


def test_a_line_is_sent_run_by_run(tmp_path: Path, emoreason) -> None:
    first, second = make_run(tmp_path / "line/b", FIRST, started="2026-01"), make_run(tmp_path / "line/a", FIRST[:1], started="2026-02")
    code, out, _ = emoreason("track", tmp_path / "line", "--to", "tensorboard")
    assert code == 0 and [line for line in out.splitlines() if line.startswith("tensorboard")] == [
        f"tensorboard --logdir {first}/tensorboard", f"tensorboard --logdir {second}/tensorboard",
    ]  # fmt: skip
    rows = [re.findall(r"[^│\s]+", line) for line in out.splitlines() if str(tmp_path) in line and "│" in line]
    assert [line[1:4] for line in rows] == [["tensorboard", "4", "0"], ["tensorboard", "1", "0"]]


def test_the_recipe_says_where_to_unless_the_command_does(tmp_path: Path, emoreason) -> None:
    run = make_run(tmp_path / "a", FIRST, trackers=["tensorboard"])
    assert emoreason("track", run)[0] == 0 and (run / "tensorboard").is_dir() and not (run / "wandb").exists()
    code, _, err = emoreason("track", make_run(tmp_path / "b", FIRST))
    assert (code, err) == (2, f"error: {tmp_path}/b: the recipe has no trackers; say where to: --to tensorboard, --to wandb\n")
    code, _, err = emoreason("track", run, "--to", "mlflow")
    assert (code, err) == (2, "error: --to mlflow: no such tracker; accepted: tensorboard, wandb\n")
    code, _, err = emoreason("track", tmp_path / "absent", "--to", "wandb")
    assert code == 2 and err.startswith(f"error: {tmp_path}/absent: no run here")


def test_a_package_that_is_missing_is_named_before_anything_is_sent(tmp_path: Path, emoreason, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "a", FIRST)
    monkeypatch.setattr("emoreason.trackers.missing_package", lambda tracker: "wandb is not installed" if tracker == "wandb" else None)
    assert emoreason("track", run, "--to", "tensorboard", "--to", "wandb")[::2] == (2, "error: wandb is not installed\n")
    assert not (run / "tensorboard").exists()
