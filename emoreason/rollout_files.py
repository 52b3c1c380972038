"""Rollouts as they lie on disk, each beside its record, from any of the files that hold some.

    completions.jsonl   of GRPO: a line a completion; lines of one step, record and draw are a group
                        of the confidence stage and of DPO: a line a group, its completions in lists
    eval/<test>.jsonl   of an evaluation: a line an answer
    pairs.jsonl         of DPO, or any records with a `preference`: the chosen answer and the rejected ones
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from emoreason.completions import Template, is_label, parse_completion
from emoreason.confidence import is_right
from emoreason.faults import UserError, raise_faults
from emoreason.files import read_json, read_jsonl, sha256
from emoreason.records import Media, Record, Target, read_records
from emoreason.run_dir import RunDir
from emoreason.schema import describe, dotted

Kind = Literal["scored", "sampled", "evaluated", "preferred"]
PLAIN = Template(think="free", answer="list", confidence=True)
"""How completions are read where nothing says which template they should follow."""
_BY_COMPLETION = ("total", "masked", "advantage", "num_tokens", "finish_reason", "agreement", "sequence_probability")


@dataclass(frozen=True)
class SavedRollout:
    """One completion, what it says and what is known of it; what is not known is None."""

    completion: str
    reasoning: str | None
    answers: list[str]
    confidence: float | None
    problems: list[str]
    """How it breaks the template; [] also where the template is not known."""
    is_right: bool | None = None
    """As `confidence.is_right` judges, or where the record has labels but no label, `is_listed`; None where it has neither."""
    is_listed: bool | None = None
    """The dominant answer is one of the record's labels, word by word; None without an answer or without labels."""
    rewards: dict[str, float | None] = field(default_factory=dict)
    total: float | None = None
    masked: bool = False
    advantage: float | None = None
    agreement: float | None = None
    sequence_probability: float | None = None
    num_tokens: int | None = None
    finish_reason: str | None = None
    role: Literal["chosen", "rejected"] | None = None
    weight: float | None = None
    """Of a rejected answer among its record's; they add up to 1."""
    written_by: str | None = None
    disagreement: float | None = None
    """Of its rewards, where somebody has asked for it (`rollout_statistics.disagreements`)."""


@dataclass(frozen=True)
class SavedGroup:
    """The completions of one prompt that were drawn together."""

    id: str
    rollouts: list[SavedRollout]
    step: int | None = None
    draw: int = 0
    view: int | None = None
    label: str | None = None
    labels: list[str] = field(default_factory=list)
    record: Record | None = None
    question: str | None = None
    media: list[tuple[str, Path]] = field(default_factory=list)
    """(picture, clip, frame or sound; path)."""
    rejected_media: list[tuple[str, Path]] = field(default_factory=list)


@dataclass(frozen=True)
class RolloutFile:
    """The groups of a file in its order, and what the reader of them should be told."""

    path: Path
    kind: Kind
    groups: list[SavedGroup]
    weights: dict[str, float]
    """{reward: its weight in the total}, as far as a run.json tells."""
    notes: list[str]
    has_template: bool
    """The template is known, so that `problems` says how completions break it."""


def read_rollouts(path: Path) -> RolloutFile:
    """What a run folder's completions.jsonl (or pairs.jsonl, where it sampled none), or a file of one of the kinds above, holds.

    Lines that cannot be read (the last one of a run that goes on, or was killed), records files that are gone or were changed,
    and what follows from them are in `notes`.

    Raises:
        UserError: nothing is there to show; for records, every fault of the file.
    """
    path = _completions_path(path)
    faults: list[str] = []
    raw = list(read_jsonl(path, faults))
    if raw and {"dataset", "preference"} & raw[0][1].keys() and not {"completion", "completions"} & raw[0][1].keys():
        return _read_preferences(path)
    lines = [line for number, row in raw if (line := _validated(row, f"{path}:{number}", faults))]
    if not lines:
        raise_faults(faults or [f"{path}: holds no completions"])
    kind: Kind = "evaluated" if lines[0].answers is not None else "sampled" if lines[0].agreement else "scored"
    notes = [f"{fault}; left out" for fault in faults[:5]] + [f"{len(faults) - 5} more lines left out"] * (len(faults) > 5)
    origin = _Origin.of(path, kind, notes)
    groups = [origin.group(members) for members in _grouped(lines, origin.num_generations)]
    return RolloutFile(path, kind, groups, origin.weights, notes, kind == "evaluated" or origin.template is not None)


def media_paths(media: Media, records_path: Path) -> list[tuple[str, Path]]:
    """(kind, path) of everything that a record shows or plays, in the order of its prompt."""
    named = [("picture", name) for name in media.images] + [("clip", name) for name in [media.video] if name]
    named += [("frame", name) for name in media.frames] + [("sound", name) for name in (media.sound_track, media.audio) if name]
    return [(kind, records_path.parent / name) for kind, name in named]


