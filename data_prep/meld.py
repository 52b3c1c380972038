"""MELD as records: utterances of Friends with emotion and sentiment, in three official splits.

    MELD.Raw/
      train_sent_emo.csv  dev_sent_emo.csv  test_sent_emo.csv
      train_splits/dia0_utt0.mp4   dev_splits_complete/...   output_repeated_splits_test/...

    python data_prep/meld.py MELD.Raw data/meld
    python data_prep/meld.py MELD.Raw data/meld_test --split test --strict

Ids repeat over the splits, so records put the split in front: `train_dia0_utt0`. Dialogues are the groups. Clips are looked for by
the row: the extra ones on the disk, which nobody annotated, are passed over, and a row without its clip is bad
(dev dia110_utt7 never had one). `emoreason media` finds the clip that is corrupt (train dia125_utt3) and those cut far too long.
"""

from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="meld", title="MELD", access="open download", licence="GPL-3.0 annotations; clips of Friends are copyrighted, research use",
    citation="Poria et al. 2019, MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations, ACL (arXiv 1810.02508)",
    url="https://github.com/declare-lab/MELD", size="13,708 utterances", labels="meld_7; sentiment in attributes",
    modalities="video, audio, text", splits="train 9,989, dev 1,109, test 2,610",
    verified="columns, ids, label words, the traps named above", inferred="folders of clips, sizes of train and dev, cp1252 quotes",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
CLIP_FOLDERS = {
    "train": ("train_splits", "train/train_splits"),
    "dev": ("dev_splits_complete", "dev/dev_splits_complete"),
    "test": ("output_repeated_splits_test", "test/output_repeated_splits_test"),
}


def read(source: Source) -> Iterator[Row]:
    for split in filter(source.wants, CLIP_FOLDERS):
        path = source.file(f"{split}_sent_emo.csv", f"*/{split}_sent_emo.csv")
        for row in source.csv(path, COLUMNS, fallback="cp1252"):
            yield row.with_fields(split=split)


def to_record(row: Row, source: Source) -> Record:
    split = row["split"]
    dialogue, utterance = (cells.whole_number(row[name], name, low=0) for name in ("Dialogue_ID", "Utterance_ID"))
    clip = f"dia{dialogue}_utt{utterance}"
    return source.record(
        id=f"{split}_{clip}", split=split, group=f"{split}_dia{dialogue}",
        media=source.video(*(f"{folder}/{clip}.mp4" for folder in CLIP_FOLDERS[split])), text=cells.text(row["Utterance"]),
        target={"label": cells.label(row["Emotion"], "meld_7"), "label_space": "meld_7"},
        attributes={"sentiment": cells.label(row["Sentiment"], "sentiment_3"), "speaker": cells.required_text(row["Speaker"], "Speaker")},
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
