"""What `emoreason check` finds before torch is imported: each mistake is one clear sentence, all of them in one report."""

from pathlib import Path

import pytest
import soundfile

from emoreason.files import read_jsonl, write_jsonl
from emoreason.media import load_picture
from emoreason.preflight import MAX_SHOWN, _modality_faults, check_recipe, data_paths
from emoreason.recipe_files import load_recipe
from emoreason.records import Record
from emoreason.run_dir import RunDir

RECIPES = Path(__file__).parents[1] / "recipes"
STAGES = ["stage1_sft", "stage2_confidence", "stage3_grpo", "stage3_dpo", "evaluate"]


def check(folder: Path, stage: str, *overrides: str) -> list[str]:
    path = folder / f"{stage}.yaml"
    return check_recipe(path, load_recipe(path, list(overrides)))


def rows_of(path: Path) -> list[dict]:
    return [row for _, row in read_jsonl(path, [])]


def change(path: Path, line: int, **target: object) -> str:
    """Change the target of the record on this line, from 0; its id."""
    rows = rows_of(path)
    rows[line]["target"].update(target)
    write_jsonl(path, rows)
    return rows[line]["id"]


@pytest.fixture
def train_path(tiny_dir: Path) -> Path:
    return tiny_dir / "data" / "train.jsonl"


@pytest.mark.parametrize("stage", STAGES)
def test_the_recipes_of_the_checkout_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """With all of their data, and from a folder without runs."""
    monkeypatch.chdir(tmp_path)
    Path("recipes").symlink_to(RECIPES)
    assert check(Path("recipes/tiny"), stage) == []


def test_data_paths_are_those_of_all_phases_once(tiny_dir: Path) -> None:
    sft = load_recipe(tiny_dir / "stage1_sft.yaml")
    assert data_paths(sft) == ["recipes/tiny/data/train.jsonl", "recipes/tiny/data/train_text.jsonl"]
    assert data_paths(load_recipe(tiny_dir / "evaluate.yaml", ["tests={a: x.jsonl, b: x.jsonl}"])) == ["x.jsonl"]


# Data.


def test_a_records_file_that_is_missing(tiny_dir: Path) -> None:
    assert check(tiny_dir, "stage2_confidence", "data.0.path=data/absent.jsonl") == [
        f"data/absent.jsonl: no such file (relative paths start at {Path.cwd()})"
    ]
    assert check(tiny_dir, "evaluate", "tests={a: absent.jsonl}") == [f"absent.jsonl: no such file (relative paths start at {Path.cwd()})"]


def test_a_record_that_is_wrong_has_its_line(tiny_dir: Path, train_path: Path) -> None:
    one = change(train_path, 2, label="jo", labels=[])
    (fault,) = check(tiny_dir, "stage3_grpo")
    assert fault.startswith(f"recipes/tiny/data/train.jsonl:3: record {one!r}: target: label 'jo' is not in shaver_6_disgust_neutral; did")


def test_pictures_that_are_missing_damaged_or_none(tiny_dir: Path, train_path: Path) -> None:
    ids, pictures = zip(*((row["id"], train_path.parent / row["media"]["images"][0]) for row in rows_of(train_path)), strict=True)
    pictures[0].unlink()
    pictures[1].write_bytes(pictures[1].read_bytes()[:200])
    pictures[2].write_text("not a picture")
    load_picture.cache_clear()
    where = "recipes/tiny/data/train.jsonl: record"
    missing, damaged, text = check(tiny_dir, "stage3_grpo")
    assert missing == f"{where} {ids[0]!r}: {pictures[0]}: no such picture"
    assert damaged.startswith(f"{where} {ids[1]!r}: {pictures[1]}: the picture is damaged: ")
    assert text == f"{where} {ids[2]!r}: {pictures[2]}: not a picture that Pillow can read"


@pytest.mark.parametrize("stage", STAGES)
def test_records_of_another_label_space(tiny_dir: Path, stage: str) -> None:
    faults = check(tiny_dir, stage, "label_space=ekman_6")
    assert [fault for fault in faults if "records are labelled" in fault] == [
        f"{path}: records are labelled in 'shaver_6_disgust_neutral', the recipe's label_space is 'ekman_6'"
        for path in data_paths(load_recipe(tiny_dir / f"{stage}.yaml"))
    ]


