"""Stages on vLLM: GRPO with every way to hand the policy over, evaluation, preference pairs, the parity gate, as a user starts them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_models
import yaml
from conftest import TINY, copy_records, rows_of

pytestmark = pytest.mark.vllm
ROLLOUTS = {"max_model_len": 1024, "gpu_memory_utilization": 0.2}
MEDIA = {"min_pixels": 3136, "max_pixels": 12544, "max_seconds": 8}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a tiny checkpoint and eight records, pictures beside them."""
    monkeypatch.chdir(tmp_path)
    tiny_models.checkpoint("qwen2_5_vl", tmp_path)
    copy_records(rows_of(TINY / "data" / "train.jsonl")[:8], TINY / "data", tmp_path / "data" / "train.jsonl")
    return tmp_path


def recipe(place: Path, stage: str, engine: str, **more) -> Path:
    path = place / f"{stage}.yaml"
    shared = {"stage": stage, "output_dir": "run", "label_space": "shaver_6_disgust_neutral", "media": MEDIA,
              "template": {"think": "free", "answer": "label"}, "model": {"path": "qwen2_5_vl", "dtype": "float32", **more.pop("model", {})},
              "rollouts": {"engine": engine, **ROLLOUTS, **more.pop("rollouts", {})}}  # fmt: skip
    path.write_text(yaml.safe_dump({**shared, **more}))
    return path


def emoreason(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "emoreason", *arguments], capture_output=True, text=True, timeout=500)


GRPO = {
    "data": [{"path": "data/train.jsonl"}],
    "rewards": [{"func": "emoreason.rewards.length_penalty:length_penalty_reward", "kwargs": {"target_words": 2, "max_words": 8}}],
    "trainer": {"max_steps": 3, "per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 16, "learning_rate": 2.0e-3,
                "logging_steps": 1, "save_steps": 100, "gradient_checkpointing": False},
}  # fmt: skip


def trained(place: Path, engine: str, sync: str) -> list[dict]:
    """The logged steps of a GRPO run; `sync`: full, lora or adapter."""
    model = {} if sync == "full" else {"lora": {"r": 8, "alpha": 16}}
    path = recipe(place, "grpo", engine, model=model, rollouts={"sync": "adapter" if sync == "adapter" else "weights"}, **GRPO)
    done = emoreason("train", str(path))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    rows = [json.loads(line) for line in (place / "run" / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "loss" in row]


@pytest.mark.parametrize(("engine", "sync"), [("vllm", "full"), ("vllm", "lora"), ("vllm", "adapter"), ("vllm_server", "lora")])
def test_grpo_hands_the_policy_over_and_proves_it_every_step(place: Path, engine: str, sync: str) -> None:
    rows = trained(place, engine, sync)
    assert len(rows) == 3
    for row in rows:
        assert row["sync/canary_difference"] < 1e-4, "another policy answers"
        assert row["sync/num_tensors"] > 20 and row["sync/seconds"] > 0
        assert row["sampling/sampling_logp_difference/mean"] < 0.02  # the mass of tokens that are never drawn, in a model that learned nothing
    lines = rows_of(place / "run" / "completions.jsonl")
    assert len(lines) == 3 * 8 and all({"advantage", "total", "num_tokens", "finish_reason"} <= line.keys() for line in lines)
    assert (place / "run" / "checkpoint").is_dir() and not list((place / "run").glob("weights_*"))


def test_evaluation_and_pairs_are_sampled_by_vllm_as_by_transformers(place: Path) -> None:
    """Greedy answers are the same text, whoever gives them."""
    answers = {}
    for engine in ("transformers", "vllm"):
        path = recipe(place, "evaluate", engine, output_dir=engine, tests={"train": "data/train.jsonl"}, num_bootstrap=100,
                      decoding={"max_new_tokens": 12, "batch_size": 4})  # fmt: skip
        done = emoreason("evaluate", str(path))
        assert done.returncode == 0, done.stderr[-4000:]
        answers[engine] = [row["completion"] for row in rows_of(place / engine / "eval" / "train.jsonl")]
    assert answers["vllm"] == answers["transformers"] and len(answers["vllm"]) == 8


def test_the_parity_gate_prints_its_table_and_ends_well(place: Path) -> None:
    path = recipe(place, "grpo", "vllm", **GRPO)
    done = emoreason("check", "--parity", str(path))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "equal" in done.stdout and "tower" in done.stdout


def test_the_parity_gate_ends_with_1_beyond_a_bound(place: Path) -> None:
    """Two implementations of one model never agree to the last bit."""
    path = recipe(place, "grpo", "vllm", rollouts={"max_difference": 1.0e-12}, **GRPO)
    done = emoreason("check", "--parity", str(path))
    assert done.returncode == 1 and "is above rollouts.max_difference" in done.stderr
