"""What vLLM's two engines share, as far as it goes without vLLM."""

from types import SimpleNamespace

import pytest

from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.vllm_engine import made_rollout

PROCESSOR = SimpleNamespace(tokenizer=SimpleNamespace(decode=lambda ids, skip_special_tokens: " ".join(map(str, ids))))


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_completion_ends_by_itself_or_by_its_length(reason: str) -> None:
    found = made_rollout([5, 6], [-1.0, -2.0], reason, PROCESSOR)
    assert (found.text, found.token_ids, found.log_probs, found.finish_reason) == ("5 6", [5, 6], [-1.0, -2.0], reason)


@pytest.mark.parametrize("reason", ["abort", "error", None])
def test_what_was_cut_off_by_the_engine_is_no_completion(reason: str | None) -> None:
    with pytest.raises(EngineError, match="ended a completion after 2 tokens because of"):
        made_rollout([5, 6], [-1.0, -2.0], reason, PROCESSOR)