def _completions_path(path: Path) -> Path:
    if not path.is_dir():
        return path
    run_dir = RunDir(path)
    for found in (run_dir.completions_path, run_dir.pairs_path):
        if found.exists():
            return found
    evaluations = ", ".join(map(str, sorted((path / "eval").glob("*.jsonl")))) or "none"
    raise UserError(f"{path}: neither completions.jsonl nor pairs.jsonl here; accepted: the folder of a run that sampled, or a .jsonl of "
                    f"completions, evaluation rows or preference pairs; evaluation rows here: {evaluations}")


def _as_name(given: Any) -> Any:
    return str(given) if isinstance(given, int) else given


class _Line(BaseModel):
    """A line of completions or evaluation rows; what belongs to a completion is a list with one entry for each."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    id: Annotated[str, BeforeValidator(_as_name)]
    step: int | None = None
    draw: int = 0
    view: int | None = None
    label: str | None = None
    labels: list[str] = []
    completions: Annotated[list[str], Field(min_length=1)]
    rewards: dict[str, list[float | None]] = {}
    total: list[float | None] = []
    masked: list[bool | None] = []
    advantage: list[float | None] = []
    num_tokens: list[int | None] = []
    finish_reason: list[str | None] = []
    agreement: list[float | None] = []
    sequence_probability: list[float | None] = []
    answers: list[str] | None = None
    """With those that follow, what an evaluation read in its one completion."""
    is_right: bool | None = None
    confidence: float | None = None
    problems: list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_lists(cls, raw: Any) -> Any:
        if "completions" in raw:
            return {**{key: value for key, value in raw.items() if key not in ("answers", "is_right", "confidence", "problems")},
                    "total": raw.get("totals", raw.get("total", []))}  # fmt: skip
        if "completion" not in raw:
            raise ValueError("no completion; accepted: a text `completion`, or a list of texts `completions`")
        rewards = raw.get("rewards", {})
        alone = {key: [raw[key]] for key in _BY_COMPLETION if key in raw}
        return {**raw, **alone, "completions": [raw["completion"]],
                "rewards": {name: [value] for name, value in rewards.items()} if isinstance(rewards, dict) else rewards}  # fmt: skip

    @model_validator(mode="after")
    def _one_each(self) -> "_Line":
        columns = {name: getattr(self, name) for name in _BY_COMPLETION}
        columns |= {f"rewards.{name}": values for name, values in self.rewards.items()}
        wrong = [f"{len(values)} {name}" for name, values in columns.items() if values and len(values) != len(self.completions)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} for {len(self.completions)} completions; one each is needed")
        return self

    def of(self, place: int) -> dict[str, Any]:
        """What is known of one of the completions."""
        found = {name: values[place] for name in _BY_COMPLETION if (values := getattr(self, name))}
        rewards = {name: values[place] for name, values in self.rewards.items() if values}
        return {**found, "masked": bool(found.get("masked")), "rewards": rewards}


def _validated(row: dict[str, Any], where: str, faults: list[str]) -> _Line | None:
    try:
        return _Line.model_validate(row)
    except ValidationError as error:
        text = "; ".join((f"{dotted(location)}: " if location else "") + text for location, text in describe(error, _Line))
        faults.append(f"{where}: {text}")
        return None


def _grouped(lines: list[_Line], num_generations: int | None) -> Iterator[list[_Line]]:
    """Lines of one prompt and draw, even where several processes wrote at the same time; a record drawn twice in a step is two groups."""
    by_key: dict[tuple, list[_Line]] = {}
    for line in lines:
        by_key.setdefault((line.step, line.id, line.draw, line.view), []).append(line)
    for members in by_key.values():
        size = num_generations if num_generations and len(members) % num_generations == 0 else len(members)
        for start in range(0, len(members), size):
            yield members[start : start + size]


@dataclass(frozen=True)
class _Origin:
    """What the files around a file of completions tell of them."""

    template: Template | None
    label_space: str | None = None
    question: str | None = None
    weights: dict[str, float] = field(default_factory=dict)
    num_generations: int | None = None
    records: dict[str, tuple[Record, Path]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, kind: Kind, notes: list[str]) -> "_Origin":
        """The run.json of the file's folder, or for eval/<test>.jsonl of the folder above and <test>.json beside it."""
        is_in_eval, report = path.parent.name == "eval", path.with_suffix(".json")
        settings = read_json(report)["settings"] if is_in_eval and report.exists() else {}
        manifest = RunDir(path.parent.parent if is_in_eval else path.parent).manifest
        recipe = manifest["recipe"] if manifest else settings
        template = None
        if manifest:
            template = Template(**recipe["template"])
            if kind == "sampled" and recipe["stage"] == "confidence":
                template = replace(template, confidence=False)  # the stage samples from the model before it
        elif settings:
            tags = settings["template"]
            template = Template("free" if "think" in tags else "none", settings["answer"], "confidence" in tags)
        else:
            notes.append(f"{path}: no run.json beside it, so records, template and weights of the rewards are not known")
        data = {settings["records"]: settings["records_sha256"]} if settings else manifest["data"] if manifest else {}
        return cls(
            template, recipe.get("label_space"), recipe.get("prompt", {}).get("question"),
            {spec["func"].rpartition(":")[2]: spec["weight"] for spec in recipe.get("rewards", [])},
            recipe.get("trainer", {}).get("num_generations") if kind == "scored" else None, _records(data, notes),
        )  # fmt: skip

    def group(self, lines: list[_Line]) -> SavedGroup:
        first = lines[0]
        record, records_path = self.records.get(first.id, (None, None))
        known = record.target if record else Target.model_construct(label_space=self.label_space)
        # Not validated: the file tells what its completions were judged by, whatever became of the record.
        judged_by = {"label": first.label or known.label, "labels": first.labels or known.labels}
        target = Target.model_construct(**judged_by, label_space=known.label_space, choices=known.choices)
        rollouts = [self._rollout(line, place, target) for line in lines for place in range(len(line.completions))]
        return SavedGroup(
            first.id, rollouts, first.step, first.draw, first.view, target.label, target.labels, record,
            question=(record and record.question) or self.question, media=media_paths(record.media, records_path) if record else [],
        )  # fmt: skip

    def _rollout(self, line: _Line, place: int, target: Target) -> SavedRollout:
        parsed, known = parse_completion(line.completions[place], self.template or PLAIN), line.of(place)
        read = line.answers is not None  # an evaluation has parsed it, with the template of its checkpoint
        answers, confidence = (line.answers, line.confidence) if read else (parsed.answers, parsed.confidence)
        problems = line.problems if line.problems is not None else parsed.problems if self.template else []
        answer = answers[0] if answers else None
        listed = [is_label(answer, one, target.label_space, target.choices) for one in target.labels]
        right = line.is_right
        if right is None and target.label is not None:
            # Words are compared as they are where nothing tells what they are labels of.
            right = is_right(answer, target) if target.label_space else is_label(answer, target.label)
        right = any(listed) if right is None and listed else right
        is_listed = any(listed) if answer and listed else None
        return SavedRollout(line.completions[place], parsed.think, answers, confidence, problems, right, is_listed,
                            **{**known, "total": self._total(known)})  # fmt: skip

    def _total(self, known: dict[str, Any]) -> float | None:
        """As the file says, else the weighted sum of the rewards that apply; None where masked and where a weight is not known."""
        there = {name: value for name, value in known["rewards"].items() if value is not None}
        if "total" in known or known["masked"] or not there or not there.keys() <= self.weights.keys():
            return known.get("total")
        return sum(self.weights[name] * value for name, value in there.items())


