"""What was sampled, to be read: a head of figures, then groups of rollouts beside their pictures, clips and sounds.

    emoreason show runs/tiny/stage3_grpo --worst --limit 5
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from emoreason.faults import UserError, did_you_mean
from emoreason.rollout_files import RolloutFile, SavedGroup, SavedRollout
from emoreason.rollout_statistics import disagreements, group_statistics, mean, pearson, spread

DEFAULT_LIMIT = 10
MAX_FRAMES = 4
"""Paths of a clip in frames that are printed."""
# What a terminal takes for a command up to its end: OSC, DCS, SOS, PM and APC with their text, CSI, two-character escapes (ECMA-48).
_SEQUENCE = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]"
)
# Other controls, and the marks that make a terminal draw text in another order than it is written (UAX 9).
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without what a terminal would obey, line breaks and tabs aside; half characters become the replacement character."""
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _CONTROL.sub("", text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True)
class Choice:
    """Which groups to show, and which of them first."""

    worst: bool = False
    """Scored groups with the lowest mean total first; of others those with a wrong answer, the most certain first."""
    disagree: bool = False
    """See `_disagreement`."""
    record_id: str | None = None
    step: int | None = None
    reward: str | None = None
    """This reward takes the place of the total, and groups that it does not apply to are left out."""
    limit: int | None = None
    """Groups to show, 0 for all; None is all of one record, else `DEFAULT_LIMIT`."""


def filtered(file: RolloutFile, choice: Choice) -> list[SavedGroup]:
    """The groups of the record, step and reward that are asked for, in the order of the file.

    Raises:
        UserError: there is no such record, step or reward, or the options do not suit the file.
    """
    if choice.worst and choice.disagree:
        raise UserError("--worst and --disagree are two orders; give one of them")
    if file.kind == "preferred" and (choice.worst or choice.disagree or choice.reward or choice.step is not None):
        raise UserError(f"{file.path}: preference pairs have neither scores nor steps; accepted with them: --id, --limit")
    groups, names = file.groups, _reward_names(file)
    steps = sorted({group.step for group in groups if group.step is not None})
    if choice.record_id is not None and not any(group.id == choice.record_id for group in groups):
        hint = did_you_mean(choice.record_id, {group.id for group in groups})
        raise UserError(f"--id {choice.record_id}: no such record in {file.path}{printable(hint)}")
    if choice.step is not None and choice.step not in steps:
        hint = f"accepted: {steps[0]} to {steps[-1]}" if steps else "it has no steps"
        raise UserError(f"--step {choice.step}: not in {file.path}; {hint}")
    if choice.reward is not None and choice.reward not in names:
        hint = did_you_mean(choice.reward, names) or "; it has no rewards"
        raise UserError(f"--reward {choice.reward}: not in {file.path}{printable(hint)}")
    return [
        group for group in groups
        if choice.record_id in (None, group.id) and choice.step in (None, group.step)
        and (choice.reward is None or any(one.rewards.get(choice.reward) is not None for one in group.rollouts))
    ]  # fmt: skip


def selected(file: RolloutFile, groups: list[SavedGroup], choice: Choice) -> tuple[list[SavedGroup], int]:
    """(which of the filtered groups to show, in the order that is asked for, the best rollout of each first; how many more there are).

    Raises:
        UserError: nothing is known that they could be ordered by.
    """
    if choice.disagree and file.kind == "scored":
        groups = _with_disagreements(file, groups, choice.reward)
    if choice.worst or choice.disagree:
        keys = [_disagreement(file, group) if choice.disagree else _badness(file, group, choice.reward) for group in groups]
        keyed = [(key, group) for key, group in zip(keys, groups, strict=True) if key is not None]
        if not keyed and file.kind == "scored":
            raise UserError(f"{file.path}: " + ("no completion has two rewards that vary; use --worst" if choice.disagree else
                                                "no totals are known; give --reward NAME"))  # fmt: skip
        groups = [group for _, group in sorted(keyed, key=lambda pair: -pair[0])]
    limit = choice.limit if choice.limit is not None else 0 if choice.record_id is not None else DEFAULT_LIMIT
    shown = [_best_first(file, group, choice.reward) for group in (groups[:limit] if limit else groups)]
    return shown, len(groups) - len(shown)


