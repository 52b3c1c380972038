"""How fast rollouts are: vLLM beside transformers, what handing the policy over costs, and what a GRPO step spends its time on.

    emoreason bench rollouts --quick

Engines run in fresh processes and take turns. All get the same OMP_NUM_THREADS, which torch and vLLM's CPU kernels follow in one process;
VLLM_CPU_OMP_THREADS_BIND is for vLLM's workers in processes of their own, of which there are none here.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer

from emoreason.bench import DEFAULT_STACK
from emoreason.bench_training import MEDIA, MODEL, PICTURE_SIDE, PICTURE_TOKENS, TEXT_TOKENS, TEXTS
from emoreason.collate import PromptEncoder
from emoreason.files import write_jsonl
from emoreason.from_scratch import make_model, make_processor, train_tokenizer
from emoreason.models import load_for_sampling
from emoreason.recipe import FromScratch, GrpoRecipe, LoraSettings, ModelSettings, PromptSettings, Rollouts, Sampling, TemplateSettings
from emoreason.rollouts import Engine
from emoreason.rollouts.opening import start_vllm
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.vllm_folder import check_vllm
from emoreason.run_dir import RunDir
from emoreason.stages.grpo import make_trainer
from emoreason.trainers.session import open_model, trainer_config
from emoreason.training_data import Rows, read_sources

SIZES = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4}
"""Of the language model; heads of 32 are the smallest that vLLM's kernels take on a CPU. The rest is as in `bench grpo`."""
REWARDS = [f"emoreason.rewards.{name}:{name}_reward" for name in (*DEFAULT_STACK, "repetition_penalty")]
"""Those of the shipped recipes, and one that tells random texts apart, so that there is something to learn."""
WARM_UP_TOKENS, NUM_REPEATS, NUM_STEPS = 4, 3, 3
PARTS = ("generation", "sync", "canary", "rewards", "log_probs", "loss_and_backward", "optimizer", "rest")
ROLLOUT_PARTS = PARTS[:3]
"""What a step would be spared if completions cost nothing."""


@dataclass(frozen=True)
class Batch:
    """What is answered at once."""

    prompt_tokens: int
    """About so many, nearly all of them pictures'."""
    completion_tokens: int
    num_prompts: int = 4
    group_size: int = 8
    """Completions a prompt."""


@dataclass(frozen=True)
class Side:
    """Who draws completions, and what it is handed after a step."""

    engine: Literal["transformers", "vllm"]
    sync: Literal["weights", "adapter"] = "weights"
    has_lora: bool = False


