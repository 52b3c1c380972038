"""EmoBench-M as records: thirteen scenarios of emotional intelligence on clips, each with a label space of its own.

    EmoBench-M/
      benchmark_json/MELD.json  RAVDSS_song.json  SIMS.json  ...     (older releases: MELD_test_instruction.json, SIMS_test_500.json)
      dataset/MELD/videos/MELD/....mp4   dataset/RAVDSS_song/videos/RAVDSS/...   dataset/SIMS_test/videos/SIMS/...   (older: dataset_500/)

    python data_prep/emobench_m.py EmoBench-M data/emobench_m

`RAVDSS` is how it is spelt; the folder of SIMS.json is SIMS_test. Ids start at 0 in every file, so records put the scenario in front.
The label space goes by the file. MC-EIU asks for emotion and intent at once: the label is the emotion, `intent` is in attributes, and
what the joint score compares, `emotion_intent`, is there as `joint`. SMILE asks why people laughed: its reference is the reasoning, and
there is no label. Questions are kept as they are, with the words that are spoken and the format that they ask for. Files that are not
there are listed, and at least one must be. The items are test items of MELD, CMU-MOSI, CH-SIMS, RAVDESS and others.
"""

from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.conversations import read_conversation
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="emobench_m", title="EmoBench-M", access="open download", licence="Apache-2.0 code; clips by their own sets' terms",
    citation="Hu et al. 2025, EmoBench-M: Benchmarking Emotional Intelligence for Multimodal Large Language Models (arXiv 2502.04424)",
    url="https://github.com/Emo-gml/EmoBench-M", size="over 5,000 items, mostly 500 a scenario",
    labels="fgmsa_5, sentiment_3, true_false_2, meld_7, mer_6, ravdess_song_6, ravdess_8, mc_eiu_7 with intent; SMILE free text",
    modalities="video, audio, text", splits="test only", verified="files, folders, keys, label words",
    inferred="how MC-EIU writes the two labels (a dictionary or emotion_intent is read), that SMILE has the same keys",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SCENARIOS = {
    "FGMSA": "fgmsa_5", "MC-EIU": "mc_eiu_7", "MELD": "meld_7", "MOSEI": "sentiment_3", "MOSI": "sentiment_3", "MUSTARD": "true_false_2",
    "RAVDSS_song": "ravdess_song_6", "RAVDSS_speech": "ravdess_8", "SIMS": "sentiment_3", "ch-simsv2s": "sentiment_3", "funny": "true_false_2",
    "mer2023": "mer_6", "smile": None,
}  # fmt: skip


def read(source: Source) -> Iterator[Row]:
    found = False
    for scenario in SCENARIOS:
        path = source.optional(*(f"{folder}{scenario}{rest}.json" for rest in ("", "_test*", "_500", "-test*") for folder in ("benchmark_json/", "")))
        if path is not None:
            found = True
            for row in source.objects(path):
                yield row.with_fields(scenario=scenario, stem=path.stem)
    if not found:
        raise UserError(f"{source.root}: none of {', '.join(f'benchmark_json/{name}.json' for name in SCENARIOS)}; give the folder that holds them")


def to_record(row: Row, source: Source) -> Record:
    scenario, space = row["scenario"], SCENARIOS[row["scenario"]]
    turns, video = read_conversation(row), cells.relative_path(row["video"], "video")
    answer = cells.required_text(turns.answer, "answer")
    folder = "SIMS_test" if scenario == "SIMS" else scenario
    media = source.video(f"dataset/{folder}/{video}", f"dataset/{row['stem']}/{video}", f"dataset_500/{row['stem']}/{video}", video)
    target: dict[str, Any] = {"reasoning": answer} if space is None else {"label_space": space}
    attributes = {"scenario": scenario}
    if scenario == "MC-EIU":
        target["label"], attributes["intent"] = emotion_and_intent(answer)
        attributes["joint"] = f"{target['label']}_{attributes['intent']}"
    elif space is not None:
        target["label"] = cells.label(answer, space)
    return source.record(
        id=f"{scenario}_{cells.required_text(row['id'], 'id')}", dataset=f"emobench_m/{scenario}", split="test", group=f"{scenario}/{video}",
        media=media, question=cells.required_text(turns.question, "question"), target=target, attributes=attributes,
    )  # fmt: skip


def emotion_and_intent(answer: str) -> tuple[str, str]:
    """Both labels of `{'emotion label': 'happy', 'intent label': 'wishing'}` or `happy_wishing`."""
    if answer.startswith("{"):
        found = cells.literal(answer, "answer")
        named = {str(name).split()[0].lower(): value for name, value in found.items() if str(name).strip()} if isinstance(found, dict) else {}
        parts = [named.get("emotion"), named.get("intent")]
    else:
        parts = answer.split("_")
    if len(parts) != 2:
        raise BadRow("answer is no emotion and intent", f"answer is {answer[:60]!r}; accepted: emotion_intent, or a dictionary of both")
    return cells.label(parts[0], "mc_eiu_7"), cells.label(parts[1], "mc_eiu_intent_8")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
