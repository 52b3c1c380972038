"""Answers on disk: none lost and none half read, wherever a kill has cut."""

import json
from pathlib import Path

import pytest

from emoreason.annotate.cache import AnswerCache, Reply
from emoreason.faults import UserError

REPLIES = [Reply(f"answer {number} \u00e9\U0001f642", "stop", number, 2) for number in range(3)]


def written(path: Path) -> bytes:
    cache = AnswerCache(path)
    for number, reply in enumerate(REPLIES):
        assert cache.put(f"key{number}", reply) == reply
    return path.read_bytes()


def test_what_was_put_is_there_again(tmp_path: Path) -> None:
    written(tmp_path / "deep" / "c.jsonl")
    again = AnswerCache(tmp_path / "deep" / "c.jsonl")
    assert [again.get(f"key{number}") for number in range(3)] == REPLIES and again.get("key3") is None and len(again) == 3


def test_a_cut_anywhere_loses_the_cut_row_alone_and_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    content = written(path)
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]
    for cut in [*range(0, len(content), 7), *ends, *(end - 1 for end in ends)]:
        path.write_bytes(content[:cut])
        cache = AnswerCache(path)
        num_whole = sum(end <= cut for end in ends)  # at `end` the row is whole, its line's end alone is missing
        assert len(cache) == num_whole
        cache.put("new", REPLIES[0])
        after = AnswerCache(path)
        assert len(after) == num_whole + 1 and after.get("new") == REPLIES[0]


def test_the_last_row_of_a_key_counts(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c.jsonl")
    cache.put("k", REPLIES[0])
    cache.put("k", REPLIES[1])
    assert cache.get("k") == AnswerCache(tmp_path / "c.jsonl").get("k") == REPLIES[1]


def test_half_a_character_is_kept_as_it_will_be_read(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c.jsonl")
    assert cache.put("k", Reply("x\ud83d")) == Reply("x\ufffd") == AnswerCache(tmp_path / "c.jsonl").get("k")


@pytest.mark.parametrize("content", [json.dumps({"id": "r"}) + "\n", json.dumps({"key": "k", "text": "t", "more": 1}) + "\n", "no\nJSON\nat all\n"])
def test_a_file_of_something_else_is_refused_and_left(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match="--cache"):
        AnswerCache(path)
    assert path.read_text() == content


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        AnswerCache(tmp_path / "file" / "c.jsonl").put("k", REPLIES[0])
