"""Confidences beside each other: which of them fit how often answers are right, and tell right answers from wrong ones.

    emoreason confidence runs/tiny/stage2_confidence runs/tiny/stage3_grpo

What the model states, or the targets that it learns from, is worth its training only where it beats what comes for nothing: a
constant, and the probability that the model gave its own tokens, as it is and scaled by a temperature.
"""

import io
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from emoreason.confidence import NUM_BINS, baselines
from emoreason.faults import UserError, raise_faults
from emoreason.files import read_json, read_jsonl, write_json
from emoreason.metrics.calibration import (
    aurc,
    auroc,
    brier_score,
    equal_width_bins,
    expected_calibration_error,
    expected_risks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Methods = Mapping[str, Sequence[float | None]]
"""{name: its confidence in each answer}; None where none could be read, which costs the most, see `metrics.calibration`."""

COLUMNS = ("n", "mean_confidence", "ece", "brier", "auroc", "aurc")
ABOUT = """AUROC: higher is better, 0.5 says nothing; ECE, Brier, AURC: lower is better.
The constant is the accuracy of these answers; what is fitted is judged on groups that it was not fitted on."""
# Colours of Okabe and Ito, which colour-blind readers can tell apart; a method has the same one in every picture.
_COLOURS = {"constant": "#999999", "sequence_probability": "#E69F00", "temperature_scaled": "#56B4E9", "agreement": "#009E73",
            "target": "#D55E00", "stated": "#D55E00"}  # fmt: skip
_MOST_POINTS = 500
_LINES = {"constant": "--", "temperature_scaled": ":"}
# One temperature changes no order, and that each fold has its own would only blur it.
_ORDERED_AS = {"temperature_scaled": "sequence_probability"}


def compare(methods: Methods, right: Sequence[bool]) -> dict[str, Any]:
    """`{"n": answers, "accuracy", "methods": {name: {"n", "mean_confidence", "ece", "brier", "auroc", "aurc", "bins"}}}`.

    Of a method, n counts the confidences that could be read, and mean_confidence is over these (None for none); the others are over all
    answers. auroc is None where all answers are right or all wrong. auroc and aurc, which only see the order, are those of
    sequence_probability for temperature_scaled. bins are those of `reliability_bins`.
    """
    compared = {}
    for name, confidence in methods.items():
        stated = [value for value in confidence if value is not None]
        order = _order(name, methods)
        compared[name] = {
            "n": len(stated), "mean_confidence": math.fsum(stated) / len(stated) if stated else None,
            "ece": expected_calibration_error(confidence, right, NUM_BINS), "brier": brier_score(confidence, right),
            "auroc": auroc(order, right), "aurc": aurc(order, right), "bins": reliability_bins(confidence, right),
        }  # fmt: skip
    return {"n": len(right), "accuracy": sum(right) / len(right), "methods": compared}


def _order(name: str, methods: Methods) -> Sequence[float | None]:
    return methods[_ORDERED_AS.get(name, name)]


def reliability_bins(confidence: Sequence[float | None], right: Sequence[bool]) -> list[dict[str, float]]:
    """`{"bin", "n", "mean_confidence", "accuracy", "low", "high"}` of each tenth of [0, 1] that has answers, from 0 up.

    low and high are the 95 % Wilson interval (1927) of the accuracy, as if answers were independent; several of one record are not,
    so that real intervals are wider. An answer without a confidence is in no bin.
    """
    from scipy.stats import binomtest  # takes a second

    values = np.array([np.nan if value is None else value for value in confidence], float)
    outcomes, numbers = np.array(right, bool), equal_width_bins(values, NUM_BINS)
    bins = []
    for number in range(NUM_BINS):
        inside = numbers == number
        if size := int(inside.sum()):
            num_right = int(outcomes[inside].sum())
            interval = binomtest(num_right, size).proportion_ci(method="wilson")
            bins.append({"bin": number, "n": size, "mean_confidence": float(values[inside].mean()), "accuracy": num_right / size,
                         "low": float(interval.low), "high": float(interval.high)})  # fmt: skip
    return bins


def evaluated_methods(report_path: Path) -> tuple[dict[str, list[float | None]], list[bool]]:
    """({constant, sequence_probability, temperature_scaled, and stated where the template asks for a confidence}, right) of one test set.

    Over the answers to records with a label, of `eval/<test>.json` and the `.jsonl` beside it; both are empty where no record has one.
    An answer that cannot be read is wrong, and its stated confidence does not count, as in the evaluation's own ECE.

    Raises:
        UserError: rows that were written without what is needed here, or no rows.
    """
    faults: list[str] = []
    path = report_path.with_suffix(".jsonl")
    rows = [row for _, row in read_jsonl(path, faults)]
    missing = [key for key in ("is_right", "sequence_probability", "group") if any(key not in row for row in rows)]
    if missing:
        faults.append(f"{path}: rows have no {', '.join(missing)}, which are kept since; remove {report_path} and evaluate again")
    raise_faults(faults)
    rows = [row for row in rows if row["is_right"] is not None]
    if not rows:
        return {}, []
    right = [row["is_right"] for row in rows]
    probabilities, groups = [row["sequence_probability"] for row in rows], [row["group"] for row in rows]
    methods: dict[str, list[float | None]] = {**baselines(right, probabilities, groups)}
    if "confidence" in read_json(report_path)["settings"]["template"]:
        methods["stated"] = [row["confidence"] if row["answers"] else None for row in rows]
    return methods, right


def compare_evaluations(run_paths: Sequence[Path]) -> tuple[list[tuple[str, str, dict[str, Any]]], list[str]]:
    """([(run, test set, what `compare` finds)], [why a test set was left out]) of finished evaluations.

    Writes `eval/confidence/<test>.json`, `<test>_reliability.png` and `<test>_risk_coverage.png` into each run's folder.

    Raises:
        UserError: runs that were not evaluated, or not as is needed here, or nothing to compare in any; then nothing is written.
    """
    todo = "no evaluation in it (eval/<test>.json); run: emoreason evaluate RECIPE output_dir="
    faults = [f"{path}: {todo}{path}" for path in run_paths if not any((path / "eval").glob("*.json"))]
    found = {}
    for report_path in [report_path for path in run_paths for report_path in sorted((path / "eval").glob("*.json"))]:
        try:
            found[report_path] = evaluated_methods(report_path)
        except UserError as error:
            faults += error.faults
    raise_faults(faults)
    left_out = [f"{path}: no record has a label, so no answer is right or wrong" for path, (_, right) in found.items() if not right]
    if len(left_out) == len(found):
        raise UserError(left_out)
    compared = [
        (str(path.parents[1]), path.stem, write_comparison(path.parent / "confidence" / path.stem, methods, right))
        for path, (methods, right) in found.items() if right
    ]  # fmt: skip
    return compared, left_out


def write_comparison(stem: Path, methods: Methods, right: Sequence[bool]) -> dict[str, Any]:
    """What `compare` finds, written as `<stem>.json`, drawn as `<stem>_reliability.png` and `<stem>_risk_coverage.png`."""
    compared = compare(methods, right)
    stem.parent.mkdir(parents=True, exist_ok=True)
    draw_reliability(compared, stem.with_name(f"{stem.name}_reliability.png"))
    draw_risk_coverage(compared, methods, right, stem.with_name(f"{stem.name}_risk_coverage.png"))
    write_json(stem.with_name(f"{stem.name}.json"), compared)
    return compared


def comparison_table(compared: Sequence[tuple[str, str, dict[str, Any]]]) -> str:
    """A row a method, below each other for each (run, test set)."""
    title = "how well confidence tells right from wrong"
    table = Table("run", "answers to", "confidence", *map(_shown, COLUMNS), title=title, caption=ABOUT)
    for run, test, found in compared:
        for number, (name, values) in enumerate(found["methods"].items()):
            cells = [values[column] for column in COLUMNS]
            shown = ["-" if cell is None else str(cell) if isinstance(cell, int) else f"{cell:.3f}" for cell in cells]
            table.add_row(*((run, test) if number == 0 else ("", "")), _shown(name), *shown)
        table.add_section()
    return _printed(table)


def histogram_table(histogram: Mapping[str, Sequence[float]]) -> str:
    """How many answers have a target in each tenth of [0, 1], and how many draws of the training; see `confidence.target_histogram`."""
    edges = histogram["edges"]
    table = Table("confidence targets", *(f"{low:.1f}-{high:.1f}" for low, high in pairwise(edges)))
    for name in ("answers", "draws"):
        table.add_row(name, *map(str, histogram[name]))
    return _printed(table)


def _shown(name: str) -> str:
    return name.replace("_", " ")


def _printed(table: Table) -> str:
    text = io.StringIO()
    Console(file=text, width=150).print(table)
    return text.getvalue()


def draw_reliability(compared: Mapping[str, Any], path: Path) -> None:
    """Write a picture: for each method, accuracy against confidence with intervals, the ECE, and below it how many answers each bin has."""
    from matplotlib.figure import Figure

    methods = compared["methods"]
    num_columns = math.ceil(math.sqrt(len(methods)))
    num_rows = -(-len(methods) // num_columns)
    figure = Figure(figsize=(3.8 * num_columns, 4.4 * num_rows + 0.4), layout="constrained")
    figure.suptitle(f"Accuracy and mean confidence in each tenth of confidence, 95 % intervals; {compared['n']} answers, "
                    f"{compared['accuracy']:.0%} right", fontsize="medium")  # fmt: skip
    panels = figure.subplots(2 * num_rows, num_columns, squeeze=False, height_ratios=[3, 1] * num_rows)
    for number in range(num_rows * num_columns):
        row, column = divmod(number, num_columns)
        upper, lower = panels[2 * row, column], panels[2 * row + 1, column]
        if number >= len(methods):
            upper.remove()
            lower.remove()
            continue
        name, found = list(methods.items())[number]
        _draw_accuracies(upper, name, found, compared["n"])
        _draw_counts(lower, name, found)
        if column == 0:
            upper.set_ylabel("accuracy")
            lower.set_ylabel("answers")
    figure.savefig(path, dpi=150)


def _draw_accuracies(axes: "Axes", name: str, found: Mapping[str, Any], num_answers: int) -> None:
    bins = found["bins"]
    confidences, accuracies = [one["mean_confidence"] for one in bins], [one["accuracy"] for one in bins]
    errors = np.array([[one["accuracy"] - one["low"], one["high"] - one["accuracy"]] for one in bins]).reshape(-1, 2).T
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    axes.errorbar(confidences, accuracies, errors.clip(min=0), color=_COLOURS[name], marker="o", markersize=4, linewidth=1.5, capsize=2.5)
    unreadable = f", {num_answers - found['n']} unreadable" if found["n"] < num_answers else ""
    axes.set(title=f"{_shown(name)}: ECE {found['ece']:.3f}{unreadable}", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.tick_params(labelbottom=False)


def _draw_counts(axes: "Axes", name: str, found: Mapping[str, Any]) -> None:
    middles = [(one["bin"] + 0.5) / NUM_BINS for one in found["bins"]]
    bars = axes.bar(middles, [one["n"] for one in found["bins"]], 0.9 / NUM_BINS, color=_COLOURS[name])
    axes.bar_label(bars, fontsize="x-small")
    axes.margins(y=0.25)
    axes.set(xlabel="confidence", xlim=(-0.03, 1.03))


def draw_risk_coverage(compared: Mapping[str, Any], methods: Methods, right: Sequence[bool], path: Path) -> None:
    """Write a picture: the share of wrong answers among the most confident ones, against how many are answered; a line a method."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    ranks = np.unique(np.linspace(1, len(right), min(len(right), _MOST_POINTS)).astype(int))
    for name in methods:
        risks = np.array(expected_risks(_order(name, methods), right))[ranks - 1]
        axes.plot(ranks / len(right), risks, color=_COLOURS[name], linestyle=_LINES.get(name, "-"),
                  label=f"{_shown(name)}: AURC {compared['methods'][name]['aurc']:.3f}")  # fmt: skip
    axes.set(title=f"{compared['n']} answers, {compared['accuracy']:.0%} right", xlabel="coverage: share answered, most confident first",
             ylabel="risk: share of wrong ones among them", xlim=(0, 1), ylim=(0, None))  # fmt: skip
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    figure.savefig(path, dpi=150)
