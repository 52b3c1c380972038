import math
import time

import pytest

from emoreason.faults import UserError
from emoreason.metrics.cues import (
    contradict,
    cue_credits,
    cue_scores,
    embedding_similarity,
    emocue_360,
    lexical_similarity,
    load_similarity,
    match_one_to_one,
    statements,
)


def table(**rows):
    """A similarity that reads its numbers from `rows`: {statement of a: {statement of b: number}}, 0 where none is given."""
    return lambda a, b: [[rows.get(one, {}).get(other, 0.0) for other in b] for one in a]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Brows lowered. Lips pressed! Is she angry? Yes", ["Brows lowered", "Lips pressed", "Is she angry", "Yes"]),
        ("brows lowered; lips pressed\njaw clenched…fists；eyes wide", ["brows lowered", "lips pressed", "jaw clenched", "fists", "eyes wide"]),
        ("- brows lowered\n* lips pressed\n1. jaw clenched\n 2) eyes wide • fists",
         ["brows lowered", "lips pressed", "jaw clenched", "eyes wide", "fists"]),
        ("She smiles, but cries, while waving, and leaves", ["She smiles", "cries", "waving", "leaves"]),
        ("Brows lowered, lips pressed and jaw clenched", ["Brows lowered", "lips pressed", "jaw clenched"]),
        ("a tall, smiling man", ["a tall, smiling man"]),
        ("lips tight and pressed", ["lips tight and pressed"]),
        ("However, the voice trembles", ["However, the voice trembles"]),
        ("No smile, brows lowered", ["No smile", "brows lowered"]),
        ("AU12 at 3.5 of 5", ["AU12 at 3.5 of 5"]),
        ("<face>Brows lowered</face><voice>low pitch</voice>", ["Brows lowered", "low pitch"]),
        ('He says "leave me." Then silence', ['He says "leave me', "Then silence"]),
        ("嘴角上扬，眉毛下压。眼睛睁大", ["嘴角上扬", "眉毛下压", "眼睛睁大"]),
        ("and, the. It is so! -- 。", []),
        ("", []),
    ],
)
def test_statements_are_clauses(text, expected):
    assert statements(text) == expected


def test_lexical_similarity_is_dice_over_stems():
    # {lip, corner, rais} and {lip, rais}: 2 * 2 / (3 + 2); {brow, lower}: 0
    assert lexical_similarity(["The lip corners are raised", "lowered brows"], ["lips raising"]) == [[0.8], [0.0]]
    assert lexical_similarity([], ["joy"]) == [] and lexical_similarity(["joy"], []) == [[]]
    assert lexical_similarity(["the of it"], ["the of it"]) == [[0.0]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("eyes", "eye"), ("raised", "raise"), ("smiles", "smiling"), ("cries", "crying"), ("running", "runs"), ("pulled", "pull"),
        ("pressed", "presses"), ("families", "family"), ("slightly", "slight"), ("glasses", "glass"), ("happily", "happy"),
        ("the man's face", "face of a man"), ("wide eyes", "Eyes: WIDE!"), ("no tears", "without tears"), ("嘴角上扬", "上扬嘴角"),
    ],
)  # fmt: skip
def test_same_stems_are_1_both_ways(one, other):
    assert lexical_similarity([one], [other]) == [[1.0]] == lexical_similarity([other], [one])


@pytest.mark.parametrize(("one", "other"), [("need", "ne"), ("sing", "s"), ("string", "str"), ("crisis", "crisi"), ("tears", "no tears")])
def test_other_stems_are_0(one, other):
    assert lexical_similarity([one], [other]) == [[0.0]]


def test_embedding_similarity_is_the_cosine():
    vectors = {"a": [3.0, 4.0], "b": [4.0, 3.0], "c": [-3.0, -4.0], "zero": [0.0, 0.0]}
    similarity = embedding_similarity(lambda texts: [vectors[text] for text in texts])
    # a . b = 24, lengths 5 and 5
    assert similarity(["a", "zero"], ["a", "b", "c"]) == [pytest.approx([1.0, 0.96, -1.0]), [0.0, 0.0, 0.0]]
    assert similarity([], ["a"]) == [] and similarity(["a"], []) == [[]]


