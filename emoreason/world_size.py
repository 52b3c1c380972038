"""How many rows, prompts and steps a stage has on so many GPUs, and which of its numbers do not divide."""

import math
from dataclasses import dataclass

from emoreason.stage_plan import Plan


@dataclass(frozen=True)
class World:
    """The arithmetic of one plan."""

    size: int
    global_batch: int
    """Rows of an update: completions in GRPO, pairs in DPO."""
    steps_per_epoch: int
    num_steps: int
    faults: tuple[str, ...]
    """What does not divide, each with what to set."""
    generated: int = 0
    """GRPO: completions that are generated together."""
    steps_per_generation: int = 0

    @property
    def rows_generated(self) -> int:
        """GRPO: completions that one GPU generates together."""
        return self.generated // self.size if self.size else 0


def world_of(plan: Plan, size: int, num_records: int) -> World:
    """The arithmetic of `plan` on `size` processes over `num_records` rows an epoch."""
    batch = plan.rows * plan.accumulation * size
    if plan.stage == "grpo":
        return _grpo(plan, size, num_records, batch)
    batches = -(-num_records // (plan.rows * size))
    per_epoch = max(1, -(-batches // plan.accumulation)) if num_records else 0
    faults = () if num_records else ("data: there are no records",)
    return World(size, batch, per_epoch, _num_steps(plan, per_epoch), faults)


def _num_steps(plan: Plan, per_epoch: int) -> int:
    return plan.max_steps if plan.max_steps > 0 else math.ceil(plan.epochs * per_epoch)


def _grpo(plan: Plan, size: int, num_records: int, batch: int) -> World:
    """TRL's rules for the generation batch (trl 1.16, `GRPOConfig.__post_init__`), those of `MediaGRPOTrainer`, and its sampler's length.

    An epoch visits whole generation batches alone: `RepeatSampler` drops the prompts that do not fill one.
    """
    at_once, together = plan.rows * size, plan.num_generations
    if plan.generation_batch_size is not None and plan.steps_per_generation is not None:
        return World(size, batch, 0, 0, ("trainer.generation_batch_size and trainer.steps_per_generation are both given; leave one out",))
    faults = []
    if plan.generation_batch_size is not None:
        generated = plan.generation_batch_size
        if generated % at_once:
            unit = math.lcm(at_once, together)
            faults.append(f"generation_batch_size {generated} is no multiple of {plan.rows} rows x {size} GPUs; set "
                          f"trainer.generation_batch_size {-(-generated // unit) * unit}")  # fmt: skip
    else:
        generated = at_once * (plan.steps_per_generation or plan.accumulation)
    per_generation = max(1, generated // at_once)
    if generated % together:
        key = "trainer.steps_per_generation" if plan.steps_per_generation else "trainer.gradient_accumulation_steps"
        if plan.generation_batch_size is not None:
            key, value = "trainer.generation_batch_size", -(-generated // math.lcm(at_once, together)) * math.lcm(at_once, together)
        else:
            unit = math.lcm(at_once, together) // at_once
            value = -(-per_generation // unit) * unit
        faults.append(f"{generated} completions generated together are no multiple of num_generations {together}; set {key} {value}")
    if together < 2:
        faults.append(f"num_generations {together}: an advantage needs at least 2; set trainer.num_generations 8")
    own = generated // size
    if plan.max_resamples and own % together:
        unit = together // math.gcd(plan.rows, together)
        key = "trainer.generation_batch_size" if plan.generation_batch_size is not None else (
            "trainer.steps_per_generation" if plan.steps_per_generation else "trainer.gradient_accumulation_steps")  # fmt: skip
        steps = -(-per_generation // unit) * unit
        faults.append(f"max_resamples {plan.max_resamples}: a GPU generates {own} completions at once, which is no multiple of num_generations "
                      f"{together}; set {key} {steps * at_once if 'batch' in key else steps}")  # fmt: skip
    prompts = max(1, generated // together)
    if num_records < prompts:
        unit = math.lcm(at_once, together) // at_once
        most = num_records * together // at_once // unit * unit
        what = f"set trainer.gradient_accumulation_steps {most}" if plan.generation_batch_size is None else (
            f"set trainer.generation_batch_size {most * at_once}")  # fmt: skip
        faults.append(f"{num_records} records are fewer than the {prompts} prompts of a generation batch, so an epoch has no step; give more records"
                      + (f", or {what}" if most else ", or fewer GPUs"))  # fmt: skip
    per_epoch = -(-(num_records // prompts) * plan.num_iterations * per_generation // plan.accumulation)
    return World(size, batch, per_epoch, _num_steps(plan, per_epoch), tuple(faults), generated, per_generation)
