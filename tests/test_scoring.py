"""The rewards of a recipe on completions that are on disk, against values worked out by hand."""

import json
from pathlib import Path

import pytest

from emoreason.faults import UserError
from emoreason.files import read_jsonl, write_jsonl
from emoreason.recipe_files import load_recipe
from emoreason.scoring import score_file, summary

FORMAT, LABEL = "answer_format_reward", "emotion_label_reward"


@pytest.fixture
def recipe(tiny_dir: Path):
    """The tiny GRPO recipe with two rewards, of weight 0.5 and 1, over four records of joy; the first one has lost its label."""
    for name in ("calibration", "train"):
        path = tiny_dir / "data" / f"{name}.jsonl"
        rows = [row for _, row in read_jsonl(path, [])]
        for row in rows[:1]:
            row["target"] = {"label": None, "labels": [], "label_space": row["target"]["label_space"], "reasoning": "eyes open"}
        write_jsonl(path, rows)
    path = tiny_dir / "stage3_grpo.yaml"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if "rewards." not in line or FORMAT in line or LABEL in line]
    path.write_text("\n".join(kept) + "\n")
    return load_recipe(path)


def ids(recipe) -> list[str]:
    return [row["id"] for _, row in read_jsonl(Path(recipe.data[1].path), [])]


def completion(answer: str) -> str:
    return f"<think>eyes open</think><answer>{answer}</answer><confidence>0.8</confidence>"


def test_values_by_hand(recipe, tmp_path: Path) -> None:
    unlabelled, joyful, *_ = ids(recipe)
    path = tmp_path / "completions.jsonl"
    told: list[tuple[int, int]] = []
    write_jsonl(path, [
        {"id": joyful, "step": 3, "completions": [completion("joy"), completion("fear"), "<answer>joy</answer>", "joy"]},
        {"id": unlabelled, "completion": completion("joy")},
    ])  # fmt: skip
    rows = score_file(recipe, path, lambda done, total: told.append((done, total)))
    assert [row["id"] for row in rows] == [joyful] * 4 + [unlabelled]
    # format, label: right and well formed; wrong; right without the other tags; no answer at all; no gold label
    assert [(row["rewards"][FORMAT], row["rewards"][LABEL]) for row in rows] == [(1, 1), (1, 0), (0, 1), (0, 0), (1, None)]
    # 0.5 * format + 1 * label, where a label that is not there adds nothing
    assert [row["total"] for row in rows] == [1.5, 0.5, 1.0, 0.0, 0.5]
    assert [bool(row["problems"]) for row in rows] == [False, False, True, True, False]
    assert rows[1]["completion"] == completion("fear")
    assert told == [(5, 5)]
    assert summary(rows) == {
        FORMAT: {"mean": 0.6, "low": 0.0, "high": 1.0, "spread": 0.5, "n": 5, "not_applicable": 0},
        LABEL: {"mean": 0.5, "low": 0.0, "high": 1.0, "spread": 0.5, "n": 4, "not_applicable": 1},
        # deviations 0.75, -0.25, 0.25, -0.75 around 0.75: sqrt(1.25 / 4)
        "total": {"mean": 0.7, "low": 0.0, "high": 1.5, "spread": pytest.approx(0.3125**0.5), "n": 5, "not_applicable": 0},
    }


def test_the_spread_is_the_mean_over_records_with_two_completions(recipe, tmp_path: Path) -> None:
    _, first, second, third = ids(recipe)
    path = tmp_path / "completions.jsonl"
    # the completions of a record need not stand together
    answers = [(first, "joy"), (second, "joy"), (first, "fear"), (second, "joy"), (third, "joy")]
    write_jsonl(path, [{"id": name, "completion": completion(answer)} for name, answer in answers])
    found = summary(score_file(recipe, path))
    # 1 and 0 have the deviation 0.5, 1 and 1 have 0, one alone has none
    assert found[LABEL]["spread"] == 0.25
    assert found[FORMAT]["spread"] == 0.0


def test_a_reward_that_applies_to_no_record_has_no_mean(recipe, tmp_path: Path) -> None:
    path = tmp_path / "completions.jsonl"
    write_jsonl(path, [{"id": ids(recipe)[0], "completions": [completion("joy"), completion("fear")]}])
    expected = {"mean": None, "low": None, "high": None, "spread": None, "n": 0, "not_applicable": 2}
    assert summary(score_file(recipe, path))[LABEL] == expected


def test_a_summary_of_nothing_has_no_numbers() -> None:
    assert summary([]) == {"total": {"mean": None, "low": None, "high": None, "spread": None, "n": 0, "not_applicable": 0}}


def test_hostile_completions_have_a_value_each(recipe, tmp_path: Path) -> None:
    path = tmp_path / "completions.jsonl"
    texts = ["", "x" * 100_000, "<answer>" * 1000, "</answer><answer>", "\u202e\U0001f600\x00"]
    write_jsonl(path, [{"id": ids(recipe)[1], "completions": texts}])
    assert [row["total"] for row in score_file(recipe, path)] == [0.0] * 5


def test_every_line_that_cannot_be_used_is_in_one_report(recipe, tmp_path: Path) -> None:
    known = ids(recipe)[1]
    path = tmp_path / "completions.jsonl"
    rows = [
        {"id": known, "completion": completion("joy")}, {"id": known + "x", "completion": "joy"}, {"id": known, "completion": 3},
        {"id": known, "completions": ["joy", None]}, {"id": known, "completions": "joy"}, {"id": known}, {"completion": "joy"}, [],
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    with pytest.raises(UserError) as caught:
        score_file(recipe, path)
    nothing = f"record {known!r}: no completion; accepted: a text `completion`, or a list of texts `completions`"
    faults = {fault.split(": ")[0].rpartition(":")[2]: fault.partition(": ")[2] for fault in caught.value.faults}
    assert all(fault.startswith(f"{path}:") for fault in caught.value.faults)
    assert sorted(faults) == ["2", "3", "4", "5", "6", "7", "8", "9"]
    assert faults["2"].startswith(f"no record '{known}x' in the recipe's data; did you mean")
    assert [faults[line] for line in "3456"] == [nothing] * 4
    assert faults["7"].startswith("no record None in the recipe's data")
    assert faults["8"] == "a list where a JSON object is expected"
    assert faults["9"].startswith("not JSON")


@pytest.mark.parametrize("text", ["", '{"id": "%s", "completions": []}\n'])
def test_a_file_without_completions_is_a_mistake(recipe, tmp_path: Path, text: str) -> None:
    path = tmp_path / "completions.jsonl"
    path.write_text(text.replace("%s", ids(recipe)[1]))
    with pytest.raises(UserError) as caught:
        score_file(recipe, path)
    assert caught.value.faults == [f"{path}: holds no completions"]


def test_a_missing_file_is_named(recipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.jsonl: no such file"):
        score_file(recipe, tmp_path / "absent.jsonl")
