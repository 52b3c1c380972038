import doctest
import random
import re
import string
import time

import pytest

from emoreason import compat
from emoreason.compat import COMPAT, CONFIDENCE_COMPAT, first_span, published_answer, published_confidence
from emoreason.completions import Template, parse_completion
from emoreason.faults import UserError

LABELS = ["joy", "anger", "happy", "sad", "neutral", "fear"]
LETTERS = ["Yes", "No", "A wide smile", "Crossed arms"]
OF_LETTERS = ["emorealm", "emobserver_eemo", "ii_bench"]


def strict(text, answer="label"):
    return parse_completion(text, Template(think="none", answer=answer)).label


def tagged(answer):
    return f"<answer>{answer}</answer>"


@pytest.mark.parametrize("name", [name for name in COMPAT if name not in OF_LETTERS])
def test_a_plain_answer_is_read_alike_by_all_that_read_labels(name):
    verdicts = "mvei" in name
    text = "correct" if verdicts else "joy"
    found = published_answer(text if name in ("emotion_llama", "emobench_m") else tagged(text), name, LABELS, "joy")
    assert found == text == strict(tagged(text), "verdict" if verdicts else "label")


@pytest.mark.parametrize("name", OF_LETTERS)
def test_a_plain_letter_is_read_alike_by_all_that_read_letters(name):
    for text in ("B", "(B)", tagged("B"), tagged("(B)")):
        assert published_answer(text, name, LETTERS, "B") == "B"
    assert strict(tagged("(B)"), "choice") == "b"


# (scorer, text, gold, what it reads, what we read): each row is a quirk.
QUIRKS = [
    # the first candidate, in their order, that is part of a word
    ("vecbench", tagged("danger"), None, "anger", "danger"),
    ("vecbench", tagged("unhappy"), None, "happy", "unhappy"),
    ("vecbench", tagged("sad, not joy"), None, "joy", None),
    ("vecbench", tagged(", ".join(LABELS[::-1])), None, "joy", None),
    ("vecbench", tagged("JOY"), None, "joy", "joy"),
    ("vecbench", tagged("awe"), None, None, "awe"),
    ("vecbench", tagged("sad") + tagged("joy"), None, "sad", "joy"),
    ("vecbench", "no joy at all " + tagged("awe"), None, None, "awe"),
    ("vecbench", "no joy at all " + tagged(""), None, "joy", None),
    ("vecbench", "the answer is joy", None, "joy", None),
    ("vecbench", "no joy at all\n<answer>\nsad\n</answer>", None, "joy", "sad"),  # its tags must stand on one line
    # the overall row reads the think text, too
    ("vecbench_overall", "<think>no joy at all</think>" + tagged("sad"), None, "joy", "sad"),
    ("vecbench_overall", "Sad.", None, "sad", None),
    # the reward takes one word, and joins what a hyphen parts
    ("emocaliber", tagged("**Joy**."), None, "joy", "joy"),
    ("emocaliber", tagged("awe struck"), None, None, "awe struck"),
    ("emocaliber", tagged("awe-struck"), None, "awestruck", "awe-struck"),
    ("emocaliber", tagged("sad") + tagged("joy"), None, "sad", "joy"),
    ("emocaliber", tagged("“joy”"), None, "“joy”", "joy"),  # not ASCII
    ("emocaliber", "joy", None, None, None),
    # case and punctuation count
    ("r1_omni", tagged("Happy"), None, "Happy", "happy"),
    ("r1_omni", tagged(" happy. "), None, "happy.", "happy"),
    ("r1_omni", tagged("sad") + tagged("joy"), None, "sad", "joy"),
    ("r1_omni", " happy\n", None, "happy", None),
    ("r1_omni", "<answer>\nsad\n</answer>", None, "<answer>\nsad\n</answer>", "sad"),
    ("facial_r1", tagged("Happy"), None, "Happy", "happy"),
    ("facial_r1", tagged("sad") + tagged("joy"), None, "joy", "joy"),
    ("facial_r1", "<answer>\nsad\n</answer>", None, "sad", "sad"),
    ("facial_r1", "<answer>fear<answer>sad</answer></answer>", None, "fear<answer>sad", "sad"),
    ("facial_r1", tagged("sad") + "<answer>jo", None, "sad", "sad"),
    # the last word, else neutral
    ("emotion_llama", "The person is happy", None, "happy", None),
    ("emotion_llama", "The person is happy.", None, "neutral", None),
    ("emotion_llama", "Happy", None, "neutral", None),
    ("emotion_llama", "not happy but sad", None, "sad", None),
    ("emotion_llama", "", None, "neutral", None),
    # the right label anywhere
    ("emotion_qwen", tagged(", ".join(LABELS)), "fear", "fear", None),
    ("emotion_qwen", tagged(", ".join(LABELS)), "sad", "sad", None),
    ("emotion_qwen", tagged("unhappy"), "happy", "happy", "unhappy"),
    ("emotion_qwen", tagged("sad"), "happy", None, "sad"),
    # the whole text, and an empty one is no row
    ("emobench_m", " Joy\n", None, "joy", None),
    ("emobench_m", "Joy.", None, "joy.", None),
    ("emobench_m", " ", None, None, None),
    # silence scores
    ("emobserver_vecbench", tagged("awe"), None, "joy", "awe"),
    ("emobserver_vecbench", "", None, "joy", None),
    ("emobserver_vecbench", tagged("danger"), None, "anger", "danger"),
    ("emobserver_vecbench", "no joy</think>sad", None, "sad", None),
    ("emobserver_vecbench", "no joy <answer>\nsad", None, "sad", None),
    ("emobserver_vecbench", "no joy <ANSWER>\nSad</Answer>", None, "sad", "sad"),
]


