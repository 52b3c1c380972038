"""Confidence targets: how sure the model should say it is, from what its samples and the annotators say."""

from emoreason.emotions import LABEL_SPACES, POLARITY
from emoreason.records import Target


def agreement(answers: list[str | None]) -> list[float]:
    """For each sampled answer the share of all samples that give it, in [0, 1] (self-consistency, Wang et al. 2023).

    An unreadable answer (None) agrees with nothing, not even with another unreadable one.
    """
    return [answers.count(answer) / len(answers) if answer is not None else 0.0 for answer in answers]


def chance_of_being_right(agreements: list[float], right: list[bool]) -> list[float]:
    """For each answer the share of right answers at its agreement, in [0, 1], never falling as agreement rises.

    Isotonic regression (Zadrozny and Elkan 2002): a model agrees with itself more often than it is right, and how much
    more only the annotations can tell.
    """
    from sklearn.isotonic import IsotonicRegression  # takes a second, and most users of this module do not fit anything

    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit_transform(agreements, [float(one) for one in right]).tolist()


def human_share(target: Target, label: str) -> float | None:
    """Share of the annotators who chose `label`, in [0, 1], or None where the record does not say.

    Where annotators voted on sentiment and not on emotion, the share of the sentiment that the label stands for; None for
    a label without one (surprise). A class that they could choose and that the record does not list has no votes.
    """
    if not target.distribution:
        return None
    classes = {*LABEL_SPACES.get(target.distribution_space or target.label_space, ()), *target.distribution}
    key = label if label in classes else POLARITY.get(label)
    if key not in classes:
        return None
    return target.distribution.get(key, 0.0) / sum(target.distribution.values())


def confidence_target(
    chance: float, human: float | None, human_weight: float, min_confidence: float, max_confidence: float, step: float
) -> float:
    """`(1 - w) chance + w human`, or the chance alone where annotators are silent; rounded to `step`, then clipped.

    The clip keeps a target off 0 and 1, which no finite sample can prove.
    """
    mixed = chance if human is None else (1 - human_weight) * chance + human_weight * human
    return round(min(max(round(mixed / step) * step, min_confidence), max_confidence), 4)
