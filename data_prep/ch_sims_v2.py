"""CH-SIMS v2 (supervised part) as records: Chinese clips with sentiment from -1 to 1, of the whole and of words, voice and picture alone.

    ch-simsv2s/
      meta.csv                        video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode
      Raw/aqgy3_0001/00000.mp4

    python data_prep/ch_sims_v2.py ch-simsv2s data/ch_sims_v2
    python data_prep/ch_sims_v2.py ch-simsv2s data/ch_sims_v2_test --split test

The second split is called `valid` here, and `--split valid` asks for it. Clip ids keep their zeros; a table that went through a
spreadsheet has lost them, so a clip is looked for with five, four and no digits of padding. Words are Chinese, without translation.
Clips of one video are one group. The unsupervised clips of the release have no labels and are not read.
"""

from collections.abc import Iterator

from emoreason.conversion import cells, opinions
from emoreason.conversion.card import Card
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="ch_sims_v2", title="CH-SIMS v2(s)", access="open download, research use", licence="research use; see the repository",
    citation="Liu et al. 2022, Make Acoustic and Visual Cues Matter: CH-SIMS v2.0 Dataset and AV-Mixup Consistent Module, ICMI (arXiv 2209.02604)",
    url="https://github.com/thuiar/ch-sims-v2", size="4,403 clips", labels="valence -1 to 1, of the whole and by modality",
    modalities="video, audio, text", splits="train 2,722, valid 647, test 1,034",
    verified="columns, modes, layout, size of test", inferred="sizes of train and valid", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SCALE = (-1.0, 1.0)


def read(source: Source) -> Iterator[Row]:
    yield from source.csv(source.file("meta.csv"), (*opinions.COLUMNS, *opinions.MODALITIES.values()))


def to_record(row: Row, source: Source) -> Record:
    clip = cells.required_text(row["clip_id"], "clip_id")
    folder = f"Raw/{opinions.video_id(row['video_id'])}"
    return opinions.record(row, source, SCALE, clip, *(f"{folder}/{clip.zfill(digits)}.mp4" for digits in (0, 5, 4)))


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
