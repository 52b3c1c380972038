"""How many tokens the rows of a recipe have, from its records and the sizes of their media, without a model.

Text is tokenized where a tokenizer is at hand and guessed from its bytes elsewhere.
"""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean

from emoreason.allow_list import read_source
from emoreason.curriculum import mix
from emoreason.faults import UserError
from emoreason.media import record_media
from emoreason.media_tokens import TokenCounter
from emoreason.memory_estimate import Lengths, ModelSizes
from emoreason.preferences import unsampled_pairs
from emoreason.prompts import prompt_messages, target_text
from emoreason.recipe import DataSource, DpoRecipe, Phase, SftRecipe, TrainingRecipe
from emoreason.records import Record
from emoreason.stage_plan import Plan

BYTES_PER_TOKEN = 3.5
"""Of a guess; English prose in Qwen's vocabulary has between 4 and 5, JSON-like text and other languages fewer."""
TURN_TOKENS = 5
"""What a chat template writes around a turn: start, role, end and two line breaks."""
SYSTEM_TOKENS = 11
"""The system turn that Qwen2-VL's, Qwen2.5-VL's and Qwen2.5-Omni's templates open with where the recipe has none."""
MEDIUM_TOKENS = 2
"""Start and end around a medium."""
CONFIDENCE = "<confidence>0.85</confidence>"


def guessed_tokens(text: str) -> int:
    """Tokens of a text whose tokenizer is not at hand."""
    return math.ceil(len(text.encode()) / BYTES_PER_TOKEN)


def lengths_of(recipe: TrainingRecipe, plan: Plan, sizes: ModelSizes, text_tokens: Callable[[str], int] | None) -> Lengths:
    """The lengths of the rows of one plan; `text_tokens` None guesses.

    Raises:
        UserError: a family whose pictures cannot be counted.
    """
    if sizes.family == "smolvlm":
        raise UserError("--topology: only the processor of smolvlm knows how many tokens a picture takes; accepted: the Qwen families")
    phase = next((one for one in getattr(recipe, "phases", []) if one.name == plan.phase), None)
    sources = (phase.data if phase else None) or recipe.data
    loaded = [(source, read_source(source).records) for source in sources]
    count = text_tokens or guessed_tokens
    counter = TokenCounter(sizes.family, sizes.patch_size, sizes.merge_size, sizes.temporal_patch_size, recipe.media, count)
    template = ((phase.template if phase else None) or recipe.template).build()
    opening = SYSTEM_TOKENS if sizes.family.startswith("qwen2") and recipe.prompt.system is None else 0
    prompts, patches = [], []
    for source, records in loaded:
        for record in records:
            messages = prompt_messages(record, template, recipe.prompt, recipe.label_space)
            text = sum(count(part["text"]) for message in messages for part in message["content"] if part["type"] == "text")
            media = [counter.count(medium) for medium in record_media(record, Path(source.path), recipe.media)]
            prompts.append(opening + text + TURN_TOKENS * (len(messages) + 1) + sum(media) + MEDIUM_TOKENS * len(media))
            patches.append(sum(media) * sizes.merge_size**2)
    completions = list(_completions(recipe, plan, phase, [record for _, records in loaded for record in records], count))
    return Lengths(
        max(prompts, default=0), fmean(prompts) if prompts else 0.0, max(completions, default=0), fmean(completions) if completions else 0.0,
        max(patches, default=0), _num_rows(recipe, plan, sources, [len(records) for _, records in loaded]), text_tokens is not None,
    )  # fmt: skip


def _completions(recipe: TrainingRecipe, plan: Plan, phase: Phase | None, records: list[Record], count: Callable[[str], int]) -> Iterable[int]:
    """Tokens of what follows the prompts: targets, what the stage may sample, or the answers of pairs that are known already."""
    if isinstance(recipe, SftRecipe):
        template = (phase.template or recipe.template).build()
        for record in records:
            yield count(target_text(record, template, phase.think_from, 0.5 if template.confidence else None)) + 2
        return
    if plan.engine != "none":
        yield plan.max_new_tokens + (count(CONFIDENCE) + 2 if recipe.stage == "confidence" else 0)
    if isinstance(recipe, DpoRecipe):
        for source in recipe.pairs.sources:
            for pair in unsampled_pairs(source, records, recipe).records if source != "samples" else ():
                yield max(count(text) for text in (pair.preference.chosen, *pair.preference.rejected)) + 2


def _num_rows(recipe: TrainingRecipe, plan: Plan, sources: list[DataSource], sizes: list[int]) -> int:
    """Rows of an epoch; those that sampling makes are at most one for each answer, or each pair that a record may give."""
    rows = len(mix(sizes, [source.weight for source in sources], None, 0)) if sizes else 0
    if recipe.stage == "confidence":
        return rows * recipe.confidence.views * plan.num_generations
    if isinstance(recipe, DpoRecipe) and recipe.pairs.sources == ["samples"]:
        return rows * recipe.pairs.max_pairs_per_record
    return rows
