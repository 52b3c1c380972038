"""IEMOCAP as records: utterances of ten actors in five sessions with emotion, votes, and valence, arousal and dominance from 1 to 5.

    IEMOCAP_full_release/
      Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
      Session1/dialog/transcriptions/Ses01F_impro01.txt
      Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav
      Session1/dialog/avi/DivX/Ses01F_impro01.avi     ...  Session5/

    python data_prep/iemocap.py IEMOCAP_full_release data/iemocap
    python data_prep/iemocap.py IEMOCAP_full_release data/iemocap_4 --labels 4 --fold 5

Records are heard, not seen, by default: a video is a whole dialogue and shows both speakers side by side. --video dialogue takes it all
the same, with start and end in attributes; --video cut takes clips that you cut, `subvideo-tgt/<utterance>`, as MERTools cuts them.

--labels 10 has every class as annotated; 6 are happy, sad, neutral, anger, excited, frustrated; 4 are happy, sad, neutral, anger, and
excited counts as happy: 5,531 utterances. Others are left out, and so is xxx, no majority. The distribution has a vote for each evaluator,
shared where one gave several words; what actors say of themselves is not in it. Means beyond 1 to 5 are left out and told in attributes.
A line of a transcription or an evaluation that cannot be read is bad. Folds are sessions, and the fifth is tested.
"""

import re
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
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
    name="iemocap", title="IEMOCAP", access="form to USC SAIL", licence="IEMOCAP release form: research use, no redistribution",
    citation="Busso et al. 2008, IEMOCAP: Interactive emotional dyadic motion capture database, Language Resources and Evaluation 42(4)",
    url="https://sail.usc.edu/iemocap", size="10,039 utterances", labels="iemocap_10, iemocap_6 or iemocap_4; votes; VAD 1 to 5",
    modalities="audio, text; video of dialogues", splits="five sessions, the fifth tested (4 classes: 1,241)",
    verified="folders, lines of evaluations and transcriptions, votes, codes", inferred="that means beyond the scale occur",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
ALL = "iemocap_10"
EVALUATIONS = "Session[1-5]/dialog/EmoEvaluation/Ses*.txt"
NAME = r"(?P<name>Ses0(?P<session>[1-5])[FM]_\w+_(?P<speaker>[FM])\d{3})"
EVALUATION = re.compile(rf"\[(?P<start>[\d.]+) - (?P<end>[\d.]+)\]\s+{NAME}\s+(?P<code>\w+)\s+\[(?P<vad>[^\]]*)\]\s*")
VOTE = re.compile(r"C-E\d+:\s*([^(]*)")
TRANSCRIPTION = re.compile(r"(?P<name>\S+) \[[\d.]+-[\d.]+\]:(?P<text>.*)")
SCALE = (1.0, 5.0)
CLIPS = {"dialogue": "Session{session}/dialog/avi/DivX/{dialogue}.avi", "cut": "subvideo-tgt/{name}"}


def read(source: Source) -> Iterator[Row]:
    source.file(EVALUATIONS)
    for path in source.files(EVALUATIONS):
        said = _transcription(path.parents[1] / "transcriptions" / path.name, source)
        for row in _utterances(path, source):
            yield row.with_fields(dialogue=path.stem, text=said.get(row["name"]))


def to_record(row: Row, source: Source) -> Record:
    session, video, target = int(row["session"]), source.options.video, _target(row, source)
    media = {} if video == "none" else {"video": source.clip(CLIPS[video].format(**row))}
    attributes = {name: cells.number(row[name], name, low=0) for name in ("start", "end")}
    attributes |= {} if target["vad"] else {"vad_off_scale": row["vad"]}
    return source.record(
        id=row["name"], split=split_of(session, source), fold=session, group=f"session_{session}", text=row["text"], target=target,
        media={**media, "audio": source.medium("audio", f"Session{session}/sentences/wav/{row['dialogue']}/{row['name']}.wav")},
        attributes={"speaker": f"Ses0{session}{row['speaker']}", "dialogue": row["dialogue"], **attributes},
    )  # fmt: skip


def add_options(parser: ArgumentParser) -> None:
    add_fold(parser, 5, default=5)
    parser.add_argument("--labels", choices=("4", "6", "10"), default="10", help="classes; 4 counts excited as happy (default: 10, as annotated)")
    parser.add_argument("--video", choices=("none", *CLIPS), default="none", help="what is seen (default: none)")


def _target(row: Row, source: Source) -> dict[str, Any]:
    if row["code"] == "xxx":
        raise LeftOut("no majority")
    space, label = f"iemocap_{source.options.labels}", label_from_code(row["code"], ALL)
    label = "happy" if label == "excited" and space == "iemocap_4" else label
    if label not in LABEL_SPACES[space]:
        raise LeftOut(f"of no class of the {source.options.labels}")
    votes: Counter[str] = Counter()
    for words in row["votes"]:
        for word in words:
            votes[cells.label(word.removesuffix(" state"), ALL)] += 1 / len(words)
    means = [cells.number(mean, "mean of an attribute") for mean in row["vad"].split(",")]
    on_scale = len(means) == 3 and all(SCALE[0] <= mean <= SCALE[1] for mean in means)
    return {
        "label": label, "label_space": space, "distribution": dict(votes) or None, "distribution_space": ALL if votes and space != ALL else None,
        "vad": dict(zip(("valence", "arousal", "dominance"), means, strict=True)) | {"scale": SCALE} if on_scale else None,
    }  # fmt: skip


def _utterances(path: Path, source: Source) -> Iterator[Row]:
    """A row for each block of an evaluation, with the votes on it."""
    rows: list[Row | None] = []
    for line in source.lines(path, fallback="latin-1"):
        if match := EVALUATION.fullmatch(line["line"]):
            rows.append(line.with_fields(**match.groupdict(), votes=[]))
        elif line["line"].startswith("["):
            source.report(line.where, BadRow("an evaluation cannot be read", f"{line['line'][:80]!r}"))
            rows.append(None)
        elif rows and rows[-1] and (vote := VOTE.match(line["line"])):
            rows[-1]["votes"].append([word for word in map(str.strip, vote[1].split(";")) if word])
    return filter(None, rows)


def _transcription(path: Path, source: Source) -> dict[str, str | None]:
    """{utterance: what is said}"""
    found, there = {}, source.optional(source.name_of(path))
    for line in source.lines(there, fallback="latin-1") if there else ():
        if match := TRANSCRIPTION.fullmatch(line["line"].strip()):
            found[match["name"]] = cells.text(match["text"])
        else:
            source.report(line.where, BadRow("a transcription cannot be read", f"{line['line'][:80]!r}; accepted: NAME [start-end]: text"))
    return found


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
