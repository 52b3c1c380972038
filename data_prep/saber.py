"""SABER as records: what is seen and heard in a clip, in five parts, and the analysis that follows from them.

    SABER/
      meld/dia0_utt0.json                 one object a clip, in any folders
      mer25/samplenew3_00000004.json
    clips/
      meld/dia0_utt0.mp4                  the clips, by the agreements of ten data sets, in the same folders

    python data_prep/saber.py SABER data/saber --media clips

The six texts become the sections of `think: sections` in the order of SABER-LLM: scene, face, body, acoustics, speech, analysis. The
analysis is the reasoning too, and the others are cues by modality. There is no emotion label: `emoreason annotate` can ask for one. Keys
stand in any order; a text that is empty gives no section. The transcript is a section to be written, so it is not given as `text`. Annotation is by
a model, in Chinese or English. A clip's id is its file with the folders, since names repeat (dia0_utt0 is in every split of MELD); clips
are looked for at that path alone, below the media folder or its video/ or videos/. The clips are of CREMA-D, MEAD, MELD, MEIJU25, MER2025,
MSP-IMPROV, MultiDialog, RAVDESS, CH-SIMS v2 and MEmoR, tests included: see `emoreason leaks`.
"""

import os
from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.small_files import read_object
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="saber", title="SABER", access="annotation gated on Hugging Face; clips by the agreements of ten data sets",
    licence="terms of the annotation not read; clips: agreements of the ten sets",
    citation="Integrating Fine-Grained Audio-Visual Evidence for Robust Multimodal Emotion Reasoning, 2026 (arXiv 2601.18321)",
    url="https://huggingface.co/datasets/zhaoxiaoxian/SABER-Dataset", size="about 600,000 clips",
    labels="sections, cues, reasoning; no emotion", modalities="video, audio", splits="none (SABER-Test is not published)",
    verified="keys of two files, names of clips", inferred="folders of annotation and clips",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
CUES = {"video": ("scene", "face", "body"), "audio": ("acoustics",), "text": ("speech",)}


def read(source: Source) -> Iterator[Row]:
    for folder, folders, names in os.walk(source.root):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".json"):
                path = os.path.relpath(os.path.join(folder, name), source.root).replace(os.sep, "/")
                yield Row({"path": path}, path, "object")


def to_record(row: Row, source: Source) -> Record:
    said = Row(read_object(source, row["path"], "*.json"), row.file, row.place)
    sound = said["audio_desc"]
    if not isinstance(sound, dict):
        raise BadRow("audio_desc is no object", f"audio_desc is {str(sound)[:60]!r}; accepted: speech_content and acoustic_feat")
    texts = {
        "scene": said["video_desc"], "face": said["facial_exp_desc"], "body": said["body_lang_desc"], "acoustics": sound.get("acoustic_feat"),
        "speech": sound.get("speech_content"), "analysis": cells.required_text(said["sentiment_analysis"], "sentiment_analysis"),
    }  # fmt: skip
    if odd := [name for name, cell in texts.items() if not isinstance(cell, str | None)]:
        raise BadRow("a text is none", f"{', '.join(odd)}: {str(texts[odd[0]])[:60]!r}; accepted: text")
    sections = {name: text for name, cell in texts.items() if (text := cells.text(cell))}
    cues = {kind: [sections[name] for name in names if name in sections] for kind, names in CUES.items()}
    clip = row["path"].removesuffix(".json")
    return source.record(
        id=clip, split="all", group=clip, media=source.video(clip, f"video/{clip}", f"videos/{clip}"),
        target={"reasoning": sections["analysis"], "sections": sections, "cues": {kind: found for kind, found in cues.items() if found}},
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
