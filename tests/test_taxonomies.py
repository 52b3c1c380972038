"""The taxonomies are closed: what they name are emotions of their label spaces, and their geometry holds."""

import pytest

from emoreason.emotions import LABEL_SPACES
from emoreason.taxonomies import (
    COMPOUND_PARTS,
    GOEMOTIONS_TO_EKMAN,
    PARROTT_TREE,
    PLUTCHIK_DYADS,
    PLUTCHIK_INTENSITIES,
    PLUTCHIK_OPPOSITES,
    RUSSELL_QUADRANTS,
    SENTIMENT_OF,
)

CIRCLE = LABEL_SPACES["plutchik_8"]


def apart(one: str, other: str) -> int:
    """Steps between two basic emotions on Plutchik's circle of eight, 0 to 4."""
    steps = abs(CIRCLE.index(one) - CIRCLE.index(other))
    return min(steps, 8 - steps)


def test_intensities_go_from_mild_over_basic_to_intense() -> None:
    assert tuple(PLUTCHIK_INTENSITIES) == CIRCLE
    assert all(basic == words[1] for basic, words in PLUTCHIK_INTENSITIES.items())
    assert PLUTCHIK_INTENSITIES["anger"] == ("annoyance", "anger", "rage")
    assert PLUTCHIK_INTENSITIES["fear"] == ("apprehension", "fear", "terror")
    assert PLUTCHIK_INTENSITIES["joy"] == ("serenity", "joy", "ecstasy")
    assert len({word for words in PLUTCHIK_INTENSITIES.values() for word in words}) == 24


def test_opposites_face_each_other() -> None:
    assert set(PLUTCHIK_OPPOSITES) == set(CIRCLE)
    for emotion, opposite in PLUTCHIK_OPPOSITES.items():
        assert PLUTCHIK_OPPOSITES[opposite] == emotion
        assert apart(emotion, opposite) == 4


@pytest.mark.parametrize(("kind", "steps"), [("primary", 1), ("secondary", 2), ("tertiary", 3)])
def test_each_dyad_is_two_basic_emotions_so_many_steps_apart(kind: str, steps: int) -> None:
    pairs = [frozenset(parts) for parts in PLUTCHIK_DYADS[kind].values()]
    assert [apart(*parts) for parts in PLUTCHIK_DYADS[kind].values()] == [steps] * 8
    # Eight places on a circle have eight pairs at each distance below 4, so none is missing.
    assert len(set(pairs)) == 8


def test_dyads_by_name() -> None:
    assert len({name for dyads in PLUTCHIK_DYADS.values() for name in dyads}) == 24
    assert PLUTCHIK_DYADS["primary"]["love"] == ("joy", "trust")
    assert set(PLUTCHIK_DYADS["secondary"]["guilt"]) == {"joy", "fear"}
    assert set(PLUTCHIK_DYADS["tertiary"]["shame"]) == {"fear", "disgust"}


def test_parrotts_tree_has_the_135_words_of_shaver_each_once() -> None:
    assert tuple(PARROTT_TREE) == LABEL_SPACES["parrott_6"]
    # love 10 + 5 + 1, joy 17 + 6 + 2 + 2 + 3 + 2 + 1, surprise 3, anger 6 + 2 + 15 + 3 + 2 + 1, sadness 4 + 12 + 3 + 4 + 12 + 2, fear 9 + 8
    numbers = {primary: sum(len(words) for words in branches.values()) for primary, branches in PARROTT_TREE.items()}
    assert numbers == {"love": 16, "joy": 33, "surprise": 3, "anger": 29, "sadness": 37, "fear": 17}
    words = [word for branches in PARROTT_TREE.values() for words in branches.values() for word in words]
    assert len(words) == len(set(words)) == 135
    assert {primary: len(branches) for primary, branches in PARROTT_TREE.items()} == {
        "love": 3, "joy": 7, "surprise": 1, "anger": 6, "sadness": 6, "fear": 2,
    }  # fmt: skip
    assert "contempt" in PARROTT_TREE["anger"]["disgust"] and "worry" in PARROTT_TREE["fear"]["nervousness"]


def test_goemotions_go_to_ekmans_six_but_neutral() -> None:
    assert set(GOEMOTIONS_TO_EKMAN) == set(LABEL_SPACES["goemotions_28"]) - {"neutral"}
    groups = list(GOEMOTIONS_TO_EKMAN.values())
    assert {group: groups.count(group) for group in groups} == {"anger": 3, "disgust": 1, "fear": 2, "joy": 12, "sadness": 5, "surprise": 4}
    assert all(GOEMOTIONS_TO_EKMAN[group] == group for group in groups)


def test_sentiments_cover_their_spaces() -> None:
    ambiguous = {"realization", "surprise", "curiosity", "confusion"}
    for space, sentiments in SENTIMENT_OF.items():
        assert set(sentiments) == set(LABEL_SPACES[space]) - (ambiguous if space == "goemotions_28" else set())
        assert set(sentiments.values()) <= set(LABEL_SPACES["sentiment_3"])
    assert [SENTIMENT_OF["mikels_8"][label] for label in LABEL_SPACES["mikels_8"]] == ["positive"] * 4 + ["negative"] * 4
    found = list(SENTIMENT_OF["goemotions_28"].values())
    assert (found.count("positive"), found.count("negative"), found.count("neutral")) == (12, 11, 1)
    assert SENTIMENT_OF["sentiment_5"]["weak negative"] == "negative"


def test_quadrants_have_the_signs_of_their_names() -> None:
    signs = {"H": 1, "L": -1}
    assert len(RUSSELL_QUADRANTS) == 4
    for name, quadrant in RUSSELL_QUADRANTS.items():
        assert quadrant == (signs[name[0]], signs[name[2]])


def test_compounds_are_two_emotions_of_the_basic_set() -> None:
    assert tuple(COMPOUND_PARTS) == LABEL_SPACES["raf_db_compound_11"]
    assert set(LABEL_SPACES["c_expr_7"]) <= set(COMPOUND_PARTS)
    # The first letters of adverb and adjective tell the emotions apart: fearful and fear, happily and happiness.
    for label, parts in COMPOUND_PARTS.items():
        assert set(parts) < set(LABEL_SPACES["raf_db_7"])
        assert [part[:3] for part in parts] == [word[:3] for word in label.split()]
