"""Every spelling of a confidence that models use, with its value, or the reason why it has none."""

import random

import pytest

from emoreason.stated_confidence import CONFIDENCE_WORDS, parse_confidence, read_confidence

NUMBERS = {
    "0.85": 0.85, ".85": 0.85, "0,85": 0.85, ",85": 0.85, " 0.85\n": 0.85, "0.85.": 0.85, "0.8 .": 0.8, "{0.8}": 0.8, "[0.8]": 0.8, "(0.8)": 0.8,
    '"0.8"': 0.8, "'0.8'": 0.8, "**0.8**": 0.8, "`0.8`": 0.8, "$0.8$": 0.8, "\\boxed{0.8}": 0.8, "“0.8”": 0.8, "confidence: 0.8": 0.8,
    "Confidence = 0.8": 0.8, "confidence score: .8": 0.8, "My confidence is 0.8": 0.8, "= 0.8": 0.8, ": 0.8": 0.8, "~0.8": 0.8, "≈ 0.8": 0.8,
    "about 0.8": 0.8, "about 80%": 0.8, "approximately 80 %": 0.8, "roughly .8": 0.8, "85%": 0.85, "85 %": 0.85, "85.5%": 0.855, "85,5%": 0.855,
    "85 percent": 0.85, "85 per cent": 0.85, "85pct": 0.85, "８５％": 0.85, "０．８５": 0.85, "٨٥٪": None, "٠.٨٥": 0.85, "८५%": 0.85, "8/10": 0.8,
    "8 / 10": 0.8, "8.5/10": 0.85, "8.5 / 10": 0.85, "4 out of 5": 0.8, "4 of 5": 0.8, "85/100": 0.85, "10/10": 1.0, "0/5": 0.0, "1": 1.0, "1.0": 1.0,
    "1.00": 1.0, "0": 0.0, "0.0": 0.0, "100%": 1.0, "0%": 0.0, "70-80%": 0.75, "70%-80%": 0.75, "70 to 80 percent": 0.75, "0.7-0.8": 0.75,
    "0.7–0.8": 0.75, "between 70 and 80%": 0.75, "between 0.7 and 0.8": 0.75, "from 0.7 to 0.8": 0.75, "7-8/10": 0.75, "high (90%)": 0.9,
    "High: 0.9": 0.9,
    "very high, 95%": 0.95, "90% (very confident)": 0.9, "1e-1": 0.1, "8.5e-1": 0.85, "85": 0.85, "85.5": 0.855, "100": 1.0, "11": 0.11,
    "0.850000": 0.85, "1/" + "9" * 60: 0.0,
}  # fmt: skip
WHY_NOT = {
    "": "empty", " . ": "empty", "()": "empty", "1.5": "no scale", "7": "no scale", "10": "no scale", "8.5": "no scale", "120%": "more than 1",
    "101": "more than 1", "11/10": "more than 1", "150": "more than 1", "1e9": "more than 1", "1e999": "more than 1", "-3": "sign", "-0.5": "sign",
    "+0.5": "sign", "-80%": "sign", "n/a": "no number", "NaN": "no number", "inf": "no number", "none": "no number", "%": "no number",
    "joy": "no number",
    "80% or 90%": "several", "0.8 0.9": "several", "0.8.1": "several", "0.8, 0.9": "several", "80%-70%": "downwards", "5/0": "share of 0",
    "1,000": "thousands", "8%/10": "", "I am sure that 0.8 is right": "no number", "9" * 5000: "longer", "9" * 70: "more than 1",
    "1" + " " * 500 + "x": "longer",
    "high and low": "no number",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), [(text, value) for text, value in NUMBERS.items() if value is not None])
def test_a_number_in_any_spelling(text, value):
    assert read_confidence(text) == (pytest.approx(value), None)
    assert parse_confidence(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "why"), WHY_NOT.items(), ids=lambda text: text[:20])
def test_what_is_refused_says_why(text, why):
    value, reason = read_confidence(text)
    assert value is None
    assert why in reason and reason


@pytest.mark.parametrize(("text", "value"), [("high", 0.8), ("Very high.", 0.95), ("LOW", 0.3), ("**moderate**", 0.6), ("almost certain", 0.95),
                                             ("confidence: high", 0.8), ("high confidence", 0.8), ("unlikely", 0.2)])  # fmt: skip
def test_words_are_read_and_said_to_be_words(text, value):
    assert read_confidence(text) == (value, "in words, not as a number")


def test_words_are_probabilities_in_order():
    assert all(0 < value < 1 for value in CONFIDENCE_WORDS.values())
    grades = [CONFIDENCE_WORDS[word] for word in ("very low", "low", "moderate", "high", "very high")]
    assert grades == sorted(grades)


def test_the_table_is_as_long_as_it_claims():
    assert len(NUMBERS) + len(WHY_NOT) >= 100


def test_what_formatting_writes_is_read_back():
    draw = random.Random(0)
    for _ in range(300):
        value = draw.random()
        texts = {f"{value:.2f}": 2, f"{value:.0%}": 2, f"{value:.1%}": 3, f"{value * 10:.1f}/10": 2, f"{value:.4f}": 4, f"{{{value:.2f}}}": 2}
        for text, digits in texts.items():
            assert parse_confidence(text) == pytest.approx(value, abs=0.51 * 10**-digits)


@pytest.mark.parametrize("text", ["\x00", "\ud800", "½", "²", "①", "0.8\u202e", "🙂", "<" * 1000, "(" * 300, "0" * 320, "-" * 300, "٪" * 100])
def test_odd_text_never_raises(text):
    value, reason = read_confidence(text)
    assert value is None or 0 <= value <= 1
    assert (value is None) <= (reason is not None)
