"""The label spaces hold what the parser can return, and a wrong label is told from a wrong space."""

import pytest

from emoreason.completions import Template, parse_completion, render
from emoreason.emotions import LABEL_SPACES, OPEN_VOCABULARY, POLARITY, label_problem


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_every_label_survives_being_written_and_read(space: str) -> None:
    labels = LABEL_SPACES[space]
    assert len(set(labels)) == len(labels) > 1
    template = Template()
    for label in labels:
        assert parse_completion(render(template, "seen", [label]), template).answers == [label]
        assert label_problem(label, space) is None


def test_the_open_vocabulary_takes_any_word_and_is_no_label_space() -> None:
    assert label_problem("bittersweet longing", OPEN_VOCABULARY) is None
    assert OPEN_VOCABULARY not in LABEL_SPACES


@pytest.mark.parametrize(
    ("label", "space", "expected"),
    [
        ("angr", "ekman_6", "label 'angr' is not in ekman_6; did you mean 'anger'?"),
        ("Anger", "ekman_6", "label 'Anger' is not in ekman_6; did you mean 'anger'?"),
        ("xyz", "sentiment_3", "label 'xyz' is not in sentiment_3; accepted: negative, neutral, positive"),
        ("anger", "ekman6", "unknown label space 'ekman6'; did you mean 'ekman_6'?"),
        ("joy", "opn", "unknown label space 'opn'; did you mean 'open'?"),
    ],
)
def test_a_wrong_label_is_explained(label: str, space: str, expected: str) -> None:
    assert label_problem(label, space) == expected


def test_polarities_are_sentiments_of_known_labels() -> None:
    assert set(POLARITY.values()) == set(LABEL_SPACES["sentiment_3"])
    assert set(POLARITY) == set(LABEL_SPACES["shaver_6_disgust_neutral"]) - {"surprise"}
