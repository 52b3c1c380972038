"""The scores of published benchmarks, from answers that are parsed already; shares in [0, 1], not percent.

Everywhere: one answer a row, None where none could be read, and that is a wrong answer, never a skipped row; rows whose gold is None are
skipped, and `n` and `skipped` count. A number without any row is None. Lists of unequal length are a ValueError, a
gold answer, class or task that the benchmark does not have is a UserError that names it.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from emoreason.completions import choice_letter, normalise_word, read_verdict
from emoreason.faults import UserError, did_you_mean
from emoreason.metrics.text import words

EMOREALM_TASKS = ("reasoning_basic_audio", "reasoning_basic_video", "modality_agreement", "reasoning_stress_audio", "reasoning_stress_video")
YES_NO_TASKS = frozenset(EMOREALM_TASKS[2:])
CA_MER_SUBSETS = ("video_aligned", "audio_aligned", "consistent")


def esj_scores(predicted: Sequence[str | None], gold: Sequence[str | None], classes: Sequence[str] | None = None) -> dict[str, Any]:
    """`{"accuracy", "positive_ratio", "give_up_ratio", "n", "skipped", "by_class"}` of Emotion Statement Judgement.

    Answers are verdicts, as `completions.read_verdict` takes them. positive_ratio is the share of all rows answered `correct`,
    give_up_ratio of those without a verdict, which lower the accuracy. `by_class` has the same numbers by class of statement, in
    the order of their first row; {} without `classes`. MVEI's are sentiment polarity, emotion interpretation, scene context,
    perception subjectivity.

    Source: MVEI (arXiv 2509.21950) and its cal_metrics.py, which finds the verdict anywhere in the text; ours is the parsed one.
    """
    rows = _rows(predicted, gold, [None] * len(gold) if classes is None else classes)
    used = [(read_verdict(answer or ""), _verdict(right)) for answer, right, _ in rows if right is not None]
    kinds = [kind for _, right, kind in rows if right is not None]
    by_class = {
        name: _verdict_shares([pair for pair, kind in zip(used, kinds, strict=True) if kind == name])
        for name in dict.fromkeys(kinds)
        if name is not None
    }
    return {**_verdict_shares(used), "skipped": len(rows) - len(used), "by_class": by_class}


def yes_no_scores(predicted: Sequence[str | None], gold: Sequence[str | None]) -> dict[str, Any]:
    """`{"accuracy", "yes_accuracy", "no_accuracy", "harmonic_mean", "yes_ratio", "give_up_ratio", "n", "skipped"}` of yes/no questions.

    yes_accuracy is the accuracy on the rows whose gold is yes, no_accuracy on the others, harmonic_mean theirs (0 where both are
    0): answering yes to all has 0. yes_ratio is the share of all rows answered yes. `correct` counts as yes, `incorrect` as no,
    so parsed verdicts can be given.

    Source: EmoReAlM (AVERE) and its evaluate_emorealm.py, which calls yes_accuracy "precision", no_accuracy "recall" and the
    harmonic mean "f1_score"; they are not. There an unreadable answer to a no question counts as a yes in the ratio, here not.
    """
    rows = _rows(predicted, gold)
    used = [(read_verdict(answer or ""), _verdict(right)) for answer, right in rows if right is not None]
    on_yes = _mean(answer == right for answer, right in used if right == "correct")
    on_no = _mean(answer == right for answer, right in used if right == "incorrect")
    harmonic = None if on_yes is None or on_no is None else 2 * on_yes * on_no / (on_yes + on_no) if on_yes + on_no else 0.0
    return {
        **_shares(used),
        "yes_accuracy": on_yes,
        "no_accuracy": on_no,
        "harmonic_mean": harmonic,
        "yes_ratio": _mean(answer == "correct" for answer, _ in used),
        "skipped": len(rows) - len(used),
    }


def emorealm_scores(
    predicted: Sequence[str | None], gold: Sequence[str | None], tasks: Sequence[str], choices: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """`{"average", "n", "skipped", "tasks": {task: {...}}}` of EmoReAlM's multiple-choice questions.

    Answers and gold are a letter or the whole text of a choice, as `completions.choice_letter` takes them. Each task has accuracy,
    give_up_ratio and n; the three yes/no tasks (`YES_NO_TASKS`) have the numbers of `yes_no_scores`. average is the plain mean of the five
    accuracies, None where a task has no rows: published code skips missing tasks, and its average is then of fewer.

    Source: EmoReAlM (AVERE), evaluate_emorealm.py. Its default reader finds the gold letter anywhere in the answer, so the
    article `a` is an A; ours is the parsed answer.
    """
    used: dict[str, list[tuple[str | None, str, Sequence[str]]]] = {task: [] for task in EMOREALM_TASKS}
    rows = _rows(predicted, gold, tasks, choices)
    for answer, right, task, offered in rows:
        if task not in used:
            raise UserError(f"unknown EmoReAlM task {task!r}{did_you_mean(task, EMOREALM_TASKS)}")
        if right is None:
            continue
        letter = choice_letter(normalise_word(right), offered)
        if letter is None:
            raise UserError(f"gold answer {right!r} is none of the choices; accepted: a letter or a text of {list(offered)}")
        used[task].append((choice_letter(normalise_word(answer or ""), offered), letter, offered))
    scores = {
        task: _yes_no_task(found) if task in YES_NO_TASKS else _shares([(answer, right) for answer, right, _ in found])
        for task, found in used.items()
    }
    accuracies = [scores[task]["accuracy"] for task in EMOREALM_TASKS]
    num_used = sum(map(len, used.values()))
    average = None if None in accuracies else fmean(accuracies)
    return {"average": average, "n": num_used, "skipped": len(rows) - num_used, "tasks": scores}


def ca_mer_scores(predicted: Sequence[str | None], gold: Sequence[str | None], subsets: Sequence[str]) -> dict[str, Any]:
    """`{"video_aligned", "audio_aligned", "consistent": {"accuracy", "n"}, "modality_bias", "n", "skipped"}` over one label a row.

    `subsets` says of each row which modality its gold label follows where the two conflict. modality_bias is accuracy on
    audio_aligned minus accuracy on video_aligned, in [-1, 1]: above 0 the model leans on audio. None where either has no rows.

    Source: the subsets are those of CA-MER (MoSEAR, arXiv 2508.01181); accuracy and bias are ours. Its published scores are not
    comparable and cannot be reproduced: an LLM extracts words from free text and groups synonyms, and the groups are not published.
    """
    rows = _rows(predicted, gold, subsets)
    right: dict[str, list[bool]] = {subset: [] for subset in CA_MER_SUBSETS}
    for answer, label, subset in rows:
        if subset not in right:
            raise UserError(f"unknown CA-MER subset {subset!r}{did_you_mean(subset, CA_MER_SUBSETS)}")
        if label is not None:
            right[subset].append(answer is not None and normalise_word(answer) == normalise_word(label))
    accuracy = {subset: _mean(found) for subset, found in right.items()}
    audio, video = accuracy["audio_aligned"], accuracy["video_aligned"]
    num_used = sum(map(len, right.values()))
    return {
        **{subset: {"accuracy": accuracy[subset], "n": len(found)} for subset, found in right.items()},
        "modality_bias": None if audio is None or video is None else audio - video,
        "n": num_used,
        "skipped": len(rows) - num_used,
    }


def emoprefer_scores(
    predicted: Sequence[str | None], gold: Sequence[str | None], swapped: Sequence[str | None] | None = None
) -> dict[str, Any]:
    """`{"accuracy", "give_up_ratio", "n", "waf", "tie_ratio", "swap_consistency", "skipped"}` of a judge of two descriptions.

    Gold is `a1` or `a2`, the description that people prefer; a judge may also say `same`, which is wrong. waf is the F1 of a1 and of
    a2, weighted by how often each is gold. tie_ratio is the share of `same`, give_up_ratio that of anything else.
    `swapped` are the judge's answers to the same rows with the two descriptions the other way round, a1 the one that then comes
    first. swap_consistency is the share of rows where both answers choose the same description; with `same` or no answer in
    either, none is chosen. None without `swapped`. A judge that always says a1 has 0.

    Source: EmoPrefer (arXiv 2507.04278), WAF first; swap consistency as in EAPO's report, whose treatment of ties is not published.
    """
    rows = _rows(predicted, gold, [None] * len(gold) if swapped is None else swapped)
    used = [(_preference(answer), _preference(right), _preference(other)) for answer, right, other in rows if right is not None]
    wrong = next((right for _, right, _ in rows if right is not None and _preference(right) not in ("a1", "a2")), None)
    if wrong is not None:
        raise UserError(f"gold preference {wrong!r}; accepted: a1, a2, or null for none")
    f1s = [_f1([(answer, right) for answer, right, _ in used], name) for name in ("a1", "a2")]
    weights = [sum(right == name for _, right, _ in used) for name in ("a1", "a2")]
    flipped = {"a1": "a2", "a2": "a1"}
    return {
        **_shares([(answer, right) for answer, right, _ in used]),
        "waf": fmean(f1s, weights) if used else None,
        "tie_ratio": _mean(answer == "same" for answer, _, _ in used),
        "swap_consistency": None if swapped is None else _mean(flipped.get(answer, "none") == other for answer, _, other in used),
        "skipped": len(rows) - len(used),
    }


def _rows(*columns: Sequence[Any]) -> list[tuple]:
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"columns of {', '.join(str(len(column)) for column in columns)} rows given; all need one value a row")
    return list(zip(*columns, strict=True))


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None


def _verdict(gold: str) -> str:
    verdict = read_verdict(gold)
    if verdict is None:
        raise UserError(f"gold answer {gold!r}; accepted: correct, incorrect, or yes, no")
    return verdict


def _shares(pairs: Sequence[tuple[str | None, str]]) -> dict[str, Any]:
    return {
        "accuracy": _mean(answer == right for answer, right in pairs),
        "give_up_ratio": _mean(answer is None for answer, _ in pairs),
        "n": len(pairs),
    }


def _verdict_shares(pairs: Sequence[tuple[str | None, str]]) -> dict[str, Any]:
    return {**_shares(pairs), "positive_ratio": _mean(answer == "correct" for answer, _ in pairs)}


def _yes_no_task(rows: Sequence[tuple[str | None, str, Sequence[str]]]) -> dict[str, Any]:
    answers = [_yes_or_no(answer, offered) for answer, _, offered in rows]
    gold = [_yes_or_no(right, offered) for _, right, offered in rows]
    for right, (_, _, offered) in zip(gold, rows, strict=True):
        if right is None:
            raise UserError(f"the gold choice of {list(offered)} says neither yes nor no, as it must in {', '.join(sorted(YES_NO_TASKS))}")
    return {name: value for name, value in yes_no_scores(answers, gold).items() if name != "skipped"}


def _yes_or_no(letter: str | None, choices: Sequence[str]) -> str | None:
    """`yes` or `no` where the choice has exactly one of the two words."""
    said = {"yes", "no"}.intersection(words(choices[ord(letter) - ord("a")])) if letter else set()
    return said.pop() if len(said) == 1 else None


def _preference(text: str | None) -> str | None:
    word = normalise_word(text or "")
    return word if word in ("a1", "a2", "same") else None


def _f1(rows: Sequence[tuple[str | None, str | None]], name: str) -> float:
    hits = sum(answer == right == name for answer, right in rows)
    named = sum((answer == name) + (right == name) for answer, right in rows)
    return 2 * hits / named if named else 0.0
