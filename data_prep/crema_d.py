"""CREMA-D as records: 91 actors say twelve sentences in six emotions; crowds voted on voice, face, and both.

    CREMA-D/
      VideoFlash/1001_DFA_ANG_XX.flv      picture and voice
      AudioWAV/1001_DFA_ANG_XX.wav        voice, 16 kHz
      processedResults/tabulatedVotes.csv votes; may be missing

    python data_prep/crema_d.py CREMA-D data/crema_d
    python data_prep/crema_d.py CREMA-D data/crema_d_voice --clips audio --label voted

Names are actor, sentence, emotion, level (LO, MD, HI, XX unspecified). The label is what the actor was asked to show; --label voted takes
what most of those say who saw and heard the clip, and leaves ties out; the other one is in attributes. Votes on both are the
distribution, those on voice or face alone the one of that modality: the first digit of a line's number says which (1 voice, 2 face, 3 both).

Four clips are broken and left out (1076_MTI_NEU_XX, 1076_MTI_SAD_XX, 1064_TIE_SAD_XX, 1064_IEO_DIS_MD). 1040_ITH_SAD_X is the voice of
1040_ITH_SAD_XX. Clips of 130 bytes are pointers of Git LFS: `git lfs pull` fetches the clips. Where you converted the .flv files, put
the .mp4 files into VideoFlash or VideoMP4. There is no official split; folds are HiCMAE's five, of 18 actors each in their order, 19 in the last.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.folds import add_fold, split_of
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import LABEL_SPACES, label_from_code
from emoreason.records import Record

CARD = Card(
    name="crema_d", title="CREMA-D", access="open download with Git LFS", licence="ODbL-1.0, contents DbCL-1.0",
    citation="Cao et al. 2014, CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset, IEEE Transactions on Affective Computing 5(4)",
    url="https://github.com/CheyneyComputerScience/CREMA-D", size="7,442 clips", labels="crema_d_6 with votes, also by modality",
    modalities="video, audio, text", splits="none; five folds of actors (HiCMAE)", verified="names, votes, broken clips, folds",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SPACE = "crema_d_6"
BROKEN = ("1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD")
SENTENCES = {
    "IEO": "It's eleven o'clock.", "TIE": "That is exactly what happened.", "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.", "TAI": "The airplane is almost full.", "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.", "ITH": "I think I have a doctor's appointment.", "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.", "TSI": "The surface is slick.", "WSI": "We'll stop in a couple of minutes.",
}  # fmt: skip
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
VOTES = dict(zip("ADFHNS", LABEL_SPACES[SPACE], strict=True))
ASKED = {"1": "audio", "2": "video", "3": "both"}
ENDINGS = (".flv", ".mp4", ".wav")
ACTORS = range(1001, 1092)
NUM_FOLDS, ACTORS_OF_A_FOLD = 5, 18


def read(source: Source) -> Iterator[Row]:
    votes: dict[str, dict[str, Row]] = {}
    path = source.optional("processedResults/tabulatedVotes.csv")
    for row in source.csv(path, ("", *VOTES, "fileName", "numResponses")) if path else ():
        votes.setdefault(_whole_name(row["fileName"].strip()), {})[ASKED.get(row[""].strip()[:1], "unknown")] = row
    paths = (file for folder in ("AudioWAV", "VideoMP4", "VideoFlash") for file in source.files(f"{folder}/*.*"))
    files = {_whole_name(file.stem): file for file in paths if file.suffix.lower() in ENDINGS and not file.name.startswith("._")}
    for name, file in sorted(files.items()):
        yield Row({"name": name, "votes": votes.get(name, {})}, source.name_of(file), "clip")


def to_record(row: Row, source: Source) -> Record:
    name, *parts = row["name"], *row["name"].split("_")
    if name in BROKEN:
        raise LeftOut("a broken clip")
    if len(parts) != 4 or not parts[0].isdecimal() or int(parts[0]) not in ACTORS or parts[1] not in SENTENCES or parts[3] not in LEVELS:
        raise BadRow("no name of CREMA-D", f"{name}; accepted: actor 1001 to 1091, sentence, emotion and level, as 1001_DFA_ANG_XX")
    actor, sentence, emotion, level = parts
    intended = label_from_code(emotion, SPACE)
    votes = {asked: _distribution(found) for asked, found in row["votes"].items()}
    both = votes.pop("both", None)
    voted = [label for label, count in both.items() if count == max(both.values())] if both else []
    if source.options.label == "voted" and len(voted) != 1:
        raise LeftOut("no majority of the votes")
    label, other = (intended, voted) if source.options.label == "intended" else (voted[0], [intended])
    fold = min((int(actor) - ACTORS[0]) // ACTORS_OF_A_FOLD + 1, NUM_FOLDS)
    attributes = {"level": LEVELS[level], "voted" if source.options.label == "intended" else "intended": "/".join(other)}
    return source.record(
        id=name, split=split_of(fold, source), fold=fold, group=f"actor_{actor}", media=_media(name, source), text=SENTENCES[sentence],
        target={"label": label, "label_space": SPACE, "distribution": both, "unimodal": {asked: {"distribution": votes[asked]} for asked in votes}},
        attributes={key: value for key, value in attributes.items() if value},
    )  # fmt: skip


def add_options(parser: ArgumentParser) -> None:
    add_fold(parser, NUM_FOLDS)
    parser.add_argument("--label", choices=("intended", "voted"), default="intended", help="what the actor was asked for, or what was seen")
    parser.add_argument("--clips", choices=("av", "audio"), default="av", help="the picture with its voice, or the voice alone (default: av)")


def _media(name: str, source: Source) -> dict[str, Any]:
    if source.options.clips == "av":
        return source.video(f"VideoFlash/{name}", f"VideoMP4/{name}")
    return {"audio": source.medium("audio", f"AudioWAV/{name}", f"AudioWAV/{name.removesuffix('X')}")}


def _distribution(row: Row) -> dict[str, float]:
    counts = {label: cells.whole_number(row[letter], letter, low=0) for letter, label in VOTES.items()}
    if sum(counts.values()) != cells.whole_number(row["numResponses"], "numResponses", low=1):
        raise BadRow("votes do not add up", f"{row.where}: {sum(counts.values())} votes, numResponses {row['numResponses']}")
    return {label: float(count) for label, count in counts.items()}


def _whole_name(name: str) -> str:
    """The name with its level of two letters; one voice, 1040_ITH_SAD_X, lacks the second."""
    return f"{name}X" if name.endswith("_X") else name


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
