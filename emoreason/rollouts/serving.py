"""The vLLM server of a recipe, run by itself: this process becomes it."""

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from emoreason.faults import UserError
from emoreason.recipe import AnyRecipe, GrpoRecipe
from emoreason.rollouts.server_engine import command, environment
from emoreason.rollouts.vllm_folder import check_vllm, config_of, engine_folder
from emoreason.secrets import redacted_arguments


@dataclass(frozen=True)
class Place:
    """Where a server listens, and which of the nodes that it is spread over this is."""

    host: str
    port: int
    num_nodes: int = 1
    node_rank: int = 0
    master: str = "localhost"

    def flags(self) -> list[str]:
        """Those of `vllm serve`, as of 0.29; only the first node answers."""
        alone = ["--host", self.host]
        spread = ["--nnodes", str(self.num_nodes), "--node-rank", str(self.node_rank), "--master-addr", self.master]
        return alone if self.num_nodes == 1 else [*alone, *spread, *(["--headless"] if self.node_rank else [])]


def serving(recipe: AnyRecipe, scratch: Path, place: Place, on_cpu: bool) -> list[str]:
    """`vllm serve` with the folder and the flags that `ServerEngine` would start it with; what it needs on disk goes to `scratch`."""
    settings, config = recipe.rollouts, config_of(recipe.model.path)
    adapter_rank = recipe.model.lora.r if isinstance(recipe, GrpoRecipe) and settings.sync == "adapter" else None
    check_vllm(config.model_type, adapter_rank is not None)
    folder, has_weights = engine_folder(recipe.model.path, scratch)
    return [*command(folder, place.port, config, settings, recipe.model.dtype, has_weights, adapter_rank, on_cpu), *place.flags()]


def serve(recipe: AnyRecipe, scratch: Path, place: Place) -> None:
    """Become the server; returns only by raising.

    Raises:
        UserError: vLLM is not installed, does not fit, or does not compute the model.
    """
    on_cpu = not torch.cuda.is_available()
    words, variables = serving(recipe, scratch, place, on_cpu), {**os.environ, **environment(on_cpu)}
    program = shutil.which(words[0], path=variables["PATH"])
    if program is None:
        raise UserError(f"{words[0]}: no such program beside this Python or on PATH; pip install 'emoreason[vllm]'")
    print(f"$ {shlex.join(redacted_arguments(words))}", flush=True)
    os.execve(program, words, variables)
