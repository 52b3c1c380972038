"""VECBench and VEC-CoT as records: emotion of pictures of six data sets, and reasoning in five sections with a confidence (EmoCaliber).

    VECBench/
      test_8k.jsonl                                 or benchmarks/VECBench/Std-VECBench.json of MVEI_PLUS
      VEC-CoT/stage1_86k.jsonl  stage2_43k_w_conf.jsonl  stage3_14k.jsonl
      FI/awe/1.jpg ...

    python data_prep/vecbench.py VECBench data/vecbench --split test
    python data_prep/vecbench.py VECBench data/vec_cot --split stage1 --split stage2

Splits are test, stage1, stage2 and stage3, so each has a file of its own; stages share pictures. The label space goes by the task
(`UnbaisedEmo-6` is UnbiasedEmo-6), and the candidates must be of it and hold the label; without a task the label is open vocabulary.
Prompts are not kept: they hold the candidates and a format, which recipes write. A picture is the group, since FI-2 and FI-8 share
theirs. An answer of VEC-CoT that is not the ground truth beside it is left out. Paths of the authors' machine are looked for without
their first folders. Results (`response`) are passed over. EmoSet's pictures are in MVEI and INSETS, too: `emoreason leaks` says which.
"""

from collections.abc import Iterator
from typing import Any

from emoreason.completions import Completion
from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.conversations import Conversation, named_images, only_one, places_of, read_answer, read_conversation
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="vecbench", title="VECBench, VEC-CoT", access="open download", licence="not stated; pictures by their six sets' terms, research use",
    citation="Wu et al. 2025, EmoCaliber: Advancing Reliable Visual Emotion Comprehension via Confidence Verbalization (arXiv 2512.15528)",
    url="https://huggingface.co/datasets/wudq/VECBench", size="test 8,032; VEC-CoT 86k, 43k and 14k",
    labels="mikels_8, sentiment_2, webemo_7, webemo_25, unbiased_emo_6 by task; reasoning in sections, confidence in attributes",
    modalities="image", splits="test; stage1, stage2, stage3 for training",
    verified="task, ground_truth, candidates, Qwen's chat form of the test file, the standard form, names of files, tags of the answers",
    inferred="keys of VEC-CoT (ms-swift's messages and images), the words of the two-class tasks, folders of pictures", recipes="qwen2_5_vl_7b",
)  # fmt: skip
SPACES = {
    **dict.fromkeys(("Abstract-8", "Artphoto-8", "EmoSet-8", "FI-8"), "mikels_8"), **dict.fromkeys(("FI-2", "WebEmo-2"), "sentiment_2"),
    "WebEmo-7": "webemo_7", "WebEmo-25": "webemo_25", "UnbiasedEmo-6": "unbiased_emo_6", "UnbaisedEmo-6": "unbiased_emo_6",
}  # fmt: skip
STAGES = ("stage1", "stage2", "stage3")


def read(source: Source) -> Iterator[Row]:
    paths = {"test": source.optional("test_8k.jsonl", "**/test_8k.jsonl", "Std-VECBench.json", "**/Std-VECBench.json")}
    paths |= {stage: source.optional(f"VEC-CoT/{stage}_*.jsonl", f"{stage}_*.jsonl", f"**/{stage}_*.jsonl") for stage in STAGES}
    if not any(paths.values()):
        raise UserError(f"{source.root}: neither test_8k.jsonl, Std-VECBench.json nor VEC-CoT/stage*.jsonl; give the folder that holds them")
    for split, path in paths.items():
        if path is not None and source.wants(split):
            for row in source.members(path, "id") if path.suffix == ".json" else source.objects(path):
                told = row.get("other_info")
                yield row.with_fields(**told if isinstance(told, dict) else {}, split=split)


def to_record(row: Row, source: Source) -> Record:
    split, task = row["split"], cells.text(row.get("task"))
    if task not in SPACES and (task is not None or split == "test"):
        raise BadRow("unknown task", f"task {task!r}; accepted: {', '.join(SPACES)}")
    task, space = task and task.replace("Unbaised", "Unbiased"), SPACES.get(task or "", "open")
    turns = read_conversation(row) if split != "test" or "image_path" not in row else Conversation("", None, named_images(row))
    answer = read_answer(turns.answer, "label") if turns.answer and split != "test" else Completion()
    if split in ("stage1", "stage2") and answer.think is None:
        raise BadRow("no reasoning", f"no <think> in {str(turns.answer)[:60]!r}")
    image = source.medium("image", *places_of(only_one(turns.images)))
    attributes: dict[str, Any] = {"task": task, "candidates": [cells.label(word, space) for word in cells.items(row.get("candidates"))],
                                  "confidence": answer.confidence}  # fmt: skip
    return source.record(
        id=f"{split}_{row.get('id') or row.place}", dataset=f"vecbench/{task}" if split == "test" else f"vec_cot/{split}", split=split,
        group=image, media={"images": [image]},
        target={"label": label_of(row, answer, space, attributes["candidates"]), "label_space": space, "sections": answer.sections,
                "reasoning": "\n".join(answer.sections.values()) or answer.think},
        attributes={name: value for name, value in attributes.items() if value is not None and value != []},
    )  # fmt: skip


def label_of(row: Row, answer: Completion, space: str, candidates: list[str]) -> str:
    """The ground truth, or the answer where a stage names no other; they must agree, and be one of the candidates."""
    truth = cells.text(row.get("ground_truth")) or cells.text(row.get("solution"))
    label = cells.label(read_answer(truth, "label").label if truth and "<" in truth else truth or answer.label, space)
    if answer.label is not None and cells.label(answer.label, space) != label:
        raise LeftOut("answer is not the ground truth")
    if candidates and label not in candidates:
        raise BadRow("label is no candidate", f"{label!r} is not among {', '.join(candidates)}")
    return label


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
