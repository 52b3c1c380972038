"""Terms in free text: which are named, where, and whether the text says that they hold."""

import time

import pytest

from emoreason.mentions import Finder, Mention, Scope

FINDER = Finder(
    ["anger", "angry", "fear", "afraid", "joy", "sad", "sadness", "happy", "disgust", "doubt", "smile", "tears", "heart broken", "heart", "on edge"]
)


def statuses(text):
    return [(mention.term, mention.status) for mention in FINDER.find(text)]


def test_a_mention_says_where_it_stands():
    text = "The face shows ANGER."
    assert FINDER.find(text) == [Mention("anger", 15, 20, "asserted")]
    assert text[15:20] == "ANGER"


def test_whole_words_longest_first_without_overlap():
    assert statuses("danger, joyful, a heart-broken man on  edge") == [("heart broken", "asserted"), ("on edge", "asserted")]
    assert statuses("heart heart broken") == [("heart", "asserted"), ("heart broken", "asserted")]
    assert statuses("a heart") == [("heart", "asserted")]
    assert statuses("") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He is not angry.", ["negated"]),
        ("no sign of fear", ["negated"]),
        ("hardly happy", ["negated"]),
        ("He doesn’t look particularly happy", ["negated"]),
        ("he isn't really all that sad", ["negated"]),
        ("not angry or sad", ["negated", "negated"]),
        ("neither angry nor sad", ["negated", "negated"]),
        ("no anger, fear or disgust", ["negated", "negated", "negated"]),
        ("without joy", ["negated"]),
        ("He is free of fear and full of joy", ["negated", "asserted"]),
        ("far from happy", ["negated"]),
        ("anything but happy", ["negated"]),
        ("unlikely to be anger", ["negated"]),
        ("sad rather than angry", ["asserted", "negated"]),
        ("instead of anger, joy", ["negated", "asserted"]),
        ("The lack of a smile suggests sadness", ["negated", "asserted"]),
        ("The smile does not suggest joy", ["asserted", "negated"]),
        ("She is not angry, she is sad", ["negated", "asserted"]),
        ("not angry, but sad", ["negated", "asserted"]),
        ("not angry; sad", ["negated", "asserted"]),
        ("No smile and tears in the eyes", ["negated", "asserted"]),
        ("She does not smile and her eyes show sadness", ["negated", "asserted"]),
        ("fear is absent", ["negated"]),
        ("anger is not visible, joy is", ["negated", "asserted"]),
        ("anger and fear are missing", ["negated", "negated"]),
        ("anger and fear is missing", ["asserted", "negated"]),
        ("the smile isn't present", ["negated"]),
        ("anger: none", ["negated"]),
        ("anger is inactive", ["negated"]),
        ("anger is not.", ["negated"]),
        ("anger (absent), joy", ["negated", "asserted"]),
        # What looks like a negation and is none.
        ("not only angry but also sad", ["asserted", "asserted"]),
        ("There is no doubt that he is afraid", ["negated", "asserted"]),
        ("cannot hide her joy", ["asserted"]),
        ("not without fear", ["asserted"]),
        ("There is nothing but joy", ["asserted"]),
        ("Nothing here. Joy.", ["asserted"]),
        # What is only possible.
        ("might be sad", ["hedged"]),
        ("perhaps angry, perhaps sad", ["hedged", "hedged"]),
        ("if she were angry", ["hedged"]),
        ("Is she angry?", ["hedged"]),
        ("Is she angry? She is sad.", ["hedged", "asserted"]),
        ("possible fear", ["hedged"]),
        ("fear may be present", ["hedged"]),
        ("anger and joy, which might be there", ["asserted", "asserted"]),
        ("might not be sad", ["negated"]),
        ("He seems happy", ["asserted"]),
    ],
)
def test_what_a_clause_says_of_a_term(text, expected):
    assert [status for _, status in statuses(text)] == expected


def test_status_of_any_characters():
    text = "AU12 is present, but there is no AU4."
    scope = Scope(text)
    assert scope.status(0, 4) == "asserted"
    assert scope.status(text.index("AU4"), text.index("AU4") + 3) == "negated"
    assert Scope("").status(0, 0) == "asserted"
    assert Scope("...").status(1, 2) == "asserted"


def test_case_and_apostrophes_of_the_vocabulary_do_not_matter():
    assert [mention.term for mention in Finder(["Don’t care"]).find("they don't CARE")] == ["Don’t care"]
    assert Finder(["", "..."]).find("...") == []


@pytest.mark.parametrize(
    "text", ["not " * 25_000, "no anger, " * 10_000, "a" * 100_000, "<" * 100_000, "anger is not " * 8_000, "anger " * 16_000 + "?"]
)
def test_time_is_linear(text):
    start = time.process_time()
    FINDER.find(text)
    assert time.process_time() - start < 1.5
