"""The settings that TRL's config classes accept, read from their source so that torch is not imported."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

from emoreason.faults import did_you_mean

# (package, file, class), nearest first; a class inherits the fields of those after it.
_CHAIN = (("trl", "trainer/base_config.py", "_BaseConfig"), ("transformers", "training_args.py", "TrainingArguments"))
CONFIG_CLASSES = {
    "sft": ("trl", "trainer/sft_config.py", "SFTConfig"),
    "grpo": ("trl", "trainer/grpo_config.py", "GRPOConfig"),
    "dpo": ("trl", "trainer/dpo_config.py", "DPOConfig"),
}
_TRACKED = "write the recipe's own trackers: [wandb, tensorboard], which are fed from metrics.jsonl"
_UPLOADED = "nothing leaves the machine while it trains; make a folder by `emoreason release`, and upload it by `hf upload`"
RESERVED = {
    "output_dir": "the recipe's own output_dir is used",
    "seed": "the recipe's own seed is used",
    "data_seed": "the recipe's own seed is used",
    "reward_weights": "give `weight` beside each reward",
    "remove_unused_columns": "rewards need the record's columns, so it is always false",
    "model_init_kwargs": "give dtype and attn_implementation under `model`",
    "shuffle_dataset": "the order of the data is fixed by the recipe's seed and phases",
    "use_cpu": "the CPU is used where there is no GPU",
    "train_sampling_strategy": "the order of the data is fixed by the recipe's seed and phases",
    "resume_from_checkpoint": "the same command resumes by itself",
    "report_to": _TRACKED,
    "project": "W&B's project is WANDB_PROJECT in the environment",
    "run_name": "trackers know a run by the recipe's own output_dir",
    "trackio_space_id": _TRACKED,
    "trackio_bucket_id": _TRACKED,
    "trackio_static_space_id": _TRACKED,
    "hub_token": "log in by `hf auth login`, which keeps the token in your home folder",
    "push_to_hub": _UPLOADED,
    "hub_model_id": _UPLOADED,
    "hub_private_repo": _UPLOADED,
    "hub_strategy": _UPLOADED,
    "hub_always_push": _UPLOADED,
    "hub_revision": _UPLOADED,
    "log_completions_hub_repo": "every completion is in the run's completions.jsonl",
    "deepspeed": "write zero: {stage: 2} or {stage: 3}, and anything else of DeepSpeed's under zero.extra",
    "fsdp": "write zero: {stage: 3}, which spreads the weights too",
    "fsdp_config": "write zero: {stage: 3}, which spreads the weights too",
    "save_total_limit": "write checkpoints: {keep_last: N}",
    "save_only_model": "a checkpoint without the optimizer's state cannot be resumed, so it is always false",
    "save_on_each_node": "one folder that all nodes see holds the checkpoints",
    "load_best_model_at_end": "write checkpoints: {keep_best: 1, best_by: reward}; the last checkpoint stays the run's",
    "metric_for_best_model": "write checkpoints.best_by",
    "greater_is_better": "write checkpoints.best_is",
    "logging_nan_inf_filter": "a loss that is no number ends the run, so it is always false",
}


@cache
def trainer_fields(kind: str) -> dict[str, str]:
    """{setting: its annotation as written in the source} of TRL's config class for `sft`, `grpo` or `dpo`."""
    fields: dict[str, str] = {}
    for package, file, name in (*reversed(_CHAIN), CONFIG_CLASSES[kind]):
        # find_spec of a top-level package locates it and runs none of its code.
        root = Path(importlib.util.find_spec(package).submodule_search_locations[0])
        tree = ast.parse((root / file).read_text(encoding="utf-8"))
        body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name).body
        fields |= {node.target.id: ast.unparse(node.annotation) for node in body if isinstance(node, ast.AnnAssign)}
    return fields


def trainer_faults(kind: str, settings: dict[str, Any]) -> list[tuple[str, str]]:
    """(setting, what is wrong) for each that TRL's config class would refuse or that the recipe says elsewhere."""
    fields, faults = trainer_fields(kind), []
    for name, value in settings.items():
        if name in RESERVED:
            faults.append((name, f"is not set here: {RESERVED[name]}"))
        elif name not in fields:
            faults.append((name, f"{CONFIG_CLASSES[kind][2]} has no such setting{did_you_mean(name, fields)}"))
        elif problem := _type_problem(value, fields[name]):
            faults.append((name, problem))
    return faults


def _type_problem(value: Any, annotation: str) -> str | None:
    spelt_out = annotation.replace("Optional[", "None | ").replace("Union[", "")
    words = {word.strip("'\" ") for word in re.split(r"[|,\[\]]", spelt_out)}
    known = {"float", "int", "bool", "str", "dict", "list", "None", ""}
    if words - known:
        return None
    accepted = {"float": (int, float), "int": (int,), "bool": (bool,), "str": (str,), "dict": (dict,), "list": (list,), "None": (type(None),)}
    outer = {word for word in words if word} - ({"str", "int", "float"} if "list" in words or "dict" in words else set())
    if "str" in annotation.split("[")[0]:
        outer.add("str")
    allowed = tuple(kind for word in outer for kind in accepted[word])
    if isinstance(value, bool) and bool not in allowed:
        return f"{value!r} is true or false; accepted: {annotation}"
    if isinstance(value, allowed):
        return None
    if isinstance(value, str) and float in allowed and (number := _with_point(value)):
        return f"{value!r} was read as text, since YAML wants a point in a number with an exponent; write {number}"
    return f"{value!r} is a {type(value).__name__}; accepted: {annotation}"


def _with_point(text: str) -> str | None:
    """`1.0e-6` for `1e-6`, which YAML takes for text; None where the text is no number with an exponent."""
    match = re.fullmatch(r"([+-]?\d+)(\.\d*)?e([+-]?)(\d+)", text.strip(), re.IGNORECASE | re.ASCII)
    return f"{match[1]}{match[2] or '.0'}e{match[3] or '+'}{match[4]}" if match else None
