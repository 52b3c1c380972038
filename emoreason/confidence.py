"""Confidence targets: how sure the model should say it is, from what its samples and the annotators say."""

from emoreason.emotions import LABEL_SPACES, POLARITY
from emoreason.records import Target


def agreement(answers: list[str | None], label: str) -> float:
    """Share of the sampled answers that are `label`, in [0, 1]; an unreadable answer agrees with nothing.

    For an annotated label this estimates the probability that the model is right, which is what the Brier score wants.
    """
    return sum(answer == label for answer in answers) / len(answers)


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
    agreed: float, human: float | None, human_weight: float, min_confidence: float, max_confidence: float, step: float
) -> float:
    """`(1 - w) agreement + w human`, or agreement alone where annotators are silent; rounded to `step`, then clipped.

    The clip keeps a target off 0 and 1, which no finite sample can prove.
    """
    mixed = agreed if human is None else (1 - human_weight) * agreed + human_weight * human
    return round(min(max(round(mixed / step) * step, min_confidence), max_confidence), 4)