def _reward_names(file: RolloutFile) -> list[str]:
    return list(dict.fromkeys(name for group in file.groups for one in group.rollouts for name in one.rewards))


def _score(rollout: SavedRollout, reward: str | None) -> float | None:
    return rollout.rewards.get(reward) if reward else rollout.total


def _certainty(rollout: SavedRollout) -> float:
    """As it says itself, or as other samples agree; -1 where nothing tells."""
    known = rollout.confidence if rollout.agreement is None else rollout.agreement
    return -1.0 if known is None else known


def _badness(file: RolloutFile, group: SavedGroup, reward: str | None) -> float | None:
    """Minus the mean score, or the certainty of the most certain wrong answer; None where there is neither."""
    if file.kind == "scored":
        score = mean([_score(one, reward) for one in group.rollouts])
        return None if score is None else -score
    return max((_certainty(one) for one in group.rollouts if one.is_right is False), default=None)


def _with_disagreements(file: RolloutFile, groups: list[SavedGroup], reward: str | None) -> list[SavedGroup]:
    """The groups with the disagreement of each rollout's rewards among all of the file."""
    rollouts = [one for group in file.groups for one in group.rollouts]
    values = dict(zip(map(id, rollouts), disagreements([one.rewards for one in rollouts], reward), strict=True))
    return [replace(group, rollouts=[replace(one, disagreement=values[id(one)]) for one in group.rollouts]) for group in groups]


def _disagreement(file: RolloutFile, group: SavedGroup) -> float | None:
    """How far a group disagrees, higher for more; None for one that does not.

    Scored: the widest disagreement of its rollouts. Sampled for confidence: the share of samples that do not give the most frequent
    answer. Evaluated: the certainty of an answer that is not among the record's labels.
    """
    if file.kind == "evaluated":
        return max((_certainty(one) for one in group.rollouts if one.is_listed is False), default=None)
    if file.kind == "sampled":
        return 1 - max(one.agreement or 0.0 for one in group.rollouts)
    return max((one.disagreement for one in group.rollouts if one.disagreement is not None), default=None)


def _best_first(file: RolloutFile, group: SavedGroup, reward: str | None) -> SavedGroup:
    if file.kind == "preferred":
        return group

    def key(rollout: SavedRollout) -> tuple:
        score = _score(rollout, reward)
        return (score is None, -(score or 0.0), rollout.is_right is not True, -_certainty(rollout))

    return replace(group, rollouts=sorted(group.rollouts, key=key))


