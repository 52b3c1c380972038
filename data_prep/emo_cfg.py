"""Emo-CFG (VidEmo) as records: questions on faces in clips, on attributes, expressions and emotions, with answers and rationales.

    Emo-CFG/
      jsons/train/{attribute,caption,emotion,qa,rationale}/{full,sampled}/*.json
      jsons/test/{attribute,caption,emotion,qa}/{full,sampled}/*.json
      videos/MAFW/00011.mp4  videos/Dfew/...  videos/RAVDESS/...       19 data sets, by their agreements

    python data_prep/emo_cfg.py Emo-CFG data/emo_cfg --size sampled
    python data_prep/emo_cfg.py Emo-CFG data/emo_cfg_qa --task qa --split test

Files named .json are JSON Lines, or a list: both are read. `sampled` is drawn from `full`, so a conversion has one of them. The same question on
the same clip may stand twice with different answers; ids count the items of a file, so that no answer takes the place of another, and the
clip is the group. Options (`(A) anger (B) joy`) leave the question and become choices; the letter of an answer becomes the text of its
option, several letters several labels. Answers to Action_Unit_Detection are action units. Without options an answer is a label where it is a few
words, separated by commas, and reasoning where it is a sentence; captions and rationales are reasoning. Results of inference (with
`response`) are left out. VidEmo looks and does not listen, so clips are silent here. jsons/curation are recipes of the authors and not read.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from emoreason.action_units import asserted_action_units, unknown_action_units
from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.conversations import chosen_options, places_of, read_conversation, split_options
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.script import main
from emoreason.conversion.source import MEDIA_LINK, Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="emo_cfg", title="Emo-CFG (VidEmo)", access="form (EULA), gated on Hugging Face", licence="Emo-CFG EULA; clips: agreements of 19 data sets",
    citation="Zhang et al. 2025, VidEmo: Affective-Tree Reasoning for Emotion-Centric Video Foundation Models, NeurIPS (arXiv 2511.02712)",
    url="https://huggingface.co/datasets/KlingTeam/Emo-CFG", size="2.1 million items",
    labels="choices, open words, action units, reasoning; task in attributes", modalities="video", splits="train, test",
    verified="folders; keys of items and results; JSON Lines named .json; names of test files",
    inferred="the form of options and answers beyond one example; keys of training items",
    recipes="qwen2_5_vl_7b",
)  # fmt: skip
TASKS = {"train": ("attribute", "caption", "emotion", "qa", "rationale"), "test": ("attribute", "caption", "emotion", "qa")}
_MOST_WORDS = 3
"""Of a label without options."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--size", choices=("full", "sampled"), default="full", help="which of the two sizes (default: full)")
    parser.add_argument("--task", action="append", choices=TASKS["train"], help="only this task; may be given again (default: all)")


def read(source: Source) -> Iterator[Row]:
    size, found = source.options.size, False
    for split in filter(source.wants, TASKS):
        for task in TASKS[split] if not source.options.task else [task for task in TASKS[split] if task in source.options.task]:
            folder = f"jsons/{split}/{task}/{size}"
            for path in source.files(f"{folder}/**/*.json") + source.files(f"{folder}/**/*.jsonl"):
                found = True
                name = source.name_of(path).removeprefix(f"{folder}/").rpartition(".")[0].replace("/", "_")
                for row in source.objects(path):
                    yield row.with_fields(split=split, task=task, name=name)
    if not found:
        raise UserError(f"{source.root}: no jsons/*/*/{size}/*.json; give the folder Emo-CFG, or another --size or --task")


def to_record(row: Row, source: Source) -> Record:
    if "response" in row:
        raise LeftOut("a result of inference, no annotation")
    asked = read_conversation(row)
    if sum(turn.get("role") == "user" for turn in row["messages"]) > 1:
        raise BadRow("several questions", "more than one turn of the user; accepted: one")
    question, choices = split_options(asked.question.lstrip(". \n"))
    answer = cells.required_text(asked.answer or row.get("labels"), "answer")
    clip = source.clip(*_places(row["videos"]))
    aspect = cells.text(row.get("source"))
    return source.record(
        id=f"{row['split']}_{row['task']}_{row['name']}_{str(row.place).removeprefix('item ')}", dataset=f"{CARD.name}/{row['task']}",
        split=row["split"], group=clip.removeprefix(f"{MEDIA_LINK}/"), media={"video": clip}, question=question,
        target=_target(row, answer, choices), attributes={"task": row["task"], **({"source": aspect} if aspect else {})},
    )  # fmt: skip


def _places(videos: Any) -> list[str]:
    if not isinstance(videos, list) or len(videos) != 1:
        raise BadRow("not one clip", f"videos is {str(videos)[:60]!r}; accepted: a list of one path")
    places = places_of(cells.required_text(videos[0], "videos"))
    return [place for short in places for place in (short, f"videos/{short}")]


def _target(row: Row, answer: str, choices: list[str]) -> dict[str, Any]:
    if choices:
        chosen = chosen_options(answer, choices)
        return {"choices": choices, **({"label": chosen[0]} if len(chosen) == 1 else {"labels": chosen})}
    if "Action_Unit" in row["name"]:
        units = asserted_action_units(answer)
        if unknown_action_units(answer) or (not units and answer.casefold().strip(" .") != "none"):
            raise BadRow("no action units", f"{answer[:60]!r}; accepted: codes of FACS as AU12, or none")
        return {"action_units": units}
    phrases = answer.split(",")
    if row["task"] in ("caption", "rationale") or any(len(phrase.split()) > _MOST_WORDS for phrase in phrases):
        return {"reasoning": answer}
    words = cells.words(phrases)
    return {"label": words[0]} if len(words) == 1 else {"labels": words}


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
