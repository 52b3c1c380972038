"""What is shown first, how it is counted, and that nothing in it is obeyed by a terminal."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import rows_of
from rich.console import Console
from saved_runs import change_records, said, write_run

from emoreason.faults import UserError
from emoreason.files import write_jsonl
from emoreason.rollout_files import RolloutFile, SavedGroup, read_rollouts
from emoreason.show import Choice, filtered, json_rows, print_groups, print_head, printable, selected, summary

HOSTILE = "\x1b[2J\x1b]0;title\x07\x1b]8;;file:///etc/passwd\x1b\\click\x1b]8;;\x1b\\ [bold red]loud[/] [link=file:///x]y[/link] :smile: \x9b31m"


@pytest.fixture
def ids(faces_path: Path) -> list[str]:
    return [row["id"] for row in rows_of(faces_path)]


@pytest.fixture
def grpo(tmp_path: Path, faces_path: Path, ids: list[str]) -> RolloutFile:
    """Three groups of two; totals 1.5 and 0, then 0.5 and 0.5, then 1 and none."""
    def line(place: int, step: int, values: tuple, length: int, text: str, **more) -> dict:
        return {"step": step, "id": ids[place], "completion": text, "rewards": dict(zip(("label_reward", "format_reward"), values, strict=True)),
                "num_tokens": length, "finish_reason": "length" if length == 40 else "stop", **more}  # fmt: skip

    return read_rollouts(write_run(tmp_path / "run", faces_path, [
        line(0, 0, (0.0, 0.0), 40, "cut off"), line(0, 0, (1.0, 1.0), 10, said("joy")),
        line(1, 0, (0.0, 1.0), 20, said("joy")), line(1, 0, (0.0, 1.0), 20, said("fear")),
        line(0, 5, (1.0, 0.0), 30, "joy"), line(0, 5, (None, None), 12, said("joy"), masked=True),
    ]))  # fmt: skip


def shown(file: RolloutFile, **choice) -> list[tuple[str, int | None]]:
    return [(group.id, group.step) for group in selected(file, filtered(file, Choice(**choice)), Choice(**choice))[0]]


def printed(file: RolloutFile, groups: list[SavedGroup] | None = None, **console) -> str:
    text = io.StringIO()
    out = Console(file=text, width=120, **console)
    print_head(out, file, file.groups)
    print_groups(out, file, file.groups if groups is None else groups)
    return text.getvalue()


def test_the_figures_of_the_head_by_hand(grpo: RolloutFile) -> None:
    found = summary(grpo, grpo.groups)
    assert {key: found[key] for key in ("rollouts", "groups", "records", "steps", "masked")} == {
        "rollouts": 6, "groups": 3, "records": 2, "steps": [0, 5], "masked": 1}  # fmt: skip
    assert found["clipped"] == 1 / 6
    assert found["broken"] == 2 / 6  # `cut off` and `joy` have no tags
    # The totals 0.5, 0.5 are equal, and 1 beside a masked one teaches nothing either.
    assert found["without_spread"] == 2
    # 0, 1, 0, 0, 1 in the order of the file
    assert found["rewards"]["label_reward"] == {"mean": 0.4, "spread": pytest.approx(0.24**0.5), "within": 0.25, "n": 5}
    # totals 0, 1.5, 0.5, 0.5, 1: mean 0.7, deviations -0.7, 0.8, -0.2, -0.2, 0.3; within: 0.75, 0
    expected = {"mean": 0.7, "spread": pytest.approx((1.3 / 5) ** 0.5), "within": 0.375, "n": 5}
    assert found["rewards"]["total"] == expected
    # lengths 40, 10, 20, 20, 30: deviations 16, -14, -4, -4, 6; products -11.2, -11.2, 0.8, 0.8, 1.8: -19; squares 520 and 1.3
    assert found["length_unit"] == "tokens"
    assert found["length_correlation"] == pytest.approx(-19 / (520 * 1.3) ** 0.5)


def test_what_is_not_known_has_no_figure(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, [{"id": "a", "completion": "joy", "rewards": {"r": 1.0}}])
    file = read_rollouts(path)
    found = summary(file, file.groups)
    names = ("steps", "clipped", "broken", "right", "confidence", "length_correlation")
    assert [found[name] for name in names] == [None] * len(names)
    assert found["length_unit"] == "characters"
    assert summary(file, [])["rewards"] == {}


def test_the_best_rollout_of_a_group_comes_first_and_the_unscored_last(grpo: RolloutFile) -> None:
    groups, _ = selected(grpo, grpo.groups, Choice())
    assert [[one.total for one in group.rollouts] for group in groups] == [[1.5, 0.0], [0.5, 0.5], [1.0, None]]
    groups, _ = selected(grpo, grpo.groups, Choice(reward="format_reward"))
    assert [[one.rewards["format_reward"] for one in group.rollouts] for group in groups] == [[1.0, 0.0], [1.0, 1.0], [0.0, None]]


def test_the_worst_groups_have_the_lowest_mean(grpo: RolloutFile, ids: list[str]) -> None:
    assert shown(grpo, worst=True) == [(ids[1], 0), (ids[0], 0), (ids[0], 5)]  # 0.5, 0.75, 1
    assert shown(grpo, worst=True, reward="format_reward") == [(ids[0], 5), (ids[0], 0), (ids[1], 0)]  # 0, 0.5, 1


def test_groups_whose_rewards_disagree_come_first(grpo: RolloutFile, ids: list[str]) -> None:
    # Ranks in tenths: label 0, 1, 0, 0, 1 are 3, 8, 3, 3, 8; format 0, 1, 1, 1, 0 are 2, 7, 7, 7, 2.
    groups, _ = selected(grpo, grpo.groups, Choice(disagree=True))
    assert [(group.id, group.step) for group in groups] == [(ids[0], 5), (ids[1], 0), (ids[0], 0)]
    assert [[one.disagreement and round(one.disagreement, 6) for one in group.rollouts] for group in groups] == [[0.6, None], [0.4, 0.4], [0.1, 0.1]]


def test_one_record_one_step_one_reward(grpo: RolloutFile, ids: list[str]) -> None:
    assert shown(grpo, record_id=ids[0]) == [(ids[0], 0), (ids[0], 5)]
    assert shown(grpo, step=0) == [(ids[0], 0), (ids[1], 0)]
    assert shown(grpo, step=0, record_id=ids[1], worst=True) == [(ids[1], 0)]


def test_a_limit_tells_what_it_leaves_out(grpo: RolloutFile) -> None:
    assert [(len(groups), more) for limit in (None, 1, 0, 9) for groups, more in [selected(grpo, grpo.groups, Choice(limit=limit))]] == [
        (3, 0), (1, 2), (3, 0), (3, 0)]  # fmt: skip
    many = [grpo.groups[0]] * 12
    assert [len(selected(grpo, many, choice)[0]) for choice in (Choice(), Choice(record_id="x"), Choice(record_id="x", limit=2))] == [10, 12, 2]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"worst": True, "disagree": True}, "two orders"),
        ({"record_id": "noto/1f97"}, r"--id noto/1f97: no such record in .*completions.jsonl; did you mean 'noto/1f97.'"),
        ({"step": 3}, "--step 3: not in .*; accepted: 0 to 5"),
        ({"reward": "label_rewrad"}, "--reward label_rewrad: not in .*; did you mean 'label_reward'"),
    ],
)
def test_a_choice_that_does_not_suit_the_file_is_a_mistake(grpo: RolloutFile, choice: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        filtered(grpo, Choice(**choice))


def test_what_cannot_be_ordered_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, [{"id": "a", "completion": "joy", "rewards": {"r": 1.0}}])
    file = read_rollouts(path)
    with pytest.raises(UserError, match="no totals are known; give --reward NAME"):
        selected(file, file.groups, Choice(worst=True))
    with pytest.raises(UserError, match="no completion has two rewards that vary; use --worst"):
        selected(file, file.groups, Choice(disagree=True))
    with pytest.raises(UserError, match="it has no steps"):
        filtered(file, Choice(step=1))


@pytest.fixture
def evaluation(tmp_path: Path) -> RolloutFile:
    """Right; wrong and sure; wrong and unsure, but among the labels; unreadable."""
    rows = [("right", ["joy"], 0.9), ("sure", ["fear"], 0.8), ("unsure", ["pride"], 0.2), ("unreadable", [], None)]
    path = tmp_path / "eval" / "test.jsonl"
    write_jsonl(path, [
        {"id": name, "label": "joy", "labels": ["joy", "pride"], "completion": said("x"), "answers": answers, "confidence": confidence,
         "problems": []}
        for name, answers, confidence in rows
    ])  # fmt: skip
    return read_rollouts(path)


def test_the_worst_answers_are_wrong_and_certain(evaluation: RolloutFile) -> None:
    assert [name for name, _ in shown(evaluation, worst=True)] == ["sure", "unsure", "unreadable"]
    found = summary(evaluation, evaluation.groups)
    assert (found["right"], found["judged"], found["confidence"], found["rewards"]) == (1, 4, pytest.approx(1.9 / 3), {})


def test_answers_disagree_that_are_none_of_the_labels(evaluation: RolloutFile) -> None:
    assert [name for name, _ in shown(evaluation, disagree=True)] == ["sure"]


def test_answers_for_confidence_are_ordered_by_agreement(tmp_path: Path) -> None:
    path = tmp_path / "completions.jsonl"
    groups = {"split": ("joy fear joy fear", 0.5, 0.5), "sure": ("fear fear fear joy", 0.75, 0.25), "right": ("joy joy joy joy", 1.0, 1.0)}
    write_jsonl(path, [
        {"id": name, "view": 0, "label": "joy", "completions": [said(word) for word in words.split()],
         "agreement": [most if word == words.split()[0] else least for word in words.split()]}
        for name, (words, most, least) in groups.items()
    ])  # fmt: skip
    file = read_rollouts(path)
    assert [name for name, _ in shown(file, worst=True)] == ["sure", "split"]
    assert [name for name, _ in shown(file, disagree=True)] == ["split", "sure", "right"]
    best_first, _ = selected(file, file.groups, Choice())
    assert [one.answers[0] for one in best_first[1].rollouts] == ["joy", "fear", "fear", "fear"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("a\x1b]0;a new title\x07b", "ab"),
        ("a\x1b]52;c;c2VjcmV0\x1b\\b", "ab"),  # what would be put into the clipboard
        ("a\x1b]0;never closed", "a0;never closed"),
        ("a\x1bPq#0\x1b\\b\x90q\x9cc", "abc"),
        ("a\x9b2Jb\x1bcd", "abd"),
        ("\x1b\x1b[31m[32mx", "[32mx"),  # what is left forms no new one
        ("one\r\ntwo\rthree\tfour", "one\ntwo\nthree\tfour"),
        ("a\x00\x07\x08\x7f\x85b", "ab"),
        ("a\u202egnp.exe\u2066b\u202c", "agnp.exeb"),
        ("half \ud83d and whole \U0001f600", "half \ufffd and whole \U0001f600"),
        ("喜び, \u0627\u0644\u0641\u0631\u062d, <think>", "喜び, \u0627\u0644\u0641\u0631\u062d, <think>"),
    ],
)
def test_a_terminal_obeys_nothing_in_a_text(text: str, left: str) -> None:
    assert printable(text) == left


def test_model_text_is_printed_as_it_is_written(tmp_path: Path, faces_path: Path, ids: list[str]) -> None:
    change_records(faces_path, text="[red]t[/]")
    text = said("joy", think=f"{HOSTILE}")
    lines = [{"step": 0, "id": ids[0], "completion": one, "rewards": {"label_reward": 1.0, "[red]r[/]": 0.0}, "finish_reason": "\x1b[1m[b]f[/b]"}
             for one in (text, f"{HOSTILE} unread")]  # fmt: skip
    file = read_rollouts(write_run(tmp_path / "run", faces_path, lines))
    for is_terminal in (False, True):
        out = printed(file, force_terminal=is_terminal, color_system="standard" if is_terminal else None)
        plain = re.sub(r"\x1b\[[\d;]*m", "", out)
        shown_text = "click [bold red]loud[/] [link=file:///x]y[/link] :smile:"
        assert plain.count(shown_text) == 2
        assert all(part in plain for part in ("[red]t[/]", "[red]r[/]", "[b]f[/b]"))
        links = set(re.findall(r"\x1b\]8;[^;]*;([^\x1b]*)\x1b\\", plain))
        # The picture's link is ours; none is the model's.
        picture = faces_path.parent / rows_of(faces_path)[0]["media"]["images"][0]
        assert links == ({picture.as_uri(), ""} if is_terminal else set())
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", re.sub(r"\x1b\]8;[^\x1b]*\x1b\\", "", plain))


def test_a_group_is_printed_with_everything_that_is_known(grpo: RolloutFile, faces_path: Path, ids: list[str]) -> None:
    groups, _ = selected(grpo, grpo.groups[:1], Choice())
    out = printed(grpo, groups)
    first = rows_of(faces_path)[0]
    assert f"{ids[0]} (step 0)" in out
    assert re.search(rf"^label +{', '.join(first['target']['labels'])} *$", out, re.MULTILINE)
    assert re.search(r"^question +What does the face show\? *$", out, re.MULTILINE)
    assert f"picture    {faces_path.parent / first['media']['images'][0]}" in out.replace(" \n", "\n")
    good, bad = out.split("1. ")[1].split("2. ")
    assert good.splitlines()[0] == "total 1.5, 10 tokens, stop"
    assert [line.split()[0] for line in good.splitlines()[1:] if line.strip()] == ["reasoning", "answer", "confidence", "rewards"]
    assert bad.splitlines()[0] == "total 0, 40 tokens, clipped"
    assert re.search(r"^as written +cut off *$", bad, re.MULTILINE)
    assert "clipped: 16.7 %; template broken: 33.3 %; masked: 1" in out


def test_a_clip_in_frames_shows_the_first_and_what_is_missing(tmp_path: Path, faces_path: Path, ids: list[str]) -> None:
    picture = rows_of(faces_path)[0]["media"]["images"][0]
    change_records(faces_path, media={"frames": [picture, *(f"{place}.png" for place in range(6))], "frames_fps": 2.0})
    line = {"step": 0, "id": ids[0], "completion": "joy", "rewards": {"label_reward": 1.0}}
    out = printed(read_rollouts(write_run(tmp_path / "run", faces_path, [line])))
    frames = [text.rstrip() for text in out.splitlines() if text.startswith("frame ")]
    assert frames[0] == f"frame      {faces_path.parent / picture}"
    assert frames[1] == f"frame      {faces_path.parent / '0.png'} (no such file)"
    assert len(frames) == 4
    assert "and 3 more frames" in out


def test_pairs_stand_side_by_side(faces_path: Path) -> None:
    first, second, *_ = rows_of(faces_path)
    preference = {"chosen": "[b]the good one[/b]", "rejected": ["the bad one", "the other"], "rejected_by": ["x", "y"],
                  "rejected_media": second["media"]}  # fmt: skip
    change_records(faces_path, preference=preference)
    file = read_rollouts(faces_path)
    out = printed(file)
    cells = [re.findall(r"[^│┃\s]+(?: [^│┃\s]+)*", line) for line in out.splitlines()]
    assert ["chosen", "rejected, weight 0.5, by x", "rejected, weight 0.5, by y"] in cells
    assert ["[b]the good one[/b]", "the bad one", "the other"] in cells
    assert f"{faces_path.parent / second['media']['images'][0]}" in out.split("rejected media:")[1]
    assert shown(file, record_id=first["id"]) == [(first["id"], None)]
    for choice in ({"worst": True}, {"disagree": True}, {"reward": "r"}, {"step": 0}):
        with pytest.raises(UserError, match="preference pairs have neither scores nor steps"):
            filtered(file, Choice(**choice))


def test_a_json_row_holds_the_rollout_and_its_record(grpo: RolloutFile, ids: list[str], faces_path: Path) -> None:
    rows = list(json_rows(selected(grpo, grpo.groups, Choice(limit=1))[0]))
    assert [(row["id"], row["step"], row["total"], row["completion"]) for row in rows] == [(ids[0], 0, 1.5, said("joy")), (ids[0], 0, 0.0, "cut off")]
    first = rows_of(faces_path)[0]
    assert rows[0]["media"] == [str(faces_path.parent / first["media"]["images"][0])]
    assert (rows[0]["label"], rows[0]["question"], rows[0]["text"]) == (first["target"]["label"], "What does the face show?", None)
    assert json.loads(json.dumps(rows)) == rows


LIST_MODULES = """
import sys
from emoreason.cli import main

