"""The frameworks' own loaders read what is exported, as it is meant.

ms-swift, LLaMA-Factory and verl need much that is of no use here; they are looked for in EMOREASON_FRAMEWORKS, or `frameworks` in the
environment of Python, installed by `pip install --no-deps --target`. TRL is there anyway.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from emoreason.exports.samples import Style
from emoreason.exports.writing import Export, export
from emoreason.files import write_jsonl
from emoreason.recipe import PromptSettings

pytestmark = pytest.mark.slow
FRAMEWORKS = Path(os.environ.get("EMOREASON_FRAMEWORKS", Path(sys.prefix) / "frameworks"))
ASKED = "Which emotion is shown?\nReason about the evidence in <think></think>, then name the one emotion in <answer></answer>."
WRITTEN = "<think>lips up</think><answer>joy</answer>"
SIZES = {"a.png": (60, 40), "b.png": (56, 84), "1.png": (56, 56), "2.png": (56, 56)}
PAIR = {"chosen": "joy", "rejected": ["anger", "fear"], "rejected_media": {"images": ["b.png"]}}
HEARD = {"video": "c.mp4", "audio_in_video": True}
OTHERS = [("h", HEARD, {"chosen": "joy", "rejected": "fear"}), ("a", {"images": ["b.png"], "audio": "s.wav"}, {"chosen": "joy", "rejected": "fear"})]
RECORDS = [("t", {}, None), ("i", {"images": ["a.png", "b.png"]}, None), ("f", {"frames": ["1.png", "2.png"], "frames_fps": 4.0}, None),
           ("p", {"images": ["a.png"]}, PAIR)]  # fmt: skip
CASES = [
    ("ms_swift", "swift", "sft", ".jsonl"), ("ms_swift", "swift", "sft", ".parquet"), ("ms_swift", "swift", "grpo", ".parquet"),
    ("ms_swift", "swift", "dpo", ".parquet"), ("llama_factory", "llamafactory", "sft", ".jsonl"),
    ("llama_factory", "llamafactory", "dpo", ".parquet"), ("verl", "verl", "grpo", ".parquet"), ("verl", "verl", "sft", ".parquet"),
    ("ms_swift", "swift", "dpo", ".jsonl"), ("llama_factory", "llamafactory", "sft", ".parquet"),
    ("trl", "trl", "sft", ".parquet"), ("trl", "trl", "grpo", ".parquet"), ("trl", "trl", "dpo", ".parquet"),
]  # fmt: skip
HEARD_CASES = {("ms_swift", "dpo", ".jsonl"), ("llama_factory", "sft", ".parquet")}
"""Of the other records, which have sounds."""
MARKED = {"t": f'Text: "We won."\n{ASKED}', "i": f"<image><image>{ASKED}", "f": f"<video>{ASKED}", "p": f"<image>{ASKED}"}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], list]:
    """{(framework, kind, suffix): what its loader hands on}."""
    folder = tmp_path_factory.mktemp("exported")
    for name, size in SIZES.items():
        Image.new("RGB", size, "red").save(folder / name)
    for name in ("c.mp4", "s.wav"):
        (folder / name).write_bytes(b"opened by none of these loaders")
    rest = {"dataset": "d", "split": "train", "group": "g", "licence": "l", "source": "s", "target": {"label": "joy", "reasoning": "lips up"}}
    for file, given in (("records.jsonl", RECORDS), ("others.jsonl", OTHERS)):
        write_jsonl(folder / file, [
            {"id": name, "media": media, "preference": pair, "text": "We won." if name == "t" else None, **rest} for name, media, pair in given
        ])  # fmt: skip
    jobs = [(framework, kind, suffix) for framework, package, kind, suffix in CASES if package == "trl" or (FRAMEWORKS / package).is_dir()]
    files = [folder / f"{framework}_{kind}_{suffix[1:]}{suffix}" for framework, kind, suffix in jobs]
    for job, out in zip(jobs, files, strict=True):
        records_path = folder / ("others.jsonl" if job in HEARD_CASES else "records.jsonl")
        export(Export(records_path, out, *job[:2], Style(prompt=PromptSettings(system="Be fair."))))
    named = [(framework, kind, str(out)) for (framework, kind, _), out in zip(jobs, files, strict=True)]
    command = [sys.executable, str(Path(__file__).parent / "framework_loaders.py"), str(FRAMEWORKS), json.dumps(named)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(jobs, json.loads(done.stdout.splitlines()[-1]), strict=True))


def found(read: dict, framework: str, kind: str, suffix: str = ".parquet") -> list:
    if (framework, kind, suffix) not in read:
        pytest.skip(f"{framework} is not in {FRAMEWORKS}")
    return read[framework, kind, suffix]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_ms_swift_reads_targets(read: dict, suffix: str) -> None:
    rows = [row for (row,) in found(read, "ms_swift", "sft", suffix)]
    assert {row["system"] for row in rows} == {"Be fair."}
    assert [row["messages"] for row in rows] == [
        [{"role": "user", "content": text}, {"role": "assistant", "content": WRITTEN}] for text in MARKED.values()
    ]
    assert [row["images"] for row in rows] == [[], ["a.png", "b.png"], [], ["a.png"]]
    assert [row["videos"] for row in rows] == [[], [], [["1.png", "2.png"]], []]


def test_ms_swift_reads_prompts_and_solutions(read: dict) -> None:
    rows = [row for (row,) in found(read, "ms_swift", "grpo")]
    assert [row["messages"] for row in rows] == [[{"role": "user", "content": text}] for text in MARKED.values()]
    assert [row["solution"] for row in rows] == ["joy"] * 4


def test_ms_swift_reads_pairs_of_answers_and_of_media(read: dict) -> None:
    rows = [[(side["messages"][-1]["content"], side["images"]) for side in row] for row in found(read, "ms_swift", "dpo")]
    assert rows == [
        [("joy", ["a.png"]), ("anger", ["a.png"])], [("joy", ["a.png"]), ("fear", ["a.png"])], [("joy", ["a.png"]), ("joy", ["b.png"])],
    ]  # fmt: skip


def test_ms_swift_reads_a_rejected_answer_beside_clips_and_sounds(read: dict) -> None:
    rows = found(read, "ms_swift", "dpo", ".jsonl")
    assert [[side["messages"][-1]["content"] for side in row] for row in rows] == [["joy", "fear"]] * 2
    assert [side["messages"][0]["content"] for row in rows for side in row] == [f"<video>{ASKED}"] * 2 + [f"<image><audio>{ASKED}"] * 2
    assert [(side["videos"], side["images"], side["audios"]) for row in rows for side in row] == [(["c.mp4"], [], [])] * 2 + [
        ([], ["b.png"], ["s.wav"])
    ] * 2


def test_llama_factory_reads_the_sound_of_a_clip(read: dict) -> None:
    rows = found(read, "llama_factory", "sft")
    assert [row["_prompt"][0]["content"] for row in rows] == [f"<video><audio>{ASKED}", f"<image><audio>{ASKED}"]
    media = [[[Path(path).name for path in row[name] or []] for name in ("_images", "_videos", "_audios")] for row in rows]
    assert media == [[[], ["c.mp4"], ["c.mp4"]], [["b.png"], [], ["s.wav"]]]


def test_llama_factory_reads_targets(read: dict) -> None:
    rows = found(read, "llama_factory", "sft", ".jsonl")
    assert {row["_system"] for row in rows} == {"Be fair."}
    assert [(row["_prompt"], row["_response"]) for row in rows] == [
        ([{"role": "user", "content": text}], [{"role": "assistant", "content": WRITTEN}]) for text in MARKED.values()
    ]
    assert [[Path(path).name for path in row["_images"] or []] for row in rows] == [[], ["a.png", "b.png"], [], ["a.png"]]
    assert all(Path(path).is_file() for row in rows for path in row["_images"] or []), "found from the folder of dataset_info.json"
    assert [Path(path).name for path in rows[2]["_videos"][0]] == ["1.png", "2.png"]


def test_llama_factory_reads_pairs(read: dict) -> None:
    rows = found(read, "llama_factory", "dpo")
    assert [[answer["content"] for answer in row["_response"]] for row in rows] == [["joy", "anger"], ["joy", "fear"]]
    assert {row["_prompt"][-1]["content"] for row in rows} == {MARKED["p"]}


@pytest.mark.parametrize("kind", ["grpo", "sft"])
def test_verl_reads_turns_and_opens_media(read: dict, kind: str) -> None:
    rows = found(read, "verl", kind)
    turns = [row["turns"][1][1] for row in rows]
    text = MARKED["t"]
    assert turns == [turns[0], ["image", "image", ASKED], ["video", ASKED], ["image", ASKED]]
    assert turns[0] in (text, [text])
    assert [len(row["images"]) for row in rows] == [0, 2, 0, 1]
    assert rows[1]["images"][0][0] > rows[1]["images"][0][1] and rows[1]["images"][1][0] < rows[1]["images"][1][1], "wide, then tall"
    assert rows[2]["videos"][0][0] == 2
    if kind == "grpo":
        assert [row["reward_model"] for row in rows] == [{"style": "rule", "ground_truth": "joy"}] * 4
        assert [row["extra_info"]["id"] for row in rows] == ["t", "i", "f", "p"]


@pytest.mark.parametrize(("kind", "answers"), [
    ("sft", [[WRITTEN]] * 3), ("grpo", [[]] * 3), ("dpo", [["joy", "anger"], ["joy", "fear"]]),
])  # fmt: skip
def test_trl_reads_conversations_and_opens_pictures(read: dict, kind: str, answers: list) -> None:
    rows = found(read, "trl", kind)
    assert [row["answers"] for row in rows] == answers
    one, several = [list(SIZES["a.png"]), ASKED], [list(SIZES["a.png"]), list(SIZES["b.png"]), ASKED]
    assert [row["turns"][1][1] for row in rows] == ([one, one] if kind == "dpo" else [[MARKED["t"]], several, one])
