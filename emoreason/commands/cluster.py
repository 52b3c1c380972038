"""What runs on the nodes of a job: whether they fit together, and the server that answers for the trainer on others."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from emoreason.commands.terminal import Overrides, RecipePath, out, quiet


def preflight(
    recipe: RecipePath,
    overrides: Overrides = None,
    deadline_s: Annotated[float, typer.Option(help="Give up after so many seconds.", min=5)] = 55.0,
) -> None:
    """Whether the nodes of a job can train together, in a minute at most: what each sees, and an all-reduce over them.

    Each process, one a GPU, tells what it sees; the first one compares and prints a row a node: the recipe, the records and the model,
    the versions of packages, GPUs, the room in output_dir and that all see it, clocks, the time of an all-reduce (gloo on CPUs, NCCL on
    GPUs). Faults end it with 2, all in one report; a node that never arrives is named. Without SLURM or torchrun it is one process.

    Example: emoreason preflight recipes/tiny/stage1_sft.yaml
    """
    quiet()
    from emoreason.node_facts import PACKAGES, Facts, row
    from emoreason.node_preflight import preflight as check_nodes

    def show(seen: list[Facts], told: str) -> None:
        table = Table("node", "GPUs", *PACKAGES, "recipe and records", "model, GB", "free, GB", "clock, s", "all-reduce, ms", title=told)
        for facts in seen:
            table.add_row(*row(facts, seen[0]))
        Console(width=max(out.width, 160)).print(table)  # a job's log is no terminal

    check_nodes(recipe, overrides or [], deadline_s, show)


def serve(
    recipe: RecipePath,
    overrides: Overrides = None,
    port: Annotated[int, typer.Option(help="Where it listens.", min=1, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="The address that it listens on; the default is every one of this node's.")] = "0.0.0.0",
    nodes: Annotated[int, typer.Option(help="Nodes that one server is spread over, each with this command.", min=1)] = 1,
    node_rank: Annotated[int, typer.Option(help="Which of them this is; 0 answers.", min=0, envvar="SLURM_PROCID")] = 0,
    master: Annotated[str, typer.Option(help="The name of the node that answers.")] = "localhost",
) -> None:
    """The vLLM server of a recipe by itself, for trainers on other nodes; it runs until it is ended.

    It loads the recipe's model as the trainer's own server would, and listens without a password to all that reach the port, who
    can also hand it weights: a cluster's inner network is the place for it. The trainer finds it by rollouts.engine=vllm_server
    and rollouts.server.url=http://NODE:PORT. More of its flags: rollouts.server.arguments, e.g. ["--tensor-parallel-size", "8"]; over
    several nodes tensor times pipeline parallel size is the number of all their GPUs.

    Example: emoreason serve recipes/qwen2_5_vl_7b/stage3_grpo.yaml --port 8000
    """
    quiet()
    from emoreason.recipe_files import load_recipe

    loaded = load_recipe(recipe, [*(overrides or []), "rollouts.engine=vllm_server"])
    from emoreason.rollouts.serving import Place
    from emoreason.rollouts.serving import serve as serve_recipe

    serve_recipe(loaded, Path(loaded.output_dir) / ".vllm_folder", Place(host, port, nodes, node_rank, master))