@pytest.mark.parametrize(("name", "text", "gold", "published", "ours"), QUIRKS)
def test_quirks_of_reading_labels(name, text, gold, published, ours):
    assert published_answer(text, name, LABELS, gold) == published
    assert strict(text) == ours


@pytest.mark.parametrize(
    ("name", "text", "gold", "published", "ours"),
    [
        # the article is choice A
        ("emorealm", tagged("(B) a raised fist"), "A", "A", "b"),
        ("emorealm", tagged("a smile"), "A", "A", "a smile"),
        ("emorealm", tagged("(C)"), "A", None, "c"),
        ("emorealm", tagged("(c)"), "C", "C", "c"),
        ("emorealm", tagged("(B)"), "C", None, "b"),
        ("emorealm", tagged("A, B, C, D"), "D", "D", None),
        ("emorealm", tagged("cab"), "A", None, "cab"),
        ("emobserver_eemo", tagged("(C) As before"), "C", "A", "c"),
        ("emobserver_eemo", tagged("b"), None, "B", "b"),
        ("emobserver_eemo", tagged("no"), "B", "B", "no"),  # the text of the right option
        ("emobserver_eemo", tagged("I do not know"), "B", "B", "i do not know"),  # as a part of a word
        ("emobserver_eemo", tagged("yes"), "B", "A", "yes"),
        ("emobserver_eemo", "no", "B", "A", None),  # without its tags the text does not count
        ("emobserver_eemo", "", "B", "A", None),
        ("emobserver_eemo", tagged("no idea"), "D", "A", "no idea"),
        ("emobserver_eemo", "Both lips are up</think>(D)", "D", "D", None),
        # the most frequent, of those that tie the last that came up
        ("ii_bench", "(A) or (B), I say (B)", None, "B", None),
        ("ii_bench", "(A) or (B)", None, "B", None),
        ("ii_bench", "(B), (A), (A), (B)", None, "A", None),
        ("ii_bench", "A smile, so C", None, "C", None),
        ("ii_bench", "C. A smile.", None, "A", None),
        ("ii_bench", "B or C, or (D)", None, "D", None),
        ("ii_bench", "(G)", None, None, None),
        ("ii_bench", tagged("b"), None, None, "b"),
        ("ii_bench", "the man has Crossed arms", None, "D", None),
        ("ii_bench", "Yes and No", None, "B", None),
        ("ii_bench", "wide", None, "C", None),
        ("ii_bench", "", None, None, None),
    ],
)
def test_quirks_of_reading_letters(name, text, gold, published, ours):
    assert published_answer(text, name, LETTERS, gold) == published
    assert strict(text, "choice") == ours


@pytest.mark.parametrize(
    ("name", "text", "published", "ours"),
    [
        ("mvei", tagged("Incorrect."), "incorrect", "incorrect"),
        ("mvei", tagged("not correct"), "correct", "incorrect"),
        ("mvei", tagged("it is neither correct nor incorrect"), "incorrect", None),
        ("mvei", "<think>is it incorrect? no</think>" + tagged("correct"), "incorrect", "correct"),
        ("mvei", tagged("true"), None, "correct"),
        ("mvei", tagged("A"), None, None),
        ("emobserver_mvei", "<think>is it incorrect? no</think>" + tagged("correct"), "correct", "correct"),
        ("emobserver_mvei", tagged("A"), "correct", None),
        ("emobserver_mvei", tagged("Both Are wrong"), "correct", None),
        ("emobserver_mvei", tagged("it is a lie"), "correct", None),
        ("emobserver_mvei", tagged("Bad"), "incorrect", None),
        ("emobserver_mvei", tagged("(b)"), "incorrect", None),
        ("emobserver_mvei", tagged("bad"), None, None),
        ("emobserver_mvei", tagged("true"), None, "correct"),
        ("emobserver_mvei", tagged(""), None, None),
    ],
)
def test_quirks_of_reading_verdicts(name, text, published, ours):
    assert published_answer(text, name, ["correct", "incorrect"]) == published
    assert strict(text, "verdict") == ours


def test_a_candidate_with_a_capital_is_never_found_by_the_overall_row():
    assert published_answer("Joy", "vecbench_overall", ["Joy"]) is None
    assert published_answer("Joy", "vecbench", ["Joy"]) == "joy"


