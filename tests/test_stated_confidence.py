import doctest
import random
import time

import pytest

from emoreason import stated_confidence
from emoreason.stated_confidence import IN_WORDS, WORDS, parse_confidence, read_confidence

FIGURES = {
    0.0: ["0", "0.0", "0%", "0/5", "1e-999"],
    0.01: ["1%"],
    0.075: ["7.5%"],
    0.1: ["1e-1", "10%", "5-15%"],
    0.105: ["10.5"],
    0.11: ["11"],
    1 / 3: ["0.3333333333333333333333333333"],
    0.7: ["a 70% chance of being right"],
    0.75: [  # most of them ranges, which mean their middle
        "70-80%", "70%-80%", "70% - 80%", "70 – 80 %", "70—80%", "70~80%", "７０～８０％", "70 to 80%", "70-80", "0.7–0.8", "0.7 - 0.8",
        "0.7--0.8", "0.7−0.8", "0.7 to 0.8", "~70-80%", "between 70 and 80%", "between 70% and 80%", "Between 0.7 and 0.8",
        "between 0.7-0.8", "from 0.7 to 0.8", "7-8/10", "7 to 8 out of 10", "3/4",
    ],
    0.8: [
        "0.8.", "0.8,", "{0.8}", "[0.8]", "(0.8)", '"0.8"', "'0.8'", "“0.8”", "«0.8»", "**0.8**", "_0.8_", "`0.8`", "$0.8$",
        "\\boxed{0.8}", "\\(0.8\\)", "\\approx 0.8", "(0.8", "confidence: 0.8", "Confidence = 0.8", "= 0.8", "confidence - 0.8", "- 0.8",
        "~0.8", "~ 0.8", "≈0.8", "about 80%", "approx. 80%", "8/10", "8 / 10", "4/5", "0.8/1", "4 out of 5", "8  out\tof 10", "８／１０",
        "0.8。", "unlikely: 80%", "8/10 = 0.8", "0.8 or 80%",
    ],
    0.85: [
        "0.85", ".85", "0,85", ",85", "0.850", "0,850", "00.85", " 0.85\n", "8.5e-1", "8.5E-1", "$\\boxed{85\\%}$", "\\text{85 \\%}",
        "I'm 85% sure.", "I’m 85% sure", "I am about 85% confident", "85%", "85 %", "85\u00a0%", "85%.", "85.%", "85 percent",
        "85 Per Cent", "85 per cent", "85pct", "85", "8.5/10", "8,5/10", "85/100", "85 / 100.", "８５％", "０．８５", "０，８５", "٠٫٨٥", "٨٥٪",
        "०.८५", "（85%）", "between 0.8 and 0.9", "0.85 (85%)", "85% (0.85)",
    ],
    0.855: ["85.5%", "85,5%", "85.5"],
    0.9: ["0.9!", "high (90%)", "Confidence: high (90%)", "high - 90%", "high — 90%", "90% - high", "very high, 0.9"],
    1.0: ["1", "1.0", "1,00", "1.", "100%", "100", "10/10"],
}  # fmt: skip

REFUSED = {
    "empty": ["", " \n"],
    "no number": [".", "--", "confidence", "certain"],
    "is on an unknown scale: of 5, of 10 or of 100": ["1.5", "5", "8.5", "10", "5-8", "2020-05-12", "8/"],
    "is on an unknown scale: of 1 or of 100": ["0.85%", "0.7-80", "0.85/100"],
    "is on an unknown scale: of 1 or of 10": ["0.8/10"],
    "is above 100%": ["120%", "101", "100.1%", "90-110%"],
    "is far above 100%": ["1e999", "9" * 100, "1/1e999", "1e999/1e999"],
    "is above its total": ["11/10", "1.1/1"],
    "is negative": ["-3", "-0.5", "−0.5", "－0.5", "(-0.5)", "--0.5", "confidence -0.8"],
    "divides by zero": ["5/0", "0/0"],
    "divides by a fraction": ["0.8/0.9"],
    "may mark thousands or decimals": ["1,000", "85,000%", "1,000,000"],
    "two different numbers that are no range": [
        "80% or 90%", "0.8 0.9", "0.8, 0.9", "0.8,0.9", "80%,90%", "0.7 and 0.8", "0.8.1", "0.8\n0.2", "85 (0.8)", "1_000",
    ],
    "two different words that are no range": ["high or low", "moderate-to-high"],
    "torn apart": ["0.{0", "0.[85"],
    "no range that rises": ["80-70%", "0.8-0.7", "0.8-0.8", "0.to 0"],
    "is the whole scale": ["0-1", "0-100%"],
    "no readable range": ["between 0.8", "between 70 and", "80% -", "0.1-0.2-0.3", "8/10-9/10"],
    "is per cent of a total": ["8%/10"],
    "belongs to no number": ["%", "80/", "/10", "8/10/10", "8/10%"],
    # Other words and signs may change what a number means.
    "is no part of a confidence": [
        "n/a", "NaN", "inf", "none", "not 80%", "at least 80%", "below 50%", "80% wrong", "AU12", "85 images", "0.8 joy", "joy", "very",
        "no chance", "not likely", "80x", ">0.9", "80%+", "+0.5", "0.8 ± 0.1", "½", "10²", "\\frac{4}{5}", "<b>0.8</b>", "0.8\x00",
        "\ud800",
    ],
    "characters long, where a number is expected": ["9" * 5000, "0." + "8" * 5000, "0.8 because of the smile and the eyes " * 5],
}  # fmt: skip


