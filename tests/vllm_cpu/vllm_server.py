"""A `vllm serve` that the files of tests share, since it takes half a minute to start; a plugin of pytest."""

from pathlib import Path

import pytest
from vllm_families import family

from emoreason.rollouts.proof import Sent, check_receipts
from emoreason.rollouts.server_engine import ServerEngine
from emoreason.rollouts.weights import policy_weights


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vllm")


@pytest.fixture(scope="session")
def opened(folder: Path):
    """(a family that hears, a server with its weights, which takes adapters); the last test of `test_server_engine.py` kills it."""
    made = family("qwen2_5_omni_thinker", folder)
    engine = made.vllm(folder / "server", ServerEngine, "vllm_server", scratch=folder / "server", adapter_rank=8)
    try:
        sent = Sent(engine.as_read(policy_weights(made.model)))
        check_receipts(sent.digests, 1, engine.sync(sent, 1))
        yield made, engine
    finally:
        engine.close()
    assert not engine.process.is_alive
