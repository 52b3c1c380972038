"""A checkpoint that strangers can load: adapter merged, answers proved equal, settings and lineage inside.

    emoreason release runs/tiny/stage3_grpo runs/tiny/release

The folder loads with `AutoModelForImageTextToText` and `AutoProcessor`; `emoreason.json` holds template, prompt and media
settings, and README.md is the model card.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from emoreason.evaluate import sample
from emoreason.faults import UserError
from emoreason.files import read_json, write_json, write_text
from emoreason.models import load_for_sampling, load_model, load_processor
from emoreason.recipe import DataSource, ModelSettings, Recipe, Sampling, TemplateSettings
from emoreason.report import metrics_table
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.run_dir import RunDir, publish
from emoreason.training_data import Example, Rows, read_sources

NUM_PROOFS = 8
REQUIRED = ("config.json", "generation_config.json", "model.safetensors*", "tokenizer.json", "tokenizer_config.json",
            "*processor_config.json", "chat_template.jinja", "emoreason.json", "README.md")  # fmt: skip


def release(run_dir: RunDir, destination: Path) -> Path:
    """Write the release of a finished run, whole or not at all; a release of the same checkpoint is left as it is.

    Raises:
        UserError: the run has not finished, the folder holds something else, or the merged model answers otherwise.
    """
    if not run_dir.is_finished:
        raise UserError(f"{run_dir.path}: no finished run (run.json says so); train it first: emoreason train RECIPE")
    manifest = run_dir.manifest
    identity = {"run": str(run_dir.path), "finished": manifest["finished"]}
    if destination.exists():
        found = destination / "emoreason.json"
        if not found.exists():
            raise UserError(f"{destination}: holds files but no release; choose another folder")
        if read_json(found)["released_from"] == identity:
            return destination
    settings = {key: manifest["recipe"][key] for key in ("template", "prompt", "media", "label_space", "seed")}
    recipe = Recipe(output_dir=str(run_dir.path), model=ModelSettings(path=str(run_dir.checkpoint_path), dtype="float32"),
                    **{**settings, "template": TemplateSettings(**settings["template"])})  # fmt: skip
    temporary = destination.with_name(f".tmp_{destination.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _write(run_dir, recipe, temporary, {**settings, "released_from": identity, "lineage": lineage(run_dir)})
        publish(temporary, destination)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return destination


def _write(run_dir: RunDir, recipe: Recipe, temporary: Path, about: dict[str, Any]) -> None:
    """Write the folder and check it."""
    manifest = run_dir.manifest
    model, processor = load_model(recipe.model), load_processor(recipe.model.path, recipe.media)
    model.to(getattr(torch, manifest["recipe"]["model"]["dtype"])).save_pretrained(temporary)
    processor.save_pretrained(temporary)
    _end_of_turn(model, processor).save_pretrained(temporary)
    write_json(temporary / "emoreason.json", about)
    write_text(temporary / "README.md", model_card(run_dir))
    _prove(recipe, temporary, manifest)
    _check_files(temporary)


def _end_of_turn(model, processor):
    """The generation config with every token that ends an answer: the model's own and the tokenizer's."""
    config = model.generation_config
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    config.eos_token_id = sorted({token for token in [*ends, processor.tokenizer.eos_token_id] if token is not None})
    return config


def _prove(recipe: Recipe, released: Path, manifest: dict[str, Any]) -> None:
    """Greedy answers of the released folder must equal those of the run's checkpoint, in the released precision."""
    trained = manifest["recipe"]
    sources = [*trained["data"], *(source for phase in trained.get("phases", []) for source in phase["data"] or [])]
    examples: list[Example] = read_sources([DataSource(**min(sources, key=lambda source: source["path"]))])[0][:NUM_PROOFS]
    dtype = manifest["recipe"]["model"]["dtype"]
    greedy = Sampling(num_completions=1, temperature=0.0, max_new_tokens=128, batch_size=NUM_PROOFS)
    texts = []
    for path in (recipe.model.path, str(released)):
        settings = recipe.model_copy(update={"model": ModelSettings(path=path, dtype=dtype)})
        model, processor = load_for_sampling(settings.model, recipe.media)
        groups = sample(TransformersEngine(model, processor), Rows(settings, recipe.template.build()), examples, greedy, f"comparing {path}")
        texts.append([group[0].text for group in groups])
    for example, before, after in zip(examples, *texts, strict=True):
        if before != after:
            raise UserError(f"release of {recipe.model.path}: record {example.record.id!r}: the checkpoint answers {before[:80]!r}, "
                            f"the merged model {after[:80]!r}; nothing was released")


def _check_files(folder: Path) -> None:
    missing = [pattern for pattern in REQUIRED if not list(folder.glob(pattern))]
    unsafe = [file.name for file in folder.iterdir() if file.suffix in {".bin", ".pt", ".pth", ".pkl", ".pickle"}]
    assert not missing and not unsafe, f"release lacks {missing} or holds {unsafe}"


def lineage(run_dir: RunDir) -> list[dict[str, Any]]:
    """What each ancestor of the run was trained on, oldest first."""
    manifest = run_dir.manifest
    entry = {"run": str(run_dir.path), "stage": manifest["recipe"]["stage"], "data": manifest["data"], "commit": manifest["commit"],
             "versions": manifest["versions"], "parent": manifest["parent"], "finished": manifest["finished"]}  # fmt: skip
    parent = RunDir(Path(manifest["parent"]).parent)
    return [*(lineage(parent) if Path(manifest["parent"]).exists() and parent.manifest else []), entry]


def data_licences(paths: list[str]) -> list[tuple[str, str, int]]:
    """(data set, licence, number of records) over these records files."""
    counts: dict[tuple[str, str], int] = {}
    for path in paths:
        for line in Path(path).read_text().splitlines():
            record = json.loads(line)
            counts[record["dataset"], record["licence"]] = counts.get((record["dataset"], record["licence"]), 0) + 1
    return [(*key, count) for key, count in sorted(counts.items())]


def model_card(run_dir: RunDir) -> str:
    """The README of the release: what it is, how to use it, data and licences, lineage, metrics."""
    steps = lineage(run_dir)
    files = sorted({path for step in steps for path in step["data"]})
    licences = [f"| {dataset} | {licence} | {count} |" for dataset, licence, count in data_licences(files)]
    stages = [f"| {step['stage']} | {step['parent']} | {', '.join(sorted(step['data']))} | {step['commit']} |" for step in steps]
    prompt = run_dir.manifest["recipe"]["prompt"]
    return "\n".join([
        "---", "library_name: transformers", "pipeline_tag: image-text-to-text", "tags: [emotion, emoreason]", "---", "",
        f"# {run_dir.path.parent.name}: {run_dir.path.name}", "",
        "A model that reasons about the emotion that a picture shows, names it and says how sure it is, trained with emoreason.", "",
        "    emoreason predict FOLDER PICTURE...", "",
        f"Question: {prompt['question']!r}. Template, media settings and the whole lineage are in `emoreason.json`.", "",
        "## Training", "", "| stage | from | data | commit |", "| --- | --- | --- | --- |", *stages, "",
        "## Data", "", "| data set | licence | records |", "| --- | --- | --- |", *licences, "",
        "## Metrics", "", "Greedy decoding; 95 % bootstrap interval.", "", metrics_table([run_dir.path], markdown=True), "",
        "## Limits", "", "Trained to describe what is shown, not what somebody feels. Do not use it to judge people.", "",
    ])  # fmt: skip
