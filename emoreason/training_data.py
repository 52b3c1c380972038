"""Records as the rows that TRL's trainers read: prompt, completion or pair, pictures, and the columns for rewards."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from emoreason.allow_list import read_source
from emoreason.augmentation import augmented
from emoreason.collate import PromptEncoder
from emoreason.completions import Template, completion_text
from emoreason.faults import raise_faults
from emoreason.media import Medium, record_media
from emoreason.prompts import prompt_messages
from emoreason.recipe import Augmentation, DataSource, MediaSettings, Recipe
from emoreason.records import Record, columns


@dataclass(frozen=True)
class Example:
    """A record with the file that it came from, against which its media paths resolve."""

    record: Record
    records_path: Path
    view: int = 0
    """Which of the random views of its pictures this is, where the rows are augmented."""

    @property
    def view_draw(self) -> str:
        """The `draw` that gives this view, see `Rows.row`."""
        return f"{self.record.id}:{self.view}"

    def media(self, settings: MediaSettings) -> tuple[Medium, ...]:
        """Pictures, clip and sound, decoded, in the order of the prompt."""
        return record_media(self.record, self.records_path, settings)


def read_sources(sources: list[DataSource]) -> list[list[Example]]:
    """The examples of each data source, without those that its allow-list leaves out."""
    return [[Example(record, Path(source.path)) for record in read_source(source).records] for source in sources]


def one_of_each_kind(sources: Iterable[Iterable[Example]], limit: int = 8) -> dict[str, Example]:
    """{what it holds: the first such example}, for every mix of media in the data, at most `limit`."""
    found: dict[str, Example] = {}
    for example in (example for source in sources for example in source):
        found.setdefault(" + ".join(example.record.media.kinds) or "text", example)
    return dict(list(found.items())[:limit])


def lazy_dataset(num_rows: int, make_row: Callable[[int], dict[str, Any]]) -> Dataset:
    """A dataset whose rows are made when they are read, so that pictures and nested columns never pass through Arrow."""

    def transform(batch: dict[str, list]) -> dict[str, list]:
        rows = [make_row(index) for index in batch["index"]]
        return {key: [row[key] for row in rows] for key in rows[0]}

    return Dataset.from_dict({"index": list(range(num_rows))}).with_transform(transform)


class Rows:
    """Makes rows for a recipe: the prompt, its media (changed at random where the recipe says so), and columns."""

    def __init__(self, recipe: Recipe, template: Template, augment: Augmentation | None = None):
        self.recipe, self.template, self.augment = recipe, template, augment

    def prompt(self, example: Example) -> list[dict]:
        """The conversation up to the answer, without the pictures themselves."""
        return prompt_messages(example.record, self.template, self.recipe.prompt, self.recipe.label_space)

    def row(self, example: Example, draw: int | str, **more: Any) -> dict[str, Any]:
        """`prompt`, `media` and what else is given. A medium's change depends on the seed and `draw` alone."""
        media = example.media(self.recipe.media)
        if self.augment:
            generator = random.Random(f"{self.recipe.seed}:{draw}")
            media = tuple(augmented(medium, self.augment, generator) for medium in media)
        return {"prompt": self.prompt(example), "media": media, **more}

    def reward_columns(self, example: Example) -> dict[str, Any]:
        """What a reward may ask for by name."""
        return {**columns(example.record), "template": self.template}


def completion_message(text: str) -> list[dict]:
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


def check_lengths(encoder: PromptEncoder, rows: Iterable[dict[str, Any]], max_tokens: int | None, setting: str) -> None:
    """Refuse rows whose tokens do not fit, before anything is trained: no row is ever cut, and no medium loses tokens.

    A row has `id`, `prompt`, `media`, and its texts in `completion`, or `chosen` and `rejected` (a list), or none of them.

    Raises:
        UserError: with every row that is too long, its number of tokens and the limit.
    """
    if max_tokens is None:
        return
    faults = []
    tokenizer = encoder.processor.tokenizer
    for row in rows:
        num_prompt = encoder.num_tokens(row["prompt"], row["media"])
        texts = [completion_text(text) for key in ("completion", "chosen") if (text := row.get(key))]
        texts += [completion_text(text) for text in row.get("rejected", [])]
        # Two more for the end of the turn.
        longest = max((len(tokenizer(text)["input_ids"]) + 2 for text in texts), default=0)
        if num_prompt + longest > max_tokens:
            faults.append(f"record {row['id']!r}: {num_prompt} prompt and {longest} completion tokens are more than {setting} "
                          f"{max_tokens}; raise it, lower the pixels or frames of media, or shorten the record")
    raise_faults(faults)
