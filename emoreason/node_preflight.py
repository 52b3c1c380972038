"""Whether the nodes of a job can train together, found in a minute and not after an hour: what each sees, and one all-reduce.

    emoreason preflight recipes/tiny/stage1_sft.yaml       # one process; under SLURM a process a GPU, by `launch` of slurm/env.sh

Every process tells what it sees in a store that the first one keeps (torch's TCPStore, at MASTER_ADDR:MASTER_PORT), and the first one
compares. Nothing waits longer than the deadline: who has not told by then is named.
"""

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from emoreason.faults import UserError, raise_faults
from emoreason.node_facts import Facts, compare, leave_mark, look, unseen_marks
from emoreason.recipe import AnyRecipe

DEADLINE_S = 55.0
"""From the start of this check; a scheduler's node that is lost is named within a minute."""
REDUCE_SHARE = 0.3
"""Of the deadline, what is kept for the all-reduce."""
NUM_REDUCED = {"gloo": 2**20, "nccl": 2**24}
"""float32 values that are added up over all processes: 4 MB on CPUs, 64 MB on GPUs."""


@dataclass(frozen=True)
class Ranks:
    """Which process of how many this is, as torchrun and `launch` say it; one alone where neither does."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int

    @classmethod
    def of_environment(cls) -> "Ranks":
        keys = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
        return cls(*(int(os.environ.get(key, default)) for key, default in keys.items()))

    def node_of(self, rank: int) -> str:
        """The name of the node that this rank runs on, as far as EMOREASON_NODES tells, else its number."""
        number = rank // self.local_world_size
        names = os.environ.get("EMOREASON_NODES", "").split()
        return names[number] if number < len(names) else f"node {number + 1} of {self.world_size // self.local_world_size}"


def interface(backend: str) -> str:
    """The network interface that the backend is told to take."""
    name = f"{backend.upper()}_SOCKET_IFNAME"
    return f"{name}={os.environ[name]}" if os.environ.get(name) else f"the default interface ({name} is not set)"


def reduce_seconds(backend: str, store: dist.Store, ranks: Ranks, timeout_s: float) -> float:
    """Seconds that one all-reduce over all processes takes, after a first one that connects them."""
    device = torch.device("cuda", ranks.local_rank) if backend == "nccl" else torch.device("cpu")
    if backend == "nccl":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, store=store, rank=ranks.rank, world_size=ranks.world_size, timeout=timedelta(seconds=timeout_s))
    try:
        values = torch.ones(NUM_REDUCED[backend], device=device)
        dist.all_reduce(values)
        start = time.perf_counter()
        dist.all_reduce(values)
        total = values[-1].item()  # waits for the device
        seconds = time.perf_counter() - start
        assert total == ranks.world_size**2, f"the sum over {ranks.world_size} processes is {total}"
        return seconds
    finally:
        dist.destroy_process_group()


def preflight(
    recipe_path: Path, overrides: list[str], deadline_s: float = DEADLINE_S, show: Callable[[list[Facts], str], None] = lambda seen, told: None
) -> None:
    """Return when the nodes can train together; the first process shows what each has told.

    Raises:
        UserError: in the first process with every fault, in the others that there is one.
    """
    ranks, end = Ranks.of_environment(), time.monotonic() + deadline_s
    guard = threading.Timer(deadline_s + 1, _give_up, [deadline_s])  # ends a call that hangs beyond its own time-out
    guard.daemon = True
    guard.start()
    node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    try:
        store = _meet(ranks, node, end)
        _check(ranks, store, *look(recipe_path, overrides, node, torch.cuda.device_count()), end, deadline_s, show)
    except dist.DistError as error:
        raise UserError(f"{node}: the store on {ranks.node_of(0)} answers no more: {str(error).splitlines()[0]}") from error
    finally:
        guard.cancel()


def _check(
    ranks: Ranks, store: dist.Store, facts: Facts, recipe: AnyRecipe | None, end: float, deadline_s: float, show: Callable[[list[Facts], str], None]
) -> None:
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    job = os.environ.get("SLURM_JOB_ID") or f"{os.environ.get('MASTER_PORT', os.getpid())}"
    output_dir = Path(recipe.output_dir) if recipe else Path(tempfile.gettempdir())
    mark = output_dir / f".preflight_{job}_{ranks.rank}"
    leave_mark(mark, facts)
    try:
        store.set(f"arrived/{ranks.rank}", facts.node)
        _wait_for_all(store, ranks, end - REDUCE_SHARE * deadline_s)
        facts.clock = time.time()  # all were let go at the same moment
        firsts = range(0, ranks.world_size, ranks.local_world_size)
        unseen = [] if not facts.free_bytes else unseen_marks({ranks.node_of(rank): mark.with_name(f".preflight_{job}_{rank}") for rank in firsts})
        facts.faults += [f"output_dir: {output_dir}: what {other} writes there is not seen here; choose one on a disk that every node sees"
                         for other in unseen]  # fmt: skip
        try:
            facts.reduce_s = reduce_seconds(backend, dist.PrefixStore("reduce", store), ranks, max(1.0, end - time.monotonic() - 3))
        except RuntimeError as error:  # what torch's backends raise
            facts.faults.append(f"no all-reduce by {backend} over {interface(backend)}: {str(error).splitlines()[0]}")
        store.set(f"facts/{ranks.rank}", json.dumps(asdict(facts)))
        if ranks.rank:
            _obey(store, ranks, end)
            return
        store.wait([f"facts/{rank}" for rank in range(ranks.world_size)], timedelta(seconds=max(1.0, end - time.monotonic())))
        seen = [Facts(**json.loads(store.get(f"facts/{rank}"))) for rank in range(ranks.world_size)]
    finally:
        with suppress(OSError):  # where it could not be written it is no matter that it cannot be removed
            mark.unlink()
    a_node_each = [_of_node(seen[first : first + ranks.local_world_size]) for first in firsts]
    faults = compare(a_node_each, recipe)
    show(a_node_each, f"processes: {ranks.world_size}, {backend} over {interface(backend)}")
    store.set("verdict", "faults" if faults else "fine")
    _wait_until_read(store, ranks)
    raise_faults(faults)


def _of_node(seen: list[Facts]) -> Facts:
    """What the first process of a node has told, with the faults of all."""
    return replace(seen[0], faults=list(dict.fromkeys(fault for facts in seen for fault in facts.faults)))


def _meet(ranks: Ranks, node: str, end: float) -> dist.Store:
    """The store that all processes share; the first one keeps it."""
    if ranks.world_size == 1:
        return dist.HashStore()
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    while ranks.rank:
        try:
            socket.create_connection((host, port), timeout=2).close()
            break
        except OSError as error:
            if time.monotonic() > end - 3:
                raise UserError(f"{node}: no answer from {host}:{port}, where {ranks.node_of(0)} should be: {error}; see whether that node "
                                "runs, and whether its name and port can be reached from here") from error  # fmt: skip
            time.sleep(0.2)
    timeout = timedelta(seconds=max(1.0, end - time.monotonic()))
    keeps = ranks.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"  # torchrun keeps it itself
    return dist.TCPStore(host, port, ranks.world_size, is_master=keeps, timeout=timeout, wait_for_workers=False)


def _wait_for_all(store: dist.Store, ranks: Ranks, end: float) -> None:
    """Return when every process has arrived, all at the same moment.

    Raises:
        UserError: some have not in time, with their nodes.
    """
    keys = [f"arrived/{rank}" for rank in range(ranks.world_size)]
    if ranks.rank == 0:
        while missing := [rank for rank, key in enumerate(keys) if not store.check([key])]:
            if time.monotonic() > end:
                nodes = ", ".join(dict.fromkeys(ranks.node_of(rank) for rank in missing))
                text = f"{nodes}: never arrived (ranks {', '.join(map(str, missing))}); see whether the node runs and reaches {ranks.node_of(0)}"
                store.set("go", text)
                _wait_until_read(store, ranks, missing)
                raise UserError(text)
            time.sleep(0.05)
        store.set("go", "")
    store.wait(["go"], timedelta(seconds=max(1.0, end - time.monotonic() + 2)))
    if text := store.get("go").decode():
        store.set(f"read/{ranks.rank}", "")
        raise UserError([])  # the first process says it


def _obey(store: dist.Store, ranks: Ranks, end: float) -> None:
    """Wait for the first process's verdict, and end as it says."""
    store.wait(["verdict"], timedelta(seconds=max(1.0, end - time.monotonic())))
    verdict = store.get("verdict").decode()
    store.set(f"read/{ranks.rank}", "")
    if verdict != "fine":
        raise UserError([])  # the first process says what


def _wait_until_read(store: dist.Store, ranks: Ranks, absent: list[int] = ()) -> None:
    """The store lives as long as its first process, so that one leaves last; what the others do not read in time they do not need."""
    keys = [f"read/{rank}" for rank in range(1, ranks.world_size) if rank not in absent]
    give_up = time.monotonic() + 2
    while keys and not store.check(keys) and time.monotonic() < give_up:
        time.sleep(0.02)


def _give_up(deadline_s: float) -> None:
    """End this process, whatever call hangs in it."""
    print(f"error: {socket.gethostname()}: no end within {deadline_s:.0f} s; a disk or a network of this node hangs", flush=True)
    os._exit(2)
