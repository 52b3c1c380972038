"""Each kind of file that holds rollouts, read beside its records."""

import json
from pathlib import Path

import pytest
from conftest import rows_of
from saved_runs import change_records, said, write_run

from emoreason.faults import UserError
from emoreason.files import sha256, write_json, write_jsonl
from emoreason.records import Media
from emoreason.rollout_files import media_paths, read_rollouts


@pytest.fixture
def ids(faces_path: Path) -> list[str]:
    return [row["id"] for row in rows_of(faces_path)]


@pytest.fixture
def label(faces_path: Path) -> str:
    """Of the first face."""
    return rows_of(faces_path)[0]["target"]["label"]


def scored(record_id: str, step: int, right: float | None, form: float | None, text: str = said("joy"), **more) -> dict:
    return {"step": step, "id": record_id, "completion": text, "rewards": {"label_reward": right, "format_reward": form}, **more}


def test_completions_of_grpo_are_groups_with_totals(tmp_path: Path, faces_path: Path, ids: list[str], label: str) -> None:
    extra = {"advantage": -0.5, "num_tokens": 9, "finish_reason": "length"}
    lines = [scored(ids[0], 0, 1.0, 1.0, said(f"{label}, awe", 0.7)), scored(ids[0], 0, 0.0, 0.0, "no tags", **extra),
             scored(ids[1], 0, None, 1.0), scored(ids[1], 0, None, None), scored(ids[0], 0, 1.0, 1.0, draw=1),
             scored(ids[0], 1, 1.0, 1.0, masked=True), scored(ids[0], 1, 1.0, 1.0, total=7.0), scored(ids[0], 1, 1.0, 1.0, total=None)]  # fmt: skip
    file = read_rollouts(write_run(tmp_path / "run", faces_path, lines))
    assert (file.kind, file.has_template, file.notes) == ("scored", True, [])
    assert [(group.step, group.id, group.draw, len(group.rollouts)) for group in file.groups] == [
        (0, ids[0], 0, 2), (0, ids[1], 0, 2), (0, ids[0], 1, 1), (1, ids[0], 0, 3),
    ]  # fmt: skip
    # 1 * label + 0.5 * format, where a reward that does not apply adds nothing and a masked completion has no total; 7 as the file says
    assert [one.total for group in file.groups for one in group.rollouts] == [1.5, 0.0, 0.5, None, 1.5, None, 7.0, None]
    good, bad = file.groups[0].rollouts
    assert (good.reasoning, good.answers, good.confidence, good.problems, good.is_right) == ("eyes open", [label, "awe"], 0.7, [], True)
    assert (bad.answers, bad.is_right, bad.is_listed, bad.advantage, bad.num_tokens, bad.finish_reason) == ([], False, None, -0.5, 9, "length")
    assert bad.problems == ["<think> is missing", "<answer> is missing", "<confidence> is missing"]
    first = file.groups[0]
    assert (first.label, first.question, first.record.id) == (label, "What does the face show?", ids[0])
    assert [(kind, path.is_file()) for kind, path in first.media] == [("picture", True)]


def test_lines_of_several_processes_come_in_any_order_and_a_record_twice_in_a_step_is_two_groups(tmp_path: Path, faces_path: Path, ids) -> None:
    order = [(0, 1.0), (1, 2.0), (0, 3.0), (1, 4.0), (0, 5.0), (0, 6.0)]
    run = write_run(tmp_path, faces_path, [scored(ids[place], 0, value, 0.0) for place, value in order], num_generations=2)
    groups = read_rollouts(run).groups
    assert [(group.id, [one.total for one in group.rollouts]) for group in groups] == [
        (ids[0], [1.0, 3.0]), (ids[0], [5.0, 6.0]), (ids[1], [2.0, 4.0]),
    ]  # fmt: skip


def test_answers_for_confidence_are_read_without_a_confidence(tmp_path: Path, faces_path: Path, ids: list[str], label: str) -> None:
    texts = [f"<think>a</think><answer>{label}</answer>", "<think>b</think><answer>disgust</answer>"]
    line = {"id": ids[0], "view": 2, "label": label, "completions": texts, "answers": [label, None], "agreement": [0.5, 0.0],
            "sequence_probability": [0.9, 0.4]}  # fmt: skip
    file = read_rollouts(write_run(tmp_path, faces_path, [line], stage="confidence"))
    (group,) = file.groups
    assert (file.kind, group.view) == ("sampled", 2)
    assert [(one.problems, one.is_right) for one in group.rollouts] == [([], True), ([], False)]
    assert [(one.agreement, one.sequence_probability) for one in group.rollouts] == [(0.5, 0.9), (0.0, 0.4)]