def _records(data: dict[str, str], notes: list[str]) -> dict[str, tuple[Record, Path]]:
    """{id: record and its file} of {records file: hash when the run began}."""
    found: dict[str, tuple[Record, Path]] = {}
    for name, digest in data.items():
        path = Path(name)
        try:
            found |= {record.id: (record, path) for record in read_records(path)}
        except UserError as error:
            more = f" (and {len(error.faults) - 1} more faults)" if len(error.faults) > 1 else ""
            notes.append(f"{error.faults[0]}{more}; its records are not shown")
            continue
        if sha256(path) != digest:
            notes.append(f"{path}: changed since the run read it; its records may not be those that were sampled from")
    return found


def _read_preferences(path: Path) -> RolloutFile:
    groups = []
    for record in read_records(path):
        if said := record.preference:
            writers = said.rejected_by or [None] * len(said.rejected)
            rejected_ones = zip(said.rejected, said.shares, writers, strict=True)
            rollouts = [_preferred(said.chosen, "chosen", None, said.chosen_by)]
            rollouts += [_preferred(text, "rejected", weight, writer) for text, weight, writer in rejected_ones]
            groups.append(SavedGroup(
                record.id, rollouts, label=record.target.label, labels=record.target.labels, record=record, question=record.question,
                media=media_paths(record.media, path), rejected_media=media_paths(said.rejected_media, path) if said.rejected_media else [],
            ))  # fmt: skip
    if not groups:
        raise UserError(f"{path}: records without a preference; accepted: records of which some have one, completions, or evaluation rows")
    return RolloutFile(path, "preferred", groups, {}, [], has_template=False)


def _preferred(text: str, role: Literal["chosen", "rejected"], weight: float | None, writer: str | None) -> SavedRollout:
    parsed = parse_completion(text, PLAIN)
    return SavedRollout(text, parsed.think, parsed.answers, parsed.confidence, [], role=role, weight=weight, written_by=writer)
