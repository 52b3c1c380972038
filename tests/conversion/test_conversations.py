"""Chats of three trainers, the pictures they name, and answers with and without tags."""

import pytest

from emoreason.conversion.conversations import chosen_options, only_one, places_of, read_answer, read_conversation, split_options
from emoreason.conversion.faults import BadRow
from emoreason.conversion.tables import Row

QWEN = {"conversations": [{"role": "user", "content": [{"type": "image", "image": "FI/1.jpg"}, {"type": "text", "text": "Which emotion?"}]}]}
SWIFT = {
    "messages": [{"role": "user", "content": "<image>Which emotion?"}, {"role": "assistant", "content": "joy"}],
    "images": [{"path": "FI/1.jpg"}],
}  # fmt: skip
LLAVA = {"image": "FI/1.jpg", "conversations": [{"from": "human", "value": "<image>\nWhich emotion?"}, {"from": "gpt", "value": "joy"}]}


@pytest.mark.parametrize(("fields", "answer"), [(QWEN, None), (SWIFT, "joy"), (LLAVA, "joy")], ids=["qwen", "swift", "llava"])
def test_chats_of_three_trainers_say_the_same(fields: dict, answer: str | None) -> None:
    assert read_conversation(Row(fields, "a.jsonl", 1)) == ("Which emotion?", answer, ["FI/1.jpg"])


@pytest.mark.parametrize("fields", [{}, {"messages": "text"}, {"messages": ["text"]}, {"messages": [{"role": "assistant", "content": "joy"}]}])
def test_a_chat_in_which_nobody_asks_is_bad(fields: dict) -> None:
    with pytest.raises(BadRow):
        read_conversation(Row(fields, "a.jsonl", 1))


def test_a_path_of_another_machine_is_looked_for_below_the_folder_and_never_by_its_name_alone() -> None:
    assert places_of("C:\\data\\FI\\1.jpg") == ["data/FI/1.jpg", "FI/1.jpg"]
    assert places_of("../benchmarks/MVEI/1.jpg") == ["benchmarks/MVEI/1.jpg", "MVEI/1.jpg"]
    assert places_of("file:///mnt/FI/1.jpg") == ["mnt/FI/1.jpg", "FI/1.jpg"] and places_of("1.jpg") == ["1.jpg"]


def test_an_answer_is_read_with_the_tags_that_stand_in_it() -> None:
    assert read_answer("Correct.", "verdict").answers == ["correct"]
    free = read_answer("<think>Lips up.</think><answer>Joy</answer><confidence>0.8</confidence>", "label")
    assert (free.think, free.answers, free.confidence) == ("Lips up.", ["joy"], 0.8)
    with pytest.raises(BadRow, match="<human> is missing"):
        read_answer("<think><element>sky</element><analysis>calm</analysis></think><answer>awe</answer>", "label")


@pytest.mark.parametrize(("question", "found"), [
    ("Which? (A) anger, (B) joy", ("Which?", ["anger", "joy"])),
    ("Which?\n(A) anger\n(B) joy\nOnly the letter.", ("Which?", ["anger", "joy"])),
    ("Is (A) the man?", ("Is (A) the man?", [])),
    ("Which? (B) anger (A) joy", ("Which? (B) anger (A) joy", [])),
])  # fmt: skip
def test_options_leave_a_question_where_their_letters_rise(question: str, found: tuple) -> None:
    assert split_options(question) == found


@pytest.mark.parametrize(("answer", "found"), [("B", ["joy"]), ("(B) joy", ["joy"]), ("B. joy", ["joy"]), ("C,A", ["fear", "anger"]),
                                               ("AA", ["anger"]), ("Joy.", ["joy"])])  # fmt: skip
def test_options_are_chosen_by_letter_or_text(answer: str, found: list[str]) -> None:
    assert chosen_options(answer, ["anger", "joy", "fear"]) == found


@pytest.mark.parametrize("answer", ["D", "(D) awe", "awe", "AD", "joy and fear"])
def test_an_answer_that_is_no_option_is_bad(answer: str) -> None:
    with pytest.raises(BadRow, match="3 options"):
        chosen_options(answer, ["anger", "joy", "fear"])


@pytest.mark.parametrize("images", [[], ["1.jpg", "2.jpg"]])
def test_a_question_on_one_picture_names_one(images: list[str]) -> None:
    assert only_one(["FI/1.jpg"]) == "FI/1.jpg"
    with pytest.raises(BadRow, match=f"{len(images)} pictures"):
        only_one(images)