def test_matching_has_the_largest_total():
    # Greedy takes 0.9 and leaves 0 of credit; 0.8 + 0.7 is more. Credits at floor 0.5: 0.8, 0.6, 0.4, 0.
    assert match_one_to_one([[0.9, 0.8], [0.7, 0.1]], 0.5) == [(0, 1), (1, 0)]
    # At or below the floor nothing is matched, though a larger raw total could be had there.
    assert match_one_to_one([[0.9, 0.5], [0.5, 0.3]], 0.5) == [(0, 0)]
    assert match_one_to_one([[0.5, 0.2]], 0.5) == [] == match_one_to_one([], 0.5) == match_one_to_one([[]])
    with pytest.raises(ValueError, match="floor is 1"):
        match_one_to_one([[1.0]], 1)


def test_credits_are_of_the_gold_statements():
    similarity = table(p={"g": 0.75, "h": 0.7}, q={"g": 0.9}, r={"k": 0.5})
    # p-h and q-g: (0.7 - 0.5) / 0.5, (0.9 - 0.5) / 0.5; k is at the floor
    assert cue_credits(["p", "q", "r"], ["g", "h", "k"], similarity=similarity) == pytest.approx([0.8, 0.4, 0.0])
    assert cue_credits([], ["g"]) == [0.0] and cue_credits(["p"], []) == []
    assert cue_credits(["p"], ["g"], similarity=table(p={"g": 1.0000001})) == [1.0]


def test_a_denial_earns_nothing_whatever_the_similarity():
    alike = embedding_similarity(lambda texts: [[1.0]] * len(texts))
    assert cue_credits(["no tears"], ["tears"], similarity=alike) == [0.0]
    assert cue_credits(["tears"], ["no tears"], similarity=alike) == [0.0]
    assert cue_credits(["not crying"], ["tears"], similarity=alike) == [0.0]
    assert cue_credits(["without tears"], ["no tears"], similarity=alike) == [1.0]
    assert cue_scores(["no tears"], ["tears"], similarity=alike, one_to_one=False) == (0.0, 0.0, 0.0)
    assert not contradict("lips pressed, no smile", "lips pressed") and contradict("her eyes show no tears", "tears in her eyes")


def test_scores_by_hand():
    similarity = table(p={"g": 1.0, "h": 0.75}, q={"g": 1.0})
    # one to one: p-h 0.5 and q-g 1; precision 1.5 / 3, recall 1.5 / 2; f1 2 * 0.5 * 0.75 / 1.25
    assert cue_scores(["p", "q", "r"], ["g", "h"], similarity=similarity) == pytest.approx((0.5, 0.75, 0.6))
    # maxima: p 1, q 1, r 0: 2/3; g 1, h 0.5: 3/4; f1 2 * (1/2) / (17/12)
    assert cue_scores(["p", "q", "r"], ["g", "h"], similarity=similarity, one_to_one=False) == pytest.approx((2 / 3, 0.75, 12 / 17))


@pytest.mark.parametrize("one_to_one", [True, False])
def test_nothing_predicted_is_0_and_nothing_to_find_is_none(one_to_one):
    assert cue_scores([], ["brows lowered"], one_to_one=one_to_one) == (0.0, 0.0, 0.0)
    assert cue_scores(["brows lowered"], [], one_to_one=one_to_one) is None
    assert cue_scores(["brows lowered"], ["lips pressed"], one_to_one=one_to_one) == (0.0, 0.0, 0.0)


def test_repeating_one_cue_does_not_win():
    repeated, gold = ["brows lowered"] * 4, ["brows lowered", "lips pressed"]
    # one to one 1/4 and 1/2; with maxima precision stays 1
    assert cue_scores(repeated, gold) == pytest.approx((0.25, 0.5, 1 / 3))
    assert cue_scores(repeated, gold, one_to_one=False) == pytest.approx((1.0, 0.5, 2 / 3))
    assert cue_scores(repeated[:1], gold)[2] == pytest.approx(2 / 3)