def test_samples_of_dpo_bring_their_totals(tmp_path: Path, faces_path: Path, ids: list[str]) -> None:
    line = {"id": ids[2], "completions": ["a", "b"], "totals": [0.25, None], "rewards": {"label_reward": [1.0, None]}}
    (group,) = read_rollouts(write_run(tmp_path, faces_path, [line], stage="dpo")).groups
    assert [(one.total, one.rewards) for one in group.rollouts] == [(0.25, {"label_reward": 1.0}), (None, {"label_reward": None})]


def test_an_evaluation_is_shown_as_it_was_read_with_the_records_of_its_test(tmp_path: Path, faces_path: Path, ids: list[str], label: str) -> None:
    run = write_run(tmp_path / "run", faces_path, [scored(ids[0], 0, 1.0, 1.0)])
    row = {"id": ids[0], "label": label, "labels": [label, "pride"], "completion": said("pride"), "answers": ["pride"], "confidence": 0.3,
           "problems": ["as it was found"], "sequence_probability": 0.5}  # fmt: skip
    write_jsonl(run / "eval" / "faces.jsonl", [row, {**row, "id": ids[1], "label": None, "labels": ["pride"], "is_right": True}])
    settings = {"records": str(faces_path), "records_sha256": sha256(faces_path), "template": ["think", "answer", "confidence"], "answer": "list"}
    write_json(run / "eval" / "faces.json", {"settings": settings})
    for has_run in (True, False):
        file = read_rollouts(run / "eval" / "faces.jsonl")
        one, other = (group.rollouts[0] for group in file.groups)
        assert (file.kind, file.notes, len(file.groups[0].media)) == ("evaluated", [], 1)
        assert (one.reasoning, one.answers, one.confidence, one.problems) == ("eyes open", ["pride"], 0.3, ["as it was found"])
        assert (one.is_right, one.is_listed, one.sequence_probability) == (False, True, 0.5)
        assert (other.is_right, other.is_listed) == (True, True)  # right as it was judged then
        if has_run:
            (run / "run.json").unlink()


def test_preference_pairs_have_sides_and_media_of_both(tmp_path: Path, faces_path: Path, ids: list[str]) -> None:
    first, second, *_ = rows_of(faces_path)
    preference = {"chosen": said("joy"), "rejected": ["sad", "mad"], "weights": [3, 1], "rejected_media": second["media"], "chosen_by": "a person"}
    change_records(faces_path, preference=preference)
    file = read_rollouts(faces_path)
    (group,) = file.groups  # records without a preference are left out
    assert (file.kind, group.id) == ("preferred", first["id"])
    assert [(one.role, one.weight, one.written_by, one.completion) for one in group.rollouts] == [
        ("chosen", None, "a person", said("joy")), ("rejected", 0.75, None, "sad"), ("rejected", 0.25, None, "mad"),
    ]  # fmt: skip
    folder = faces_path.parent
    assert group.media == [("picture", folder / first["media"]["images"][0])]
    assert group.rejected_media == [("picture", folder / second["media"]["images"][0])]


def test_a_run_without_completions_shows_its_pairs(tmp_path: Path, faces_path: Path) -> None:
    run = write_run(tmp_path / "run", faces_path, [])
    (run / "completions.jsonl").unlink()
    with pytest.raises(UserError, match=r"neither completions.jsonl nor pairs.jsonl here; .* evaluation rows here: none"):
        read_rollouts(run)
    change_records(faces_path, preference={"chosen": "a", "rejected": "b"})
    (run / "pairs.jsonl").write_text(faces_path.read_text())
    assert read_rollouts(run).kind == "preferred"


def test_a_records_file_that_is_gone_is_named_and_the_rest_is_shown(tmp_path: Path, faces_path: Path, ids: list[str]) -> None:
    run = write_run(tmp_path / "run", faces_path, [scored(ids[0], 0, 1.0, 1.0)])
    faces_path.unlink()
    file = read_rollouts(run)
    assert [note.startswith(f"{faces_path}: no such file") and note.endswith("; its records are not shown") for note in file.notes] == [True]
    (group,) = file.groups
    assert (group.record, group.media, group.question) == (None, [], "What does the face show?")
    assert (group.rollouts[0].total, group.rollouts[0].is_right) == (1.5, None)


