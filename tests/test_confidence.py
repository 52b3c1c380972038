"""Confidence targets by hand."""

import math
from collections import Counter

import pytest

from emoreason.completions import Template, parse_completion, render, with_confidence
from emoreason.confidence import (
    agreement,
    answer_group,
    balanced_order,
    baselines,
    best_temperature,
    chance_of_being_right,
    confidence_target,
    cross_fitted,
    human_share,
    is_right,
    isotonic,
    judge_answers,
    sequence_probability,
    target_histogram,
    temperature_scaled,
)
from emoreason.recipe import ConfidenceTarget
from emoreason.records import Record, Target

CLOSED = Target(label="joy", label_space="shaver_6_disgust_neutral")
OPEN = Target(label="joy")


@pytest.mark.parametrize(
    ("target", "answer", "group"),
    [
        (CLOSED, "joy", "joy"),
        (CLOSED, "delighted", "delighted"),  # a closed label space knows its labels and their forms alone
        (Target(label="happy", label_space="dfew_7"), "happiness", "happy"),
        (OPEN, "delighted", "joy"),
        (OPEN, "happy", "joy"),
        (OPEN, "Furious.", "anger"),
        (OPEN, "contempt", "disgust"),
        (OPEN, "neutral", "neutral"),
        (OPEN, "blorptastic", "blorptastic"),  # a word that nobody knows stands for itself
        (Target(label="joy", choices=["joy", "delight"]), "b", "delight"),  # a choice is what the record offers, not an emotion
    ],
)
def test_answers_are_grouped_by_label_or_in_the_open_vocabulary_by_emotion(target: Target, answer: str, group: str) -> None:
    assert answer_group(answer, target) == group


def test_a_word_that_the_wheel_does_not_place_stands_for_its_family() -> None:
    assert [answer_group(word, OPEN) for word in ("tired", "fatigued", "sleepy")] == ["fatigue", "fatigue", "sleepiness"]


@pytest.mark.parametrize(
    ("target", "answer", "expected"),
    [
        (OPEN, "cheerful", True),
        (OPEN, "gloomy", False),
        (Target(label="delighted"), "happy", True),
        (OPEN, None, False),
        (CLOSED, "cheerful", False),
        (CLOSED, "joy", True),
        (Target(labels=["joy"]), "joy", None),
    ],
)
def test_right_is_judged_in_the_same_groups(target: Target, answer: str | None, expected: bool | None) -> None:
    assert is_right(answer, target) is expected


def test_open_answers_agree_by_emotion() -> None:
    groups = [answer_group(word, OPEN) for word in ("happy", "delighted", "joyful", "gloomy")]
    assert agreement([*groups, None]) == [0.6, 0.6, 0.6, 0.2, 0.0]


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


def test_held_out_is_what_the_other_groups_say() -> None:
    # Of b, answers at 0.5 are right in 1 of 2 and at 1.0 in 2 of 2; of a, never and in 1 of 2.
    agreements, groups = [0.5, 0.5, 1.0, 1.0] * 2, ["a"] * 4 + ["b"] * 4
    right = [False, False, True, False, True, False, True, True]
    assert cross_fitted(isotonic, agreements, right, groups) == pytest.approx([0.5, 0.5, 1.0, 1.0, 0.0, 0.0, 0.5, 0.5])
    # One group is all there is, so it tells of itself.
    assert cross_fitted(isotonic, agreements, right, ["all"] * 8) == chance_of_being_right(agreements, right)


def test_a_group_is_never_fitted_on_itself() -> None:
    groups = [f"speaker {number % 7}" for number in range(28)]
    values = [float(number) for number in range(28)]
    seen: list[set[str]] = []

    def fit(fitted, right):
        seen.append({groups[int(value)] for value in fitted})
        return lambda held_out: [float({groups[int(value)] for value in held_out} & seen[-1] != set())] * len(held_out)

    assert cross_fitted(fit, values, [True] * 28, groups) == [0.0] * 28
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("log_probs", "expected"),
    [
        ([], 0.0),
        ([0.0, 0.0], 1.0),
        ([math.log(0.5)] * 3, 0.5),
        ([math.log(0.9), math.log(0.4)], 0.6),  # the root of 0.36
        ([-math.inf, 0.0], 0.0),
        ([1e-9], 1.0),  # an engine's rounding
    ],
)
def test_sequence_probability_is_the_geometric_mean_of_the_tokens(log_probs: list[float], expected: float) -> None:
    assert sequence_probability(log_probs) == pytest.approx(expected, abs=1e-12)


