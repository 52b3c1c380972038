"""One process of a run of several, for tests: `emoreason`, with every exchange between processes written down.

    torchrun --nproc-per-node=2 tests/trainers/rank.py TRACE_DIR [--canned] [--no-blanks] [--note-steps] train recipe.yaml ...

`TRACE_DIR/<rank>.jsonl` holds a line an exchange: what was called, and for how many numbers. With --canned GRPO draws completions that depend
on the prompt and the place in its group alone, and on no generator that differs between processes. With
--no-blanks a process runs only the modules that its own rows need. With --note-steps the file TRACE_DIR/stepped comes of an optimizer's step.
"""

import json
import random
import sys
from pathlib import Path

import torch

from emoreason import ranks

TRACED = ("all_reduce", "all_gather", "all_gather_into_tensor", "reduce_scatter", "reduce_scatter_tensor", "broadcast", "reduce", "barrier",
          "all_gather_single", "reduce_scatter_single")  # fmt: skip


def trace(path: Path) -> None:
    file = path.open("w", buffering=1)

    def traced(name: str, original):
        def call(*args, **kwargs):
            sizes = [tensor.numel() for tensor in (*args, *kwargs.values()) if isinstance(tensor, torch.Tensor)]
            file.write(json.dumps([name, sizes]) + "\n")
            return original(*args, **kwargs)

        return call

    for name in TRACED:
        if hasattr(torch.distributed, name):
            setattr(torch.distributed, name, traced(name, getattr(torch.distributed, name)))


def draw_canned() -> None:
    from emoreason.trainers.grpo import MediaGRPOTrainer

    def drawn(self, prompt_ids, *args, **kwargs):
        found, ends = [], sorted(self.eos_token_ids)
        for place, row in enumerate(self._rows):
            generator = random.Random(f"{row.key}:{place % self.num_generations}")
            found.append([generator.randrange(20, 200) for _ in range(generator.randrange(3, 12))] + ends[:1])
        return found, None

    MediaGRPOTrainer._generate_single_turn = drawn


def main() -> None:
    folder, *words = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    trace(Path(folder) / f"{ranks.rank()}.jsonl")
    if "--canned" in words:
        words.remove("--canned")
        draw_canned()
    if "--no-blanks" in words:
        words.remove("--no-blanks")
        from emoreason.trainers import session

        session.heard_and_seen = lambda record: set()
    if "--note-steps" in words:
        words.remove("--note-steps")
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        register_optimizer_step_pre_hook(lambda *_: (Path(folder) / "stepped").touch())
    from emoreason.cli import main as emoreason

    sys.argv = ["emoreason", *words]
    emoreason()


if __name__ == "__main__":
    main()