def summary(file: RolloutFile, groups: list[SavedGroup]) -> dict[str, Any]:
    """Figures of all rollouts of these groups; what does not apply, or is not known, is None.

    `rollouts`, `groups`, `records`, `steps` [first, last]; `clipped`: share that was cut off by the limit on its length, of those whose
    finish reason is known; `broken`: share that breaks the template; `masked` and `right`: how many; `confidence`: mean of those stated;
    `without_spread`: groups whose totals are equal; `length_unit` tokens, or characters where not all numbers of tokens are known;
    `length_correlation`: Pearson's, of total and length; `rewards`: {reward or "total": {"mean", "spread", "within" groups, "n"}}.
    """
    rollouts = [one for group in groups for one in group.rollouts]
    steps = [group.step for group in groups if group.step is not None]
    reasons = [one.finish_reason for one in rollouts if one.finish_reason is not None]
    judged = [one.is_right for one in rollouts if one.is_right is not None]
    in_tokens = all(one.num_tokens is not None for one in rollouts)
    lengths = [one.num_tokens if in_tokens else len(one.completion) for one in rollouts]
    has_scores = file.kind == "scored" and bool(rollouts)
    totals = [[one.total for one in group.rollouts] for group in groups]

    def figures(reward: str | None) -> dict[str, Any]:
        values = [_score(one, reward) for one in rollouts]
        within = group_statistics([[_score(one, reward) for one in group.rollouts] for group in groups]).mean_spread
        return {"mean": mean(values), "spread": spread(values), "within": within, "n": sum(value is not None for value in values)}

    return {
        "rollouts": len(rollouts), "groups": len(groups), "records": len({group.id for group in groups}),
        "steps": [min(steps), max(steps)] if steps else None,
        "clipped": reasons.count("length") / len(reasons) if reasons else None,
        "broken": mean([float(bool(one.problems)) for one in rollouts]) if file.has_template else None,
        "masked": sum(one.masked for one in rollouts), "right": sum(judged) if judged else None, "judged": len(judged),
        "confidence": mean([one.confidence for one in rollouts]),
        "without_spread": group_statistics(totals).num_without_spread if has_scores else None,
        "length_unit": "tokens" if in_tokens else "characters",
        "length_correlation": pearson([total for group in totals for total in group], lengths) if has_scores else None,
        "rewards": {name or "total": figures(name) for name in [*_reward_names(file), None]} if has_scores else {},
    }  # fmt: skip


def json_rows(groups: Iterable[SavedGroup]) -> Iterator[dict[str, Any]]:
    """One row a rollout: what is known of it and of its record, media as paths; None where nothing is."""
    for group in groups:
        media = {"media": [str(path) for _, path in group.media], "rejected_media": [str(path) for _, path in group.rejected_media]}
        prompt = {"question": group.question, "text": group.record.text if group.record else None}
        for rollout in group.rollouts:
            yield {"id": group.id, "step": group.step, "draw": group.draw, "view": group.view, "label": group.label, "labels": group.labels,
                   **prompt, **media, **asdict(rollout)}  # fmt: skip


def print_head(console: Console, file: RolloutFile, groups: list[SavedGroup]) -> None:
    """The figures of these groups of the file, and what its reader should know."""
    found = summary(file, groups)
    steps = f", steps {found['steps'][0]} to {found['steps'][1]}" if found["steps"] else ""
    _print(console, f"{file.path}: {found['rollouts']} rollouts in {found['groups']} groups of {found['records']} records{steps}", "bold")
    facts = [] if file.kind == "preferred" else [f"clipped: {_share(found['clipped'])}", f"template broken: {_share(found['broken'])}"]
    facts += [f"masked: {found['masked']}"] if found["masked"] else []
    facts += [f"right: {found['right']} of {found['judged']}"] if found["judged"] else []
    facts += [f"mean stated confidence: {found['confidence']:.2f}"] if found["confidence"] is not None else []
    if file.kind == "scored":
        facts += [f"groups without spread: {found['without_spread']} of {found['groups']}",
                  f"total against length in {found['length_unit']}: r = {_number(found['length_correlation'])}"]  # fmt: skip
    if facts:
        _print(console, "; ".join(facts))
    if found["rewards"]:
        table = Table(Column("reward", overflow="fold"), "weight", "mean", "spread", "within groups", "n")
        for name, figures in found["rewards"].items():
            numbers = [_number(figures[key]) for key in ("mean", "spread", "within")]
            table.add_row(*map(_text, (name, _number(file.weights.get(name)), *numbers, figures["n"])))
        console.print(table)
    for note in file.notes:
        _print(console, f"note: {note}", "yellow")