def test_temperature_makes_the_accuracy_of_one_probability() -> None:
    # logit 0.9 = ln 9, and 3 of 4 are right: ln 9 / T = ln 3.
    assert best_temperature([0.9] * 4, [True, True, True, False]) == pytest.approx(2.0, abs=1e-3)
    assert best_temperature([0.9] * 10, [True] * 9 + [False]) == pytest.approx(1.0, abs=1e-3)
    assert best_temperature([0.9] * 4, [False] * 4) == pytest.approx(50, rel=1e-3)
    assert best_temperature([0.9] * 4, [True] * 4) == pytest.approx(1 / 50, rel=1e-3)


def test_temperature_comes_from_the_other_groups() -> None:
    groups = ["a"] * 4 + ["b"] * 10
    right = [True, True, True, False] + [True] * 9 + [False]
    assert temperature_scaled([0.9] * 14, right, groups) == pytest.approx([0.9] * 4 + [0.75] * 10, abs=1e-4)


def test_baselines_are_aligned_with_the_answers() -> None:
    found = baselines([True, False, False, False], [0.9, 0.8, 0.7, 0.6], ["a", "a", "b", "b"])
    assert found["constant"] == [0.25] * 4
    assert found["sequence_probability"] == [0.9, 0.8, 0.7, 0.6]
    assert len(found["temperature_scaled"]) == 4 and all(0.5 <= value < 1 for value in found["temperature_scaled"])


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
        ({"distribution": {"pride": 1, "envy": 3}}, "joy", 0.25),  # as pride is
        ({"distribution": {"pride": 1, "envy": 3}}, "fear", None),  # nobody knows whether they could choose it
        ({"label": "joy"}, "joy", None),
        # Open vocabulary: the votes of a group are those of all its words, here furious and annoyed.
        ({"distribution": {"furious": 2, "annoyed": 1, "gloomy": 1}}, "anger", 0.75),
        ({"distribution": {"furious": 2, "annoyed": 1, "gloomy": 1}}, "joy", None),
        ({"distribution": {"happiness": 3, "anger": 1}, "distribution_space": "ekman_6"}, "joy", 0.75),
        ({"distribution": {"happiness": 3, "anger": 1}, "distribution_space": "ekman_6"}, "sadness", 0.0),
        ({"distribution": {"positive": 3, "negative": 1}, "distribution_space": "sentiment_3"}, "joy", 0.75),
        ({"distribution": {"positive": 3, "negative": 1}, "distribution_space": "sentiment_3"}, "trust", None),
    ],
)
def test_share_of_the_annotators(target: dict, label: str, expected: float | None) -> None:
    found = human_share(Target.model_validate(target), label)
    assert found == (None if expected is None else pytest.approx(expected))


def made(chance: float, human: float | None, **changes: float) -> float:
    return confidence_target(chance, human, ConfidenceTarget(**changes))


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
        (0.639, None, {"step": 0.001}, 0.64),  # two decimals are all that is written
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


def test_limits_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match=r"min_confidence 0.9 is above max_confidence 0.5"):
        ConfidenceTarget(min_confidence=0.9, max_confidence=0.5)


SECTIONS = {"scene": "a room", "face": "a smile"}


@pytest.mark.parametrize("step", [0.01, 0.05, 0.07])
@pytest.mark.parametrize(
    ("template", "answers"),
    [
        (Template("free", "label"), ["joy"]),
        (Template("none", "label"), ["joy"]),
        (Template("free", "list"), ["joy", "pride"]),
        (Template("free", "label", prefilled=True), ["joy"]),
        (Template("sections", "label", sections=tuple(SECTIONS)), ["joy"]),
        (Template("free", "choice"), ["b"]),
        (Template("free", "verdict"), ["incorrect"]),
    ],
    ids=lambda one: f"{one.think}-{one.answer}-{one.prefilled}" if isinstance(one, Template) else None,
)
def test_a_target_is_written_as_every_template_reads_it(template: Template, answers: list[str], step: float) -> None:
    """A template has one spelling of a confidence, a decimal with two digits; what is trained is what is read back."""
    whole = Template(template.think, template.answer, True, template.sections, template.prefilled)
    said = render(template, "a smile", answers, sections=SECTIONS)
    for count in range(9):
        target = made(count / 8, None, step=step)
        text = with_confidence(said, target)
        assert text == render(whole, "a smile", answers, target, SECTIONS)
        parsed = parse_completion(text, whole)
        assert (parsed.confidence, parsed.answers, parsed.problems) == (target, answers, [])


