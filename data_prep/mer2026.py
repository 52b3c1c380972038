"""MER2026 as records: the interlocutor's emotion, open-vocabulary words, and preferences between two descriptions of a clip.

    mer2026-dataset/
      video/<name>.mp4                    or video/video_track3_emoprefer/video/<name>.mp4, as the archives unpack
      subtitle_chieng.csv                 name, chinese, english
      track1_train.csv                    name, discrete                     part track1
      track2_train_human.csv              name, openset                      part human_ov
      track2_train_mercaptionplus.csv     name, openset                      part mer_caption_plus
      track3_emoprefer.csv                name, a1, a2, preference           part emoprefer
      track3_emopreferv2.csv              name, a1, a2, preference           part emoprefer_v2

    python data_prep/mer2026.py mer2026-dataset data/mer2026
    python data_prep/mer2026.py mer2026-dataset data/emoprefer --part emoprefer --part emoprefer_v2

Pairs are preference records, ready for `emoreason train` with DPO or a reward model: the preferred description is chosen. What names
neither a1 nor a2 is a tie, which is left out. emoprefer is the majority of three annotators; emoprefer_v2 is one annotator a row, so a pair
may stand there twice with different verdicts. The side that was preferred is in attributes. Descriptions differ in length and are by
different models, which a judge can learn instead of emotion. The files of AffectGPT's repository, preference_emoprefer.csv and so on, are read too.
Ids put the part in front, and number the pairs of a clip. About a third of human_ov is in mer_caption_plus too (548 clips by one count):
the clip is the group, so `emoreason split` keeps it on one side. Words are a list as Python writes it, with or without quotes, or separated
by commas; reasons of MER-Caption+ are in MER2025. Candidates (track1_track2_candidate.csv, track3_candidate.csv) have no labels. Faces
(openface_face/<name>/<name>.npy) are no medium of records.
"""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.mer import add_language, read_subtitles, six_way
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="mer2026", title="MER2026 (Human-OV, EmoPrefer)", access="form (EULA), gated on Hugging Face",
    licence="CC-BY-NC-4.0 with the MER2026 EULA: academic research, no passing on, no editing",
    citation="Lian et al. 2026, MER 2026 (arXiv 2604.19417); EmoPrefer, ICLR 2026 (arXiv 2507.04278)",
    url="https://huggingface.co/datasets/MERChallenge/MER2026",
    size="track1 9,395; Human-OV 1,532; MER-Caption+ 31,327; EmoPrefer 574 and 2,096 pairs",
    labels="mer_6 (track1), open words, preferences", modalities="video, audio, text", splits="train; tests are hidden among candidates",
    verified="files, sizes, columns, forms of openset; a1 and a2 of preference by code of others that reads them",
    inferred="the word for a tie (`same`); folders of the archives but those of track 3",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
PARTS = {
    "track1": ("track1_train.csv", ("name", "discrete")),
    "human_ov": ("track2_train_human.csv", ("name", "openset")),
    "mer_caption_plus": ("track2_train_mercaptionplus.csv", ("name", "openset")),
    "emoprefer": ("track3_emoprefer.csv", ("name", "a1", "a2", "preference")),
    "emoprefer_v2": ("track3_emopreferv2.csv", ("name", "a1", "a2", "preference")),
}
ANNOTATORS = {"emoprefer": "majority of three", "emoprefer_v2": "one"}


def add_options(parser: ArgumentParser) -> None:
    add_language(parser)
    parser.add_argument("--part", action="append", choices=tuple(PARTS), help="only this part; may be given again (default: all that are there)")


def read(source: Source) -> Iterator[Row]:
    parts = source.options.part or list(PARTS)
    paths = {part: path for part in parts if (path := source.optional(PARTS[part][0], PARTS[part][0].replace("track3_", "preference_")))}
    if not paths:
        raise UserError(f"{source.root}: none of {', '.join(PARTS[part][0] for part in parts)}; give the folder that holds them")
    subtitles = read_subtitles(source, "subtitle_chieng.csv")
    for part, path in paths.items():
        times: Counter[str] = Counter()
        for row in source.csv(path, PARTS[part][1]):
            name = str(row["name"]).strip()
            times[name] += 1
            yield row.with_fields(part=part, archive=PARTS[part][0].removesuffix(".csv"), time=times[name], subtitle=subtitles.get(name))


def to_record(row: Row, source: Source) -> Record:
    part, name = row["part"], cells.required_text(row["name"], "name")
    fields: dict[str, Any] = {"id": f"{part}_{name}"}
    if part == "track1":
        fields["target"] = six_way(row)
    elif part in ANNOTATORS:
        side, preference = _preference(row)
        fields = {"id": f"{part}_{name}_{row['time']}", "preference": preference, "attributes": {"annotators": ANNOTATORS[part], "preferred": side}}
    elif words := cells.words(row["openset"]):
        fields["target"] = {"labels": words}
    else:
        raise LeftOut("no word")
    return source.record(
        dataset=f"{CARD.name}/{part}", split="train", group=name, text=row["subtitle"],
        media=source.video(f"video/{name}", f"video/video_{row['archive']}/video/{name}"), **fields,
    )  # fmt: skip


def _preference(row: Row) -> tuple[str, dict[str, str]]:
    """Which of the two is preferred, and the pair."""
    answers = {side: cells.required_text(row[side], side) for side in ("a1", "a2")}
    verdict = cells.required_text(row["preference"], "preference").casefold()
    preferred = [side for side in answers if side in verdict]
    if not preferred:
        raise LeftOut("a tie")
    if len(preferred) > 1:
        raise BadRow("preference names both", f"preference is {verdict[:40]!r}; accepted: a1, a2, or neither for a tie")
    return preferred[0], {"chosen": answers.pop(preferred[0]), "rejected": answers.popitem()[1]}


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
