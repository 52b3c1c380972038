import time

import pytest

from emoreason.metrics.text import rouge_l, words


def test_words_are_folded_runs_of_letters_and_digits():
    assert words("The AU12's_corner: 3.5, Straße") == ["the", "au12", "s", "corner", "3", "5", "strasse"]
    assert words("她在smile，かな 한국") == ["她", "在", "smile", "か", "な", "한", "국"]
    assert words(" ,;—\ud800\x00") == []


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # Lin (2004): police, the, gunman are common; 3 of 4 words on both sides
        ("police kill the gunman", "police killed the gunman", 0.75),
        # the, gunman: 2 of 4 on both sides
        ("the gunman kill police", "police killed the gunman", 0.5),
        # a b d: P = 3/4, R = 3/3, F = 2 * 0.75 / 1.75
        ("a b c d", "a b d", 1.5 / 1.75),
        # a a of three a: P = 2/2, R = 2/3
        ("a a", "a a a", 0.8),
        ("lips up", "Lips, up!", 1.0),
        ("a b", "b a", 0.5),
        ("joy", "anger", 0.0),
        ("", "anger", 0.0),
        ("joy", "", 0.0),
        ("", "", 0.0),
        # 嘴 角 扬: P = 3/4, R = 3/3
        ("嘴角上扬", "嘴角扬", 1.5 / 1.75),
    ],
)
def test_rouge_l_by_hand(prediction, reference, expected):
    assert rouge_l(prediction, reference) == pytest.approx(expected)
    assert rouge_l(reference, prediction) == pytest.approx(expected)


def table_lcs(one, other):
    """The textbook table."""
    row = [0] * (len(other) + 1)
    for word in one:
        before, row = row, [0]
        for index, second in enumerate(other):
            row.append(before[index] + 1 if word == second else max(before[index + 1], row[index]))
    return row[-1]


def test_rouge_l_is_that_of_the_textbook_table():
    # Two sequences with repeats that share much and not all: i^2 mod 11 and i^3 mod 13.
    one, other = [f"w{i * i % 11}" for i in range(150)], [f"w{i**3 % 13}" for i in range(90)]
    common = table_lcs(one, other)
    assert 20 < common < 90
    assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(2 * common / (150 + 90))


@pytest.mark.parametrize("text", ["a b " * 25_000, "笑" * 100_000, " " * 100_000, "j" * 100_000, "<" * 100_000])
def test_long_predictions_are_fast(text):
    start = time.process_time()
    assert 0 <= rouge_l(text, "a smile b 笑 " * 50) < 1
    assert time.process_time() - start < 1.0
