"""`emoreason export`: records as the rows of other frameworks."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from emoreason.commands.terminal import AsJson, err, out
from emoreason.faults import UserError

FRAMEWORKS = ("ms_swift", "llama_factory", "verl", "trl")
KINDS = ("sft", "grpo", "dpo")
MEDIA = ("relative", "absolute", "copy", "embed")


def export(
    records: Annotated[Path, typer.Argument(help="Records, JSON Lines.", show_default=False)],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .parquet, or .jsonl for ms_swift and llama_factory.",
                                           show_default=False)],
    to: Annotated[str, typer.Option("--to", help=f"The framework: {', '.join(FRAMEWORKS)}.", show_default=False)],
    recipe: Annotated[Path | None, typer.Option(help="Prompt, template (of the last phase), label space of a recipe; else defaults.")] = None,
    kind: Annotated[str | None, typer.Option(help="sft, grpo or dpo; else the recipe's stage, or sft.")] = None,
    media: Annotated[str, typer.Option(help="Paths relative to OUT, absolute ones, copies beside OUT, or pictures inside of it: "
                                            "relative, absolute, copy, embed.")] = "relative",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Records as rows that ms-swift, LLaMA-Factory, verl or TRL train on, with the very prompts and targets that a stage here shows.

    sft writes prompts and targets, grpo prompts with what rewards ask for, dpo the `preference` of each record, such as those in the
    pairs.jsonl of a run. What a framework cannot read is left out and counted by reason, in the table and in OUT.export.json;
    a text that says <image> is such a thing where that stands for a picture. LLaMA-Factory's entry is put into dataset_info.json.
    Ends with 1 where nothing could be exported.

    Parquet states the types of its columns, which JSON loaders guess from the first lines.

    Example: emoreason export recipes/tiny/data/train.jsonl exported/train.parquet --to ms_swift --recipe recipes/tiny/stage1_sft.yaml

    Example: emoreason export runs/tiny/stage3_dpo/pairs.jsonl exported/pairs.jsonl --to llama_factory --kind dpo --media copy
    """
    for option, given, accepted in (("--to", to, FRAMEWORKS), ("--kind", kind, (None, *KINDS)), ("--media", media, MEDIA)):
        if given not in accepted:
            raise UserError(f"{option} {given}: accepted: {', '.join(one for one in accepted if one)}")
    from rich.progress import Progress

    from emoreason.exports.samples import Style
    from emoreason.exports.writing import Export
    from emoreason.exports.writing import export as export_records
    from emoreason.recipe_files import load_recipe

    loaded = load_recipe(recipe) if recipe else None
    kind = kind or (loaded.stage if loaded and loaded.stage in KINDS else "sft")
    job = Export(records, output, to, kind, Style.of(loaded) if loaded else Style(), media)
    with Progress(transient=True, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("checking", total=None)
        report = export_records(job, lambda what, done, total: bar.update(task, description=what, completed=done, total=total))
    if as_json:
        print(json.dumps(report.plain(), ensure_ascii=False))
    else:
        _print_table(report, output)
    if not report.rows:
        raise typer.Exit(1)


def _print_table(report, output: Path) -> None:
    table = Table("records", "count", "for example", title=escape(str(output)))
    table.add_row("read", str(report.records), "")
    table.add_row("exported", str(report.exported), f"{report.rows} rows")
    for title, reasons in (("left out", report.left_out), ("row left out", report.rows_left_out), ("note", report.notes)):
        for found in reasons.listed():
            ids = ", ".join(name if name.isprintable() else ascii(name) for name in found["examples"][:2])
            table.add_row(escape(f"{title}: {found['reason']}"), str(found["count"]), escape(ids))
    out.print(table)
    if report.rows:
        out.print(f"to load it: {report.how_to_load}", markup=False, highlight=False, soft_wrap=True)
    else:
        err.print(f"{output}: not written, since no record can be exported", markup=False, highlight=False, soft_wrap=True)
