"""CMU-MOSI as records: opinions on films from 93 videos of YouTube, with sentiment from -3 to 3. Three layouts are read, the first that is there:

    label.csv                         MMSA's: video_id,clip_id,text,label,...,mode (train, valid, test)
    Raw/<video>/<clip>.mp4

    Labels/OpinionLevelSentiment.csv  CMU's own, without a header: start, end, video, segment, sentiment
    Transcript/Segmented/<video>.annotprocessed      lines 3_DELIM_what is said
    Video/Segmented/<video>_<segment>.mp4
    cmu_mosi_std_folds.py             from CMU's SDK, read but not run: the official splits; without it split is `all`

    label.npz                         MERTools': {train,val,test}_corpus {<video>_<segment>: {emo, val}}
    transcription.csv                 name,sentence
    subvideo/<video>_<segment>.mp4

    python data_prep/cmu_mosi.py MOSI data/cmu_mosi
    python data_prep/cmu_mosi.py CMU_MOSI/Raw data/cmu_mosi --media CMU_MOSI/Raw

Splits are train, valid and test, the second is `val` in the last layout. Ids of videos hold `_` and start with `-`: the segment is
what follows the last `_`, and an id that a spreadsheet turned into #NAME? is bad. Videos are the groups. Papers count sentiment 0
either as positive or not at all: say which.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from emoreason.conversion import cells, mer, opinions, small_files
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="cmu_mosi", title="CMU-MOSI", access="open download, research use", licence="research use; videos are their makers'",
    citation="Zadeh et al. 2016, MOSI: Multimodal Corpus of Sentiment Intensity and Subjectivity Analysis in Online Opinion Videos "
             "(arXiv 1606.06259)",
    url="https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK", size="2,199 clips", labels="valence -3 to 3",
    modalities="video, audio, text", splits="train 1,284, valid 229, test 686",
    verified="layouts, columns, transcripts, size of test", inferred="sizes of train and valid", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SCALE = (-3.0, 3.0)
OWN_COLUMNS = ("start", "end", "video_id", "clip_id", "label")
CLIPS = ("Raw/{video}/{clip}.mp4", "Video/Segmented/{video}_{clip}.mp4", "subvideo/{video}_{clip}.mp4")


def read(source: Source) -> Iterator[Row]:
    if table := source.optional("label.csv"):
        yield from source.csv(table, opinions.COLUMNS)
    elif own := source.optional("Labels/OpinionLevelSentiment.csv"):
        yield from _own_rows(source, own)
    else:
        yield from opinions.corpus_rows(source, source.file("label.npz", "label.csv", "Labels/OpinionLevelSentiment.csv"))


def to_record(row: Row, source: Source) -> Record:
    if "name" in row:
        row["video_id"], row["clip_id"] = opinions.split_name(row["name"])
    video, clip = opinions.video_id(row["video_id"]), str(cells.whole_number(row["clip_id"], "clip_id", low=0))
    if "start" in row:
        row["text"] = _transcript(source, video).get(clip)
    return opinions.record(row, source, SCALE, clip, *(path.format(video=video, clip=clip) for path in CLIPS), split=row.get("split"))


def _own_rows(source: Source, path: Path) -> Iterator[Row]:
    folds = opinions.standard_folds(source, "cmu_mosi_std_folds.py")
    for row in source.csv(path, (), header=OWN_COLUMNS):
        split = folds.get(row["video_id"].strip()) if folds else "all"
        if split is None:
            source.report(row.where, BadRow("video is in no fold", f"video {row['video_id']!r} is in none of the three lists"))
        else:
            yield row.with_fields(split=split)


@cache
def _transcript(source: Source, video: str) -> dict[str, str]:
    """{segment: what is said}"""
    content = small_files.read_bytes(source, f"Transcript/Segmented/{video}.annotprocessed", "Transcript/Segmented/*.annotprocessed")
    parts = [line.partition("_DELIM_") for line in content.decode("utf-8-sig", "replace").splitlines()]
    return {segment.strip(): text for segment, _, text in parts if text}


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, mer.add_language)
