"""CMU-MOSEI as records: clips of YouTube with sentiment from -3 to 3 and six emotions from 0 to 3. Three layouts are read, the first that is there:

    Labels/Data_Train_modified.csv  Data_Val_modified.csv  Data_Test_original.csv
                                      video,start_time,end_time,sentiment,happy,sad,anger,surprise,disgust,fear
    Transcript/Segmented/Combined/<video>.txt        lines <video>___<segment>___<start>___<end>___what is said
    Videos/Segmented/Combined/<video>_<segment>.mp4

    label.csv                         MMSA's: video_id,clip_id,text,label,...,mode (train, valid, test)
    Raw/<video>/<clip>.mp4

    label.npz                         MERTools': {train,val,test}_corpus {<video>_<segment>: {emo, val}}
    transcription.csv                 name,sentence
    subvideo_new/<video>_<segment>.mp4

    python data_prep/cmu_mosei.py CMU_MOSEI data/cmu_mosei
    python data_prep/cmu_mosei.py MOSEI data/cmu_mosei_test --split test

Emotions are in the first layout alone: their strengths are the distribution, those above 0 the labels, strongest first; a clip without
any has neither. Its rows find their segment by the time, to 0.05 s; some of the test set start before 0 and find none. Clips are cut
by you: Videos/Full/Combined has whole videos. Splits are train, valid and test, the second is `val` in the last layout. Ids of videos
hold `_` and start with `-`: the segment is what follows the last `_`, and an id that a spreadsheet turned into #NAME? is bad. Videos
are the groups. The labels of CMU's SDK, CMU_MOSEI_Labels.csd, are HDF5 and not read.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from emoreason.conversion import cells, mer, opinions, small_files
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import normalise_label
from emoreason.records import Record

CARD = Card(
    name="cmu_mosei", title="CMU-MOSEI", access="open download, research use", licence="research use; videos are their makers'",
    citation="Zadeh et al. 2018, Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset and Interpretable Dynamic Fusion Graph, ACL",
    url="https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK", size="22,856 clips",
    labels="valence -3 to 3; ekman_6 with strengths 0 to 3", modalities="video, audio, text",
    splits="train 16,326, valid 1,871, test 4,659",
    verified="label.csv, label.npz, transcripts, order and range of emotions, size of test",
    inferred="Data_*.csv, seen in the code of others alone; sizes of train and valid", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SCALE = (-3.0, 3.0)
EMOTIONS = ("happy", "sad", "anger", "surprise", "disgust", "fear")
TABLES = {"train": "Data_Train_modified.csv", "valid": "Data_Val_modified.csv", "test": "Data_Test_original.csv"}
COLUMNS = ("video", "start_time", "end_time", "sentiment", *EMOTIONS)
CLIPS = tuple(f"{folder}/{{video}}_{{clip}}.mp4" for folder in ("Videos/Segmented/Combined", "subvideo_new", "subvideo"))
SLACK = 0.05
"""Seconds by which a row and a segment of the transcript may start apart."""


class Segment(NamedTuple):
    start: float
    number: str
    text: str


def read(source: Source) -> Iterator[Row]:
    if any(source.files(f"Labels/{name}") for name in TABLES.values()):
        for split in filter(source.wants, TABLES):
            for row in source.csv(source.file(f"Labels/{TABLES[split]}"), COLUMNS):
                yield row.with_fields(split=split)
    elif table := source.optional("label.csv"):
        yield from source.csv(table, opinions.COLUMNS)
    else:
        yield from opinions.corpus_rows(source, source.file("label.npz", "label.csv", f"Labels/{TABLES['train']}"))


def to_record(row: Row, source: Source) -> Record:
    if "name" in row:
        row["video_id"], row["clip_id"] = opinions.split_name(row["name"])
    elif "video" in row:
        segment = _segment(row, source)
        row |= {"video_id": row["video"], "clip_id": segment.number, "text": segment.text, "label": row["sentiment"]}
    video, clip = opinions.video_id(row["video_id"]), str(cells.whole_number(row["clip_id"], "clip_id", low=0))
    paths = [path.format(video=video, clip=clip) for path in (*CLIPS, "Raw/{video}/{clip}.mp4")]
    return opinions.record(row, source, SCALE, clip, *paths, split=row.get("split"), **_emotions(row))


def _emotions(row: Row) -> dict[str, Any]:
    if "happy" not in row:
        return {}
    strengths = {normalise_label(name, "ekman_6"): cells.number(row[name], name, 0, 3) for name in EMOTIONS}
    shown = sorted((label for label in strengths if strengths[label] > 0), key=strengths.get, reverse=True)
    return {"labels": shown, "label_space": "ekman_6", "distribution": strengths if shown else None}


def _segment(row: Row, source: Source) -> Segment:
    start = cells.number(row["start_time"], "start_time")
    nearest = min(_segments(source, opinions.video_id(row["video"])), key=lambda segment: abs(segment.start - start), default=None)
    if nearest is None or abs(nearest.start - start) > SLACK:
        raise BadRow("no segment at this time", f"video {row['video']} has no segment in its transcript that starts at {start:g} s")
    return nearest


@cache
def _segments(source: Source, video: str) -> list[Segment]:
    folder = "Transcript/Segmented/Combined"
    lines = small_files.read_bytes(source, f"{folder}/{video}.txt", f"{folder}/*.txt").decode("utf-8-sig", "replace").splitlines()
    found = []
    for line in filter(str.strip, lines):
        number, start, _, text = (*line.removeprefix(f"{video}___").split("___", 3), "", "", "")[:4]
        found.append(Segment(cells.number(start, "start in a transcript"), number, text.strip()))
    return found


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, mer.add_language)
