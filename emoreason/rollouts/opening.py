"""The engine that a recipe asks for, open for as long as it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emoreason.models import load_for_sampling, load_model, load_processor
from emoreason.recipe import MediaSettings, ModelSettings, Rollouts
from emoreason.rollouts import Engine
from emoreason.rollouts.proof import Sent, check_receipts
from emoreason.rollouts.transformers_engine import TransformersEngine


@contextmanager
def open_engine(model: ModelSettings, media: MediaSettings, settings: Rollouts, scratch: Path) -> Iterator[Engine]:
    """An engine with the weights at `model.path`, adapters merged, closed in the end; what it needs on disk goes below `scratch`.

    Raises:
        UserError: the engine is not installed, does not fit, does not start, or does not read the model.
    """
    if settings.engine == "transformers":
        loaded, processor = load_for_sampling(model, media)
        engine: Engine = TransformersEngine(loaded, processor)
    else:
        engine = start_vllm(model, media, settings, scratch)
    try:
        yield engine
    finally:
        engine.close()


def start_vllm(
    model: ModelSettings, media: MediaSettings, settings: Rollouts, scratch: Path, adapter_rank: int | None = None, synced_later: bool = False
) -> Engine:
    """vLLM, in this process or as a server, with the weights at `model.path`, or any at all where it is `synced_later`. The caller closes it."""
    from emoreason.rollouts.vllm_folder import check_vllm, config_of, engine_folder

    config = config_of(model.path)
    check_vllm(config.model_type)
    processor = load_processor(model.path, media, model.trust_remote_code)
    folder, has_weights = engine_folder(model.path, scratch / "vllm_folder")
    if settings.engine == "vllm":
        from emoreason.rollouts.vllm_engine import VllmEngine

        engine: Engine = VllmEngine(folder, config, processor, settings, model.dtype, has_weights, adapter_rank)
    else:
        from emoreason.rollouts.server_engine import ServerEngine

        engine = ServerEngine(folder, config, processor, settings, model.dtype, scratch, has_weights, adapter_rank)
    if not has_weights and not synced_later:
        sent = Sent(engine.as_read((name, parameter.detach()) for name, parameter in load_model(model).named_parameters()))
        check_receipts(sent.digests, 0, engine.sync(sent, 0))
    return engine
