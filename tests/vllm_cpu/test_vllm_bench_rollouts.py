"""The bench of rollouts with the real vLLM: every row is whole, and says what was done; how fast that is is the machine's business."""

import math

import pytest
import torch

from emoreason import bench_rollouts
from emoreason.bench_rollouts import PARTS, SIDES, Batch, measure

pytestmark = pytest.mark.vllm


def test_all_tables_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_rollouts, "QUICK_GRID", [Batch(86, 8, num_prompts=2, group_size=2)])
    monkeypatch.setattr(bench_rollouts, "QUICK_STEP", Batch(86, 6, num_prompts=1, group_size=2))
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # as it is set for the engines, and taken back here
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "ERROR")
    said: list[str] = []
    found = measure(is_quick=True, say=said.append)
    assert found["vllm"].startswith("0.29.") and found["num_threads"] == torch.get_num_threads()
    (row,) = found["rollouts"]
    assert row["num_tokens"] == 2 * 2 * 8 and abs(row["prompt_tokens"] - 86) < 10
    assert row["ratio"] == row["vllm_tokens_per_second"] / row["transformers_tokens_per_second"] > 0
    assert [one["rollouts"] for one in found["steps"]] == list(SIDES)
    for one in found["steps"]:
        assert list(one["shares"]) == list(PARTS) and math.isclose(sum(one["shares"].values()), 1)
        is_synced = one["rollouts"] != "transformers"
        assert (one["shares"]["sync"] > 0) == (one["shares"]["canary"] > 0) == is_synced
        assert all(share > 0 for part, share in one["shares"].items() if part not in ("sync", "canary"))
        assert 0 < one["limit_seconds"] < one["seconds"] and math.isclose(one["limit_ratio"], one["limit_seconds"] / one["seconds"])
    weights, merged, adapter = found["syncs"]
    assert [one["handed_over"] for one in found["syncs"]] == list(SIDES)[1:]
    assert weights["num_tensors"] == merged["num_tensors"] > adapter["num_tensors"] == 2 * 7 * 4  # two factors, seven matrices, four layers
    assert all(one["sync_seconds"] > 0 and one["canary_seconds"] > 0 for one in found["syncs"])
    assert said[0] == "starting transformers and vLLM" and [line.partition(": ")[2] for line in said[-4:]] == list(SIDES)
