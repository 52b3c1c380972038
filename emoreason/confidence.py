"""Confidence targets: how sure the model should say it is, from what its samples and the annotators say, and what to compare it with.

Answers are compared in groups, see `answer_group`: whether samples agree, whether an answer is right and how many annotators chose it
are all asked of groups.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emoreason.completions import canonical_answer, normalise_word
from emoreason.curriculum import mix
from emoreason.emotions import LABEL_SPACES, POLARITY
from emoreason.metrics.calibration import equal_width_bins
from emoreason.recipe import ConfidenceTarget
from emoreason.records import Record, Target
from emoreason.wheels import own_wheels

NUM_BINS = 10
"""Of [0, 1], equally wide; the same in which the ECE is measured."""
OPEN_WHEEL = ("plutchik",)
_MAX_FOLDS = 5
_MAX_TEMPERATURE = 50.0
_SMALLEST_PROBABILITY = 1e-6

Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""(values, right) -> what turns values into probabilities."""


def answer_group(answer: str, target: Target) -> str:
    """What counts as the same answer as this word: the label that it means, or in the open vocabulary its emotion.

    Closed label spaces and choices: `canonical_answer`. Open vocabulary: the primary emotion of Plutchik's wheel (eight, and
    neutral), so that `delighted` and `happy` agree; a word that the wheel does not place stands for its family of words, and one
    that nobody knows for itself. Of an answer with several words give the dominant one, the first: the confidence is then the
    chance that this one emotion is right, a yes or no, where whole sets of words would hardly ever agree.
    """
    word = normalise_word(answer)
    if target.choices or target.label_space in LABEL_SPACES:
        return canonical_answer(word, target.label_space, target.choices)
    wheel = own_wheels(OPEN_WHEEL)
    return wheel.clusters(word)[0] or wheel.family(word) or word


def is_right(answer: str | None, target: Target) -> bool | None:
    """Whether the dominant answer is in the group of the record's label; no answer is wrong, None where the record has no label."""
    if target.label is None:
        return None
    return answer is not None and answer_group(answer, target) == answer_group(target.label, target)


def agreement(answers: list[str | None]) -> list[float]:
    """For each sampled answer, given by its group, the share of all samples in that group, in [0, 1] (self-consistency, Wang et al. 2023).

    An unreadable answer (None) agrees with nothing, not even with another unreadable one.
    """
    return [answers.count(answer) / len(answers) if answer is not None else 0.0 for answer in answers]


def sequence_probability(log_probs: Sequence[float]) -> float:
    """exp of the mean log-probability of a completion's tokens, in [0, 1]: how sure the model was of its own text; 0 without tokens.

    The mean and not the sum, since a sum mostly tells short from long texts. Under the distribution that was sampled from, which
    is the model's own at temperature 1 and for greedy answers.
    """
    return min(1.0, math.exp(math.fsum(log_probs) / len(log_probs))) if log_probs else 0.0


def chance_of_being_right(agreements: Sequence[float], right: Sequence[bool]) -> list[float]:
    """For each answer the share of right answers at its agreement, in [0, 1], never falling as agreement rises.

    Isotonic regression (Zadrozny and Elkan 2002): a model agrees with itself more often than it is right, and how much
    more only the annotations can tell.
    """
    return isotonic(np.array(agreements, float), np.array(right, float))(np.array(agreements, float)).tolist()


def temperature_scaled(probabilities: Sequence[float], right: Sequence[bool], groups: Sequence[str]) -> list[float]:
    """sigmoid(logit(p) / T) of each probability, in (0, 1), the temperature T from the answers of other groups.

    It moves no probability past 0.5 and changes no order, but that folds have temperatures of their own.
    Source: temperature scaling (Guo et al., ICML 2017), here of one probability.
    """
    return cross_fitted(_at_best_temperature, probabilities, right, groups)


def cross_fitted(fit: Fit, values: Sequence[float], right: Sequence[bool], groups: Sequence[str]) -> list[float]:
    """Each value turned into a probability by a fit to the other groups alone, in at most five folds of whole groups.

    What is fitted and judged on the same answers looks calibrated whatever it is. A single group is all there is, and fits itself.
    """
    inputs, outcomes = np.array(values, float), np.array(right, float)
    num_folds = min(_MAX_FOLDS, len(set(groups)))
    if num_folds < 2:
        return fit(inputs, outcomes)(inputs).tolist()
    from sklearn.model_selection import GroupKFold  # takes a second, and most users of this module do not fit anything

    found = np.empty(len(inputs))
    for fitted, held_out in GroupKFold(num_folds).split(inputs, outcomes, groups):
        found[held_out] = fit(inputs[fitted], outcomes[fitted])(inputs[held_out])
    return found.tolist()


