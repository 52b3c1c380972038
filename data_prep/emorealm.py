"""EmoReAlM as records: multiple-choice questions on what in a clip of DFEW speaks for its emotion (AVERE's benchmark).

    EmoReAlM/emorealm_v1.json        a list, or JSON Lines
    DFEW/part_3/3101.mp4             the clips, by DFEW's own agreement

    python data_prep/emorealm.py EmoReAlM data/emorealm --media DFEW

Choices lose their letters (`(A) `), which prompts put back; the letter of the answer becomes the text of its choice. Clips are the
groups: a clip has several questions. The clips are DFEW's, so a model that has seen those has seen these: `emoreason leaks` says so.
"""

import re
from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="emorealm", title="EmoReAlM", access="questions open; clips by DFEW's agreement", licence="USC Research License; clips: DFEW's agreement",
    citation="Chaubey et al. 2026, AVERE: Improving Audiovisual Emotion Reasoning with Preference Optimization, ICLR (arXiv 2602.07054)",
    url="https://huggingface.co/datasets/chaubeyG/EmoReAlM", size="4,000 questions on 2,649 clips",
    labels="choices; task in attributes", modalities="video, audio", splits="test only",
    verified="keys, tasks, letters of choices and answers", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
TASKS = ("modality_agreement", "reasoning_basic_audio", "reasoning_basic_video", "reasoning_stress_audio", "reasoning_stress_video")
_LETTER = re.compile(r"\(?([A-Z])[).:]\s+")


def read(source: Source) -> Iterator[Row]:
    yield from source.objects(source.file("emorealm_v1.json", "EmoReAlM/emorealm_v1.json", "*.json"))


def to_record(row: Row, source: Source) -> Record:
    video = cells.relative_path(row["video"], "video")
    choices = [_LETTER.sub("", choice, count=1) for choice in cells.items(row["choices"])]
    answer = cells.required_text(row["answer"], "answer").strip("() .")
    place = ord(answer) - ord("A") if len(answer) == 1 else -1
    if not 0 <= place < len(choices):
        raise BadRow("answer is no letter of a choice", f"answer {row['answer']!r} with {len(choices)} choices")
    if row["task"] not in TASKS:
        raise BadRow("unknown task", f"task {row['task']!r}; accepted: {', '.join(TASKS)}")
    return source.record(
        id=cells.required_text(row["id"], "id"), split="test", group=video,
        media=source.video(video, f"videos/{video}"), question=cells.required_text(row["question"], "question"),
        target={"label": choices[place], "choices": choices}, attributes={"task": row["task"]},
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
