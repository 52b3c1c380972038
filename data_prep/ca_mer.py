"""CA-MER (MoSEAR) as records: clips in which face and voice disagree, with the reasoning for the modality that tells the truth.

    CA-MER/
      audio_aligned.json  video_aligned.json  consistent.json         a list, JSON Lines, or one object with a member a clip
    mer2023-dataset-process/video/<name>.avi                          the clips, by MER2023's agreement

    python data_prep/ca_mer.py CA-MER data/ca_mer --media mer2023-dataset-process
    python data_prep/ca_mer.py CA-MER data/ca_mer --media mer2023-dataset-process --clip-key video_name --reasoning-key caption

`aligned_modality` is audio or video by the file, and absent in the consistent ones. Of the files only audio_aligned.json, and that it holds
reasoning, could be verified: neither the names of the other two nor any key. So an item needs exactly one of the keys that such files use,
for its clip (name, video_name, video, video_id, id) and for its reasoning (reasoning, reason, smp_reason_caption, caption, description); an
item with none or with several is bad and tells its keys: name the right ones with --clip-key and --reasoning-key. Nothing else of an
item is read, emotion words neither: the authors draw them out of the reasoning with a language model. The clips are test data, and those of
MER2023, MERR and EMER by the same names: see `emoreason leaks`.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.media_folder import VIDEO_ENDINGS
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="ca_mer", title="CA-MER (MoSEAR)", access="annotation with the code; clips by MER2023's agreement",
    licence="terms of the annotation not found; clips: MER2023 EULA",
    citation="Han et al. 2025, MoSEAR: Benchmarking and Bridging Emotion Conflicts for Multimodal Emotion Reasoning, ACM MM (arXiv 2508.01181)",
    url="https://github.com/ZhiyuanHan-Aaron/MoSEAR", size="not verified", labels="reasoning; aligned_modality",
    modalities="video, audio", splits="test only", verified="audio_aligned.json holds reasoning; three subsets",
    inferred="names of the other files, all keys, sizes, names of clips", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SUBSETS = {"audio_aligned": "audio", "video_aligned": "video", "consistent": None}
"""{file and subset: the modality that its reasoning describes}"""
CLIP_KEYS = ("name", "video_name", "video", "video_id", "id")
REASONING_KEYS = ("reasoning", "reason", "smp_reason_caption", "caption", "description")


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--clip-key", metavar="KEY", help=f"of the clip's name (default: the one of {', '.join(CLIP_KEYS)} that is there)")
    parser.add_argument("--reasoning-key", metavar="KEY", help=f"of the reasoning (default: the one of {', '.join(REASONING_KEYS)} that is there)")


def read(source: Source) -> Iterator[Row]:
    paths = {subset: path for subset in SUBSETS if (path := source.optional(f"{subset}.json", f"*/{subset}.json"))}
    if not paths:
        raise UserError(f"{source.root}: none of {', '.join(f'{subset}.json' for subset in SUBSETS)}; give the folder that holds them")
    for subset, path in paths.items():
        for row in _items(source, path):
            yield row.with_fields(subset=subset)


def _items(source: Source, path: Path) -> Iterator[Row]:
    """Items of a list or of lines; of an object of objects its members, the id under `name` where an item does not name its clip itself."""
    for row in source.objects(path):
        if row and all(isinstance(value, dict) for value in row.values()):
            for name, item in row.items():
                yield Row(item if set(CLIP_KEYS) & set(item) else {"name": name, **item}, row.file, f"member {name!r}")
        else:
            yield row


def to_record(row: Row, source: Source) -> Record:
    name = PurePosixPath(cells.relative_path(_only(row, source.options.clip_key, CLIP_KEYS, "clip"), "clip"))
    if name.suffix.lstrip(".").lower() in VIDEO_ENDINGS:
        name = name.with_suffix("")
    return source.record(
        id=f"{row['subset']}_{name}", dataset=f"{CARD.name}/{row['subset']}", split="test", group=name.name,
        media=source.video(f"video/{name.name}", f"{row['subset']}/{name.name}", str(name)), aligned_modality=SUBSETS[row["subset"]],
        target={"reasoning": cells.required_text(_only(row, source.options.reasoning_key, REASONING_KEYS, "reasoning"), "reasoning")},
    )  # fmt: skip


def _only(row: Row, named: str | None, accepted: tuple[str, ...], what: str) -> str | int | None:
    """The cell of the key that the user named, or of the only accepted one that the item has."""
    keys = [named] if named else [key for key in accepted if key in row]
    if len(keys) != 1:
        found = "none" if not keys else "several"
        raise BadRow(
            f"{found} of the keys of the {what}",
            f"keys {', '.join([key for key in row if key != 'subset'][:12])}; accepted: one of {', '.join(accepted)}, or --{what}-key",
        )
    if not isinstance(row[keys[0]], str | int | None):
        raise BadRow(f"{what} is no text", f"{keys[0]} is {str(row[keys[0]])[:60]!r}; accepted: text")
    return row[keys[0]]


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
