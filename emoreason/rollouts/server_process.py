"""A server of our own while it is needed: started, waited for, watched, and ended together with everything that it started."""

import atexit
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from emoreason.rollouts.faults import EngineError, EngineLostError
from emoreason.rollouts.server_client import ServerClient
from emoreason.secrets import redacted_arguments, redacted_text

HOST = "127.0.0.1"
SERVE_ENVIRONMENT = {"VLLM_SERVER_DEV_MODE": "1"}
"""What `vllm serve` needs to take new weights: /collective_rpc and its like are served only then."""
WORKER_EXTENSION = "emoreason.rollouts.vllm_worker.WorkerExtension"

_KILL_TIMEOUT_S = 10.0
"""A killed process is gone at once, unless a driver holds it."""
_NUM_LOG_LINES = 20
_LOG_END_BYTES = 65536

# Ends the server when this process is gone, however it went (SIGTERM, kill -9, os._exit, a crash), with no need for a signal handler
# that would compete with those of trainers. Linux's PR_SET_PDEATHSIG reaches the server alone and not the workers that hold the GPU,
# and fires when the thread that started it ends; a pipe stays open in every fork of ours. A parent's death changes `getppid` for
# certain. The watchdog leads the process group, so the group's number is not given to others while the watchdog lives.
_WATCHDOG = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
while os.getppid() == int(sys.argv[1]):
    time.sleep(0.3)