# Targets.


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ({"reasoning": "eyes open </think> joy"}, "<think> stands 2 times"),
        ({"reasoning": "the <answer> is joy"}, "<answer> stands 2 times"),
        ({"reasoning": " "}, "<think> is empty"),
        ({"reasoning": None}, "<think> is empty"),
        ({"labels": ["joy", "pride, mostly"]}, "the parser reads ['joy', 'pride', 'mostly'] where the record says ['joy', 'pride, "),
    ],
)
def test_an_sft_target_that_the_parser_rejects(tiny_dir: Path, train_path: Path, target: dict, problem: str) -> None:
    one = change(train_path, 1, label="joy", **{"labels": ["joy"], **target})
    fault = next(fault for fault in check(tiny_dir, "stage1_sft") if "SFT target" in fault)
    assert fault.startswith(f"recipes/tiny/data/train.jsonl: record {one!r}: SFT target: {problem}")
    assert check(tiny_dir, "stage3_grpo") == [], "no stage that samples its own answers reads the target as a text"


def test_a_phase_that_thinks_in_cues_needs_cues(tiny_dir: Path, train_path: Path) -> None:
    one = change(train_path, 0, cues={})
    assert check(tiny_dir, "stage1_sft") == [
        f"recipes/tiny/data/train.jsonl: record {one!r}: SFT target: <think> is empty (target: '<think></think>')"
    ]


def test_a_confidence_target_needs_a_label(tiny_dir: Path) -> None:
    path = tiny_dir / "data" / "calibration.jsonl"
    one = change(path, 0, label=None)
    assert check(tiny_dir, "stage2_confidence") == [f"{path}: record {one!r}: no target.label, which a confidence target needs"]


# Rewards.


@pytest.mark.parametrize("stage", ["stage3_grpo", "stage3_dpo"])
def test_a_reward_that_cannot_be_called(tiny_dir: Path, stage: str) -> None:
    Path("mine.py").write_text("def mine_reward(completions, lable, **kwargs):\n    return [0.0] * len(completions)\n")
    rewards = [
        "{func: 'mine.py:mine_reward'}",
        "{func: 'absent.py:a_reward'}",
        "{func: 'emoreason.rewards.emotion_set:emotion_set_reward', kwargs: {length_penalti: P3s}}",
        "{func: 'emoreason.rewards.emotion_label:emotion_label_reward'}",
        "{func: 'emoreason.rewards.emotion_label:emotion_label_reward', weight: 2}",
    ]
    where = f"recipes/tiny/{stage}.yaml: rewards"
    assert check(tiny_dir, stage, f"rewards=[{', '.join(rewards)}]") == [
        f"{where}[0]: reward mine.py:mine_reward needs the column 'lable'; did you mean 'label'?",
        f"{where}[1]: reward absent.py:a_reward: no such file (relative paths start at {Path.cwd()})",
        f"{where}[2]: reward emoreason.rewards.emotion_set:emotion_set_reward has no setting 'length_penalti'"
        "; did you mean 'length_penalty'?",
        f"{where}: emotion_label_reward is given twice, and logs tell rewards apart by name",
    ]


# The parent.


def test_a_model_that_nothing_makes(tiny_dir: Path) -> None:
    for path in ("runs/nowhere/checkpoint", "/nowhere", "base"):
        assert check(tiny_dir, "stage3_grpo", f"model.path={path}") == [
            f"recipes/tiny/stage3_grpo.yaml: model.path: {path} does not exist, and no recipe beside this one writes it"
        ]
    Path("runs/nowhere/checkpoint").mkdir(parents=True)
    for path in ("runs/nowhere/checkpoint", "Qwen/Qwen2.5-VL-7B-Instruct"):
        assert check(tiny_dir, "stage3_grpo", f"model.path={path}") == []


PARENT_CHANGES = [
    ("label_space", "label_space=open", "label_space: open here, but shaver_6_disgust_neutral where"),
    ("media", "media.min_pixels=64", "media: {'min_pixels': 64} here, but {'min_pixels': 4096} "),
    ("prompt", "prompt.question=What?", "prompt: {'question': 'What?'} here, but "),
    (
        "template",
        "template.answer=label",
        "template: {'think': 'free', 'answer': 'label', 'confidence': True, 'sections': [], 'prefilled': False} here, but {'think': ",
    ),
]


