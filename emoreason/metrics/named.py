"""Every metric by its name, as one function of rows of gold and prediction."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from emoreason.completions import normalise_word
from emoreason.metrics import benchmarks, calibration, classification, regression
from emoreason.metrics.cues import cue_scores, emocue_360, lexical_similarity
from emoreason.metrics.sets import set_f1
from emoreason.metrics.text import rouge_l
from emoreason.metrics.wheel import hit_rate, wheel_f
from emoreason.wheels import WheelSet, own_wheels

Row = tuple[dict[str, Any], dict[str, Any]]
"""(gold, prediction) of one id; the prediction is {} where its file does not have the id."""


@dataclass(frozen=True)
class Options:
    """What a metric needs to know beside the rows."""

    labels: tuple[str, ...] = ()
    """The classes; () for those that occur in gold."""
    wheels: WheelSet = field(default_factory=own_wheels)
    level: str = "inner"

    def classes(self, rows: Sequence[Row], column: str = "label") -> list[str]:
        """`labels`, or the words of this column of gold, each once, shorter ones first so that AU4 stands before AU12."""
        words = (word for gold, _ in rows for word in (gold["labels"] if column == "labels" else [gold["label"]]))
        return list(self.labels) or sorted({normalise_word(word): word for word in words}.values(), key=lambda word: (len(word), word))


@dataclass(frozen=True)
class NamedMetric:
    """A metric as the command line offers it."""

    about: str
    reads: tuple[str, ...]
    """What a gold row must have; a row without it is skipped."""
    compute: Callable[[Sequence[Row], Options], dict[str, Any]]
    """All numbers of the rows; the first one is the metric's own."""
    answers: tuple[str, ...] = ()
    """Columns of a prediction, one of which it reads, else the prediction is unparsed; () for the first of `reads`."""
    needs_confidence: bool = False
    """Without any confidence in the predictions there is nothing to say."""


def _labels(rows: Sequence[Row]) -> tuple[list[str], list[str | None]]:
    return [gold["label"] for gold, _ in rows], [prediction.get("label") for _, prediction in rows]