sys.argv = ["emoreason", "show", sys.argv[1], "--json"]
main()
print(sorted({"torch", "transformers", "trl"} & {name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_no_torch_is_waited_for(grpo: RolloutFile) -> None:
    done = subprocess.run([sys.executable, "-c", LIST_MODULES, grpo.path.parent], capture_output=True, text=True, check=True)
    assert (len(done.stdout.splitlines()), done.stderr) == (6, "[]\n")


@pytest.mark.parametrize(("option", "lines", "is_paged"), [("--page", 10, True), ("--page", 200, False), ("--no-page", 10, False)])
def test_on_a_terminal_what_is_longer_than_it_goes_through_the_pager(
    grpo: RolloutFile, tmp_path: Path, option: str, lines: int, is_paged: bool
) -> None:
    paged = tmp_path / "paged.txt"
    keyboard, terminal = pty.openpty()
    environment = {**os.environ, "PAGER": f"cat > {paged}", "TERM": "xterm", "LINES": str(lines), "COLUMNS": "100"}
    command = [sys.executable, "-m", "emoreason", "show", str(grpo.path.parent), option]
    done = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    written = b""
    try:
        while chunk := os.read(keyboard, 65536):
            written += chunk
    except OSError:  # how Linux ends a terminal that nobody writes to any more
        pass
    os.close(keyboard)
    assert done.wait(timeout=60) == 0
    text = paged.read_text() if is_paged else written.decode()
    assert paged.exists() == is_paged
    assert "3 groups of 2 records" in text and "file:///" in text
    assert not is_paged or written == b""
