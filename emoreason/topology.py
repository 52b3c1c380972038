"""The hardware that a stage is to run on, as `nodes=4,gpus=8,gpu_memory=80` says it."""

from dataclasses import dataclass

from emoreason.faults import UserError, did_you_mean

GIB = 1 << 30
EXAMPLE = "nodes=4,gpus=8,gpu_memory=80"


@dataclass(frozen=True)
class Topology:
    """Nodes that are alike."""

    nodes: int = 1
    gpus: int = 8
    """Of a node."""
    gpu_memory: float = 80.0
    """GiB of a GPU."""
    vllm_nodes: int = 0
    """Of the nodes those that run a vLLM server instead of training."""

    @property
    def world_size(self) -> int:
        """GPUs that train, each with a process of its own."""
        return (self.nodes - self.vllm_nodes) * self.gpus

    @property
    def gpu_bytes(self) -> float:
        return self.gpu_memory * GIB

    def __str__(self) -> str:
        served = f", {self.vllm_nodes} of them for vLLM" if self.vllm_nodes else ""
        return f"{self.nodes} x {self.gpus} GPUs of {self.gpu_memory:g} GiB{served}"


def parse_topology(text: str) -> Topology:
    """The topology in `key=value,...`; what is not given is 1 node of 8 GPUs of 80 GiB.

    Raises:
        UserError: with every part that is wrong.
    """
    kinds = {name: kind for name, kind in Topology.__annotations__.items()}
    found: dict[str, float] = {}
    faults = []
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name not in kinds:
            faults.append(f"{part.strip()!r} is no part of a topology{did_you_mean(name, kinds)}; accepted: {', '.join(kinds)}, as in {EXAMPLE}")
        elif name in found:
            faults.append(f"{name} is given twice")
        elif not _is_number(value, whole=kinds[name] is int):
            faults.append(f"{name}={value}: accepted: {'a whole number' if kinds[name] is int else 'a number of GiB'}")
        elif float(value) <= 0 and name != "vllm_nodes":
            faults.append(f"{name}={value}: accepted: more than 0")
        else:
            found[name] = kinds[name](value)
    topology = Topology(**found)
    if not faults and topology.world_size < 1:
        faults.append(f"vllm_nodes={topology.vllm_nodes} of nodes={topology.nodes} leave none to train on")
    if faults:
        raise UserError([f"--topology: {fault}" for fault in faults])
    return topology


def _is_number(text: str, whole: bool) -> bool:
    return text.isascii() and text.isdigit() if whole else text.isascii() and text.replace(".", "", 1).isdigit()
