"""The command as a whole, beside a server that answers well, badly, late or never; killed, interrupted, and run again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from chat_server import ChatServer, good_reasoning
from media_samples import face

from emoreason.files import read_jsonl, write_jsonl
from emoreason.records import read_records

Run = Callable[..., tuple[int, str, str]]


def rows(path: Path) -> list[dict]:
    return [row for _, row in read_jsonl(path, [])]


@pytest.fixture
def bare_path(faces_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four faces of four emotions with their action units, without reasoning."""
    monkeypatch.setenv("EMOREASON_API_KEY", "")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    found = rows(faces_path)
    for row in found:
        del row["target"]["reasoning"], row["target"]["cues"]
        row["target"].setdefault("action_units", {"AU1": None})
    write_jsonl(faces_path, found)
    return faces_path


def many(path: Path, number: int) -> Path:
    """The records of a file, repeated under other ids, without media."""
    found = rows(path)
    found = [{**found[index % len(found)], "id": f"r{index}", "media": {}, "text": f"record {index}"} for index in range(number)]
    write_jsonl(path.with_name("many.jsonl"), found)
    return path.with_name("many.jsonl")


def text_template(folder: Path, **changes: Any) -> Path:
    """A template of text alone, whose answer is one field."""
    schema = {"type": "object", "properties": {"why": {"type": "string", "minLength": 1}}, "required": ["why"], "additionalProperties": False}
    values = {"name": "mine", "about": "One field.", "source": "Ours.", "user": "Why: {{ text }}?", "answer_schema": schema,
              "fill": {"target.reasoning": "why"}, **changes}  # fmt: skip
    (folder / "mine.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder / "mine.yaml"


def report_of(out: Path) -> dict:
    return json.loads(out.with_name(out.name.replace(".jsonl", ".report.json")).read_text())


def adds_up(report: dict) -> bool:
    parts = [one["records"] for name in ("left_out", "rejected", "failed") for one in report[name].values()]
    return report["records"] == report["kept"] + report["not_reached"] + sum(parts)


# One run --------------------------------------------------------------------------------------------------------------------------------


def test_reasoning_is_written_into_new_records_in_their_order(bare_path: Path, emoreason: Run) -> None:
    out = bare_path.with_name("out.jsonl")

    def act(text: str, number: int) -> Any:
        wait_until(lambda: server.most_at_once == 3)
        time.sleep(0.1 * (number == 0))  # the first is answered last
        return good_reasoning(text, number)

    with closing(ChatServer(act, ["/models/tiny"])) as server:
        code, printed, said = emoreason("annotate", bare_path, out, "--template", "facial_r1_loop", "--server", server.url, "--concurrency", 3)
    assert code == 0, said
    old, new = read_records(bare_path), read_records(out)
    assert [one.id for one in new] == [one.id for one in old] and server.most_at_once == 3
    assert all(one.target.label in one.target.reasoning and one.attributes["annotator"] == "tiny" for one in new)
    assert [one.model_copy(update={"attributes": {}, "target": two.target}) for one, two in zip(new, old, strict=True)] == old
    report = report_of(out)
    assert adds_up(report) and (report["kept"], report["requests"]["sent"], report["tokens"]) == (4, 4, {"prompt": 400, "completion": 40})
    assert "4 from the server, 0 from the cache" in printed and rows(out.with_name("out.rejected.jsonl")) == []
    for path in out.parent.glob("out.*"):
        assert str(out.parent) not in path.read_text() and "/models" not in path.read_text() and "127.0.0.1" not in path.read_text()


def test_what_fails_is_asked_again_told_what_was_wrong_and_rejected_at_last(bare_path: Path, emoreason: Run) -> None:
    out = bare_path.with_name("out.jsonl")
    first, *_, last = [row["target"]["label"] for row in rows(bare_path)]

    def act(text: str, number: int) -> Any:
        if "This cannot be used" in text:
            asked = server.bodies[number]["messages"][1]["content"][-1]["text"]
            return good_reasoning(asked, number) if f"The emotion is {first}." in asked else {"think": "AU99 " * 20, "emotion": "joy"}
        good = good_reasoning(text, number)
        if f"The emotion is {first}." in text:
            return {**good, "think": good["think"] + " As the label says (AU46)."}
        return {**good, "think": "This is short, and yes, too short."} if f"The emotion is {last}." in text else good

    with closing(ChatServer(act)) as server:
        arguments = ["--template", "facial_r1_loop", "--server", server.url, "--rounds", 2, "--concurrency", 1]
        assert emoreason("annotate", bare_path, out, *arguments)[0] == 0
    report, (rejected,) = report_of(out), rows(out.with_name("out.rejected.jsonl"))
    assert adds_up(report) and report["kept"] == 3 and report["kept_by_round"] == {"1": 2, "2": 1}
    assert rejected["rounds"] == 2 and len(server.bodies) == 6
    # Format is in order, and length; `emotion` comes before `action_units`, where both find fault.
    filters = {problem["filter"] for problem in rejected["problems"]}
    assert "action_units" in filters and "AU99" in json.dumps(rejected["problems"]) and "AU99" in rejected["answers"]["all"]
    assert report["rejected"]["leakage"] == {"records": 0, "examples": [], "answers": 1} and report["rejected"]["length"]["answers"] == 1
    again = [text for text in server.texts if "This cannot be used" in text]
    assert "it names AU46 (Wink), which the annotation does not have" in again[0] and "'the label'" in again[0]
    assert [turn["role"] for turn in server.bodies[1]["messages"]] == ["system", "user", "assistant", "user"]


def test_answers_of_every_bad_kind_are_counted_and_spoil_no_other(bare_path: Path, emoreason: Run, tmp_path: Path) -> None:
    path, out = many(bare_path, 9), bare_path.with_name("out.jsonl")
    acts = {
        0: {"why": "because"},
        1: "no JSON at all",
        2: {"why": ""},
        3: {"[/b]\x1b[31m": "x"},
        4: 400,
        5: "garbage",
        6: 503,
        7: "cut",
        8: {"why": "so\ud83d"},
    }

    def act(text: str, number: int) -> Any:
        return acts[int(text.split("record ")[1].removesuffix("?"))]

    with closing(ChatServer(act)) as server:
        code, printed, said = emoreason("annotate", path, out, "--template", text_template(tmp_path), "--server", server.url, "--retries", 0,
                                        "--concurrency", 2, "--json")  # fmt: skip
        report = json.loads(printed)
        assert code == 0 and report == report_of(out) and adds_up(report), said
        arguments = ["--template", tmp_path / "mine.yaml", "--server", server.url, "--retries", 0, "--stop-after", 99]
        table = emoreason("annotate", path, out, *arguments)[1]
    assert "[/b] [31m" in table and "\x1b" not in table  # neither markup nor a code that a terminal would obey
    assert (report["kept"], report["rejected"]["format"]["records"]) == (2, 4)
    assert sum(one["records"] for one in report["failed"].values()) == 3 and {"HTTP 400", "HTTP 503"} < {reason[:8] for reason in report["failed"]}
    assert [row["id"] for row in rows(out)] == ["r0", "r8"] and rows(out)[1]["target"]["reasoning"] == "so\ufffd"
    assert [row["id"] for row in rows(out.with_name("out.rejected.jsonl"))] == ["r1", "r2", "r3", "r7"]


def test_records_that_lack_or_have_something_are_left_out_before_any_request(bare_path: Path, emoreason: Run) -> None:
    found = rows(bare_path)
    del found[0]["target"]["action_units"]
    found[1]["target"]["reasoning"] = "It is there already."
    found[2]["media"]["images"] = ["gone.png"]
    write_jsonl(bare_path, found)
    out = bare_path.with_name("out.jsonl")
    with closing(ChatServer(good_reasoning)) as server:
        arguments = ["annotate", bare_path, out, "--template", "facial_r1_loop", "--server", server.url]
        assert emoreason(*arguments)[0] == 0
        report = report_of(out)
        assert len(server.bodies) == report["kept"] == 1 and adds_up(report)
        assert [(reason, one["examples"]) for reason, one in report["left_out"].items()] == [
            ("lacks target.action_units", [found[0]["id"]]),
            ("has target.reasoning already; --overwrite asks anew", [found[1]["id"]]),
            ("media cannot be read", [f"{found[2]['id']}: gone.png: no such picture"]),
        ]
        assert emoreason(*arguments, "--overwrite")[0] == 0
        report = report_of(out)
        assert report["kept"] == 2 and report["answers"] == {"from_cache": 1, "from_server": 1}
        assert {row["id"] for row in rows(out)} == {found[1]["id"], found[3]["id"]}


def test_a_limit_and_changed_filters_ask_for_what_is_new_alone(bare_path: Path, emoreason: Run, tmp_path: Path) -> None:
    path, out = many(bare_path, 6), bare_path.with_name("out.jsonl")
    with closing(ChatServer(lambda text, number: {"why": "because " * (number + 1)})) as server:

        def run(template: Path, *more: object) -> dict:
            assert emoreason("annotate", path, out, "--template", template, "--server", server.url, "--concurrency", 1, *more)[0] == 0
            return report_of(out)

        report = run(text_template(tmp_path), "--limit", 4)
        assert (report["records"], report["beyond_limit"], report["kept"], len(server.bodies)) == (4, 2, 4, 4)
        report = run(text_template(tmp_path, filters={"length": {"max_words": 2}}))
        assert len(server.bodies) == 6 and report["answers"] == {"from_cache": 4, "from_server": 2}
        assert (report["kept"], report["rejected"]["length"]["records"]) == (2, 4)
        assert report["rejected"]["length"]["examples"][0] == "r2: it has 3 words, and at most 2 are wanted"


def test_each_modality_is_described_alone_and_the_record_says_whether_they_agree(bare_path: Path, emoreason: Run) -> None:
    found = rows(bare_path)
    words = ["I am so glad.", "It is raining.", "I could scream.", None]
    for row, text in zip(found, words, strict=True):
        row |= {"text": text, "target": {"label_space": row["target"]["label_space"]}}
    write_jsonl(bare_path, found)
    emotions = {"glad": "joy", "raining": "unclear", "scream": "anger"}

    def act(text: str, number: int) -> Any:
        emotion = next((word for sign, word in emotions.items() if sign in text), "joy")
        return {"description": "A sign of it is there to be seen.", "emotion": emotion}

    out = bare_path.with_name("out.jsonl")
    with closing(ChatServer(act)) as server:
        assert emoreason("annotate", bare_path, out, "--template", "unimodal_descriptions", "--server", server.url)[0] == 0
    report = report_of(out)
    assert report["agreement"] == {"agree": 1, "conflict": 1, "none": 1} and adds_up(report)
    assert list(report["left_out"]) == ["has fewer than 2 modalities"] and len(server.bodies) == 6
    assert [one.attributes["unimodal_agreement"] for one in read_records(out)] == ["agree", "none", "conflict"]


def test_statements_are_written_in_balance(bare_path: Path, emoreason: Run) -> None:
    names = ("sentiment_polarity", "emotion_interpretation", "scene_context", "perception_subjectivity")
    pairs = {name: {"correct": f"The picture is bright in its {name} to all.", "incorrect": f"It is dark in its {name} to all."} for name in names}
    out = bare_path.with_name("out.jsonl")
    with closing(ChatServer(lambda text, number: {"statements": pairs})) as server:
        assert emoreason("annotate", bare_path, out, "--template", "insets_statements", "--server", server.url)[0] == 0
    verdicts = [one.target.label for one in read_records(out)]
    assert (len(verdicts), verdicts.count("correct"), report_of(out)["records_written"]) == (32, 16, 32)


def test_media_are_named_from_a_folder_above(bare_path: Path, emoreason: Run, tmp_path: Path) -> None:
    with closing(ChatServer(good_reasoning)) as server:
        arguments = ["--template", "facial_r1_loop", "--server", server.url]
        out = bare_path.parent.parent / "out.jsonl"
        assert emoreason("annotate", bare_path, out, *arguments)[0] == 0
        assert all((out.parent / one.media.images[0]).is_file() and one.media.images[0].startswith("faces/") for one in read_records(out))
        code, _, said = emoreason("annotate", bare_path, bare_path.parent / "deeper" / "out.jsonl", *arguments)
    assert code == 2 and "or a folder above it" in said and len(server.bodies) == 4


# What the user gets wrong ---------------------------------------------------------------------------------------------------------------


def test_nothing_of_others_is_written_over(bare_path: Path, emoreason: Run) -> None:
    arguments = ["--template", "facial_r1_loop", "--server", "http://127.0.0.1:9"]
    other = bare_path.with_name("other.jsonl")
    other.write_text("mine\n")
    for out, told in [
        (bare_path, "would write over the records"),
        (other, "is there already without other.report.json"),
        (bare_path.parent, "a folder"),
    ]:
        code, _, said = emoreason("annotate", bare_path, out, *arguments)
        assert code == 2 and told in said
    code, _, said = emoreason("annotate", bare_path, bare_path.with_name("out.jsonl"), *arguments, "--cache", bare_path)
    assert code == 2 and "would write over the records" in said
    assert other.read_text() == "mine\n"


def test_what_is_missing_on_the_command_line_is_told_at_once(emoreason: Run) -> None:
    code, _, said = emoreason("annotate", "--clips", "gif")
    assert code == 2
    assert [line.partition(" is missing")[0] for line in said.splitlines()] == [
        "error: --clips gif: accepted: frames, file", "error: RECORDS", "error: OUT", "error: --template", "error: --server",
    ]  # fmt: skip


def test_a_server_that_is_not_there_or_not_for_us_ends_it_with_2(bare_path: Path, emoreason: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["annotate", bare_path, bare_path.with_name("out.jsonl"), "--template", "facial_r1_loop", "--retries", 0]
    with closing(ChatServer(good_reasoning, ["a", "b"], api_key="right")) as server:
        monkeypatch.setenv("EMOREASON_API_KEY", "wrong-0123")
        code, _, said = emoreason(*arguments, "--server", server.url)
        assert code == 2 and "the key was refused" in said and "wrong-0123" not in said
        monkeypatch.setenv("EMOREASON_API_KEY", "right")
        code, _, said = emoreason(*arguments, "--server", server.url)
        assert code == 2 and "choose one by --model" in said
        assert emoreason(*arguments, "--server", server.url, "--model", "b")[0] == 0 and {body["model"] for body in server.bodies} == {"b"}
    code, _, said = emoreason(*arguments, "--server", server.url)
    assert code == 2 and "is the server running" in said
    assert "right" not in "".join(path.read_text() for path in bare_path.parent.glob("out.*"))


def test_a_dry_run_sends_nothing_and_shows_what_it_would(bare_path: Path, emoreason: Run) -> None:
    found = rows(bare_path)
    del found[0]["target"]["action_units"]
    write_jsonl(bare_path, found)
    code, printed, said = emoreason("annotate", bare_path, bare_path.with_name("out.jsonl"), "--template", "facial_r1_loop", "--dry-run")
    body = json.loads(printed)
    assert code == 0 and f"The emotion is {found[1]['target']['label']}." in printed and "<image/jpeg, " in printed and body["model"] == "MODEL"
    assert "3 of 4 records would be asked about, in 3 requests or more; left out 1: lacks target.action_units" in said
    assert not list(bare_path.parent.glob("out*"))


def test_the_templates_are_listed_and_shown(emoreason: Run) -> None:
    assert "facial_r1_loop" in emoreason("annotate", "--list")[1]
    assert len(json.loads(emoreason("annotate", "--list", "--json")[1])) == 6
    assert yaml.safe_load(emoreason("annotate", "--show", "sed")[1])["name"] == "sed"


# Stopped, killed, and run again ---------------------------------------------------------------------------------------------------------


def test_a_deadline_writes_what_there_is_and_the_same_command_goes_on(bare_path: Path, emoreason: Run, tmp_path: Path) -> None:
    path, out = many(bare_path, 8), bare_path.with_name("out.jsonl")
    with closing(ChatServer(lambda text, number: {"why": "because"} if number < 5 else "hang")) as server:
        arguments = ["annotate", path, out, "--template", text_template(tmp_path), "--server", server.url, "--concurrency", 2]
        code, _, said = emoreason(*arguments, "--deadline", 1.2)
        report = report_of(out)
        assert code == 1 and "the deadline has passed" in said and adds_up(report)
        assert (report["kept"], report["not_reached"], len(rows(out))) == (5, 3, 5)
        server.act = lambda text, number: {"why": "at last"}
        assert emoreason(*arguments)[0] == 0
    assert report_of(out)["answers"] == {"from_cache": 5, "from_server": 3} and [row["id"] for row in rows(out)] == [
        f"r{index}" for index in range(8)
    ]


def test_a_server_that_goes_away_ends_it_with_what_there_is(bare_path: Path, emoreason: Run, tmp_path: Path) -> None:
    path, out = many(bare_path, 12), bare_path.with_name("out.jsonl")
    with closing(ChatServer(lambda text, number: {"why": "because"} if number < 4 else "drop")) as server:
        code, _, said = emoreason("annotate", path, out, "--template", text_template(tmp_path), "--server", server.url, "--concurrency", 2,
                                  "--retries", 0, "--stop-after", 3)  # fmt: skip
    report = report_of(out)
    assert code == 1 and "3 requests in a row had no answer" in said and adds_up(report) and report["kept"] == 4
    assert len(server.bodies) <= 8 and report["not_reached"] >= 5 and "requests in a row" in report["stopped"]


def test_requests_that_are_refused_do_not_end_a_run_that_goes_on(bare_path: Path, emoreason: Run, tmp_path: Path) -> None:
    path, out = many(bare_path, 9), bare_path.with_name("out.jsonl")
    with closing(ChatServer(lambda text, number: 400 if number else {"why": "because"})) as server:
        arguments = ["annotate", path, out, "--template", text_template(tmp_path), "--server", server.url, "--concurrency", 1, "--stop-after", 2]
        for _ in range(2):
            assert emoreason(*arguments)[0] == 0
            report = report_of(out)
            assert (report["kept"], report["not_reached"], [one["records"] for one in report["failed"].values()]) == (1, 0, [8])


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "emoreason", "annotate", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"})


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_killed_and_interrupted_it_asks_nothing_twice_and_loses_nothing(bare_path: Path, emoreason: Run, tmp_path: Path) -> None:
    path, out = many(bare_path, 40), bare_path.with_name("out.jsonl")
    cache_path = out.with_name("out.cache.jsonl")

    def act(text: str, number: int) -> Any:
        time.sleep(0.02)
        return "hang" if 20 <= number < 24 else {"why": f"because of {text}"}

    with closing(ChatServer(act)) as server:
        arguments = [path, out, "--template", text_template(tmp_path), "--server", server.url, "--concurrency", 4]
        process = start(*arguments)
        wait_until(lambda: len(server.bodies) >= 9)
        process.kill()
        process.communicate()
        assert not out.exists()
        with cache_path.open("ab") as cache:
            cache.write(b'{"key": "ab')  # as a kill in the middle of a write would leave it
        process = start(*arguments)
        wait_until(lambda: len(server.bodies) == 24)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=20)
        assert process.returncode == 130 and "the same command goes on from here" in said and "Traceback" not in said, said
        num_kept = len(rows(out))
        report = report_of(out)
        assert (report["stopped"], report["kept"], report["not_reached"]) == ("interrupted", num_kept, 40 - num_kept) and "not reached" in printed
        assert 12 <= num_kept <= 20 and sum(b'"text"' in line for line in cache_path.read_bytes().splitlines()) == num_kept
        assert emoreason("annotate", *arguments)[0] == 0
    assert report_of(out)["answers"] == {"from_cache": num_kept, "from_server": 40 - num_kept}
    assert [row["target"]["reasoning"] for row in rows(out)] == [f"because of Why: record {index}?" for index in range(40)]
    # Asked twice were at most those whose answers were on their way at the kill, and at the interrupt.
    assert len(server.bodies) - 40 <= 2 * 4 and len(set(server.texts)) == 40


def test_what_is_larger_than_the_settings_is_sent_smaller(bare_path: Path, emoreason: Run) -> None:
    face(0, (900, 700)).save(bare_path.parent / rows(bare_path)[0]["media"]["images"][0])
    with closing(ChatServer(good_reasoning)) as server:
        arguments = ["--template", "facial_r1_loop", "--server", server.url, "--limit", 1, "--max-pixels", 10_000]
        assert emoreason("annotate", bare_path, bare_path.with_name("out.jsonl"), *arguments)[0] == 0
    (body,) = server.bodies
    assert len(json.dumps(body)) < 12_000