def isotonic(values: np.ndarray, right: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The rising step function from values to shares of right answers that fits best."""
    from sklearn.isotonic import IsotonicRegression

    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(values, right).predict


def _at_best_temperature(probabilities: np.ndarray, right: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    temperature = best_temperature(probabilities, right)
    return lambda values: 1 / (1 + np.exp(-_logits(values) / temperature))


def best_temperature(probabilities: Sequence[float], right: Sequence[bool]) -> float:
    """The T from 1/50 to 50 under which sigmoid(logit(p) / T) makes these outcomes the most likely; above 1 tones down.

    Probabilities are clipped to [1e-6, 1 - 1e-6]. Where all are above 0.5 and most answers are wrong, the largest T is the best.
    """
    from scipy.optimize import minimize_scalar

    margins = _logits(np.array(probabilities, float)) * np.where(np.array(right, bool), 1, -1)
    limit = math.log(_MAX_TEMPERATURE)
    found = minimize_scalar(lambda log: np.logaddexp(0, -margins * math.exp(-log)).mean(), bounds=(-limit, limit), method="bounded")
    return math.exp(found.x)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    clipped = np.clip(probabilities, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return np.log(clipped) - np.log1p(-clipped)


def human_share(target: Target, answer: str) -> float | None:
    """Share of the annotators who chose the group of this answer, in [0, 1], or None where the record does not say.

    Where annotators voted on sentiment and not on emotion, the share of the sentiment that the group stands for; None for
    one without (surprise). A class that they could choose and that the record does not list has no votes.
    """
    if not target.distribution:
        return None
    classes = dict.fromkeys([*LABEL_SPACES.get(target.distribution_space or target.label_space, ()), *target.distribution])
    on_sentiment = classes.keys() <= {*POLARITY.values()}
    votes: dict[str, float] = defaultdict(float)
    for name in classes:
        votes[name if on_sentiment else answer_group(name, target)] += target.distribution.get(name, 0.0)
    group = answer_group(answer, target)
    key = POLARITY.get(group) if on_sentiment and group not in votes else group
    return votes[key] / sum(target.distribution.values()) if key in votes else None


def confidence_target(chance: float, human: float | None, settings: ConfidenceTarget) -> float:
    """`(1 - w) chance + w human`, or the chance alone where annotators are silent; rounded to `step`, then clipped, two decimals.

    The clip keeps a target off 0 and 1, which no finite sample can prove. Two decimals are what a template writes.
    """
    mixed = chance if human is None else (1 - settings.human_weight) * chance + settings.human_weight * human
    return round(min(max(round(mixed / settings.step) * settings.step, settings.min_confidence), settings.max_confidence), 2)


@dataclass(frozen=True)
class Answer:
    """One of the model's own readable answers: whether it is right, how sure of it the model should have been, what else could tell."""

    record_id: str
    group: str
    """Of the record."""
    view: int
    completion: str
    is_right: bool
    agreement: float
    sequence_probability: float
    target: float
    held_out_target: float
    """What the target would be if the answers to records of this group had not been there: to judge targets by, not to learn."""


def judge_answers(rows: Sequence[dict], records: Mapping[str, Record], settings: ConfidenceTarget) -> list[Answer]:
    """The readable answers in rows of completions.jsonl, judged; what an agreement is worth is found over all of these rows."""
    sampled = [(row, place, answer) for row in rows for place, answer in enumerate(row["answers"]) if answer is not None]
    if not sampled:
        return []
    owners = [records[row["id"]] for row, _, _ in sampled]
    right = [answer == answer_group(owner.target.label, owner.target) for (_, _, answer), owner in zip(sampled, owners, strict=True)]
    agreements, groups = [row["agreement"][place] for row, place, _ in sampled], [owner.group for owner in owners]
    chances, held_out = chance_of_being_right(agreements, right), cross_fitted(isotonic, agreements, right, groups)
    answers = []
    for index, ((row, place, answer), owner) in enumerate(zip(sampled, owners, strict=True)):
        share = human_share(owner.target, answer)
        answers.append(Answer(
            row["id"], owner.group, row["view"], row["completions"][place], right[index], agreements[index],
            row["sequence_probability"][place],
            confidence_target(chances[index], share, settings), confidence_target(held_out[index], share, settings),
        ))  # fmt: skip
    return answers


def balanced_order(
    targets: Sequence[Sequence[float]], weights: Sequence[float], num_rows: int | None, max_oversampling: float, seed: int
) -> list[tuple[int, int]]:
    """(source, answer) of each draw in training order, so that every bin of targets that has answers is drawn alike.

    A bin's answers are drawn at most `max_oversampling` times as often as those of the fullest bin (bins are counted with the sources'
    weights, which hold within a bin). `num_rows` is as in `curriculum.mix`: the number of draws does not depend on the balance.
    """
    parts: dict[tuple[int, int], list[int]] = defaultdict(list)
    for source, values in enumerate(targets):
        for place, number in enumerate(equal_width_bins(np.array(values, float), NUM_BINS).tolist()):
            parts[source, number].append(place)
    masses: dict[int, float] = defaultdict(float)
    for (source, number), places in parts.items():
        masses[number] += weights[source] * len(places)
    boosts = {number: min(max_oversampling, max(masses.values()) / mass) for number, mass in masses.items()}
    keys = sorted(parts)
    sizes, drawn_weights = [len(parts[key]) for key in keys], [weights[source] * boosts[number] for source, number in keys]
    return [(keys[part][0], parts[keys[part]][place]) for part, place in mix(sizes, drawn_weights, num_rows, seed)]


def target_histogram(answers: Sequence[float], draws: Sequence[float]) -> dict[str, list[float]]:
    """`{"edges": 11 numbers from 0 to 1, "answers": the targets of all answers in each bin, "draws": of those that are trained on}`."""
    counts = [np.bincount(equal_width_bins(np.array(values, float), NUM_BINS), minlength=NUM_BINS).tolist() for values in (answers, draws)]
    return {"edges": [edge / NUM_BINS for edge in range(NUM_BINS + 1)], "answers": counts[0], "draws": counts[1]}


def baselines(right: Sequence[bool], probabilities: Sequence[float], groups: Sequence[str]) -> dict[str, list[float]]:
    """`{"constant", "sequence_probability", "temperature_scaled"}`: a confidence for each answer that costs no training.

    The constant is the accuracy of these very answers, so its ECE is 0, which nothing can beat: compare its Brier score and AUROC.
    """
    return {
        "constant": [sum(right) / len(right)] * len(right),
        "sequence_probability": list(probabilities),
        "temperature_scaled": temperature_scaled(probabilities, right, groups),
    }