def test_a_records_file_that_was_changed_is_named(tmp_path: Path, faces_path: Path, ids: list[str]) -> None:
    run = write_run(tmp_path / "run", faces_path, [scored(ids[0], 0, 1.0, 1.0)])
    change_records(faces_path, text="other words")
    file = read_rollouts(run)
    assert [note.split(";")[0] for note in file.notes] == [f"{faces_path}: changed since the run read it"]
    assert file.groups[0].record.text == "other words"


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd"])
def test_no_path_leaves_the_data_folder(tmp_path: Path, faces_path: Path, ids: list[str], path: str) -> None:
    change_records(faces_path, media={"images": [path]})
    file = read_rollouts(write_run(tmp_path / "run", faces_path, [scored(ids[0], 0, 1.0, 1.0)]))
    assert file.groups[0].media == []
    assert len(file.notes) == 1 and "stays inside its folder" in file.notes[0]
    change_records(faces_path, preference={"chosen": "a", "rejected": "b"})
    with pytest.raises(UserError, match="stays inside its folder"):
        read_rollouts(faces_path)


def test_media_are_listed_in_the_order_of_the_prompt() -> None:
    one = Media(images=["a.png"], frames=["1.png", "2.png"], frames_fps=2.0, audio="a.wav")
    other = Media(video="a.mp4", audio_in_video=True, sound_track="b.wav")
    assert media_paths(one, Path("data/r.jsonl")) == [
        ("picture", Path("data/a.png")), ("frame", Path("data/1.png")), ("frame", Path("data/2.png")), ("sound", Path("data/a.wav")),
    ]  # fmt: skip
    assert media_paths(other, Path("data/r.jsonl")) == [("clip", Path("data/a.mp4")), ("sound", Path("data/b.wav"))]


def test_a_file_alone_is_read_in_plain_tags(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, [{"id": 7, "completion": "<think>a</think><answer>joy</answer>", "rewards": {"label_reward": 1.0}}])
    file = read_rollouts(path)
    (group,) = file.groups
    assert (group.id, group.rollouts[0].answers, group.rollouts[0].problems, group.rollouts[0].total) == ("7", ["joy"], [], None)
    assert not file.has_template
    assert file.notes == [f"{path}: no run.json beside it, so records, template and weights of the rewards are not known"]


def test_lines_that_cannot_be_read_are_named_and_left_out(tmp_path: Path, faces_path: Path, ids: list[str]) -> None:
    good, run = scored(ids[0], 0, 1.0, 1.0), write_run(tmp_path / "run", faces_path, [])
    wrong = [{"id": ids[0]}, {**good, "rewards": {"label_reward": "high"}}, {"id": ids[0], "completions": ["a", "b"], "totals": [1.0]}]
    path = run / "completions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [good, *wrong]) + json.dumps(good)[:50])  # the last one was cut off
    file = read_rollouts(run)
    assert len(file.groups) == 1
    notes = {note.removeprefix(f"{path}:").split(":")[0]: note for note in file.notes}
    assert sorted(notes) == ["2", "3", "4", "5"]
    assert all(note.endswith("; left out") for note in file.notes)
    assert "no completion; accepted: a text `completion`, or a list of texts `completions`" in notes["2"]
    assert "rewards.label_reward[0]: Input should be a valid number (given: 'high')" in notes["3"]
    assert "1 total for 2 completions; one each is needed" in notes["4"]
    path.write_text(json.dumps(wrong[0]) + "\n")
    with pytest.raises(UserError, match=r"completions.jsonl:1: .*no completion; accepted"):
        read_rollouts(run)
    path.write_text("")
    with pytest.raises(UserError, match=r"completions.jsonl: holds no completions"):
        read_rollouts(run)


def test_records_without_a_preference_are_nothing_to_show(faces_path: Path) -> None:
    with pytest.raises(UserError, match="records without a preference; accepted"):
        read_rollouts(faces_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.jsonl: no such file"):
        read_rollouts(tmp_path / "absent.jsonl")
