"""MER2024 as records: clips of Chinese films and series with one of six emotions and a valence.

    mer2024-dataset/                      as it is downloaded
      label-disdim.csv                    name, discrete, valence
      video-labeled/<name>.mp4            video-unlabeled-with-test2noise/ is not annotated
    mer2024-dataset-process/              as MERTools makes of it
      label-6way.npz  video/<name>.mp4  transcription_merge.csv

    python data_prep/mer2024.py mer2024-dataset data/mer2024
    python data_prep/mer2024.py mer2024-dataset-process data/mer2024_test --split test1

The table of labels is read where it is there, else the .npz, whose pickled dictionaries are read as plain data; nothing in it is run.
MERTools writes neutral for every clip of a test corpus without labels; such a corpus is left out. test1 with true labels
(1,169 clips) is in the copy that MER-UniBench uses. Clips are .mp4 or .avi. Faces that OpenFace has cut out (openface_face/*.npy)
are no medium of records. The labelled clips take over those of MER2023, its test splits included, under the same names: leave these out of
training before you test on MER2023 (`emoreason leaks`). Open-vocabulary labels (OV-MERD) come with MER2025: data_prep/mer2025.py.
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
    name="mer2024", title="MER2024", access="form (EULA), gated on Hugging Face",
    licence="MER2024 EULA: academic research, no passing on, no editing",
    citation="Lian et al. 2024, MER 2024: Semi-Supervised Learning, Noise Robustness, and Open-Vocabulary Multimodal Emotion Recognition, "
             "MRAC (arXiv 2404.17113)",
    url="https://huggingface.co/datasets/MERChallenge/MER2024", size="5,030 clips with labels; test1 1,169",
    labels="mer_6; valence -5 to 5", modalities="video, audio, text", splits="train 5,030; test1 1,169 in processed copies",
    verified="files, columns, arrays of the .npz, words and order of labels, neutral as placeholder",
    inferred="the ends of the valence scale; columns of the transcripts",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip


def read(source: Source) -> Iterator[Row]:
    subtitles = read_subtitles(source, "transcription-engchi-polish.csv", "transcription_merge.csv", "label-transcription.csv")
    for row in _labels(source):
        yield row.with_fields(subtitle=subtitles.get(str(row["name"]).strip()))


def _labels(source: Source) -> Iterator[Row]:
    if table := source.optional("label-disdim.csv", "*/label-disdim.csv"):
        for row in source.csv(table, ("name", "discrete")):
            yield row.with_fields(split="train")
    else:
        yield from read_corpora(source, source.file("label-6way.npz", "label-disdim.csv"))


def to_record(row: Row, source: Source) -> Record:
    if row.get("placeholder"):
        raise LeftOut("clips of this corpus have no labels")
    name = cells.required_text(row["name"], "name")
    return source.record(
        id=name, split=row["split"], group=name, media=source.video(f"video-labeled/{name}", f"video/{name}"),
        text=row["subtitle"], target=six_way(row),
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_language)