@pytest.mark.parametrize(("key", "override", "fault"), PARENT_CHANGES, ids=[key for key, _, _ in PARENT_CHANGES])
@pytest.mark.parametrize("has_run", [False, True], ids=["by the recipe beside it", "by its run.json"])
def test_a_parent_that_was_trained_in_another_way(tiny_dir: Path, key: str, override: str, fault: str, has_run: bool) -> None:
    if has_run:
        parent = load_recipe(tiny_dir / "stage2_confidence.yaml")
        RunDir(parent.output_dir).begin(parent.model_dump(), data_paths(parent), parent.model.path)
        (tiny_dir / "stage2_confidence.yaml").unlink()
    assert check(tiny_dir, "stage3_grpo") == []
    faults = [found for found in check(tiny_dir, "stage3_grpo", override) if "records are labelled" not in found]
    assert len(faults) == 1
    assert faults[0].startswith(f"recipes/tiny/stage3_grpo.yaml: {fault}")
    assert faults[0].endswith("where runs/tiny/stage2_confidence/checkpoint was trained")
    if not has_run:
        in_the_same_line = [load_recipe(path, [override]) for path in sorted(tiny_dir.glob("stage*.yaml"))]
        path = tiny_dir / "stage3_grpo.yaml"
        found = check_recipe(path, load_recipe(path, [override]), in_the_same_line)
        assert [fault for fault in found if "records are labelled" not in fault] == [], "a line may be overridden as a whole"


def test_the_run_counts_and_not_the_recipe_that_was_changed_since(tiny_dir: Path) -> None:
    parent = load_recipe(tiny_dir / "stage2_confidence.yaml", ["media.max_pixels=5000"])
    RunDir(parent.output_dir).begin(parent.model_dump(), data_paths(parent), parent.model.path)
    (fault,) = check(tiny_dir, "stage3_grpo")
    assert "'max_pixels': 5000} where runs/tiny/stage2_confidence/checkpoint was trained" in fault


def test_only_the_confidence_stage_may_add_confidence(tiny_dir: Path) -> None:
    assert check(tiny_dir, "stage2_confidence") == []
    (fault,) = check(tiny_dir, "stage3_grpo", "model.path=runs/tiny/stage1_sft/checkpoint")
    assert fault.startswith("recipes/tiny/stage3_grpo.yaml: template: ")


def test_an_evaluation_may_ask_in_another_template(tiny_dir: Path) -> None:
    assert check(tiny_dir, "evaluate", "model.path=runs/tiny/stage1_sft/checkpoint") == []


def test_a_broken_recipe_beside_it_is_not_this_ones_fault(tiny_dir: Path) -> None:
    (tiny_dir / "a_broken.yaml").write_text("stage: [")
    assert check(tiny_dir, "stage3_grpo") == []


# The report.


def test_every_fault_is_in_one_report(tiny_dir: Path, train_path: Path) -> None:
    change(train_path, 0, reasoning="")
    (train_path.parent / rows_of(train_path)[3]["media"]["images"][0]).unlink()
    load_picture.cache_clear()
    faults = check(tiny_dir, "stage1_sft", "model.from_scratch=null", "phases.1.data=[{path: absent.jsonl}]")
    kinds = ["no such file", "no such picture", "SFT target", "model.path"]
    assert list(dict.fromkeys(kind for fault in faults for kind in kinds if kind in fault)) == kinds
    faults = check(tiny_dir, "stage3_grpo", "rewards=[{func: 'absent.py:a_reward'}]", "data=[{path: absent.jsonl}]", "prompt.question=Who?")
    assert len(faults) == 3


def test_a_long_report_is_cut_and_counted(tiny_dir: Path, train_path: Path) -> None:
    row = rows_of(train_path)[0]
    rows = [{**row, "id": f"copy{number}", "media": {"images": ["absent.png"]}} for number in range(MAX_SHOWN + 7)]
    write_jsonl(train_path, rows)
    faults = check(tiny_dir, "stage3_grpo")
    assert len(faults) == MAX_SHOWN + 1
    assert faults[-1] == "and 7 more of these"


def with_sound(folder: Path) -> None:
    """The training records of stage 1, the first of them with a sound beside its picture."""
    path = folder / "data" / "train.jsonl"
    rows = rows_of(path)
    rows[0]["media"]["audio"] = "tone.wav"
    soundfile.write(folder / "data" / "tone.wav", [0.3, -0.3] * 4000, 16000)
    write_jsonl(path, rows)


