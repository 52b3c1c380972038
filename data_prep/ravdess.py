"""RAVDESS as records: 24 actors speak and sing two sentences in eight emotions. All there is to know stands in the names of the files.

    RAVDESS/
      Actor_01/02-01-06-01-02-01-01.mp4   03-01-06-01-02-01-01.wav   ...

    python data_prep/ravdess.py RAVDESS data/ravdess
    python data_prep/ravdess.py RAVDESS data/ravdess_3 --fold 3 --clips pair

Names are modality (01 picture and voice, 02 picture alone, 03 voice alone), channel (01 speech, 02 song), emotion, intensity, sentence,
repetition, actor. A record is a performance, whose files may lie in any folder: --clips says which of them are taken. `auto` takes the
01 file, else 02 with the voice of 03, else what there is; `pair` is what HiCMAE takes. Copies of one file, as some mirrors have, count
once. Speech and song are `ravdess/speech` and `ravdess/song`; song has no disgust and no surprise, and actor 18 never sang. Neutral
has one intensity. `calm` is a class of its own here, though many drop it or call it neutral.

Folds are HiCMAE's six, of four actors each in their order. EmoBench-M has clips of this set under the name RAVDSS.
"""

import re
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.folds import add_fold, split_of
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import LABEL_SPACES, label_from_index
from emoreason.records import Record

CARD = Card(
    name="ravdess", title="RAVDESS", access="open download", licence="CC-BY-NC-SA-4.0",
    citation="Livingstone and Russo 2018, The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), PLoS ONE 13(5)",
    url="https://zenodo.org/records/1188976", size="1,440 spoken and 1,012 sung performances",
    labels="ravdess_8, ravdess_song_6; intensity in attributes", modalities="video, audio, text",
    splits="none; six folds of four actors (HiCMAE)", verified="names, sizes, sentences, folds",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
NAME = re.compile(r"0[123](?:-\d{2}){6}")
CHANNELS = {"01": ("speech", "ravdess_8"), "02": ("song", "ravdess_song_6")}
INTENSITIES = {"01": "normal", "02": "strong"}
SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
REPETITIONS = {"01": 1, "02": 2}
ACTORS = range(1, 25)
ACTORS_OF_A_FOLD = 4


def read(source: Source) -> Iterator[Row]:
    performances: dict[str, Row] = {}
    for path in source.files("**/*"):
        name = source.name_of(path)
        if path.suffix.lower() not in (".mp4", ".wav") or path.name.startswith("._"):
            continue
        if not NAME.fullmatch(path.stem):
            source.report(name, BadRow("no name of RAVDESS", f"{path.name}; accepted: seven numbers of two digits, as 03-01-06-01-02-01-12.wav"))
            continue
        modality, performance = path.stem.split("-", 1)
        row = performances.setdefault(performance, Row({"performance": performance}, name, "performance"))
        if modality in row:
            yield Row({"copy": name}, name, "file")
        row.setdefault(modality, name)
    yield from performances.values()


def to_record(row: Row, source: Source) -> Record:
    if "copy" in row:
        raise LeftOut("a copy of a file")
    channel, emotion, intensity, sentence, repetition, actor = row["performance"].split("-")
    part, space = _meaning(CHANNELS, channel, "channel")
    label = label_from_index(int(emotion), "ravdess_8")
    if label not in LABEL_SPACES[space] or (label == "neutral" and intensity != "01"):
        raise BadRow("no such emotion in this form", f"{label} with channel {channel} and intensity {intensity}")
    if int(actor) not in ACTORS:
        raise BadRow("unknown actor", f"actor {actor}; accepted: 01 to 24")
    fold = (int(actor) - 1) // ACTORS_OF_A_FOLD + 1
    main_file, media = _media(row, source)
    return source.record(
        id=main_file, dataset=f"{CARD.name}/{part}", split=split_of(fold, source), fold=fold, group=f"actor_{actor}",
        media=media, text=_meaning(SENTENCES, sentence, "sentence"), target={"label": label, "label_space": space},
        attributes={"intensity": _meaning(INTENSITIES, intensity, "intensity"), "repetition": _meaning(REPETITIONS, repetition, "repetition"),
                    "gender": "male" if int(actor) % 2 else "female"},
    )  # fmt: skip


def add_options(parser: ArgumentParser) -> None:
    add_fold(parser, 6)
    parser.add_argument("--clips", choices=("auto", "av", "pair", "video", "audio"), default="auto", help="which files of a performance")


def _media(row: Row, source: Source) -> tuple[str, dict[str, Any]]:
    """The name of the main file without its ending, and the media."""
    clips = source.options.clips
    if clips == "auto":
        clips = "av" if "01" in row else "pair" if {"02", "03"} <= row.keys() else "audio" if "03" in row else "video"
    wanted = {"av": ("01",), "pair": ("02", "03"), "video": ("02",), "audio": ("03",)}[clips]
    if absent := [modality for modality in wanted if modality not in row]:
        raise BadRow("a file of the performance is missing", f"no {absent[0]}-{row['performance']}")
    files = [row[modality] for modality in wanted]
    name = f"{wanted[0]}-{row['performance']}"
    if clips == "av":
        return name, source.video(files[0])
    media = {"video": source.clip(files[0])} if clips != "audio" else {}
    return name, media | ({"audio": source.medium("audio", files[-1])} if clips != "video" else {})


def _meaning(codes: dict[str, Any], code: str, name: str) -> Any:
    if code not in codes:
        raise BadRow(f"unknown {name}", f"{name} {code}; accepted: {', '.join(codes)}")
    return codes[code]


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