@pytest.mark.parametrize("answer", [[[math.nan]], [[0.1, 0.2]], [[0.1], [0.2]], []])
def test_a_similarity_that_is_no_table_is_named(answer):
    with pytest.raises(ValueError, match="must be 1 rows of 1 finite numbers"):
        cue_scores(["p"], ["g"], similarity=lambda a, b: answer)


def test_a_similarity_by_address():
    assert load_similarity(None) is lexical_similarity
    assert load_similarity("emoreason.metrics.cues:lexical_similarity") is lexical_similarity
    for address, message in [("similar.py", "package.module:name"), ("no_such_module:f", "No module"), ("math:cosine", "has no function 'cosine'")]:
        with pytest.raises(UserError, match=message):
            load_similarity(address)


def test_emocue_360_takes_maxima_without_a_floor():
    similarity = table(p={"g": 0.2, "h": 0.6}, q={"g": 0.4})
    predicted = [{"visual": ["p", "q"], "emotional": []}, {"visual": []}, {"visual": ["p"]}]
    gold = [{"visual": ["g", "h"], "emotional": ["g"]}, {"visual": ["g"]}, {}]
    found = emocue_360(predicted, gold, similarity)
    # sample 1: precision (0.6 + 0.4) / 2, recall (0.4 + 0.6) / 2, f1 0.5; sample 2: 0; sample 3 has no gold
    assert found["visual"] == pytest.approx({"precision": 0.25, "recall": 0.25, "f1": 0.25, "n": 2, "skipped": 1})
    assert found["auditory"] == {"precision": None, "recall": None, "f1": None, "n": 0, "skipped": 3}
    # sample 1 predicts none; samples 2 and 3 have neither prediction nor gold, and the published code counts them as 0
    assert found["emotional"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 3, "skipped": 0}
    assert emocue_360(predicted, gold, similarity, compat=False)["emotional"]["n"] == 1


def test_emocue_360_averages_f1_of_samples():
    similarity = table(p={"g": 1.0}, q={"h": 0.5})
    found = emocue_360([{"visual": ["p", "r"]}, {"visual": ["q"]}], [{"visual": ["g"]}, {"visual": ["h", "k"]}], similarity)["visual"]
    # P 1/2, R 1, F 2/3; P 1/2, R 1/4, F 1/3; the F of the means would be 5/9
    assert found == pytest.approx({"precision": 0.5, "recall": 0.625, "f1": 0.5, "n": 2, "skipped": 0})


def test_emocue_360_leaves_out_subtitles_as_published():
    predicted, gold = [{"auditory": ["low voice", "the subtitle text says no"]}], [{"auditory": ["low voice", "tense context"]}]
    # compat: one statement a side, equal; else precision and recall are (1 + 0) / 2
    assert emocue_360(predicted, gold, lexical_similarity)["auditory"]["f1"] == 1.0
    assert emocue_360(predicted, gold, lexical_similarity, compat=False)["auditory"]["f1"] == 0.5
    assert emocue_360(predicted, [{"auditory": ["text"]}], lexical_similarity)["auditory"]["skipped"] == 1
    with pytest.raises(ValueError, match="1 predictions and 0 gold"):
        emocue_360(predicted, [], lexical_similarity)


@pytest.mark.parametrize(
    "text",
    ["." * 100_000, "! " * 50_000, "," * 100_000, ", " * 50_000, " " * 100_000, "\n" * 100_000, "- " * 50_000, " and" * 25_000,
     "no " * 33_000, "<a>" * 33_000, "<" + "a" * 100_000, "brows low and " * 7_000, "嘴角，" * 33_000, "a'" * 50_000, "no lips " * 12_500],
)  # fmt: skip
def test_long_texts_are_fast(text):
    cue_credits(["warm"], ["warm"])  # the import of scipy is not what is measured
    start = time.process_time()
    cue_credits(statements(text)[:64], ["brows low", "lips"])
    assert time.process_time() - start < 1.0
