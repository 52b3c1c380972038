"""DeepSpeed's settings say what the recipe says, once."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from emoreason.recipe import Zero
from emoreason.recipe_files import load_recipe
from emoreason.zero import deepspeed_settings


def settings(dtype: str = "bfloat16", trainer: dict | None = None, **zero) -> dict:
    return deepspeed_settings(**Zero(**zero).model_dump(), dtype=dtype, trainer=trainer or {})


def test_what_the_trainer_says_is_left_to_it() -> None:
    made = settings(stage=2)
    auto = {"gradient_accumulation_steps", "gradient_clipping", "train_batch_size", "train_micro_batch_size_per_gpu"}
    assert {key for key, value in made.items() if value == "auto"} == auto
    assert made["bf16"] == {"enabled": True} and made["zero_optimization"]["stage"] == 2
    assert settings(stage=1, dtype="float32")["bf16"] == {"enabled": False}
    assert settings(stage=1, dtype="float32", trainer={"bf16": True})["bf16"] == {"enabled": True}


def test_stage_3_saves_weights_that_transformers_can_load() -> None:
    assert settings(stage=3)["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True
    assert "stage3_gather_16bit_weights_on_model_save" not in settings(stage=2)["zero_optimization"]


def test_offloading() -> None:
    zero = settings(stage=3, offload_optimizer=True, offload_parameters=True)["zero_optimization"]
    assert zero["offload_optimizer"]["device"] == zero["offload_param"]["device"] == "cpu"
    assert "offload_param" not in settings(stage=2, offload_optimizer=True)["zero_optimization"]


def test_extra_settings_go_beside_ours() -> None:
    made = settings(stage=3, extra={"steps_per_print": 10, "zero_optimization": {"sub_group_size": 7}})
    assert made["steps_per_print"] == 10
    assert made["zero_optimization"]["sub_group_size"] == 7 and made["zero_optimization"]["stage"] == 3


@pytest.mark.parametrize(
    ("zero", "message"),
    [
        ({"stage": 2, "extra": {"gradient_clipping": 1.0}}, "extra.gradient_clipping is not set here; the recipe says it under trainer.max_grad"),
        ({"stage": 2, "extra": {"bf16": {"enabled": True}}}, "extra.bf16 is not set here; the recipe says it under model.dtype"),
        ({"stage": 2, "extra": {"zero_optimization": {"stage": 3}}}, "extra.zero_optimization.stage is not set here; the recipe says it under zero"),
        ({"stage": 2, "offload_parameters": True}, "offload_parameters is true but stage is 2; only stage 3 spreads the weights"),
        ({"stage": 4}, "Input should be 1, 2 or 3"),
    ],
)
def test_what_the_recipe_says_elsewhere_is_refused(zero: dict, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Zero(**zero)
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["deepspeed=zero.json", "save_total_limit=1", "save_only_model=true", "fsdp=full_shard"])
def test_the_trainer_block_does_not_say_it_a_second_time(tiny_dir: Path, key: str) -> None:
    with pytest.raises(ValueError, match=rf"trainer.{key.partition('=')[0]}: is not set here: "):
        load_recipe(tiny_dir / "stage3_grpo.yaml", [f"trainer.{key}"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [("checkpoints={keep_best: 1}", "give both"), ("checkpoints={best_by: reward}", "give both"), ("watchdog.minutes=0", "greater than 0")],
)
def test_checkpoints_and_watchdog_are_checked(tiny_dir: Path, changes: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_recipe(tiny_dir / "stage3_grpo.yaml", [changes])
