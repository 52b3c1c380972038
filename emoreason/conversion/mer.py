"""What the sets of the MER challenges share: six emotions with valence, subtitles in two languages, corpora in an .npz."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.faults import BadRow
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError

VALENCE_SCALE = (-5.0, 5.0)
NO_VALENCE = -10.0
"""What stands for the valence of clips that have none, e.g. all of MER2023's test3."""
_COLUMNS = {"english": ("english", "sentence", "chinese"), "chinese": ("chinese", "english", "sentence")}


def add_language(parser: ArgumentParser) -> None:
    """The option for which of two languages texts are taken from."""
    parser.add_argument(
        "--language", choices=tuple(_COLUMNS), default="english", help="of texts; the other one where a cell is empty (default: english)"
    )


def read_subtitles(source: Source, *candidates: str) -> dict[str, str]:
    """{clip: what is said}, from the first of these tables that is there; {} where none is, which the account tells.

    The language is that of --language; where its cell is empty (`english` is often NaN) the other one's. A clip that stands twice with
    different texts is reported, and keeps the first.

    Raises:
        UserError: the table has no column of a language.
    """
    path = source.optional(*candidates)
    found: dict[str, str] = {}
    for row in source.csv(path, ["name"], fallback="gb18030") if path else ():
        columns = [column for column in _COLUMNS[getattr(source.options, "language", "english")] if column in row]
        if not columns:
            raise UserError(f"{row.file}: no column of a language; it has {', '.join(row)}; accepted: {', '.join(_COLUMNS['english'])}")
        name, said = cells.text(row["name"]), next((text for column in columns if (text := cells.text(row[column]))), None)
        if name and said and found.setdefault(name, said) != said:
            source.report(row.where, BadRow("a clip has two subtitles", f"{name} stood above already, with another text"))
    return found


def read_corpora(source: Source, path: Path) -> Iterator[Row]:
    """A row for each clip of an .npz as MERTools writes it: `{split}_corpus`, each a dictionary {clip: {emo, val}}.

    Fields are `split`, `name`, `discrete` and `valence`. A test corpus that is neutral throughout was never annotated: MERTools writes
    neutral for clips without labels. Its rows have `placeholder` set.

    Raises:
        UserError: no such array, or a pickle of more than plain data.
    """
    corpora = {name.removesuffix("_corpus"): corpus for name, corpus in source.array(path).items() if name.endswith("_corpus")}
    if not corpora:
        raise UserError(f"{source.name_of(path)}: no array is named <split>_corpus; accepted: label-6way.npz as MERTools writes it")
    for split, corpus in corpora.items():
        if not source.wants(split):
            continue
        if not isinstance(corpus, dict):
            raise UserError(f"{source.name_of(path)}: {split}_corpus is a {type(corpus).__name__}; accepted: a dictionary {{clip: {{emo, val}}}}")
        placeholder = split != "train" and all(isinstance(clip, dict) and str(clip.get("emo")) == "neutral" for clip in corpus.values())
        for name, clip in corpus.items():
            row = Row({"split": split, "name": name, "placeholder": placeholder}, source.name_of(path), f"{split}_corpus {name}")
            if isinstance(clip, dict) and "emo" in clip:
                yield row.with_fields(discrete=clip["emo"], valence=clip.get("val"))
            else:
                source.report(row.where, BadRow("no emo in a corpus", f"{str(clip)[:60]} where a dictionary {{emo, val}} is expected"))


def read_words_and_reasons(source: Source, words: str, reasons: str | None) -> Iterator[Row]:
    """A row with `name`, `openset` and `reason` for each clip of two tables, of which either may be missing; the reasons are held.

    A clip of one table alone has None for the other's field.
    """
    held: dict[str, Row] = {}
    path = source.optional(reasons) if reasons else None
    for row in source.csv(path, ("name", "reason")) if path else ():
        if held.setdefault(str(row["name"]).strip(), row) is not row:
            source.report(row.where, BadRow("a clip has two reasons", f"{row['name']} stood above already"))
    path = source.optional(words)
    for row in source.csv(path, ("name", "openset")) if path else ():
        reason = held.pop(str(row["name"]).strip(), None)
        yield row.with_fields(reason=reason and reason["reason"])
    for row in held.values():
        yield row.with_fields(openset=None)


def six_way(row: Row) -> dict[str, Any]:
    """The target of a row with `discrete` and, where the set has one, `valence`."""
    valence = row.get("valence")
    target: dict[str, Any] = {"label": cells.label(row["discrete"], "mer_6"), "label_space": "mer_6"}
    if not cells.is_absent(valence) and cells.number(valence, "valence") != NO_VALENCE:
        target["vad"] = {"valence": cells.number(valence, "valence", *VALENCE_SCALE), "scale": VALENCE_SCALE}
    return target
