"""The engine of a recipe against its trainer, before anything is trained: one record of every kind."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from emoreason.collate import PromptEncoder
from emoreason.evaluate import template_of
from emoreason.faults import UserError
from emoreason.models import load_for_sampling
from emoreason.preflight import data_sources
from emoreason.recipe import AnyRecipe
from emoreason.rollouts.opening import start_vllm
from emoreason.rollouts.parity import Parity, compare
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.training_data import Rows, one_of_each_kind, read_sources


def compare_engines(recipe: AnyRecipe) -> list[Parity]:
    """What vLLM and the trainer make of the first record of every mix of media in the recipe's data.

    Raises:
        UserError: a recipe that does not sample, or samples by the model itself.
        EngineError: the engine does not start, or reads other token ids than the trainer.
    """
    engine = getattr(recipe, "rollouts", None) and recipe.rollouts.engine
    if engine in (None, "transformers"):
        said = "has no rollouts" if engine is None else "has rollouts.engine transformers, the model itself"
        raise UserError(f"--parity: {recipe.stage} {said}, so there is nothing to compare; set rollouts.engine=vllm or vllm_server")
    rows = Rows(recipe, template_of(recipe))
    examples = one_of_each_kind(read_sources(data_sources(recipe)))
    model, processor = load_for_sampling(recipe.model, recipe.media)
    encoder = PromptEncoder(processor, model.config, recipe.media)
    prompts = {kind: partial(encoder, rows.prompt(example), example.media(recipe.media)) for kind, example in examples.items()}
    with TemporaryDirectory() as scratch:
        started = start_vllm(recipe.model, recipe.media, recipe.rollouts, Path(scratch))
        try:
            return compare(started, TransformersEngine(model, processor), prompts)
        finally:
            started.close()
