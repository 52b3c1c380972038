"""The settings read from TRL's source are those of its config classes, and a value of another type is refused."""

import json
import subprocess
import sys

import pytest
import yaml

from emoreason.trainer_fields import CONFIG_CLASSES, RESERVED, trainer_faults, trainer_fields

PRINT_REAL_FIELDS = """
import dataclasses, json, sys, trl
names = json.loads(sys.argv[1])
print(json.dumps({name: [field.name for field in dataclasses.fields(getattr(trl, name)) if field.init] for name in names}))
"""


@pytest.mark.slow
def test_settings_are_those_of_the_real_config_classes() -> None:
    names = {kind: name for kind, (_, _, name) in CONFIG_CLASSES.items()}
    command = [sys.executable, "-W", "ignore", "-c", PRINT_REAL_FIELDS, json.dumps(list(names.values()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    real = json.loads(done.stdout.splitlines()[-1])
    for kind, name in names.items():
        assert sorted(trainer_fields(kind)) == sorted(real[name])


@pytest.mark.parametrize("kind", CONFIG_CLASSES)
def test_each_kind_has_settings_of_its_own_and_inherited_ones(kind: str) -> None:
    fields = trainer_fields(kind)
    assert {"learning_rate", "max_steps", "per_device_train_batch_size", "gradient_checkpointing"} <= fields.keys()
    assert ("num_generations" in fields, "packing" in fields, "loss_type" in fields) == {
        "sft": (False, True, True), "grpo": (True, False, True), "dpo": (False, False, True),
    }[kind]  # fmt: skip


def test_what_is_reserved_is_a_setting_of_some_class() -> None:
    everything = {name for kind in CONFIG_CLASSES for name in trainer_fields(kind)}
    # `resume_from_checkpoint` is an argument of train(); older versions had it among the settings.
    assert RESERVED.keys() - everything <= {"resume_from_checkpoint"}


def fault_of(kind: str, **settings: object) -> str:
    ((name, text),) = trainer_faults(kind, settings)
    assert name in settings
    return text


def test_right_settings_have_no_faults() -> None:
    settings = {
        "learning_rate": 1.0e-6, "weight_decay": 0, "max_steps": 10, "gradient_checkpointing": True, "optim_args": None,
        "lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycles": 2}, "optim_target_modules": ["q_proj"], "eval_steps": 0.5,
        "dataloader_prefetch_factor": None, "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }  # fmt: skip
    assert trainer_faults("grpo", settings) == []
    assert trainer_faults("grpo", {**settings, "optim_target_modules": "all-linear"}) == []


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("lerning_rate", "learning_rate"), ("num_generation", "num_generations"), ("max_completion_len", "max_completion_length")],
)
def test_an_unknown_setting_points_at_the_nearest(given: str, nearest: str) -> None:
    assert fault_of("grpo", **{given: 1}) == f"GRPOConfig has no such setting; did you mean {nearest!r}?"


@pytest.mark.parametrize(
    ("setting", "value", "annotation"),
    [
        ("max_steps", 2.0, "int"),
        ("max_steps", "ten", "int"),
        ("max_steps", None, "int"),
        ("max_steps", [1], "int"),
        ("learning_rate", None, "float"),
        ("learning_rate", {}, "float"),
        ("learning_rate", "fast", "float"),
        ("learning_rate", "nan", "float"),
        ("gradient_checkpointing", 1, "bool"),
        ("gradient_checkpointing", "true", "bool"),
        ("optim_args", 3, "str | None"),
        ("dataloader_prefetch_factor", 1.5, "int | None"),
        ("lr_scheduler_kwargs", [1], "dict | str | None"),
        ("optim_target_modules", {"wandb": 1}, "None | str | list[str]"),
    ],
)
def test_a_value_of_another_type_is_refused(setting: str, value: object, annotation: str) -> None:
    assert fault_of("sft", **{setting: value}) == f"{value!r} is a {type(value).__name__}; accepted: {annotation}"


@pytest.mark.parametrize(("setting", "annotation"), [("max_steps", "int"), ("learning_rate", "float"), ("optim_args", "str | None")])
def test_true_is_no_number_and_no_text(setting: str, annotation: str) -> None:
    assert fault_of("sft", **{setting: True}) == f"True is true or false; accepted: {annotation}"


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-6", "1.0e-6"), ("5E3", "5.0e+3"), ("2.5e4", "2.5e+4"), ("-1e-2", "-1.0e-2"), ("1.e5", "1.e+5"), (" 3e+2", "3.0e+2")],
)
def test_text_that_looks_like_a_number_says_how_to_write_it(text: str, number: str) -> None:
    assert fault_of("sft", learning_rate=text).endswith(f"write {number}")
    assert yaml.safe_load(number) == float(text), "and YAML reads the advice as that very number"


def test_the_advice_is_a_value_that_the_setting_accepts() -> None:
    assert fault_of("sft", max_steps="1e3") == "'1e3' is a str; accepted: int"


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_setting_says_where_it_belongs(name: str) -> None:
    assert fault_of("grpo", **{name: 1}) == f"is not set here: {RESERVED[name]}"


def test_every_fault_is_told() -> None:
    assert [name for name, _ in trainer_faults("dpo", {"beta": "x", "max_steps": 1, "seed": 1, "bta": 1})] == ["beta", "seed", "bta"]
