"""What the scorers of published work would have read in a model's text, quirks included, so that numbers can be compared.

    >>> published_answer("<answer>danger</answer>", "vecbench", ["joy", "anger"])
    'anger'
    >>> published_answer("Hard to tell.", "emobserver_eemo", ["Yes", "No"])
    'A'

Our own reading, of one answer in whole words and none where it is ambiguous, is `emoreason.completions.parse_completion`; this module
is for tables beside other people's numbers and for nothing else. What a scorer returns keeps its own form: candidates as it spells
them, letters in capitals. Each entry is marked as [read in code] or [second hand]; of R1-Omni's file, what was read is a fork's copy.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from emoreason.faults import UserError, did_you_mean

_ANSWER = re.compile("<answer>", re.IGNORECASE), re.compile("</answer>", re.IGNORECASE)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class AnswerReader(NamedTuple):
    """How one published scorer reads an answer."""

    read: Callable[[str, Sequence[str], str | None], str | None]
    """(text, candidates, gold) -> the answer, or None where the scorer finds none."""
    description: str
    source: str
    needs_gold: bool = False
    """It looks for the right answer only, so that a wrong one is no different from none."""


class ConfidenceReader(NamedTuple):
    """How one published scorer reads a confidence."""

    read: Callable[[str], float | None]
    description: str
    source: str


def published_answer(text: str, compat: str, candidates: Sequence[str], gold: str | None = None) -> str | None:
    """The answer that the scorer `compat` reads in a whole completion, or None where it finds none.

    `candidates` are the labels in the benchmark's order, or where letters are asked the texts of the options from A on; `gold` is
    the right answer as the benchmark writes it, letters in capitals, and where it is empty it is never found.

    Raises:
        UserError: `compat` is not in `COMPAT`.
        ValueError: the scorer compares with `gold`, and there is none.
    """
    if compat not in COMPAT:
        raise UserError(f"unknown published scorer {compat!r}{did_you_mean(compat, COMPAT)}")
    reader = COMPAT[compat]
    if reader.needs_gold and gold is None:
        raise ValueError(f"the scorer {compat} looks for the right answer, and none is given")
    return reader.read(text, candidates, gold)


def published_confidence(text: str, compat: str) -> float | None:
    """The confidence in [0, 1] that the scorer `compat` reads in a whole completion, or None where it reads none.

    Raises:
        UserError: `compat` is not in `CONFIDENCE_COMPAT`.
    """
    if compat not in CONFIDENCE_COMPAT:
        raise UserError(f"unknown published scorer of confidence {compat!r}{did_you_mean(compat, CONFIDENCE_COMPAT)}")
    return CONFIDENCE_COMPAT[compat].read(text)


def first_span(text: str, tag: str) -> str | None:
    """The text from the first `<tag>` to the nearest `</tag>` behind it, over any number of lines; None without such a pair.

    What `re.search("<tag>(.*?)</tag>", text, re.DOTALL)` finds, in time linear in the length of the text.
    """
    start = text.find(f"<{tag}>")
    end = text.find(f"</{tag}>", start) if start >= 0 else -1
    return text[start + len(tag) + 2 : end] if end >= 0 else None


def _first_span_on_a_line(text: str, tag: str) -> str | None:
    """`first_span` of the first line that has one: what the same expression finds without `re.DOTALL`."""
    return next((span for line in text.split("\n") if (span := first_span(line, tag)) is not None), None)


def _last_span(text: str, tag: str) -> str | None:
    """The last of the spans that follow each other without overlap, the first being `first_span`."""
    opening, closing, position, span = f"<{tag}>", f"</{tag}>", 0, None
    while (start := text.find(opening, position)) >= 0 and (end := text.find(closing, start)) >= 0:
        span, position = text[start + len(opening) : end], end + len(closing)
    return span


def _first_inside(text: str, candidates: Sequence[str]) -> str | None:
    return next((candidate for candidate in candidates if candidate in text), None)


def _vecbench(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    text = text.lower()
    return _first_inside(_first_span_on_a_line(text, "answer") or text, [candidate.lower() for candidate in candidates])


def _vecbench_overall(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    return _first_inside(text.lower(), candidates)


def _emocaliber(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    words = (first_span(text, "answer") or "").translate(_NO_PUNCTUATION).lower().split()
    return words[0] if len(words) == 1 else None


def _r1_omni(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    span = _first_span_on_a_line(text, "answer")
    return (text if span is None else span).strip() or None


def _facial_r1(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    span = _last_span(text, "answer")
    return (text if span is None else span).strip() or None


def _emotion_llama(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    word = text.strip().rsplit(" ", 1)[-1]
    return word if word in candidates else "neutral"


def _emotion_qwen(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    return gold if gold and gold.lower() in text.lower() else None


def _emorealm(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    return gold if gold and re.search(rf"\b[(\[]?{re.escape(gold)}[)\].:]?\b", text.strip().lower(), re.IGNORECASE) else None


def _mvei(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    return _first_inside(text.lower(), ["incorrect", "correct"])


def _emobserver_span(text: str) -> tuple[str, bool]:
    """(the first answer, whether it stood between its tags); else all behind the last `<answer>` or `</think>`, else all."""
    if (opening := _ANSWER[0].search(text)) and (closing := _ANSWER[1].search(text, opening.end())):
        return text[opening.end() : closing.start()], True
    lowered = text.lower()
    cut, tag = max((lowered.rfind(tag), tag) for tag in ("<answer>", "</think>"))
    return (text[cut + len(tag) :] if cut >= 0 else text), False


def _emobserver_letter(text: str, letters: str) -> str | None:
    """The first of the letters that is anywhere in the text as a capital, or alone as a small one."""
    alone = {letter: re.compile(f"(?:^|[^A-Za-z]){letter.lower()}(?:$|[^A-Za-z])") for letter in letters}
    return next((letter for letter in letters if letter in text or alone[letter].search(text)), None)


def _emobserver_mvei(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    text, _ = _emobserver_span(text)
    return _mvei(text, candidates, gold) or {"A": "correct", "B": "incorrect", None: None}[_emobserver_letter(text, "AB")]


def _emobserver_vecbench(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    text = _emobserver_span(text)[0].lower()
    return next((candidate for candidate in candidates if candidate.lower() in text), candidates[0] if candidates else None)


def _emobserver_eemo(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    text, tagged = _emobserver_span(text)
    options = dict(zip(string.ascii_uppercase, candidates, strict=False))
    if tagged and options.get(gold) and options[gold].lower() in text.lower():
        return gold
    return _emobserver_letter(text, "ABCD") or "A"


def _ii_bench(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    letters = re.findall(r"\(([A-F])\)", text) or re.findall(r"\b([A-F])\b", text)
    if not letters:  # each option counts once, so that all that are found tie
        letters = [chr(ord("A") + place) for place, option in enumerate(candidates) if text and (option.strip() in text or text in option)]
    counts = Counter(letters)
    return [letter for letter in counts if counts[letter] == max(counts.values())][-1] if counts else None


def _emobench_m(text: str, candidates: Sequence[str], gold: str | None) -> str | None:
    return text.strip().lower() or None


def _emocaliber_confidence(text: str) -> float | None:
    value = _float(first_span(text, "confidence") or "")
    return value if value is not None and 0 < value < 1 else None


def _vecbench_confidence(text: str) -> float | None:
    value = _float((_first_span_on_a_line(text, "confidence") or "").replace("{", "").replace("}", ""))
    return None if value is None else min(max(value, 0.0), 1.0)


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value  # NaN falls into no bin and passes no threshold


COMPAT: dict[str, AnswerReader] = {
    "vecbench": AnswerReader(
        _vecbench,
        "The first candidate, in their order, that is in the answer, be it in a word: `anger` in `danger`, `happy` in `unhappy`. Where no "
        "answer stands on one line, in the whole response. Small letters; None is the published `unknown`. [read in code]",
        "wdqqdw/EmoCaliber, inference/evaluate_multi_task_conf_from_merged.py, the task rows",
    ),
    "vecbench_overall": AnswerReader(
        _vecbench_overall,
        "As `vecbench`, but always of the whole response, think text included; a candidate with a capital is never found. [read in code]",
        "wdqqdw/EmoCaliber, inference/evaluate_multi_task_conf_from_merged.py, the overall row",
    ),
    "emocaliber": AnswerReader(
        _emocaliber,
        "The first answer without ASCII punctuation, in small letters, where that is one word: a label of two words is never right. "
        "The reward gives -5 where any tag is missing, whatever is read here. [read in code]",
        "wdqqdw/EmoCaliber, train/cus_reward.py",
    ),
    "r1_omni": AnswerReader(
        _r1_omni,
        "The first answer on one line, else the whole response, stripped; compared letter by letter, so `Happy` is not `happy`. The check "
        "for equal formulas that comes before it is left out. [read in code]",
        "HumanMLLM/R1-Omni, src/r1-v/src/open_r1/grpo.py, accuracy reward",
    ),
    "facial_r1": AnswerReader(
        _facial_r1,
        "The last answer, else the whole response, stripped. It is compared for equality by the paper, but by Levenshtein ratio, which pays "
        "in part for a word that is spelled alike, in the repository's default reward. [read in code]",
        "RobitsG/Facial-R1, src/open-r1-multimodal/src/open_r1/grpo_jsonl.py, default accuracy reward",
    ),
    "emotion_llama": AnswerReader(
        _emotion_llama,
        "What stands behind the last space; all that is no candidate, such as `happy.`, is `neutral`. The repository has since replaced "
        "it. [read in code]",
        "ZebangCheng/Emotion-LLaMA, eval_emotion.py before minigpt4/evaluation",
    ),
    "emotion_qwen": AnswerReader(
        _emotion_qwen,
        "The right label where it is anywhere in the response, so an answer that lists all labels is always right. [read in code]",
        "24DavidHuang/Emotion-Qwen, emotion_benchmarks/DFEW",
        needs_gold=True,
    ),
    "emorealm": AnswerReader(
        _emorealm,
        "The right letter where it stands alone anywhere in the response, of either case: the article `a` is choice A. [read in code]",
        "ihp-lab/AVERE, evaluate/tasks/evaluate_emorealm.py, its default matcher",
        needs_gold=True,
    ),
    "mvei": AnswerReader(
        _mvei,
        "`incorrect` where the response holds it, else `correct` where it holds that, `not correct` included; else it gives up. "
        "[read in code]",
        "wdqqdw/MVEI, eval/cal_metrics.py",
    ),
    "emobserver_mvei": AnswerReader(
        _emobserver_mvei,
        "As `mvei` over the answer; then a capital A anywhere or an `a` alone is `correct`, and B likewise `incorrect`. [read in code]",
        "wdqqdw/EmObserver, evaluate/metrics_calculators/mvei.py",
    ),
    "emobserver_vecbench": AnswerReader(
        _emobserver_vecbench,
        "As `vecbench` over the answer, and the first candidate where none is found, so that silence scores. [read in code]",
        "wdqqdw/EmObserver, evaluate/metrics_calculators/vecbench.py",
    ),
    "emobserver_eemo": AnswerReader(
        _emobserver_eemo,
        "The right letter where the answer between its tags holds the text of its option; else the first of A to D that is a capital "
        "anywhere or alone in small; else A, so that silence scores. [read in code]",
        "wdqqdw/EmObserver, evaluate/metrics_calculators/eemo_bench.py",
    ),
    "ii_bench": AnswerReader(
        _ii_bench,
        "The most frequent (A) to (F) of the response, else A to F alone, the article `A` included; of those that tie, the one that came "
        "up last; else the last option whose text is in the response. [read in code]",
        "II-Bench/II-Bench, eval.py",
    ),
    "emobench_m": AnswerReader(
        _emobench_m,
        "The whole response in small letters, stripped. Rows that are empty are dropped and count nowhere; in its earlier versions all "
        "that are no candidate are. [read in code]",
        "Emo-gml/EmoBench-M, eval.py",
    ),
}

CONFIDENCE_COMPAT: dict[str, ConfidenceReader] = {
    "emocaliber": ConfidenceReader(
        _emocaliber_confidence,
        "What float() makes of the first tag, strictly between 0 and 1: `1.0`, `85%`, `0.8.` and `{0.8}` are malformed. [read in code]",
        "wdqqdw/EmoCaliber, train/cus_reward.py",
    ),
    "vecbench": ConfidenceReader(
        _vecbench_confidence,
        "What float() makes of the first tag on one line, without braces, clipped to [0, 1] as the evaluator does for its Brier score and "
        "AUROC. Rows where float() fails are dropped before anything is scored. NaN, which it lets through, is None. [read in code]",
        "wdqqdw/EmoCaliber, inference/extract_verb_confidence.py",
    ),
}
