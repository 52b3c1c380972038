"""The emotions that action units make up, by hand."""

import pytest

from emoreason.action_unit_prototypes import MERR_PROTOTYPES, PROTOTYPES, emotions_of


@pytest.mark.parametrize(
    ("codes", "best"),
    [
        ("6 12", ("happiness", 1.0)),
        ("1 4 15", ("sadness", 1.0)),
        ("1 2 5 26", ("surprise", 1.0)),
        ("1 2 4 5 7 20 26", ("fear", 1.0)),
        ("4 5 7 23", ("anger", 1.0)),
        ("4 7 24", ("anger", 1.0)),  # a variant: 4+5+7+24 without 5
        ("9 15 16", ("disgust", 1.0)),
        ("12 14", ("contempt", 1.0)),
        ("6 15", ("sadness", 0.5)),  # 6+15 (54 64): 2 of 4
        ("6 15 54 64", ("sadness", 1.0)),
    ],
)
def test_the_prototype_of_each_emotion_is_found(codes, best):
    assert emotions_of({f"AU{code}": None for code in codes.split()})[0] == best


def test_every_emotion_is_in_its_own_first_prototype():
    for emotion, (first, *_) in PROTOTYPES.items():
        assert emotion in dict(emotions_of(dict.fromkeys(first.required)))


def test_a_required_unit_that_is_missing_excludes():
    assert emotions_of({"AU6": None}) == []
    assert emotions_of({"AU12": None}) == [("happiness", 1.0)]  # 12C, unrated
    assert emotions_of({}) == []


def test_minimum_intensities_hold_where_they_are_rated():
    # 12 alone is happiness from C on
    assert emotions_of({"AU12": 3.0}) == [("happiness", 1.0)]
    assert emotions_of({"AU12": 2.5}) == []
    assert emotions_of({"AU6": 1.0, "AU12": 1.0}) == [("happiness", 1.0)]
    # 5B+26
    assert emotions_of({"AU5": 2.0, "AU26": 1.0}) == [("surprise", 1.0)]
    assert emotions_of({"AU5": 1.0, "AU26": 1.0}) == []
    # rated 0 is absent
    assert emotions_of({"AU6": 0.0, "AU12": 2.0}) == []


def test_more_units_win_among_equal_shares():
    found = emotions_of(dict.fromkeys(["AU26", "AU20", "AU7", "AU5", "AU4", "AU2", "AU1"]))
    assert found[0] == ("fear", 1.0)  # seven units, surprise has four of them
    assert ("surprise", 1.0) in found
    # 6+12 and 12+14 have two each: in the order of the table
    assert [emotion for emotion, _ in emotions_of(dict.fromkeys(["AU14", "AU12", "AU6"]))] == ["happiness", "contempt"]


def test_the_order_of_the_units_does_not_matter():
    codes = [f"AU{number}" for number in (1, 2, 4, 5, 7, 9, 12, 14, 15, 20, 23, 26)]
    assert emotions_of(dict.fromkeys(codes)) == emotions_of(dict.fromkeys(codes[::-1]))


def test_the_rules_of_merr():
    assert {emotion: [set(one.required) for one in variants] for emotion, variants in MERR_PROTOTYPES.items()} == {
        "happiness": [{"AU6", "AU12"}], "sadness": [{"AU1", "AU4", "AU15"}], "surprise": [{"AU5", "AU26"}], "anger": [{"AU4", "AU5", "AU7", "AU23"}],
    }  # fmt: skip
    assert emotions_of({"AU12": 5.0}, MERR_PROTOTYPES) == []
    assert emotions_of({"AU5": None, "AU26": None, "AU6": None, "AU12": None}, MERR_PROTOTYPES) == [("happiness", 1.0), ("surprise", 1.0)]