os.killpg(os.getpgrp(), signal.SIGTERM)
time.sleep(float(sys.argv[2]))
os.killpg(os.getpgrp(), signal.SIGKILL)
"""


def serve_command(
    model: str,
    port: int,
    *,
    dtype: str = "float32",
    max_model_len: int | None = None,
    enforce_eager: bool = True,
    extra: Sequence[str] = (),
) -> list[str]:
    """The `vllm serve` whose log-probabilities are those that it draws with, and whose workers take our weights.

    `extra` comes last, and the last of two equal flags counts. Flags as of vLLM 0.29.
    """
    command = ["vllm", "serve", model, "--host", HOST, "--port", str(port), "--dtype", dtype]
    command += ["--max-model-len", str(max_model_len)] if max_model_len else []
    command += ["--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1", "--worker-extension-cls", WORKER_EXTENSION]
    command += ["--enforce-eager"] if enforce_eager else []
    return [*command, *extra]


def wait_for(url: str, timeout_s: float, check_alive: Callable[[], None] | None = None) -> None:
    """Return when the server at `url`, whoever runs it, says that it is ready.

    Raises:
        EngineError: it does not within `timeout_s`, something else answers there, or what `check_alive` raises.
    """
    ServerClient(url, check_alive=check_alive).wait_until_healthy(timeout_s)


class ServerProcess:
    """A server that lives as long as the context, or from `start` to `stop`; `url` tells where it listens.

    It runs in a process group of its own, so that Ctrl-C reaches it through us alone, and with our end, whatever its kind, it ends, too.
    """

    def __init__(
        self,
        make_command: Callable[[int], Sequence[str]],
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        start_timeout_s: float = 1200.0,
        grace_s: float = 15.0,
        num_ports: int = 3,
    ):
        """A server that is not started yet.

        Args:
            make_command: the command that serves on HOST and the port that it is given.
            log_path: where all that it prints goes; what is there is kept.
            environment: what it sees beside our own environment.
            start_timeout_s: until /health answers; large models load for many minutes.
            grace_s: between SIGTERM and SIGKILL.
            num_ports: how many ports are tried where they turn out to be in use.
        """
        self.make_command = make_command
        self.log_path = log_path
        self.environment = environment or {}
        self.start_timeout_s = start_timeout_s
        self.grace_s = grace_s
        self.num_ports = num_ports
        self.url = ""
        self.command: list[str] = []
        self._log_start = 0
        self._server: subprocess.Popen | None = None
        self._watchdog: subprocess.Popen | None = None

    def __enter__(self) -> "ServerProcess":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def is_alive(self) -> bool:
        return self._server is not None and self._server.poll() is None

    @property
    def process_group(self) -> int | None:
        """Of the server, all that it starts, and the watchdog; None where nothing runs."""
        return self._watchdog.pid if self._watchdog else None

    def start(self) -> None:
        """Return when the server is ready; it is ended on any failure.

        Raises:
            EngineError: the command is not found, dies, or is not ready in time, with the end of its log.
        """
        assert self._watchdog is None, "started twice"
        deadline = time.monotonic() + self.start_timeout_s
        for num_left in reversed(range(self.num_ports)):
            try:
                with _held_port() as port:
                    self._launch(port)
                    self._wait(max(0.0, deadline - time.monotonic()))
                return
            except BaseException as error:
                self.stop()
                is_port_taken = isinstance(error, EngineLostError) and "address already in use" in self._log_end().lower()
                if not (is_port_taken and num_left):
                    raise

    def stop(self) -> None:
        """End the server and all that it started; returns when none of them lives. Does nothing where nothing runs."""
        try:
            if self.is_alive:
                self._server.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._server.wait(self.grace_s)
        finally:  # a second Ctrl-C comes here
            self._kill()

    def check_alive(self) -> None:
        """Return where the server's process lives.

        Raises:
            EngineLostError: it has ended; says how, and what it printed last.
        """
        if self._server is None:
            raise EngineLostError(f"{self.url or 'the server'}: is not running")
        code = self._server.poll()
        if code is None:
            return
        ending = f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"
        advice = "mend what the log says; the command can be tried in a shell by itself"
        if code == -signal.SIGKILL:
            advice = "most often a limit on memory, the machine's or the job's: give it more, or serve a smaller model or a shorter context"
        raise EngineLostError(f"{self.url}: the server has ended with {ending}; {advice}\n{self._evidence()}")

    def _launch(self, port: int) -> None:
        self.url = f"http://{HOST}:{port}"
        self.command = list(self.make_command(port))
        search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        program = shutil.which(self.command[0], path=search)  # this environment's own first, activated or not
        if program is None:
            raise EngineError(f"{self.command[0]}: no such program beside {sys.executable} or on PATH; is it installed?")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        atexit.register(self.stop)
        watchdog = [sys.executable, "-I", "-S", "-c", _WATCHDOG, str(os.getpid()), str(self.grace_s)]
        nothing = subprocess.DEVNULL
        self._watchdog = subprocess.Popen(watchdog, stdin=nothing, stdout=nothing, stderr=nothing, process_group=0)
        with self.log_path.open("ab") as log:
            log.write(f"$ {shlex.join(redacted_arguments(self.command))}\n".encode())
            self._log_start = log.tell()
            log.flush()
            self._server = subprocess.Popen([program, *self.command[1:]], stdin=nothing, stdout=log, stderr=subprocess.STDOUT,
                                            env=_without_ranks(os.environ) | self.environment, process_group=self._watchdog.pid)  # fmt: skip

    def _wait(self, timeout_s: float) -> None:
        try:
            wait_for(self.url, timeout_s, self.check_alive)
        except EngineLostError:
            raise
        except EngineError as error:
            raise EngineError(f"{error}\n{self._evidence()}", error.status) from error

    def _kill(self) -> None:
        group, self._watchdog, server, self._server = self._watchdog, None, self._server, None
        if group is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(group.pid, signal.SIGKILL)
        atexit.unregister(self.stop)
        deadline = time.monotonic() + _KILL_TIMEOUT_S
        for child in filter(None, (server, group)):
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
        while time.monotonic() < deadline:  # for its workers, so that the GPU's memory is free when this returns
            with suppress(ChildProcessError):
                os.waitpid(-group.pid, os.WNOHANG)  # in a container where we are process 1, they are ours to bury
            if not _lives(group.pid):
                return
            time.sleep(0.02)

    def _log_end(self) -> str:
        """The last that this start of the server has printed."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _LOG_END_BYTES))
            return log.read().decode(errors="replace")

    def _evidence(self) -> str:
        lines = [line[:500] for line in self._log_end().splitlines() if line.strip()][-_NUM_LOG_LINES:]
        shown = "\n".join(f"  {redacted_text(line)}" for line in lines) or "  (it has printed nothing)"
        return f"command: {shlex.join(redacted_arguments(self.command))}\nthe end of its log, {self.log_path}:\n{shown}"


@contextmanager
def _held_port() -> Iterator[int]:
    """A free port, ours while the context lasts.

    Bound but not listened to, so that the system gives it to nobody else while the server still loads, and yet the server can bind
    it: vLLM sets both options, too, and other servers SO_REUSEADDR. Two vLLMs on one port would not fail but share its requests.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((HOST, 0))
        yield holder.getsockname()[1]


def _lives(group: int) -> bool:
    """Whether a process of the group is more than a zombie that waits for its parent to take note of its end."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended meanwhile
            state, _, own_group = path.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(own_group) == group and state not in "ZX":
                return True
    return False


def _without_ranks(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what torchrun tells a rank: the server is a program by itself, and would wait for the other ranks."""
    ranks = {"RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT",
             "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"}  # fmt: skip
    return {name: value for name, value in environment.items() if name not in ranks and not name.startswith("TORCHELASTIC_")}