def _values(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Only rows with a predicted number: a metric of numbers has no worst value to give the others."""
    pairs = [(gold["value"], prediction["value"]) for gold, prediction in rows if prediction.get("value") is not None]
    return [gold for gold, _ in pairs], [prediction for _, prediction in pairs]


def _confidences(rows: Sequence[Row]) -> tuple[list[float | None], list[bool]]:
    """An answer that is not there is wrong, and its confidence unreadable."""
    gold, predicted = _labels(rows)
    right = [answer is not None and normalise_word(answer) == normalise_word(label) for label, answer in zip(gold, predicted, strict=True)]
    return [prediction.get("confidence") if prediction.get("label") else None for _, prediction in rows], right


def _of_classes(function: Callable, name: str) -> Callable[[Sequence[Row], Options], dict[str, Any]]:
    return lambda rows, options: {name: function(*_labels(rows), options.classes(rows))}


def _of_numbers(function: Callable, name: str) -> Callable[[Sequence[Row], Options], dict[str, Any]]:
    return lambda rows, options: {name: function(*columns) if (columns := _values(rows))[0] else None, "n": len(columns[0])}


def _on_confidence(about: str, function: Callable, name: str, **settings: Any) -> NamedMetric:
    return NamedMetric(about, ("label",), lambda rows, options: {name: function(*_confidences(rows), **settings)}, needs_confidence=True)


def _wheel_f(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    return wheel_f([prediction.get("labels", []) for _, prediction in rows], [gold["labels"] for gold, _ in rows], options.wheels, options.level)


def _wheel_hit(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    return hit_rate([prediction.get("labels", []) for _, prediction in rows], [gold["label"] for gold, _ in rows], options.wheels)


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def _set_f1(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    return {"set_f1": _mean([set_f1(prediction.get("labels", []), gold["labels"]) for gold, prediction in rows])}


def _average_precision(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    """Of lists without scores, so each class has one step; a ranking needs scores."""
    names = options.classes(rows, "labels")
    index = {normalise_word(name): number for number, name in enumerate(names)}

    def table(lists: list[list[str]]) -> list[list[bool]]:
        named = [{index.get(normalise_word(word)) for word in words} for words in lists]
        return [[number in words for number in range(len(names))] for words in named]

    scores = [[float(cell) for cell in row] for row in table([prediction.get("labels", []) for _, prediction in rows])]
    return {"map": classification.mean_average_precision(table([gold["labels"] for gold, _ in rows]), scores)}


def _au(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    gold, predicted = [gold["labels"] for gold, _ in rows], [prediction.get("labels", []) for _, prediction in rows]
    units = options.classes(rows, "labels")
    return {
        "au_f1": classification.au_f1(gold, predicted, units),
        "au_set_f1": classification.au_set_f1(gold, predicted),
        "by_unit": classification.au_f1_by_unit(gold, predicted, units),
    }


def _waf(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    predicted = [prediction.get("value", prediction.get("label")) for _, prediction in rows]
    return classification.waf([gold["value"] for gold, _ in rows], predicted)


def _brier(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    columns = _confidences(rows)
    return {"brier": calibration.brier_score(*columns), **calibration.brier_decomposition(*columns)}


def _esj(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    gold, predicted = _labels(rows)
    return benchmarks.esj_scores(predicted, gold, [gold.get("subset") or "all" for gold, _ in rows])


def _yes_no(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    gold, predicted = _labels(rows)
    return benchmarks.yes_no_scores(predicted, gold)


def _ca_mer(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    gold, predicted = _labels(rows)
    scores = benchmarks.ca_mer_scores(predicted, gold, [gold["subset"] for gold, _ in rows])
    return {"modality_bias": scores.pop("modality_bias"), **scores}


def _emoprefer(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    gold, predicted = _labels(rows)
    scores = benchmarks.emoprefer_scores(predicted, gold)
    return {"waf": scores.pop("waf"), **scores}


def _rouge(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    return {"rouge_l": _mean([rouge_l(prediction.get("text") or "", gold["text"]) for gold, prediction in rows])}


def _cues(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    found = [one for gold, prediction in rows if (one := cue_scores(prediction.get("labels", []), gold["labels"])) is not None]
    return {name: _mean([one[place] for one in found]) for name, place in (("cue_f1", 2), ("cue_precision", 0), ("cue_recall", 1))}


def _emocue(rows: Sequence[Row], options: Options) -> dict[str, Any]:
    """Over the dimensions that gold has anywhere; shared stems stand in for the sentence embeddings of the paper."""
    predicted = [prediction.get("cues") or {} for _, prediction in rows]
    scores = emocue_360(predicted, [gold["cues"] for gold, _ in rows], lexical_similarity, compat=False)
    return {"emocue_f1": _mean([one["f1"] for one in scores.values()]), **scores}


METRICS: dict[str, NamedMetric] = {
    "wheel_f": NamedMetric("F_s of MER-UniBench: F of the mean precision and recall of emotion wheel clusters", ("labels",), _wheel_f),
    "wheel_hit": NamedMetric("HIT of MER-UniBench: the label's cluster is among those of the words; recall only", ("label",), _wheel_hit,
                             ("labels",)),
    "set_f1": NamedMetric("mean F1 of a row's set of words", ("labels",), _set_f1),
    "accuracy": NamedMetric("share of right labels", ("label",), lambda rows, options: {"accuracy": classification.accuracy(*_labels(rows))}),
    "war": NamedMetric("weighted average recall, which is accuracy", ("label",), lambda rows, options: {"war": classification.war(*_labels(rows))}),
    "uar": NamedMetric("unweighted average recall", ("label",), _of_classes(classification.uar, "uar")),
    "macro_f1": NamedMetric("mean F1 of the classes", ("label",), _of_classes(classification.macro_f1, "macro_f1")),
    "weighted_f1": NamedMetric("F1 of the classes, weighted by gold rows", ("label",), _of_classes(classification.weighted_f1, "weighted_f1")),
    "waf": NamedMetric("MER-UniBench's sentiment score, over rows whose gold value is not 0", ("value",), _waf, ("value", "label")),
    "map": NamedMetric("mean average precision over classes, of lists without scores", ("labels",), _average_precision),
    "au_f1": NamedMetric("mean F1 of the action units (labels such as AU12), and the mean set F1 of the rows", ("labels",), _au),
    "ccc": NamedMetric("concordance correlation of values", ("value",), _of_numbers(regression.ccc, "ccc")),
    "plcc": NamedMetric("Pearson correlation of values", ("value",), _of_numbers(regression.plcc, "plcc")),
    "srcc": NamedMetric("Spearman correlation of values", ("value",), _of_numbers(regression.srcc, "srcc")),
    "mae": NamedMetric("mean absolute error of values", ("value",), _of_numbers(regression.mae, "mae")),
    "rmse": NamedMetric("root mean squared error of values", ("value",), _of_numbers(regression.rmse, "rmse")),
    "acc_2": NamedMetric("share on the right side of zero, 0 with the positive values", ("value",), _of_numbers(regression.acc_2, "acc_2")),
    "acc_7": NamedMetric("share in the right one of seven classes from -3 to 3", ("value",), _of_numbers(regression.acc_7, "acc_7")),
    "ece": _on_confidence("expected calibration error, ten bins of equal width, the last one closed", calibration.expected_calibration_error, "ece"),
    "ece_equal_mass": _on_confidence("the same with bins of equal mass", calibration.expected_calibration_error, "ece_equal_mass",
                                     binning="equal_mass"),
    "ece_half_open": _on_confidence("the same as EmoCaliber computes it: a confidence of 1 is in no bin, unreadable ones are dropped",
                                    calibration.expected_calibration_error, "ece_half_open", binning="half_open"),
    "mce": _on_confidence("largest error of a bin", calibration.maximum_calibration_error, "mce"),
    "brier": NamedMetric("mean squared error of the confidence, and its decomposition", ("label",), _brier, needs_confidence=True),
    "nll": _on_confidence("negative log likelihood of the confidence", calibration.negative_log_likelihood, "nll"),
    "auroc": _on_confidence("chance that a right answer is the surer one", calibration.auroc, "auroc"),
    "auprc": _on_confidence("average precision of the confidence for right answers", calibration.auprc, "auprc"),
    "aurc": _on_confidence("area under the risk-coverage curve; lower is better", calibration.aurc, "aurc"),
    "esj": NamedMetric("statement verdicts (MVEI): accuracy, give-ups, share of `correct`; subset is the class", ("label",), _esj),
    "yes_no": NamedMetric("yes/no questions (EmoReAlM): accuracy on each answer and the share of yes", ("label",), _yes_no),
    "ca_mer": NamedMetric("CA-MER: modality bias, and accuracy by subset: video_aligned, audio_aligned, consistent", ("label", "subset"), _ca_mer),
    "emoprefer": NamedMetric("preferences a1 or a2: weighted F1 and accuracy", ("label",), _emoprefer),
    "cue_f1": NamedMetric("cues (labels), matched one to one by their words", ("labels",), _cues),
    "emocue_360": NamedMetric("cues by dimension (visual, auditory, emotional), each beside the nearest one, by shared stems", ("cues",), _emocue),
    "rouge_l": NamedMetric("longest common subsequence of words", ("text",), _rouge),
}  # fmt: skip