@pytest.mark.parametrize(("value", "text"), [(value, text) for value, texts in FIGURES.items() for text in texts])
def test_figures_are_read_without_a_remark(value, text):
    found, remark = read_confidence(text)
    assert found == pytest.approx(value, abs=1e-12)
    assert remark is None
    assert parse_confidence(text) == found


@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in REFUSED.items() for text in texts], ids=lambda one: ascii(one[:40]))
def test_what_cannot_be_read_is_refused_with_the_reason(why, text):
    found, remark = read_confidence(text)
    assert found is None
    assert why in remark
    assert parse_confidence(text) is None


def test_the_reason_names_what_was_found():
    assert read_confidence("not 80%")[1] == "'not' is no part of a confidence"
    assert read_confidence("about 120 %")[1] == "120 % is above 100%"
    assert read_confidence("-0,5")[1] == "-0,5 is negative"
    assert read_confidence("9" * 5000)[1] == "5000 characters long, where a number is expected"


@pytest.mark.parametrize(("word", "value"), WORDS.items())
def test_words_are_read_with_a_remark(word, value):
    for text in (word, word.upper(), f"**{word}**.", f"confidence: {word}", word.replace(" ", "  ")):
        assert read_confidence(text) == (value, IN_WORDS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("high confidence", 0.8),
        ("very-high", 0.95),
        ("a very good chance", 0.8),
        ("I am almost certain", 0.95),
        ("it is highly unlikely", 0.05),
    ],
)
def test_words_in_a_phrase(text, value):
    assert read_confidence(text) == (value, IN_WORDS)


def test_words_order_as_their_values():
    assert WORDS["very low"] < WORDS["low"] < WORDS["moderate"] == WORDS["medium"] < WORDS["high"] < WORDS["very high"]
    assert all(0 < value < 1 for value in WORDS.values())


SPELLINGS = {  # {spelling: half of its last digit}
    "{c:.2f}": 0.005, "{c:.3f}": 0.0005, "{c}": 0, "{c:.2e}": 0.005, "{c:.0%}": 0.005, "{c:.1%}": 0.0005, "{p:.0f}/100": 0.005,
    "{p:.2f} percent": 5e-5, "{t:.1f}/10": 0.005, "**{c:.2f}**": 0.005, "\\boxed{{{c:.2f}}}": 0.005, "Confidence: {c:.0%}.": 0.005,
    "about {c:.0%}": 0.005,
}  # fmt: skip


@pytest.mark.parametrize(("spelling", "rounding"), SPELLINGS.items())
def test_random_confidences_come_back(spelling, rounding):
    draw = random.Random(0)
    for _ in range(200):
        confidence = draw.uniform(0.12, 1)  # `0.9%` and `0.5/10` are refused
        text = spelling.format(c=confidence, p=100 * confidence, t=10 * confidence)
        found, remark = read_confidence(text)
        assert remark is None, text
        assert found == pytest.approx(confidence, abs=rounding + 1e-12), text


def test_a_decimal_comma_reads_as_a_point():
    for step in range(100):
        for spelling in ("{0:.2f}", "{0:.1%}", "{0:.4f}"):
            text = spelling.format(step / 100 + 0.0012)
            assert parse_confidence(text.replace(".", ",")) == parse_confidence(text), text


@pytest.mark.parametrize("percent", range(101))
def test_every_whole_per_cent_comes_back(percent):
    assert parse_confidence(f"{percent}%") == parse_confidence(f"{percent}/100") == percent / 100
    assert parse_confidence(f"{percent / 100:.2f}") == percent / 100


def test_every_range_of_whole_per_cents_is_its_middle():
    for low in range(0, 100, 7):
        for high in range(low + 1, min(low + 30, 101)):
            middle = pytest.approx((low + high) / 200)
            assert parse_confidence(f"{low}-{high}%") == middle
            assert parse_confidence(f"{low / 100:.2f}–{high / 100:.2f}") == middle
            assert parse_confidence(f"between {low}% and {high}%") == middle


PIECES = ["0", "1", "8", "85", "0.8", ".", ",", "%", "/", "-", "–", "~", " ", "e", "to", "between", "and", "or", "high", "very", "out of", "not",
          "{", "}", "\\", "$", "٨", "²", "½", "％", "\x00", "\ud800", "\u0130", "\u017f", "\n"]  # fmt: skip


def test_soup_never_raises_and_is_in_range_or_has_a_reason():
    draw = random.Random(0)
    num_read = 0
    for _ in range(5000):
        text = "".join(draw.choices(PIECES, k=draw.randrange(9)))
        value, remark = read_confidence(text)
        num_read += value is not None
        assert (value is None and remark) or (0.0 <= value <= 1.0 and remark in (None, IN_WORDS)), text
    assert 200 < num_read < 4800


LONG = ["9" * 100_000, "1" + " " * 100_000 + "x", "{" * 100_000, "very " * 20_000, "0.8 " * 25_000, "\\" * 100_000, " " * 100_000]


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:5])
def test_a_hundred_thousand_characters_take_no_time(text):
    start = time.process_time()
    assert parse_confidence(text) is None
    assert time.process_time() - start < 0.1


def test_the_examples_hold():
    assert doctest.testmod(stated_confidence).failed == 0
