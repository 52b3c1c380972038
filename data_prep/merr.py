"""MERR (Emotion-LLaMA) as records: emotions that action units stand for, and captions by a language model, on clips of MER2023.

    MERR/
      MERR_coarse_grained.txt  MERR_coarse_grained.json     28,618 clips
      MERR_fine_grained.txt    MERR_fine_grained.json        4,487 clips
      transcription_en_all.csv                              name, sentence
    mer2023-dataset-process/video/<name>.avi                the clips, by MER2023's agreement

    python data_prep/merr.py MERR data/merr --media mer2023-dataset-process
    python data_prep/merr.py MERR data/merr_fine --grain fine --media mer2023-dataset-process

A line of the .txt is clip, frames, emotion; the .json has the same clips as members: `caption` (coarse) or `smp_reason_caption` (fine) becomes
the reasoning, `visual_prior_list` and `audio_prior_list` the cues, AU_list the action units. A clip may be in both grains, so ids put the
grain in front and the clip is the group. Emotions, action units and cues are by machine: the emotion follows from action units by rules,
so that units and emotion agree by construction, while the voice may not. Disgust (two clips) was dropped by the authors and is left out.
Clips are MER2023's, as are those of EMER and of MER-Caption: see `emoreason leaks`.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from emoreason.action_units import asserted_action_units, unknown_action_units
from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.mer import read_subtitles
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="merr", title="MERR (Emotion-LLaMA)", access="texts open; clips by MER2023's agreement",
    licence="texts: non-commercial research; clips: MER2023 EULA",
    citation="Cheng et al. 2024, Emotion-LLaMA: Multimodal Emotion Recognition and Reasoning with Instruction Tuning, NeurIPS (arXiv 2406.11161)",
    url="https://github.com/ZebangCheng/Emotion-LLaMA", size="28,618 clips (coarse), 4,487 (fine)",
    labels="merr_9; reasoning, cues, action units", modalities="video, audio, text", splits="none",
    verified="files, members of the fine .json, first and third word of a line, labels",
    inferred="the second word of a line (frames); members of the coarse .json but `caption`",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
CAPTIONS = {"coarse": "caption", "fine": "smp_reason_caption"}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--grain", action="append", choices=tuple(CAPTIONS), help="only this one (default: both that are there)")


def read(source: Source) -> Iterator[Row]:
    sentences = read_subtitles(source, "transcription_en_all.csv")
    for grain in source.options.grain or CAPTIONS:
        table, members = source.optional(f"MERR_{grain}_grained.txt"), source.optional(f"MERR_{grain}_grained.json")
        listed = _listed(source, table) if table else {}
        for row in source.members(members, "name") if members else ():
            line = listed.pop(row["name"], None)
            yield row.with_fields(grain=grain, listed=line and line["emotion"], sentence=sentences.get(row["name"]))
        for name, row in listed.items():
            yield row.with_fields(grain=grain, listed=row["emotion"], sentence=sentences.get(name))


def _listed(source: Source, path: Path) -> dict[str, Row]:
    """{clip: its line}"""
    found: dict[str, Row] = {}
    for row in source.lines(path):
        parts = row["line"].split()
        if len(parts) != 3:
            source.report(row.where, BadRow("no clip, frames and emotion", f"{row['line'][:60]!r}; accepted: three words"))
        elif found.setdefault(parts[0], row.with_fields(name=parts[0], emotion=parts[2])) is not row:
            source.report(row.where, BadRow("a clip has two lines", f"{parts[0]} stood above already"))
    return found


def to_record(row: Row, source: Source) -> Record:
    name = cells.required_text(row["name"], "name")
    emotion = cells.required_text(row["listed"] or row.get("pseu_emotion"), "emotion")
    if emotion == "disgust":
        raise LeftOut("disgust, which the authors dropped")
    if row["listed"] and row.get("pseu_emotion", emotion) != emotion:
        raise BadRow("two emotions", f"{emotion} in the .txt and {row['pseu_emotion']} in the .json")
    cues = {"video": cells.items(row.get("visual_prior_list")), "audio": _sentences(row.get("audio_prior_list"))}
    units = ", ".join(cells.items(row.get("AU_list")))
    if unknown := unknown_action_units(units):
        raise BadRow("an action unit that FACS does not have", f"{', '.join(unknown)} in AU_list")
    return source.record(
        id=f"{row['grain']}_{name}", dataset=f"{CARD.name}/{row['grain']}", split="all", group=name,
        media=source.video(f"video/{name}", name), text=cells.text(row.get("text")) or row["sentence"],
        target={"label": cells.label(emotion, "merr_9"), "label_space": "merr_9",
                "action_units": asserted_action_units(units) if "AU_list" in row else None,
                "reasoning": cells.text(row.get(CAPTIONS[row["grain"]])), "cues": {kind: found for kind, found in cues.items() if found}},
    )  # fmt: skip


def _sentences(cell: str | list | None) -> list[str]:
    """A list, or the one sentence that stands in its place, commas and all."""
    return cells.items(cell) if isinstance(cell, list) else [found] if (found := cells.text(cell)) else []


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