def print_groups(console: Console, file: RolloutFile, groups: list[SavedGroup]) -> None:
    """Each group under a line of its own: the record, its media as links, and its rollouts."""
    for group in groups:
        drawn_in = {"step": group.step, "draw": group.draw or None, "view": group.view}
        drawn = [f"{name} {value}" for name, value in drawn_in.items() if value is not None]
        console.rule(_text(f"{group.id} ({', '.join(drawn)})" if drawn else group.id, "bold"), align="left")
        gold = ", ".join(group.labels if group.label in group.labels else [*filter(None, [group.label]), *group.labels])
        offered = group.record.target.choices if group.record else []
        choices = [f"({chr(ord('A') + place)}) {choice}" for place, choice in enumerate(offered)]
        _print_fields(console, {"label": gold, "text": group.record.text if group.record else None, "question": group.question,
                                "choices": ", ".join(choices)})  # fmt: skip
        _print_media(console, group.media)
        if file.kind == "preferred":
            _print_preference(console, group)
        else:
            for place, rollout in enumerate(group.rollouts, start=1):
                _print_rollout(console, rollout, place)


def _print_rollout(console: Console, rollout: SavedRollout, place: int) -> None:
    facts = [f"{name} {_number(value)}" for name, value in (
        ("total", rollout.total), ("advantage", rollout.advantage), ("agreement", rollout.agreement),
        ("sequence probability", rollout.sequence_probability), ("disagreement", rollout.disagreement)) if value is not None]  # fmt: skip
    facts += ["masked"] * rollout.masked
    facts += [f"{rollout.num_tokens} tokens" if rollout.num_tokens is not None else f"{len(rollout.completion)} characters"]
    facts += ["clipped" if rollout.finish_reason == "length" else rollout.finish_reason] if rollout.finish_reason else []
    _print(console, f"{place}. {', '.join(facts)}", "bold cyan")
    judgement = {True: " (right)", False: " (wrong)", None: ""}[rollout.is_right]
    is_unread = bool(rollout.problems) or (rollout.reasoning is None and not rollout.answers)
    _print_fields(console, {
        "reasoning": rollout.reasoning, "answer": f"{', '.join(rollout.answers) or '-'}{judgement}",
        "confidence": None if rollout.confidence is None else f"{rollout.confidence:.2f}", "problems": "; ".join(rollout.problems),
        "as written": rollout.completion if is_unread else None,
        "rewards": ", ".join(f"{name} {_number(value)}" for name, value in rollout.rewards.items()),
    })  # fmt: skip


def _print_preference(console: Console, group: SavedGroup) -> None:
    weights = ["" if one.weight is None else f", weight {_number(one.weight)}" for one in group.rollouts]
    writers = ["" if one.written_by is None else f", by {one.written_by}" for one in group.rollouts]
    headers = [_text(f"{one.role}{weight}{writer}") for one, weight, writer in zip(group.rollouts, weights, writers, strict=True)]
    table = Table(*(Column(header, overflow="fold") for header in headers))
    table.add_row(*(_text(one.completion) for one in group.rollouts))
    console.print(table)
    if group.rejected_media:
        _print(console, "rejected media:")
        _print_media(console, group.rejected_media)


def _print_media(console: Console, media: list[tuple[str, Path]]) -> None:
    """A line a file, whole, so that it can be copied; of a clip in frames the first few."""
    frames = [path for kind, path in media if kind == "frame"]
    for kind, path in media:
        if path in frames[MAX_FRAMES:]:
            continue
        there = path.is_file()
        link = Style(link=path.absolute().as_uri(), underline=True) if there else "yellow"
        console.print(_text(f"{kind:10}", "dim"), _text(path, link), _text("" if there else "(no such file)"), soft_wrap=True)
    if frames[MAX_FRAMES:]:
        _print(console, f"{'':10} and {len(frames) - MAX_FRAMES} more frames")


def _print_fields(console: Console, fields: dict[str, str | None]) -> None:
    """Those that hold something, a name and a text a line, long texts folded beside their name."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(min_width=10, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in fields.items():
        if text:
            grid.add_row(_text(name, "dim"), _text(text))
    if grid.row_count:
        console.print(grid)


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(_text(text, style), soft_wrap=True)


def _text(value: object, style: str | Style = "") -> Text:
    """For everything that is printed: rich reads no markup in it, and the terminal no command."""
    return Text(printable(str(value)), style)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{100 * value:.1f} %"
