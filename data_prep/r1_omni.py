"""R1-Omni's training data as records: reasoning for a cold start, and bare labels for reinforcement learning.

    R1-Omni/*.json                        a list (or JSON Lines) of {video, conversations: [{from: human, value}, {from: gpt, value}]}
    videos/MER24/sample_00000967.mp4      the clips, by the agreements of MER, DFEW and MAFW
    videos/DFEW/videos/1.mp4

    python data_prep/r1_omni.py R1-Omni data/r1_omni --media videos

All .json and .jsonl files of SOURCE are read. An answer with <think> and <answer> is of the cold start (232 clips of EMER, 348 of HumanOmni):
its words are of the open vocabulary. A bare word is of the reinforcement learning (15,306 clips of DFEW and MAFW, their training splits): it is
a label of dfew_7 or mafw_11 by the clip's first folder, in that set's own spelling, and of the open vocabulary in other folders. Ids put the
stage in front. Questions lose `<video>`, `<audio>` and the sentence that names the tags, which prompts put back; a clip is heard where the
question has `<audio>`. The clips of the cold start are among those of EMER version 2, so do not test on that.
"""

import re
from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.conversations import places_of, read_answer, read_conversation
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="r1_omni", title="R1-Omni training data", access="example items open, data promised; clips by the agreements of MER, DFEW and MAFW",
    licence="no licence of the data found; clips: agreements of MER2024, DFEW, MAFW",
    citation="Zhao et al. 2025, R1-Omni: Explainable Omni-Multimodal Emotion Recognition with Reinforcement Learning (arXiv 2503.05379)",
    url="https://github.com/HumanMLLM/R1-Omni", size="580 with reasoning (cold start), 15,306 with labels (RLVR)",
    labels="open words and reasoning (cold start); dfew_7, mafw_11 (RLVR)", modalities="video, audio", splits="train only",
    verified="an item of each stage", inferred="names of the files; folder of MAFW's clips",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SPACES = {"DFEW": "dfew_7", "MAFW": "mafw_11"}
_TAG = re.compile("<(?:think|answer)>", re.IGNORECASE)
_NAMES_THE_TAGS = re.compile(r"\s*Output the thinking process in <think>.*$", re.DOTALL)


def read(source: Source) -> Iterator[Row]:
    paths = source.files("*.json") + source.files("*.jsonl")
    if not paths:
        raise UserError(f"{source.root}: no .json and no .jsonl; give the folder that holds them (see --help)")
    for path in paths:
        yield from source.objects(path)


def to_record(row: Row, source: Source) -> Record:
    places = places_of(cells.required_text(row["video"], "video"))
    asked = read_conversation(row)
    if not asked.answer:
        raise BadRow("no answer", "no turn from gpt that says something")
    stage = "cold_start" if _TAG.search(asked.answer) else "rlvr"
    heard = "<audio>" in str(row["conversations"])
    return source.record(
        id=f"{stage}_{places[0].rpartition('.')[0] or places[0]}", dataset=f"{CARD.name}/{stage}", split="train", group=places[0],
        media=source.video(*places) if heard else {"video": source.clip(*places)},
        question=_NAMES_THE_TAGS.sub("", asked.question) or None, target=_target(stage, asked.answer, places[0].split("/")[0]),
    )  # fmt: skip


def _target(stage: str, answer: str, folder: str) -> dict[str, Any]:
    if stage == "cold_start":
        if "<answer>" not in answer.lower():
            raise BadRow("an answer breaks its template", f"<think> without <answer>: {answer[:60]!r}")
        found = read_answer(answer, "list")
        return {"label": found.label if len(found.answers) == 1 else None, "labels": found.answers, "reasoning": found.think}
    if space := SPACES.get(folder.upper()):
        return {"label": cells.label(answer, space), "label_space": space}
    return {"label": cells.label(answer, "open")}


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
