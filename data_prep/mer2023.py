"""MER2023 as records: clips of Chinese films and series with one of six emotions and a valence.

    mer2023-dataset/                      as it is downloaded
      train-label.csv  test1-label.csv  test2-label.csv  test3-label.csv     name, discrete, valence
      train/<name>.avi  test1/...  test2/...  test3/...
    mer2023-dataset-process/              as MERTools makes of it
      label-6way.npz  video/<name>.avi  transcription-engchi-polish.csv

    python data_prep/mer2023.py mer2023-dataset data/mer2023
    python data_prep/mer2023.py mer2023-dataset-process data/mer2023 --split test1 --language chinese

Tables of labels are read where they are there, else the .npz, whose pickled dictionaries are read as plain data; nothing in it is run.
test1 is the track MER-MULTI (the 411 clips that MER-UniBench uses), test2 MER-NOISE, test3 MER-SEMI, which has no valence (-10 stands for
it). Clips are .avi or .mp4. Faces that OpenFace has cut out (openface_face/*.npy) are no medium of records.
EMER, MERR, OV-MERD, MER-Caption and CA-MER describe clips of this set under the same names: `emoreason leaks` tells which.
"""

from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import LeftOut
from emoreason.conversion.mer import add_language, read_corpora, read_subtitles, six_way
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="mer2023", title="MER2023", access="form (EULA), gated on Hugging Face",
    licence="MER2023 EULA: academic research, no passing on, no editing",
    citation="Lian et al. 2023, MER 2023: Multi-label Learning, Modality Robustness, and Semi-Supervised Learning, ACM MM (arXiv 2304.08981)",
    url="https://huggingface.co/datasets/MERChallenge/MER2023", size="clips with labels: test1 411, test3 834, and train and test2",
    labels="mer_6; valence -5 to 5", modalities="video, audio, text", splits="train, test1 (MULTI), test2 (NOISE), test3 (SEMI)",
    verified="files, columns, arrays of the .npz, words and order of labels, -10",
    inferred="the ends of the valence scale; columns of the transcripts",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SPLITS = ("train", "test1", "test2", "test3")


def read(source: Source) -> Iterator[Row]:
    subtitles = read_subtitles(source, "transcription-engchi-polish.csv", "transcription_merge.csv", "transcription.csv")
    for row in _labels(source):
        yield row.with_fields(subtitle=subtitles.get(str(row["name"]).strip()))


def _labels(source: Source) -> Iterator[Row]:
    tables = {split: path for split in SPLITS if (path := source.optional(f"{split}-label.csv", f"*/{split}-label.csv"))}
    if not tables:
        yield from read_corpora(source, source.file("label-6way.npz", *(f"{split}-label.csv" for split in SPLITS)))
    for split, path in tables.items():
        if source.wants(split):
            for row in source.csv(path, ("name", "discrete")):
                yield row.with_fields(split=split)


def to_record(row: Row, source: Source) -> Record:
    if row.get("placeholder"):
        raise LeftOut("clips of this corpus have no labels")
    split, name = row["split"], cells.required_text(row["name"], "name")
    return source.record(
        id=name, split=split, group=name, text=row["subtitle"], target=six_way(row),
        media=source.video(f"{split}/{name}", f"video/{name}", f"mer2023{split}/{split}/{name}"),
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_language)
