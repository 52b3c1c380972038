"""MER2025 as records: three tracks over one pool of clips, with MER-Caption+ and OV-MERD.

    mer2025-dataset/
      video/<name>.mp4                    132,171 clips, most without labels
      subtitle_chieng.csv                 name, chinese, english
      track1_train_disdim.csv             name, discrete, valence      part track1
      track2_train_mercaptionplus.csv     name, openset                part mer_caption_plus
      track3_train_mercaptionplus.csv     name, reason
      track2_train_ovmerd.csv             name, openset                part ov_merd
      track3_train_ovmerd.csv             name, reason
      track1_test_dis.csv  track2_test.csv  ovlabel.csv                tests, where you have them: track1, ov, ov_merd_plus

    python data_prep/mer2025.py mer2025-dataset data/mer2025
    python data_prep/mer2025.py mer2025-dataset data/ov_merd --part ov_merd --language chinese

Words and reasons of a clip become one record. A clip may be in several parts, so ids put the part in front (`ov_merd_sample_00000002`),
`dataset` is mer2025/ov_merd and the like, and the clip is the group. `openset` is a list as Python writes it, or words with commas; a row
without any word and reason is left out, where the official training code would make it neutral. English subtitles are often NaN: the
Chinese one stands in. ovlabel.csv is OV-MERD+ of MER-UniBench, whose folder is another one. Candidates (track_all_candidates.csv) have no
labels. Faces (openface_face/<name>/<name>.npy, arrays of cut-out pictures, in a folder each or in one) are no medium of records.
Labelled clips of MER2023 and MER2024 are in here under the same names, their tests included: see `emoreason leaks`.
"""

from argparse import ArgumentParser
from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import LeftOut
from emoreason.conversion.mer import add_language, read_subtitles, read_words_and_reasons, six_way
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="mer2025", title="MER2025 (MER-Caption+, OV-MERD)", access="form (EULA), gated on Hugging Face",
    licence="MER2025 EULA: academic research, no passing on, no editing",
    citation="Lian et al. 2025, MER 2025: When Affective Computing Meets Large Language Models, ACM MM (arXiv 2504.19423); "
             "AffectGPT, ICML 2025 (arXiv 2501.16566)",
    url="https://huggingface.co/datasets/MERChallenge/MER2025", size="track1 7,369; MER-Caption+ 31,327; OV-MERD 332; OV-MERD+ 532",
    labels="mer_6 and valence -5 to 5 (track1), open words and reasoning (others)", modalities="video, audio, text",
    splits="train; tests are hidden among 20,000 candidates",
    verified="files, columns, forms of openset, nested faces", inferred="the ends of the valence scale; columns of track1_test_dis.csv",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
DISCRETE = {"train": "track1_train_disdim.csv", "test": "track1_test_dis.csv"}
WORDS = {
    "mer_caption_plus": ("train", "track2_train_mercaptionplus.csv", "track3_train_mercaptionplus.csv"),
    "ov_merd": ("train", "track2_train_ovmerd.csv", "track3_train_ovmerd.csv"),
    "ov": ("test", "track2_test.csv", "track3_test.csv"),
    "ov_merd_plus": ("test", "ovlabel.csv", None),
}
"""{part: (its split, the table of words, the table of reasons)}"""


def add_options(parser: ArgumentParser) -> None:
    add_language(parser)
    parser.add_argument(
        "--part", action="append", choices=("track1", *WORDS), help="only this part; may be given again (default: all that are there)"
    )


def read(source: Source) -> Iterator[Row]:
    subtitles = read_subtitles(source, "subtitle_chieng.csv", "subtitle_eng.csv")
    found = False
    for row in _annotation(source):
        found = True
        yield row.with_fields(subtitle=subtitles.get(str(row["name"]).strip()))
    if not found:
        raise UserError(f"{source.root}: no row of these parts; looked for {', '.join(source.not_there)}")


def _annotation(source: Source) -> Iterator[Row]:
    parts = source.options.part or ("track1", *WORDS)
    for split, table in DISCRETE.items() if "track1" in parts else ():
        if source.wants(split) and (path := source.optional(table)):
            for row in source.csv(path, ("name", "discrete")):
                yield row.with_fields(part="track1", split=split)
    for part, (split, words, reasons) in WORDS.items():
        if part in parts and source.wants(split):
            for row in read_words_and_reasons(source, words, reasons):
                yield row.with_fields(part=part, split=split)


def to_record(row: Row, source: Source) -> Record:
    part, name = row["part"], cells.required_text(row["name"], "name")
    if part == "track1":
        target = six_way(row)
    else:
        target = {"labels": cells.words(row["openset"]), "reasoning": cells.text(row["reason"])}
        if not any(target.values()):
            raise LeftOut("neither a word nor a reason")
    return source.record(
        id=f"{part}_{name}", dataset=f"{CARD.name}/{part}", split=row["split"], group=name, media=source.video(f"video/{name}"),
        text=row["subtitle"], target=target,
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
