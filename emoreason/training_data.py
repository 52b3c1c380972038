"""Records as the rows that TRL's trainers read: prompt, completion or pair, pictures, and the columns for rewards."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image
from transformers import ProcessorMixin

from emoreason.completions import Template, completion_text
from emoreason.faults import raise_faults
from emoreason.media import augmented, record_pictures
from emoreason.prompts import prompt_messages
from emoreason.recipe import Augmentation, DataSource, Recipe
from emoreason.records import Record, columns, read_records


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

    def pictures(self) -> list:
        return record_pictures(self.record, self.records_path)


def read_sources(sources: list[DataSource]) -> list[list[Example]]:
    """The examples of each records file."""
    return [[Example(record, Path(source.path)) for record in read_records(Path(source.path))] for source in sources]


def lazy_dataset(num_rows: int, make_row: Callable[[int], dict[str, Any]]) -> Dataset:
    """A dataset whose rows are made when they are read, so that pictures and nested columns never pass through Arrow."""

    def transform(batch: dict[str, list]) -> dict[str, list]:
        rows = [make_row(index) for index in batch["index"]]
        return {key: [row[key] for row in rows] for key in rows[0]}

    return Dataset.from_dict({"index": list(range(num_rows))}).with_transform(transform)


class Rows:
    """Makes rows for a recipe: the prompt, its pictures (changed at random where the recipe says so), and columns."""

    def __init__(self, recipe: Recipe, template: Template, augment: Augmentation | None = None):
        self.recipe, self.template, self.augment = recipe, template, augment

    def prompt(self, example: Example) -> list[dict]:
        """The conversation up to the answer, without the pictures themselves."""
        return prompt_messages(example.record, self.template, self.recipe.prompt, self.recipe.label_space)

    def row(self, example: Example, draw: int | str, **more: Any) -> dict[str, Any]:
        """`prompt`, `images` and what else is given. A picture's change depends on the seed and `draw` alone."""
        pictures = example.pictures()
        if self.augment:
            generator = random.Random(f"{self.recipe.seed}:{draw}")
            pictures = [augmented(picture, self.augment, generator) for picture in pictures]
        return {"prompt": self.prompt(example), "images": pictures, **more}

    def reward_columns(self, example: Example) -> dict[str, Any]:
        """What a reward may ask for by name."""
        return {**columns(example.record), "template": self.template}


def completion_message(text: str) -> list[dict]:
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


def check_lengths(processor: ProcessorMixin, rows: Iterable[dict[str, Any]], max_tokens: int | None, setting: str) -> None:
    """Refuse rows whose tokens do not fit, since trainers would cut them off without a word.

    A row has `id`, `prompt`, `images`, and its texts in `completion`, or `chosen` and `rejected`, or none of them.

    Raises:
        UserError: with every row that is too long, its number of tokens and the limit.
    """
    if max_tokens is None:
        return
    faults = []
    for row in rows:
        prompt = row["prompt"]
        if not isinstance(prompt, str):
            prompt = processor.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        num_prompt = len(processor.tokenizer(prompt)["input_ids"]) + sum(picture_tokens(processor, picture) - 1 for picture in row["images"])
        texts = [completion_text(row[key]) for key in ("completion", "chosen", "rejected") if key in row]
        # Two more for the end of the turn.
        longest = max((len(processor.tokenizer(text)["input_ids"]) + 2 for text in texts), default=0)
        if num_prompt + longest > max_tokens:
            faults.append(f"record {row['id']!r}: {num_prompt} prompt and {longest} completion tokens are more than {setting} "
                          f"{max_tokens}; raise it, lower media.max_pixels or shorten the record")
    raise_faults(faults)


def picture_tokens(processor: ProcessorMixin, picture: Image.Image) -> int:
    """How many tokens a picture takes in the prompt of a Qwen-VL processor: its patches over the merge size squared."""
    image_processor = processor.image_processor
    limits = {"min_pixels": image_processor.size["shortest_edge"], "max_pixels": image_processor.size["longest_edge"]}
    patches = image_processor.get_number_of_image_patches(picture.height, picture.width, limits)
    return patches // image_processor.merge_size**2


def with_pictures(messages: list[dict], pictures: list) -> list[dict]:
    """The conversation with each picture in its placeholder, as a processor's chat template wants it."""
    waiting = iter(pictures)
    filled = [{**message, "content": [{"type": "image", "image": next(waiting)} if part["type"] == "image" else part for part in message["content"]]}
              for message in messages]  # fmt: skip
    assert next(waiting, None) is None, "a picture without a placeholder"
    return filled
