"""A checkpoint on test sets: completions, and metrics with intervals.

    emoreason evaluate recipes/tiny/evaluate.yaml model.path=runs/tiny/stage1_sft/checkpoint output_dir=runs/tiny/stage1_sft

Writes `eval/<test>.jsonl` (each completion and what was read in it) and `eval/<test>.json` (metrics) under `output_dir`.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from emoreason import preemption
from emoreason.collate import EncodedPrompt, PromptEncoder
from emoreason.completions import Template, canonical_answer, parse_completion
from emoreason.confidence import is_right, sequence_probability
from emoreason.emotions import LABEL_SPACES
from emoreason.files import read_json, sha256, write_json, write_jsonl
from emoreason.metrics.evaluation import Scored, evaluate_rows, mean_with_interval
from emoreason.recipe import DataSource, EvaluateRecipe, Recipe, Sampling
from emoreason.records import columns
from emoreason.rewarding import RewardFunc, total_reward
from emoreason.rollouts import Engine, Rollout
from emoreason.rollouts.opening import open_engine
from emoreason.run_dir import RunDir
from emoreason.trainers.watchdog import alive
from emoreason.training_data import Example, Rows, read_sources


def run(recipe: EvaluateRecipe) -> dict[str, dict[str, Any]]:
    """{test: its metrics}, from disk where nothing that they depend on has changed since: weights, records, prompt, decoding, rewards."""
    folder = Path(recipe.output_dir) / "eval"
    template = template_of(recipe)
    results, waiting = {}, []
    for name, path in recipe.tests.items():
        report_path = folder / f"{name}.json"
        settings = {**recipe.model_dump(exclude={"output_dir", "tests"}), "template": list(template.tags), "answer": template.answer,
                    "checkpoint": fingerprint(recipe.model.path), "records": path, "records_sha256": sha256(Path(path))}  # fmt: skip
        if report_path.exists() and (known := read_json(report_path)).get("settings") == settings:
            results[name] = known
        else:
            waiting.append((name, settings))
    if not waiting:
        return results
    with open_engine(recipe.model, recipe.media, recipe.rollouts, folder) as engine:
        for name, settings in waiting:
            preemption.leave_if_asked()  # the tests that are done stay
            examples = read_sources([DataSource(path=recipe.tests[name])])[0]
            rollouts = [group[0] for group in sample(engine, Rows(recipe, template), examples, recipe.decoding, f"evaluating {name}")]
            report = score(recipe, examples, rollouts, template)
            write_jsonl(folder / f"{name}.jsonl", [_row(*one, template) for one in zip(examples, rollouts, strict=True)])
            results[name] = {**report, "settings": settings}
            write_json(folder / f"{name}.json", results[name])
    return {name: results[name] for name in recipe.tests}


def fingerprint(checkpoint: str) -> dict[str, list[int]]:
    """{file: [bytes, time of change in ns]} of a checkpoint's weights and settings; {} for a model on the hub.

    Reading the weights of a large model for a hash would take as long as a small evaluation.
    """
    files = sorted(path for pattern in ("*.safetensors", "*.json") for path in Path(checkpoint).glob(pattern))
    return {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files}


def template_of(recipe: Recipe) -> Template:
    """The template that the checkpoint was trained with, where a run of ours made it, else the recipe's."""
    manifest = RunDir(Path(recipe.model.path).parent).manifest if Path(recipe.model.path).exists() else None
    released = Path(recipe.model.path) / "emoreason.json"
    if released.exists():
        return Template(**read_json(released)["template"])
    return Template(**manifest["recipe"]["template"]) if manifest else recipe.template.build()


def sample(engine: Engine, rows: Rows, examples: list[Example], sampling: Sampling, title: str, start: int = 0) -> list[list[Rollout]]:
    """Rollouts for each example under the prompt of `rows` (and its view, where they are augmented), with a progress bar.

    What is drawn depends on the recipe's seed and on `start`, the number of examples before these.
    """
    encoder = PromptEncoder(engine.processor, engine.config, rows.recipe.media)

    def encoded(example: Example) -> EncodedPrompt:
        row = rows.row(example, example.view_draw)
        return encoder(row["prompt"], row["media"])

    prompts = [partial(encoded, example) for example in examples]
    with Progress(transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=len(prompts))

        def progress(done: int, total: int) -> None:
            alive()
            bar.update(task, completed=done)

        return engine.generate(prompts, sampling, rows.recipe.seed + start, progress)


def score(recipe: EvaluateRecipe, examples: list[Example], rollouts: list[Rollout], template: Template) -> dict[str, Any]:
    """The metrics of one completion an example, and its mean total reward where the recipe has rewards."""
    scored = [_scored(example, rollout, template) for example, rollout in zip(examples, rollouts, strict=True)]
    classes = LABEL_SPACES.get(recipe.label_space, ())
    report = evaluate_rows(scored, classes, confidence_expected=template.confidence, num_bootstrap=recipe.num_bootstrap)
    if recipe.rewards:
        rows = [{**columns(example.record), "template": template} for example in examples]
        rewards = [RewardFunc.from_spec(spec) for spec in recipe.rewards]
        totals, _ = total_reward(rewards, [rollout.text for rollout in rollouts], {key: [row[key] for row in rows] for key in rows[0]})
        scored_totals = [total for total in totals if total is not None]  # a masked completion has none, and `n` tells
        if scored_totals:
            report["metrics"]["reward"] = mean_with_interval(scored_totals, num_bootstrap=recipe.num_bootstrap)
    return report


def _scored(example: Example, rollout: Rollout, template: Template) -> Scored:
    """The answer beside gold, its first word as the label that it means."""
    target, parsed = example.record.target, parse_completion(rollout.text, template)
    if parsed.answers:
        first = canonical_answer(parsed.answers[0], target.label_space, target.choices)
        parsed = replace(parsed, answers=[first, *parsed.answers[1:]])
    return Scored(target.label, target.labels, parsed)


def _row(example: Example, rollout: Rollout, template: Template) -> dict[str, Any]:
    """What `emoreason confidence` needs is here too: whether the answer is right, how likely its tokens were, and who it is about."""
    record, parsed = example.record, parse_completion(rollout.text, template)
    return {"id": record.id, "group": record.group, "label": record.target.label, "labels": record.target.labels, "completion": rollout.text,
            "answers": parsed.answers, "is_right": is_right(parsed.label, record.target), "confidence": parsed.confidence,
            "sequence_probability": sequence_probability(rollout.log_probs), "problems": parsed.problems}  # fmt: skip