def test_media_that_the_model_cannot_read_are_named_before_it_is_loaded(tiny_dir: Path) -> None:
    with_sound(tiny_dir)
    (fault,) = check(tiny_dir, "stage1_sft")
    assert "audio, which qwen2_5_vl does not read; accepted: image, video" in fault
    found = check(tiny_dir, "stage3_grpo", "data=[{path: recipes/tiny/data/train.jsonl}]")
    assert any("audio, which qwen2_5_vl does not read" in fault for fault in found), "the family comes down the line"


BY_ADAPTER = "rollouts={engine: vllm, sync: adapter}"


@pytest.mark.parametrize(
    ("family", "media", "overrides", "said"),
    [
        ("qwen2_5_omni_thinker", {"video": "a.mp4", "audio_in_video": True}, ["rollouts.engine=vllm_server"], "a sound track heard in its clip"),
        ("qwen2_5_omni_thinker", {"video": "a.mp4", "audio_in_video": True}, ["rollouts.engine=vllm"], None),
        ("qwen3_vl", {"video": "a.mp4"}, ["rollouts.engine=vllm_server"], "a clip, whose frames qwen3_vl parts by text"),
        ("qwen3_vl", {"video": "a.mp4"}, ["rollouts.engine=vllm"], None),
        ("qwen3_vl", {}, [BY_ADAPTER, "model.lora={}"], "vLLM does not run adapters of qwen3_vl"),
        ("qwen2_5_vl", {}, [BY_ADAPTER, "model.lora={}"], None),
        ("smolvlm", {}, ["rollouts.engine=vllm"], "vLLM does not compute smolvlm as the trainer does"),
        ("smolvlm", {}, [], None),
    ],
)
def test_what_vllm_cannot_do_is_said_before_it_starts(tiny_dir: Path, family: str, media: dict, overrides: list[str], said: str | None) -> None:
    recipe = load_recipe(tiny_dir / "stage3_grpo.yaml", overrides)
    record = {"id": "a", "dataset": "d", "split": "s", "group": "g", "licence": "", "source": "", "media": media}
    found = _modality_faults(recipe, family, Path("records.jsonl"), [Record(**record)])
    assert len(found) == (said is not None) and all(said in fault for fault in found)


# Preference pairs.

NO_PAIRS = {
    "records": "no preference (8)",
    "conflict": "no aligned_modality (8)",
    "cues": "no cues (8)",
}


@pytest.mark.parametrize(("source", "why"), NO_PAIRS.items())
def test_a_source_that_would_give_no_pair(tiny_dir: Path, source: str, why: str) -> None:
    for name in ("calibration", "train"):
        path = tiny_dir / "data" / f"{name}.jsonl"
        write_jsonl(path, [{**row, "target": {**row["target"], "cues": {}}} for row in rows_of(path)])
    assert check(tiny_dir, "stage3_dpo", f"pairs.sources=[samples, {source}]") == [
        f"recipes/tiny/stage3_dpo.yaml: pairs.sources: {source} gives no pair: {why}"
    ]


def test_sources_that_give_pairs_are_right(tiny_dir: Path) -> None:
    data = "data=[{path: recipes/tiny/data/train_text.jsonl}]"
    path = tiny_dir / "data" / "train_text.jsonl"
    rows = rows_of(path)
    rows[0]["preference"] = {"chosen": "a", "rejected": "b", "rejected_media": rows[1]["media"]}
    del rows[0]["target"]["cues"]["text"]
    rows[1]["aligned_modality"] = "image"
    rows[3]["target"] |= {"label": "anger", "labels": ["anger"], "cues": {"image": ["mouth frown"], "text": rows[1]["target"]["cues"]["text"]}}
    write_jsonl(path, [rows[0], rows[1], rows[3]])  # the second is of joy beside a text cue that the third has, of anger
    assert check(tiny_dir, "stage3_dpo", data, "pairs.sources=[samples, records, conflict, cues]") == []


def test_rejected_media_that_are_missing(tiny_dir: Path, train_path: Path) -> None:
    rows = rows_of(train_path)
    rows[2]["preference"] = {"chosen": "a", "rejected": "b", "rejected_media": {"images": ["absent.png"]}}
    write_jsonl(train_path, rows)
    assert check(tiny_dir, "stage3_dpo", "pairs.sources=[records]") == [
        f"recipes/tiny/data/train.jsonl: record {rows[2]['id']!r}: recipes/tiny/data/absent.png: no such picture (preference.rejected_media)"
    ]
    assert check(tiny_dir, "stage3_dpo") == [], "samples need no preference"