GRID = [Batch(prompt, completion) for prompt in (150, 600) for completion in (64, 256)]
STEP = Batch(300, 64)
QUICK_GRID, QUICK_STEP = [Batch(150, 64)], Batch(150, 32, num_prompts=2)
TRANSFORMERS, VLLM = "transformers", "vllm, all weights"
SIDES = {TRANSFORMERS: Side("transformers"), VLLM: Side("vllm"), "vllm, LoRA merged": Side("vllm", has_lora=True),
         "vllm, LoRA alone": Side("vllm", "adapter", has_lora=True)}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """A folder with a checkpoint and records that everything starts from."""

    folder: Path

    def build(self, batches: Sequence[Batch], num_draws: int) -> None:
        """Write the model, and records for `num_draws` batches of each kind, with LoRA and without."""
        towers = {"vision_config": MODEL.vision_config | {"out_hidden_size": SIZES["hidden_size"]}}
        settings = FromScratch(vocab_size=MODEL.vocab_size, text_config=MODEL.text_config | SIZES, **towers)
        torch.manual_seed(0)
        tokenizer = train_tokenizer(TEXTS, settings.vocab_size, settings.family)
        model = make_model(settings, tokenizer)
        # A random model ends its turn when it likes. No engine draws placeholders of media, so with one of them for its end every
        # completion is as long as it may be.
        end = model.config.image_token_id
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
        model.config.get_text_config().eos_token_id = end
        model.generation_config.eos_token_id = [end]
        model.save_pretrained(self.folder / "model")
        make_processor(settings.family, model, tokenizer, MEDIA).save_pretrained(self.folder / "model")
        for batch in batches:
            for has_lora in (False, True):
                self._write_records(batch, has_lora, batch.num_prompts * num_draws)

    def _records_path(self, batch: Batch, has_lora: bool) -> Path:
        return self.folder / f"{batch.prompt_tokens}_{batch.completion_tokens}{'_lora' * has_lora}.jsonl"

    def _write_records(self, batch: Batch, has_lora: bool, num_records: int) -> None:
        """Pictures of noise, no two alike in all files: vLLM would find in a cache what it has seen before."""
        path, rows = self._records_path(batch, has_lora), []
        pixels = np.random.default_rng([batch.prompt_tokens, batch.completion_tokens, has_lora])
        num_pictures = max(1, round((batch.prompt_tokens - TEXT_TOKENS) / PICTURE_TOKENS))
        for index in range(num_records):
            names = [f"{path.stem}_{index}_{place}.png" for place in range(num_pictures)]
            for name in names:
                Image.fromarray(pixels.integers(0, 256, (PICTURE_SIDE, PICTURE_SIDE, 3), dtype=np.uint8)).save(self.folder / name)
            rows.append({"id": str(index), "dataset": "noise", "split": "train", "group": str(index), "media": {"images": names},
                         "target": {"label": "joy", "labels": ["joy"]}, "licence": "none", "source": "made here"})  # fmt: skip
        write_jsonl(path, rows)

    def recipe(self, side: Side, batch: Batch, num_steps: int = 1) -> GrpoRecipe:
        """A GRPO stage with a reference model, and one update for each batch."""
        return GrpoRecipe(
            stage="grpo", output_dir=str(self.folder / f"run_{side.engine}_{side.sync}_{side.has_lora}"), media=MEDIA,
            model=ModelSettings(path=str(self.folder / "model"), dtype="float32", lora=LoraSettings() if side.has_lora else None),
            prompt=PromptSettings(question=TEXTS[0], instruction=""), template=TemplateSettings(answer="list", confidence=True),
            data=[{"path": str(self._records_path(batch, side.has_lora))}],
            rollouts=Rollouts(engine=side.engine, sync=side.sync, max_model_len=MODEL.text_config["max_position_embeddings"]),
            # Without a time limit rewards run here, and need no process that would outlive this one.
            rewards=[{"func": address, "timeout_s": None} for address in REWARDS], reward_alarm_steps=None,
            trainer={"max_steps": num_steps, "per_device_train_batch_size": batch.num_prompts * batch.group_size,
                     "num_generations": batch.group_size, "max_completion_length": batch.completion_tokens, "beta": 0.01,
                     "gradient_checkpointing": False, "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True},
        )  # fmt: skip


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # what a device still has to do belongs to the part that asked for it
    return time.perf_counter()


class Stopwatch:
    """Seconds by part, lap by lap. What runs inside another part counts for the inner one alone, what runs outside of all for `rest`."""

    def __init__(self, clock: Callable[[], float] = _now):
        self.laps: list[dict[str, float]] = []
        self._clock, self._open = clock, ["rest"]
        self.restart()

    def restart(self) -> None:
        """Begin a lap anew."""
        self._seconds, self._since = dict.fromkeys(PARTS, 0.0), self._clock()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._count()
        self._open.append(name)
        try:
            yield
        finally:
            self._count()
            self._open.pop()

    def lap(self) -> None:
        """End a lap; the next one begins."""
        self._count()
        self.laps.append(self._seconds)
        self._seconds = dict.fromkeys(PARTS, 0.0)

    def _count(self) -> None:
        now = self._clock()
        self._seconds[self._open[-1]] += now - self._since
        self._since = now


class _StepWatch(TrainerCallback):
    """A lap from the end of one step to the end of the next, with the optimizer's part."""

    def __init__(self, watch: Stopwatch):
        self._watch, self._optimizer = watch, ExitStack()

    def on_train_begin(self, args, state, control, **kwargs):
        self._watch.restart()

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        self._optimizer.enter_context(self._watch.part("optimizer"))

    def on_optimizer_step(self, args, state, control, **kwargs):
        self._optimizer.close()

    def on_step_end(self, args, state, control, **kwargs):
        self._watch.lap()


def time_parts(trainer: GRPOTrainer, watch: Stopwatch) -> None:
    """Let the trainer's own methods run on the stopwatch. Reading and preparing a batch, clipping and logging are the rest."""

    def timed(owner: Any, method: str, part: Callable[[], str]) -> None:
        run = getattr(owner, method)

        def on_the_watch(*args: Any, **kwargs: Any) -> Any:
            with watch.part(part()):
                return run(*args, **kwargs)

        setattr(owner, method, on_the_watch)

    timed(trainer, "training_step", lambda: "loss_and_backward")
    timed(trainer, "_prepare_inputs", lambda: "rest")
    timed(trainer, "_generate_single_turn", lambda: "generation")
    timed(trainer, "_calculate_rewards", lambda: "rewards")
    timed(trainer, "_get_per_token_logps_and_entropies", lambda: "loss_and_backward" if torch.is_grad_enabled() else "log_probs")
    if trainer.sync is not None:
        timed(trainer.sync, "_send", lambda: "sync")
        timed(trainer.sync, "_compare", lambda: "canary")
    trainer.add_callback(_StepWatch(watch))


class _Process:
    """A fresh process with an engine, which does one thing after another."""

    def __init__(self, bench: Bench, side: Side):
        # Spawned: a fork would inherit what torch and its threads have begun here.
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        num_threads = self(_start, bench, side)
        assert num_threads == torch.get_num_threads(), f"{side.engine} runs on {num_threads} threads, asked for were {torch.get_num_threads()}"

    def __call__(self, work: Callable, *arguments: Any) -> Any:
        return self._pool.submit(work, *arguments).result()

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()


_engines: list[Engine] = []
"""The engine of this process, once `_start` has run in it."""


def _start(bench: Bench, side: Side) -> int:
    """Open the engine; returns the number of threads."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")  # as the command line does in its own process
    recipe = bench.recipe(side, STEP)
    if side.engine == "transformers":
        _engines.append(TransformersEngine(*load_for_sampling(recipe.model, recipe.media)))
    else:
        rank = recipe.model.lora.r if side.sync == "adapter" else None
        _engines.append(start_vllm(recipe.model, recipe.media, recipe.rollouts, Path(recipe.output_dir), rank))
    return torch.get_num_threads()


def _generate(bench: Bench, side: Side, batch: Batch, draw: int) -> tuple[int, int, float]:
    """(tokens of the prompts, tokens drawn, seconds) for batch number `draw`; number 0 is short, to warm up."""
    (engine,), recipe = _engines, bench.recipe(side, batch)
    rows, encoder = Rows(recipe, recipe.template.build()), PromptEncoder(engine.processor, engine.config, recipe.media)
    examples = read_sources(recipe.data)[0][draw * batch.num_prompts : (draw + 1) * batch.num_prompts]
    prompts = [encoder(rows.prompt(example), example.media(recipe.media)) for example in examples]
    sampling = Sampling(num_completions=batch.group_size, max_new_tokens=batch.completion_tokens if draw else WARM_UP_TOKENS,
                        batch_size=batch.num_prompts * batch.group_size)  # fmt: skip
    start = _now()
    groups = engine.generate([partial(prompts.__getitem__, index) for index in range(len(prompts))], sampling, seed=draw)
    seconds = _now() - start
    return sum(len(prompt.token_ids) for prompt in prompts), sum(len(one.token_ids) for group in groups for one in group), seconds


def _train(bench: Bench, side: Side, batch: Batch, num_steps: int) -> tuple[list[dict[str, float]], int]:
    """(seconds of each step by part, tensors of a sync), without the first step, in which caches fill and the canary is put to the test."""
    recipe = bench.recipe(side, batch, 1 + num_steps)
    run_dir = RunDir(recipe.output_dir)
    run_dir.path.mkdir(exist_ok=True)
    config = trainer_config("grpo", recipe, run_dir.trainer_path, {"reward_weights": [spec.weight for spec in recipe.rewards]})
    engine = None if side.engine == "transformers" else _engines[0]  # the policy itself draws, not the copy in `_engines`
    trainer = make_trainer(recipe, config, *open_model(recipe, []), run_dir, engine)
    trainer.remove_callback(PrinterCallback)
    watch = Stopwatch()
    time_parts(trainer, watch)
    trainer.train()
    return watch.laps[1:], int(trainer.state.log_history[0].get("sync/num_tensors", 0))


def measure(is_quick: bool = False, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """What `rollout_row`, `sync_row` and `step_row` make of it, with vLLM's version and the number of threads. `say` hears what comes next.

    Raises:
        UserError: vLLM is missing, or does not fit.
        AssertionError: the engines did not draw as many tokens, or ran on different numbers of threads.
    """
    version = check_vllm("qwen2_5_vl", with_adapters=True)
    grid, step, num_repeats, num_steps = (QUICK_GRID, QUICK_STEP, 1, 1) if is_quick else (GRID, STEP, NUM_REPEATS, NUM_STEPS)
    # Read by the processes that start from here on.
    os.environ |= {"OMP_NUM_THREADS": str(torch.get_num_threads()), "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR")}
    rollouts, steps = [], {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.build([*grid, step], 1 + max(num_repeats, num_steps))
        say("starting transformers and vLLM")
        with _Process(bench, SIDES[TRANSFORMERS]) as theirs, _Process(bench, SIDES[VLLM]) as vllm:
            for batch in grid:
                say(f"rollouts of {batch.completion_tokens} tokens after {batch.prompt_tokens}")
                draws = [{"transformers": theirs(_generate, bench, SIDES[TRANSFORMERS], batch, draw),
                          "vllm": vllm(_generate, bench, SIDES[VLLM], batch, draw)} for draw in range(1 + num_repeats)]  # fmt: skip
                rollouts.append(rollout_row(batch, draws[1:]))
            *together, apart = SIDES
            for name in together:
                say(f"GRPO steps: {name}")
                steps[name] = (theirs if name == TRANSFORMERS else vllm)(_train, bench, SIDES[name], step, num_steps)
        say(f"GRPO steps: {apart}")
        with _Process(bench, SIDES[apart]) as alone:
            steps[apart] = alone(_train, bench, SIDES[apart], step, num_steps)
    return {"vllm": version, "num_threads": torch.get_num_threads(), "rollouts": rollouts,
            "syncs": [sync_row(name, *found) for name, found in steps.items() if name != TRANSFORMERS],
            "steps": [step_row(name, laps) for name, (laps, _) in steps.items()]}  # fmt: skip


def rollout_row(batch: Batch, draws: Sequence[dict[str, tuple[int, int, float]]]) -> dict[str, Any]:
    """Tokens a second of both engines, medians over the draws, and vLLM's over transformers'."""
    for draw in draws:
        assert len({found[:2] for found in draw.values()}) == 1, f"the engines did not draw as many tokens: {draw}"
    prompts, drawn, _ = draws[0]["vllm"]
    speed = {name: statistics.median(found[name][1] / found[name][2] for found in draws) for name in ("vllm", "transformers")}
    return {"prompt_tokens": round(prompts / batch.num_prompts), "completion_tokens": batch.completion_tokens, "num_prompts": batch.num_prompts,
            "group_size": batch.group_size, "num_tokens": drawn, "vllm_tokens_per_second": speed["vllm"],
            "transformers_tokens_per_second": speed["transformers"], "ratio": speed["vllm"] / speed["transformers"]}  # fmt: skip


def sync_row(name: str, laps: Sequence[dict[str, float]], num_tensors: int) -> dict[str, Any]:
    """Seconds until the engine has proved that it has the policy, and those of the canary after it, medians over the steps."""
    found = {f"{part}_seconds": statistics.median(lap[part] for lap in laps) for part in ("sync", "canary")}
    return {"handed_over": name, "num_tensors": num_tensors, **found}


def step_row(name: str, laps: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The step of median length: seconds, the share of each part, and how near it comes to its limit, a step whose rollouts cost nothing.

    `limit_seconds` is the step without generation, sync and canary; `limit_ratio` is that over the step, at most 1.
    """
    lap = sorted(laps, key=lambda one: sum(one.values()))[len(laps) // 2]
    seconds, spared = sum(lap.values()), sum(lap[part] for part in ROLLOUT_PARTS)
    return {"rollouts": name, "seconds": seconds, "limit_seconds": seconds - spared, "limit_ratio": 1 - spared / seconds,
            "shares": {part: value / seconds for part, value in lap.items()}}  # fmt: skip


def draw(found: dict[str, Any], path: Path) -> None:
    """Write a picture: tokens a second of both engines for each row, and the seconds of a step, part by part."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    speeds, steps = figure.subplots(1, 2)
    rows = found["rollouts"]
    for offset, name in ((-0.2, "vllm"), (0.2, "transformers")):
        speeds.bar([place + offset for place in range(len(rows))], [row[f"{name}_tokens_per_second"] for row in rows], 0.4, label=name)
    speeds.set_xticks(range(len(rows)), [f"{row['completion_tokens']} after {row['prompt_tokens']}" for row in rows])
    speeds.set(title="tokens a second")
    speeds.legend()
    names, left = [row["rollouts"] for row in found["steps"]], [0.0] * len(found["steps"])
    for part in PARTS:
        widths = [row["shares"][part] * row["seconds"] for row in found["steps"]]
        steps.barh(names, widths, left=left, label=part.replace("_", " "))
        left = [start + width for start, width in zip(left, widths, strict=True)]
    steps.set(title="seconds of a GRPO step")
    steps.invert_yaxis()
    steps.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=150)