def record(name: str, group: str, **target: object) -> Record:
    fields = {"id": name, "dataset": "d", "split": "s", "group": group, "licence": "l", "source": "s"}
    return Record.model_validate({**fields, "target": target})


def row(name: str, answers: list[str | None], view: int = 0) -> dict:
    return {"id": name, "view": view, "completions": [f"{name} says {answer}" for answer in answers], "answers": answers,
            "agreement": agreement(answers), "sequence_probability": [0.9] * len(answers)}  # fmt: skip


def test_answers_are_judged_with_their_record() -> None:
    records = {
        "a": record("a", "speaker 1", label="joy", distribution={"joy": 1, "sadness": 3}),
        "b": record("b", "speaker 2", label="gloomy"),
    }
    rows = [row("a", ["joy", "joy", "sadness", None]), row("b", ["sadness", "sadness", "sadness", "joy"], view=1)]
    first, second, third, *others = judge_answers(rows, records, ConfidenceTarget(human_weight=0.5, step=0.01))
    assert len(others) == 4  # the unreadable one has no target
    assert (first.record_id, first.group, first.view, first.completion) == ("a", "speaker 1", 0, "a says joy")
    assert first.sequence_probability == 0.9
    assert (first.is_right, first.agreement) == (second.is_right, second.agreement) == (True, 0.5)
    assert (third.is_right, third.agreement) == (False, 0.25)
    assert [(one.is_right, one.agreement, one.view) for one in others] == [(True, 0.75, 1)] * 3 + [(False, 0.25, 1)]
    # At 0.25 never right, at 0.5 and 0.75 always; the annotators gave joy 1 of 4 and sadness 3, and said nothing of b.
    assert [one.target for one in (first, second, third, *others)] == [0.62, 0.62, 0.38, 0.98, 0.98, 0.98, 0.02]  # 0.625 and 0.375 to even
    # Speaker 2 has nothing at 0.5: half way between 0.25 and 0.75 it is worth a half, so (0.5 + 0.25) / 2.
    assert [one.held_out_target for one in (first, third, others[0], others[3])] == [0.38, 0.38, 0.98, 0.02]


def test_nothing_readable_is_nothing_judged() -> None:
    assert judge_answers([row("a", [None, None])], {"a": record("a", "g", label="joy")}, ConfidenceTarget()) == []


@pytest.mark.parametrize(
    ("max_oversampling", "expected"),
    [
        (1.0, {0.95: 80, 0.55: 16, 0.15: 4}),  # as they are
        (2.0, {0.95: 67, 0.55: 27, 0.15: 6}),  # 80 : 32 : 8 of 120
        (5.0, {0.95: 45, 0.55: 44, 0.15: 11}),  # 80 : 80 : 20 of 180
        (50.0, {0.95: 34, 0.55: 33, 0.15: 33}),  # alike
    ],
)
def test_draws_are_spread_over_the_bins(max_oversampling: float, expected: dict[float, int]) -> None:
    targets = [0.95] * 80 + [0.55] * 16 + [0.15] * 4
    order = balanced_order([targets], [1.0], None, max_oversampling, seed=0)
    counts = Counter(targets[place] for _, place in order)
    assert len(order) == 100
    assert all(abs(counts[target] - count) <= 1 for target, count in expected.items())
    # Within a bin each answer is drawn once before any is drawn again.
    times = Counter(place for _, place in order)
    for target in expected:
        drawn = [times[place] for place in range(100) if targets[place] == target]
        assert max(drawn) - min(drawn) <= 1
    assert order == balanced_order([targets], [1.0], None, max_oversampling, seed=0)


def test_weights_of_sources_hold_within_a_bin() -> None:
    order = balanced_order([[0.95] * 10 + [0.15] * 2, [0.95] * 10], [1.0, 0.5], 60, 10.0, seed=1)
    counts = Counter((source, 0.15 if source == 0 and place >= 10 else 0.95) for source, place in order)
    # 15 in the upper bin, 2 in the lower: both get half of the draws, and the upper half is shared 2 : 1.
    assert counts == {(0, 0.95): 20, (1, 0.95): 10, (0, 0.15): 30}


def test_targets_are_counted_by_bin() -> None:
    found = target_histogram([0.02, 0.05, 0.5, 0.98], [0.5, 0.5, 0.98, 1.0])
    assert found["edges"] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
    assert found["answers"] == [2, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert found["draws"] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
