"""Confidence targets by hand."""

import pytest

from emoreason.confidence import agreement, chance_of_being_right, confidence_target, human_share
from emoreason.recipe import ConfidenceTarget
from emoreason.records import Target


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["joy", "joy", "fear", None], [0.5, 0.5, 0.25, 0.0]),  # an unreadable answer counts among the samples
        (["joy"], [1.0]),
        ([None, None], [0.0, 0.0]),  # two unreadable answers do not agree
    ],
)
def test_agreement_is_the_share_of_the_samples(answers: list[str | None], expected: list[float]) -> None:
    assert agreement(answers) == expected


def test_chance_of_being_right_is_the_share_of_right_answers_at_an_agreement() -> None:
    agreements = [0.25, 0.25, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0]
    right = [False, False, True, False, True, True, True, False]
    assert chance_of_being_right(agreements, right) == pytest.approx([0, 0, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75])


def test_chance_never_falls_as_agreement_rises() -> None:
    # 0.25 is right once in one, 0.5 never in one: pooled they are right once in two.
    assert chance_of_being_right([0.25, 0.5, 1.0], [True, False, True]) == pytest.approx([0.5, 0.5, 1.0])


VOTES = {"label": "joy", "label_space": "shaver_6_disgust_neutral", "distribution": {"joy": 6.0, "surprise": 3.0, "neutral": 1.0}}
SENTIMENT = {
    "label_space": "shaver_6_disgust_neutral",
    "distribution": {"negative": 37, "neutral": 114, "positive": 289},
    "distribution_space": "sentiment_3",
}


@pytest.mark.parametrize(
    ("target", "label", "expected"),
    [
        (VOTES, "joy", 0.6),
        (VOTES, "surprise", 0.3),
        (VOTES, "anger", 0.0),  # a class that the annotators could choose, and nobody did
        (SENTIMENT, "joy", 289 / 440),
        (SENTIMENT, "disgust", 37 / 440),
        (SENTIMENT, "neutral", 114 / 440),
        (SENTIMENT, "surprise", None),  # stands for no sentiment
        ({**SENTIMENT, "distribution": {"positive": 3}}, "fear", 0.0),
        ({"distribution": {"pride": 1, "envy": 3}}, "envy", 0.75),  # open vocabulary
        ({"distribution": {"pride": 1, "envy": 3}}, "joy", None),  # nobody knows whether they could choose it
        ({"label": "joy"}, "joy", None),
    ],
)
def test_share_of_the_annotators(target: dict, label: str, expected: float | None) -> None:
    found = human_share(Target.model_validate(target), label)
    assert found == (None if expected is None else pytest.approx(expected))


def made(chance: float, human: float | None, **changes: float) -> float:
    return confidence_target(chance, human, **{**ConfidenceTarget().model_dump(exclude={"views"}), **changes})


@pytest.mark.parametrize(
    ("agreed", "human", "settings", "expected"),
    [
        (0.75, None, {}, 0.75),
        (0.75, 0.5, {"human_weight": 0.2}, 0.7),  # 0.8 * 0.75 + 0.2 * 0.5
        (0.5, 0.9, {"human_weight": 0.5}, 0.7),
        (0.75, 0.1, {"human_weight": 0.0}, 0.75),
        (0.75, 0.1, {"human_weight": 1.0}, 0.1),
        (0.62, None, {"step": 0.05}, 0.6),
        (0.64, None, {"step": 0.05}, 0.65),
        (0.64, None, {"step": 0.25}, 0.75),
        (0.64, None, {"step": 0.01}, 0.64),
        (1.0, None, {"max_confidence": 0.9}, 0.9),
        (0.0, None, {"min_confidence": 0.1}, 0.1),
        (1.0, 1.0, {"max_confidence": 0.98, "step": 0.02}, 0.98),
    ],
)
def test_target_is_mixed_clipped_and_rounded(agreed: float, human: float | None, settings: dict, expected: float) -> None:
    assert made(agreed, human, **settings) == expected


@pytest.mark.parametrize("step", [0.05, 0.07, 0.3, 0.5])
def test_target_is_a_probability_and_rises_with_agreement(step: float) -> None:
    targets = [made(count / 8, 0.5, step=step) for count in range(9)]
    assert all(0.0 <= target <= 1.0 for target in targets)
    assert targets == sorted(targets) and targets[0] < targets[-1]
