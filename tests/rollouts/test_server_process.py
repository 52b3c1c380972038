"""A server comes up, is missed when it dies, and never outlives the run that started it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emoreason.faults import UserError
from emoreason.rollouts.faults import EngineError, EngineLostError
from emoreason.rollouts.server_client import ServerClient
from emoreason.rollouts.server_process import ServerProcess, serve_command, wait_for

STAND_IN = Path(__file__).with_name("stand_in_server.py")
OWNER = f"""
import os, signal, sys, time
from pathlib import Path
from emoreason.rollouts.server_process import ServerProcess

def command(port):
    return [sys.executable, {str(STAND_IN)!r}, "--port", str(port), "--worker"]

with ServerProcess(command, Path(sys.argv[1]), grace_s=0.3) as server:
    print(server.process_group, flush=True)
    {{ending}}
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes a stand-in server that is not started yet, from its flags; ends what a test has left."""
    made = []

    def make(*flags: str, **settings: object) -> ServerProcess:
        settings = {"start_timeout_s": 10.0, "grace_s": 5.0} | settings
        made.append(ServerProcess(lambda port: [sys.executable, str(STAND_IN), "--port", str(port), *flags], tmp_path / "log.txt", **settings))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def living(group: int) -> list[str]:
    """State and command of each process of the group that is not a zombie."""
    table = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in table.splitlines()]
    return [f"{stat} {command}" for pgid, stat, command in rows if int(pgid) == group and not stat.startswith("Z")]


def until_gone(group: int, seconds: float = 5.0) -> list[str]:
    """Whatever of the group still lives after that many seconds."""
    deadline = time.monotonic() + seconds
    while (left := living(group)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_the_command_asks_for_log_probs_of_what_is_drawn_and_for_our_worker() -> None:
    assert serve_command("runs/sft", 8123, max_model_len=4096, extra=["--dtype", "bfloat16"]) == [
        "vllm", "serve", "runs/sft", "--host", "127.0.0.1", "--port", "8123", "--dtype", "float32", "--max-model-len", "4096",
        "--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1",
        "--worker-extension-cls", "emoreason.rollouts.vllm_worker.WorkerExtension", "--enforce-eager", "--dtype", "bfloat16",
    ]  # fmt: skip


def test_the_command_leaves_to_vllm_what_is_not_given() -> None:
    command = serve_command("runs/sft", 8123, enforce_eager=False)
    assert "--max-model-len" not in command and "--enforce-eager" not in command


def test_neither_the_log_nor_a_message_shows_a_key(stand_in: Callable[..., ServerProcess]) -> None:
    password, key = "tulip-" + "garden", "hf" + "_1" + "Ab" * 16
    server = stand_in("--api-key", password, key)  # no flag of the stand-in, so it says what it was given and ends
    with pytest.raises(EngineLostError) as failed:
        server.start()
    said = str(failed.value) + server.log_path.read_text().splitlines()[0]
    assert "--api-key '(hidden)'" in said and "unrecognized arguments" in said
    assert key not in said and password not in server.log_path.read_text().splitlines()[0]


def test_a_server_is_ready_in_the_context_and_gone_after_it(stand_in: Callable[..., ServerProcess]) -> None:
    with stand_in("--load-s", "0.3", "--worker") as server:
        group = server.process_group
        assert ServerClient(server.url).post_json("/echo", {"name": "a"}) == {"echo": "a"}
        assert len(living(group)) == 3  # the watchdog, the server, its worker
        assert server.is_alive
    assert living(group) == []
    assert not server.is_alive


def test_no_zombie_is_left(stand_in: Callable[..., ServerProcess]) -> None:
    with stand_in() as server:
        group = server.process_group
    with pytest.raises(ProcessLookupError):  # a zombie would count
        os.killpg(group, 0)


def test_a_server_can_be_started_again(stand_in: Callable[..., ServerProcess]) -> None:
    server = stand_in("--print-lines", "1")
    for _ in range(2):
        with server:
            assert ServerClient(server.url).get_json("/health") is None
    assert server.log_path.read_text().count("\nline 1\n") == 2


def test_what_ignores_the_polite_signal_is_killed_after_the_grace(stand_in: Callable[..., ServerProcess]) -> None:
    server = stand_in("--ignore-sigterm", "--worker", grace_s=0.4)
    server.start()
    group, start = server.process_group, time.monotonic()
    server.stop()
    assert 0.4 <= time.monotonic() - start < 4.5
    assert living(group) == []


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_in_the_context_ends_the_server(stand_in: Callable[..., ServerProcess], kind: type[BaseException]) -> None:
    with pytest.raises(kind), stand_in() as server:
        group = server.process_group
        raise kind
    assert living(group) == []


def test_an_interrupt_while_the_server_loads_ends_it(stand_in: Callable[..., ServerProcess]) -> None:
    server = stand_in("--load-s", "60", start_timeout_s=60.0)
    groups = []

    def interrupt() -> None:
        while not server.is_alive:
            time.sleep(0.01)
        groups.append(server.process_group)
        os.kill(os.getpid(), signal.SIGINT)

    start = time.monotonic()
    threading.Timer(0.2, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert time.monotonic() - start < 20
    assert living(groups[0]) == []


@pytest.mark.parametrize(
    ("end", "ending", "advice"),
    [("3", "exit code 3", "mend what the log says"), ("SIGKILL", "signal 9 (Killed)", "limit on memory"),
     ("0", "exit code 0", "mend what the log says")],
)  # fmt: skip
def test_a_death_while_loading_is_told_with_the_end_of_the_log(stand_in: Callable[..., ServerProcess], end: str, ending: str, advice: str) -> None:
    server = stand_in("--print-lines", "25", "--end-at-once", end)
    with pytest.raises(EngineLostError) as caught:
        server.start()
    first, second, third, *lines = str(caught.value).splitlines()
    assert first.startswith(f"{server.url}: the server has ended with {ending}; ") and advice in first
    assert second == f"command: {sys.executable} {STAND_IN} --port {server.url.rpartition(':')[2]} --print-lines 25 --end-at-once {end}"
    assert third == f"the end of its log, {server.log_path}:"
    assert lines == [f"  line {number}" for number in range(6, 26)]
    assert server.process_group is None


def test_only_this_starts_log_is_shown(stand_in: Callable[..., ServerProcess], tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("of yesterday\n")
    with pytest.raises(EngineLostError, match="printed nothing"):
        stand_in("--end-at-once", "1").start()
    assert (tmp_path / "log.txt").read_text().startswith("of yesterday\n$ ")


def test_a_later_death_is_found(stand_in: Callable[..., ServerProcess]) -> None:
    with stand_in("--on", "a=die") as server:
        server.check_alive()
        with pytest.raises(EngineLostError, match=r"exit code 3(.|\n)*CUDA error"):
            ServerClient(server.url, check_alive=server.check_alive).post_json("/echo", {"name": "a"})
        with pytest.raises(EngineLostError, match="exit code 3"):
            server.check_alive()
        group = server.process_group
    assert living(group) == []


def test_a_server_that_is_not_ready_in_time_is_ended(stand_in: Callable[..., ServerProcess]) -> None:
    server = stand_in("--load-s", "60", "--print-lines", "1", start_timeout_s=0.5)
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"/health: not ready within 0\.\d+ s, the last answer: ConnectError(.|\n)*  line 1"):
        server.start()
    assert time.monotonic() - start < 20
    assert not server.is_alive


def test_a_health_check_that_hangs_is_ended(stand_in: Callable[..., ServerProcess]) -> None:
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"not ready within"):
        stand_in("--health", "hang", start_timeout_s=0.5).start()
    assert time.monotonic() - start < 20


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no-such-engine: no such program beside .*; is it installed\?"):
        ServerProcess(lambda port: ["no-such-engine"], tmp_path / "log.txt").start()


def test_the_port_is_kept_free_while_the_server_loads(tmp_path: Path) -> None:
    """Others that look for a free port, or want just this one, do not get it; the server does."""

    def command(port: int) -> list[str]:
        with socket.socket() as rival, pytest.raises(OSError, match="Address already in use"):
            rival.bind(("127.0.0.1", port))
        return [sys.executable, str(STAND_IN), "--port", str(port)]

    with ServerProcess(command, tmp_path / "log.txt", start_timeout_s=10.0) as server:
        wait_for(server.url, 5.0)


def test_a_taken_port_is_answered_by_another(stand_in: Callable[..., ServerProcess], tmp_path: Path) -> None:
    with stand_in("--busy-starts", "2", "--starts", str(tmp_path / "starts")) as server:
        assert ServerClient(server.url).get_json("/health") is None
    ports = (tmp_path / "starts").read_text().split()
    assert len(ports) == len(set(ports)) == 3
    assert server.url.endswith(f":{ports[2]}")


def test_taken_ports_are_not_tried_for_ever(stand_in: Callable[..., ServerProcess], tmp_path: Path) -> None:
    with pytest.raises(EngineLostError, match="Address already in use"):
        stand_in("--busy-starts", "9", "--starts", str(tmp_path / "starts"), num_ports=2).start()
    assert len((tmp_path / "starts").read_text().split()) == 2


def test_another_death_is_not_tried_again(stand_in: Callable[..., ServerProcess], tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("Address already in use\n")  # of an earlier start
    server = stand_in("--end-at-once", "1")
    with pytest.raises(EngineLostError):
        server.start()
    assert server.log_path.read_text().count("$ ") == 1


@pytest.mark.parametrize("ending", ["time.sleep(600)", "os._exit(7)", "sys.exit()"])
def test_the_server_does_not_outlive_its_owner(tmp_path: Path, ending: str) -> None:
    """Killed outright, ended without a chance to clean up, and ended plainly."""
    command = [sys.executable, "-c", OWNER.format(ending=ending), str(tmp_path / "log.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        group = int(owner.stdout.readline())
        if "sleep" in ending:
            assert len(living(group)) == 3
            owner.kill()
        owner.wait(10)
    assert until_gone(group) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_owner_ends_the_server_too(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", OWNER.format(ending="time.sleep(600)"), str(tmp_path / "log.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        group = int(owner.stdout.readline())
        owner.send_signal(number)
        owner.wait(10)
    assert until_gone(group) == []


def test_a_server_started_without_a_context_ends_with_the_program(tmp_path: Path) -> None:
    started = "server = ServerProcess(command, Path(sys.argv[1]))\nserver.start()\nif True:"
    code = OWNER.replace("with ServerProcess(command, Path(sys.argv[1]), grace_s=0.3) as server:", started).format(ending="pass")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "log.txt")], capture_output=True, text=True, check=True)
    assert living(int(done.stdout)) == []


def test_the_server_sees_our_environment_but_no_rank_of_ours(stand_in: Callable[..., ServerProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE", "PYTHONPATH", "GROUP_ID"):
        monkeypatch.setenv(name, "7")
    with stand_in("--print-environment", environment={"VLLM_SERVER_DEV_MODE": "1"}) as server:
        seen = json.loads(server.log_path.read_text().splitlines()[1])
    assert (seen["PYTHONPATH"], seen["GROUP_ID"], seen["VLLM_SERVER_DEV_MODE"]) == ("7", "7", "1")
    assert seen.keys() & {"RANK", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE"} == set()


def test_a_server_of_others_is_waited_for(stand_in: Callable[..., ServerProcess]) -> None:
    with stand_in() as server:
        wait_for(server.url, 5.0)
        url = server.url
    start = time.monotonic()
    with pytest.raises(EngineError, match=rf"GET {url}/health: not ready within 0.3 s, the last answer: ConnectError"):
        wait_for(url, 0.3)
    assert time.monotonic() - start < 3


def test_a_server_that_is_no_engine_is_not_waited_for(stand_in: Callable[..., ServerProcess]) -> None:
    with pytest.raises(EngineError, match=r"HTTP 404; this is no vLLM server"):
        stand_in("--health", "404").start()


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "", "ftp://host:1", "http://h\n:1", "http://HOST:PORT", "http://host:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="accepted: http://HOST:PORT"):
        wait_for(url, 5.0)
