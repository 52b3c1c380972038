"""ArtEmis as records: what paintings of WikiArt make people feel, and why in their words.

    artemis/artemis_dataset_release_v0.csv       (or artemis_preprocessed.csv, which the authors' code makes of it)
    wikiart/Impressionism/anna-example_the-quay-1890.jpg

    python data_prep/artemis.py artemis data/artemis --media wikiart
    python data_prep/artemis.py artemis data/artemis_utterances --media wikiart --per utterance

The csv has a row for each person, so paintings repeat. By default a record is a painting: the votes are its distribution, and its label
is the emotion with the most votes, or none where two have as many. With --per utterance a record is a row, with what was said as
reasoning. Paintings are the groups by name alone, since some stand in two styles: a split by rows would leak. Names with accents may be
written in another Unicode form on the disk than in the csv; both are found. `something else` is a label of its own. `repetition` is
kept as it is. Splits are those of a column `split`, else all. The csv of version 2 (contrastive) has other columns and is not read.
"""

import argparse
from collections import Counter
from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="artemis", title="ArtEmis", access="form for annotations; WikiArt's pictures apart", licence="ArtEmis terms of use, non-commercial research",
    citation="Achlioptas et al. 2021, ArtEmis: Affective Language for Visual Art, CVPR (arXiv 2101.07396)",
    url="https://www.artemisdataset.org", size="about 439,000 utterances on 80,000 paintings",
    labels="artemis_9, votes as distribution, utterances as reasoning", modalities="image, text",
    splits="none in the release; by painting where the authors' code added a column", verified="header of the csv, paths of pictures",
    inferred="what repetition counts, the column split, the licence", recipes="qwen2_5_vl_7b",
)  # fmt: skip
COLUMNS = ("art_style", "painting", "emotion", "utterance", "repetition")


def read(source: Source) -> Iterator[Row]:
    rows = source.csv(source.file("artemis_dataset_release_v0.csv", "artemis_preprocessed.csv", "*/artemis_dataset_release_v0.csv"), COLUMNS)
    if source.options.per == "utterance":
        yield from rows
        return
    paintings: dict[tuple[str, str], tuple[Row, Counter[str]]] = {}
    for row in rows:
        try:
            key, emotion = (name_of(row, "art_style"), name_of(row, "painting")), cells.label(row["emotion"], "artemis_9")
        except BadRow as fault:
            source.report(row.where, fault)
            continue
        paintings.setdefault(key, (row, Counter()))[1][emotion] += 1
    for row, votes in paintings.values():
        yield row.with_fields(votes=votes)


def to_record(row: Row, source: Source) -> Record:
    style, painting = name_of(row, "art_style"), name_of(row, "painting")
    fields = {
        "split": cells.text(row.get("split")) or "all", "group": painting,
        "media": {"images": [source.medium("image", f"{style}/{painting}.jpg", f"wikiart/{style}/{painting}.jpg")]},
        "attributes": {"style": style, "repetition": cells.whole_number(row["repetition"], "repetition", low=1)},
    }  # fmt: skip
    if "votes" not in row:
        target = {"label": cells.label(row["emotion"], "artemis_9"), "label_space": "artemis_9",
                  "reasoning": cells.required_text(row["utterance"], "utterance")}  # fmt: skip
        return source.record(id=f"{style}/{painting}/{row.place}", target=target, **fields)
    first, *others = row["votes"].most_common()
    tied = bool(others) and others[0][1] == first[1]
    target = {"label": None if tied else first[0], "label_space": "artemis_9", "distribution": dict(row["votes"])}
    return source.record(id=f"{style}/{painting}", target=target, **fields)


def name_of(row: Row, column: str) -> str:
    """A name that is one part of a path, in NFC."""
    found = cells.relative_path(row[column], column)
    if "/" in found:
        raise BadRow(f"{column} is no name", f"{column} is {found[:60]!r}; accepted: a name without slashes")
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--per", choices=("painting", "utterance"), default="painting", help="what a record is (default: painting)")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
