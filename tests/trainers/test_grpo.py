"""GRPO on pictures, clips, sounds and text in one batch: groups stay whole, groups without spread are drawn again, all of it counted."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from media_samples import clip, messages, picture, sound
from trl import GRPOConfig

from emoreason.collate import PromptEncoder
from emoreason.faults import UserError
from emoreason.files import read_jsonl
from emoreason.models import load_for_sampling
from emoreason.recipe import MediaSettings, ModelSettings, Packing
from emoreason.run_dir import RunDir
from emoreason.trainers.grpo import MediaGRPOTrainer, _grouped, _replaced
from emoreason.trainers.session import share_prompts
from emoreason.training_data import lazy_dataset

pytestmark = pytest.mark.slow
SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)
TRACK = sound(2, 1.0, in_video=True)
MIXED = [(picture(0),), (clip(1),), (sound(0),), (), (clip(2), sound(1)), (clip(0, 6), TRACK), (picture(1), picture(2)), (sound(3, 0.6),)]


class LengthReward:
    """Scores alike for the first `num_flat` calls, by length after them."""

    __name__ = "length_reward"
    last_masked: frozenset[int] = frozenset()

    def __init__(self, num_flat: int = 0):
        self.num_flat, self.num_calls = num_flat, 0

    def __call__(self, completions, **kwargs):
        self.num_calls += 1
        return [1.0 if self.num_calls <= self.num_flat else float(len(completion[0]["content"])) for completion in completions]


def trainer(tmp_path: Path, reward=None, packing: str = "always", max_resamples: int = 0, media=MIXED, **settings) -> MediaGRPOTrainer:
    folder = tiny_models.checkpoint("qwen2_5_omni_thinker", tmp_path / "model")  # a reference model is read from disk
    model, processor = load_for_sampling(ModelSettings(path=str(folder), dtype="float32"), SETTINGS)
    config = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", logging_steps=1, save_strategy="no", disable_tqdm=True,
        **{"max_steps": 2, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "num_generations": 4, "max_completion_length": 6,
           "gradient_checkpointing": False, "shuffle_dataset": False, "optim": "sgd", "learning_rate": 0.5, **settings},
    )  # fmt: skip
    data = lazy_dataset(len(media), lambda index: {"id": str(index), "prompt": messages(media[index]), "media": media[index]})
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    made = MediaGRPOTrainer(
        model, [reward or LengthReward()], config, train_dataset=data, processing_class=processor, encoder=encoder,
        run_dir=RunDir(tmp_path / "run"), max_resamples=max_resamples,
    )  # fmt: skip
    share_prompts(made, SimpleNamespace(packing=Packing(shared_prefix=packing)))
    return made


def losses(made: MediaGRPOTrainer) -> list[float]:
    torch.manual_seed(0)
    made.train()
    return [row["loss"] for row in made.state.log_history if "loss" in row]


SETTINGS_OF_TRL = [{}, {"beta": 0.05}, {"num_iterations": 2}, {"loss_type": "cispo", "epsilon_high": 5.0}, {"gradient_checkpointing": True}]


@pytest.mark.parametrize("settings", SETTINGS_OF_TRL)
def test_mixed_batches_train_alike_packed_and_by_rows(tmp_path: Path, settings: dict) -> None:
    made = [trainer(tmp_path / packing, packing=packing, generation_batch_size=32, max_steps=4, **settings) for packing in ("always", "never")]
    found = [losses(one) for one in made]
    assert found[0] == pytest.approx(found[1], abs=1e-5, rel=1e-6) and len(set(found[0])) > 1
    for ours, theirs in zip(*(one.model.state_dict().values() for one in made), strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm().clamp(min=1e-2)
    rows = [row for _, row in read_jsonl(tmp_path / "always" / "run" / "completions.jsonl", [])]
    assert {row["id"] for row in rows} == {str(index) for index in range(8)}


def test_a_prompts_completions_share_a_micro_batch(tmp_path: Path) -> None:
    made = trainer(tmp_path, generation_batch_size=32)
    made.model.train()
    made.current_gradient_accumulation_steps = 2
    batch = [row for index in range(8) for row in [made.train_dataset[index]] * 4]
    made._prepare_inputs(batch)
    assert len(made._buffered_inputs) == 8
    assert all(len({prompt.key for prompt in micro["prompts"]}) == 1 for micro in made._buffered_inputs)
    assert sorted(prompt.key for micro in made._buffered_inputs for prompt in micro["prompts"]) == sorted(
        made.encoder(row["prompt"], row["media"]).key for row in batch
    )


def test_rows_keep_what_is_theirs_when_they_are_grouped() -> None:
    keys = ["a", "b", "a", "c", "b", "c"]
    rows = [SimpleNamespace(key=key) for key in keys]
    whole = {"prompts": rows, "advantages": torch.arange(6.0), "completion_ids": torch.arange(12).view(6, 2), "num_items_in_batch": torch.tensor(12)}
    batches = [{name: value[start : start + 2] if name != "num_items_in_batch" else value for name, value in whole.items()} for start in (0, 2, 4)]
    found = _grouped(batches)
    assert [[prompt.key for prompt in batch["prompts"]] for batch in found] == [["a", "a"], ["b", "b"], ["c", "c"]]
    assert torch.cat([batch["advantages"] for batch in found]).tolist() == [0, 2, 1, 4, 3, 5]
    assert found[1]["completion_ids"].tolist() == [[2, 3], [8, 9]] and found[2]["num_items_in_batch"] == 12


def test_replaced_rows_are_padded_on_their_own_side() -> None:
    old = {"prompt_ids": torch.tensor([[0, 5], [6, 7]]), "prompt_mask": torch.tensor([[0, 1], [1, 1]]), "completion_ids": torch.tensor([[8], [9]]),
           "completion_mask": torch.ones(2, 1, dtype=torch.long), "advantages": torch.zeros(2), "prompts": ["x", "y"]}  # fmt: skip
    new = {"prompt_ids": torch.tensor([[5]]), "prompt_mask": torch.tensor([[1]]), "completion_ids": torch.tensor([[3, 4]]),
           "completion_mask": torch.tensor([[1, 1]]), "advantages": torch.ones(1), "prompts": ["z"]}  # fmt: skip
    found = _replaced(old, [0], new, pad_token_id=0)
    assert found["prompt_ids"].tolist() == [[0, 5], [6, 7]] and found["prompt_mask"].tolist() == [[0, 1], [1, 1]]
    assert found["completion_ids"].tolist() == [[3, 4], [9, 0]] and found["completion_mask"].tolist() == [[1, 1], [1, 0]]
    assert found["advantages"].tolist() == [1, 0] and found["prompts"] == ["z", "y"]
    assert old["advantages"].tolist() == [0, 0], "the old batch is not changed"


def test_groups_without_spread_are_drawn_again_and_counted(tmp_path: Path) -> None:
    made = trainer(tmp_path, reward=LengthReward(2), max_resamples=3, media=MIXED[:2], max_steps=1)
    made.train()
    (logged,) = [row for row in made.state.log_history if "loss" in row]
    assert logged["dynamic_sampling/groups_drawn_again"] == 4  # both groups, twice: the first draw and the second are flat
    assert logged["dynamic_sampling/groups_without_spread"] == 0 and logged["loss"] != 0
    rows = [row for _, row in read_jsonl(tmp_path / "run" / "completions.jsonl", [])]
    assert [row.get("draw", 0) for row in rows] == [0] * 8 + [1] * 8 + [2] * 8


def test_drawing_again_ends_at_the_limit(tmp_path: Path) -> None:
    reward = LengthReward(10**6)
    made = trainer(tmp_path, reward=reward, max_resamples=2, media=MIXED[:2], max_steps=1)
    made.train()
    (logged,) = [row for row in made.state.log_history if "loss" in row]
    assert reward.num_calls == 3 and logged["dynamic_sampling/groups_without_spread"] == 2 and logged["loss"] == 0


@pytest.mark.parametrize("settings", [{"scale_rewards": "batch"}, {"multi_objective_aggregation": "normalize_then_sum"}])
def test_advantages_over_the_whole_batch_cannot_be_replaced(tmp_path: Path, settings: dict) -> None:
    with pytest.raises(UserError, match="advantages are scaled over the whole batch"):
        trainer(tmp_path, max_resamples=1, **settings)