def test_listing_all_labels_scores_by_the_published_rules_and_not_by_ours():
    text = tagged(", ".join(LABELS))
    assert sum(published_answer(text, "emotion_qwen", LABELS, gold) == gold for gold in LABELS) == len(LABELS)
    assert sum(published_answer(text, "vecbench", LABELS) == gold for gold in LABELS) == 1  # always the first
    assert strict(text) is None


@pytest.mark.parametrize(
    ("inside", "reward", "evaluator"),
    [
        ("0.8", 0.8, 0.8),
        (" 0.8\t", 0.8, 0.8),
        (".8", 0.8, 0.8),
        ("8e-1", 0.8, 0.8),
        ("1.0", None, 1.0),
        ("0", None, 0.0),
        ("85", None, 1.0),
        ("-0.5", None, 0.0),
        ("{0.8}", None, 0.8),
        ("85%", None, None),
        ("0.8.", None, None),
        ("0,8", None, None),
        ("8/10", None, None),
        ("high", None, None),
        ("nan", None, None),
        ("", None, None),
        ("\n0.8\n", 0.8, None),
    ],
)
def test_published_confidence(inside, reward, evaluator):
    text = f"{tagged('joy')}<confidence>{inside}</confidence>"
    assert published_confidence(text, "emocaliber") == reward
    assert published_confidence(text, "vecbench") == evaluator


def test_of_two_confidences_the_first_counts_and_without_a_tag_none():
    text = "<confidence>0.2</confidence><confidence>0.8</confidence>"
    assert published_confidence(text, "emocaliber") == published_confidence(text, "vecbench") == 0.2
    assert published_confidence("0.8", "emocaliber") is published_confidence("<confidence>0.8", "vecbench") is None


def test_a_span_is_what_the_published_expression_finds():
    draw = random.Random(0)
    pieces = ["<answer>", "</answer>", "joy", "\n", "<Answer>", "</think>", " "]
    for _ in range(3000):
        text = "".join(draw.choices(pieces, k=draw.randrange(10)))
        found = re.search("<answer>(.*?)</answer>", text, re.DOTALL)
        assert first_span(text, "answer") == (found[1] if found else None)
        found = re.search("<answer>(.*?)</answer>", text)
        assert published_answer(text, "r1_omni", []) == ((found[1] if found else text).strip() or None)
        found = re.findall("<answer>(.*?)</answer>", text, re.DOTALL)
        assert published_answer(text, "facial_r1", []) == ((found[-1] if found else text).strip() or None)


def test_an_unknown_scorer_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="unknown published scorer 'vecbnch'; did you mean 'vecbench'"):
        published_answer("", "vecbnch", LABELS)
    with pytest.raises(UserError, match=r"unknown published scorer of confidence 'mvei'; accepted: emocaliber, vecbench"):
        published_confidence("", "mvei")


def test_a_scorer_that_looks_for_the_right_answer_wants_one():
    assert {name for name, reader in COMPAT.items() if reader.needs_gold} == {"emotion_qwen", "emorealm"}
    with pytest.raises(ValueError, match="emotion_qwen looks for the right answer, and none is given"):
        published_answer("joy", "emotion_qwen", LABELS)
    assert published_answer("joy", "emotion_qwen", LABELS, "") is published_answer("A", "emorealm", LABELS, "") is None


@pytest.mark.parametrize("reader", [*COMPAT.values(), *CONFIDENCE_COMPAT.values()], ids=[*COMPAT, *CONFIDENCE_COMPAT])
def test_each_says_what_it_does_where_from_and_how_it_was_seen(reader):
    assert reader.description.endswith(("[read in code]", "[second hand]"))
    assert re.match(r"[\w-]+/[\w-]+, ", reader.source)


HOSTILE = ["", " ", "<answer>", "</answer><answer>", "<answer><answer>", "\x00\ud800\u0130\u017f<ANSWER>\u0130", tagged(""), tagged("(")]
LONG = ["<answer>" * 12_500, tagged("joy") * 6_000, "<" * 100_000, "</think>" * 12_500, "<answer>\n" * 11_000, "A " * 50_000,
        "(A)" * 33_000, "a" * 100_000, "<confidence>" + "9" * 100_000 + "</confidence>", " " * 100_000]  # fmt: skip


@pytest.mark.parametrize("name", COMPAT)
def test_no_text_breaks_a_scorer_or_takes_long(name):
    for candidates, gold in ((LABELS, "joy"), (LETTERS, "A"), ([], "("), (list(string.ascii_lowercase), "B")):
        for text in HOSTILE:
            found = published_answer(text, name, candidates, gold)
            assert found is None or isinstance(found, str)
    start = time.process_time()
    for text in LONG:
        published_answer(text, name, LABELS, "A")
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("name", CONFIDENCE_COMPAT)
def test_no_text_breaks_a_reader_of_confidence_or_takes_long(name):
    start = time.process_time()
    for text in [*HOSTILE, *LONG]:
        published_confidence(text, name)
        published_confidence(text.replace("answer", "confidence"), name)
    assert time.process_time() - start < 1.0


def test_the_examples_hold():
    assert doctest.testmod(compat).failed == 0
