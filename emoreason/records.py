"""The record: one annotated image, clip or text, as a line of JSON. Every stage reads it and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from emoreason.emotions import LABEL_SPACES, label_problem, label_space_problem
from emoreason.faults import raise_faults
from emoreason.files import read_jsonl
from emoreason.schema import Strict, describe, dotted


def _inside_data_folder(path: str) -> str:
    if not path or path[0] == "/" or (".." in path and ".." in path.split("/")):
        raise ValueError("a media path is relative to the records file and stays inside its folder")
    return path


MediaPath = Annotated[str, AfterValidator(_inside_data_folder)]


class Media(Strict):
    """Paths relative to the records file, with forward slashes; they never leave its folder."""

    # Factories, since pydantic copies a mutable default deeply: for every record, which was a third of the time to make one.
    images: list[MediaPath] = Field(default_factory=list)
    video: MediaPath | None = None
    audio: MediaPath | None = None
    frames: list[MediaPath] = Field(default_factory=list)
    """Pictures of one clip in time order, for clips that are kept as pictures."""
    frames_fps: Annotated[float, Field(gt=0)] | None = None
    """How many of `frames` stand for one second."""
    audio_in_video: bool = False
    """The sound track of `video` is heard in time with its frames, by models that can."""
    sound_track: MediaPath | None = None
    """With `audio_in_video`, a file whose sound is heard from the first frame on instead of the clip's own."""

    @model_validator(mode="after")
    def _one_clip(self) -> "Media":
        if self.video and self.frames:
            raise ValueError("video and frames are both given; a record has one clip")
        if bool(self.frames) != (self.frames_fps is not None):
            raise ValueError("frames and frames_fps are given together or not at all")
        if self.audio_in_video and not self.video:
            raise ValueError("audio_in_video is true but there is no video")
        if self.audio_in_video and self.audio:
            raise ValueError("audio_in_video is true and audio is given too; the clip has one sound")
        if self.sound_track and not self.audio_in_video:
            raise ValueError("sound_track is given but audio_in_video is false; give the sound under audio")
        return self

    @property
    def kinds(self) -> list[str]:
        """What is seen and heard, in the order of the prompt."""
        sound = "sound track" if self.audio_in_video else "sound"
        return ["picture"] * len(self.images) + ["clip"] * bool(self.video or self.frames) + [sound] * bool(self.audio or self.audio_in_video)

    def below(self, folder: str) -> "Media":
        """The same media, by paths that start one folder higher."""
        moved = {name: path and f"{folder}/{path}" for name, path in self.model_dump(include={"video", "audio", "sound_track"}).items()}
        moved |= {name: [f"{folder}/{path}" for path in paths] for name, paths in self.model_dump(include={"images", "frames"}).items()}
        return self.model_copy(update=moved)


class ValenceArousalDominance(Strict):
    """One point in VAD space, with the scale it was rated on, e.g. 1 to 9; sentiment strength, as in CMU-MOSI, is valence alone."""

    valence: float
    arousal: float | None = None
    dominance: float | None = None
    scale: tuple[float, float] = Field(strict=False)

    @model_validator(mode="after")
    def _within_the_scale(self) -> "ValenceArousalDominance":
        low, high = self.scale
        given = {name: getattr(self, name) for name in ("valence", "arousal", "dominance")}
        outside = [f"{name} {value:g}" for name, value in given.items() if value is not None and not low <= value <= high]
        if low >= high or outside:
            raise ValueError(f"{', '.join(outside) or 'a point'} on a scale from {low:g} to {high:g}; accepted: a scale that rises, and points on it")
        return self


def _has_an_area(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 and 0 <= y1 < y2):
        raise ValueError("a box is x1, y1, x2, y2 with 0 <= x1 < x2 and 0 <= y1 < y2")
    return box


Box = Annotated[tuple[float, float, float, float], Field(strict=False), AfterValidator(_has_an_area)]


class Unimodal(Strict):
    """What annotators say of one modality alone, who were not shown the others; labels are of the target's label space."""

    label: str | None = None
    distribution: dict[str, Annotated[float, Field(ge=0)]] | None = None
    vad: ValenceArousalDominance | None = None


class Target(Strict):
    """What annotators say of the record. Everything is optional; a stage asks for what it needs."""

    label: str | None = None
    """The one dominant class."""
    labels: list[str] = Field(default_factory=list)
    """Open-vocabulary emotion words, the dominant one first."""
    label_space: str = "open"
    """The name of a set of classes in `emotions.LABEL_SPACES`, or `open`."""
    distribution: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Votes, counts or shares of the annotators by class; they are normalised where they are used."""
    distribution_space: str | None = None
    """The classes of `distribution` where they differ from `label_space`."""
    vad: ValenceArousalDominance | None = None
    action_units: dict[Annotated[str, Field(pattern=r"^AU\d{1,2}$")], float | None] | None = None
    """FACS action units that are present, as `AU12`, with intensity 0 to 5 (A to E are 1 to 5), or None when not rated."""
    unimodal: dict[Literal["text", "audio", "video", "image"], Unimodal] = Field(default_factory=dict)
    """The same asked of each modality alone, where a data set did (CH-SIMS, CREMA-D)."""
    cues: dict[str, list[str]] = Field(default_factory=dict)
    """Observable evidence by modality, e.g. `{"image": ["eyes narrowed"], "text": ["says they lost"]}`."""
    reasoning: str | None = None
    sections: dict[str, str] = Field(default_factory=dict)
    """The reasoning in named parts, for templates with `think: sections`, e.g. `{"scene": "...", "analysis": "..."}`."""
    choices: list[str] = Field(default_factory=list)
    """What a multiple-choice question offers, in the order of its letters; `label` is one of them."""

    @model_validator(mode="after")
    def _labels_exist(self) -> "Target":
        plain = self.distribution is None and not (self.labels or self.unimodal or self.distribution_space)
        if plain and self.label in LABEL_SPACES.get(self.label_space, ()):
            return self  # most records, of which there may be a million
        space = self.distribution_space or self.label_space
        problems = [label_space_problem(self.label_space), label_space_problem(space)]
        if self.label is not None:
            problems.append(label_problem(self.label, self.label_space))
            if self.labels and self.labels[0] != self.label:
                problems.append(f"labels start with {self.labels[0]!r} but label is {self.label!r}; the dominant word comes first")
        if len(set(self.labels)) != len(self.labels):
            problems.append(f"labels name a word twice: {self.labels}")
        problems += [label_problem(name, space) for name in self.distribution or {}]
        for alone in self.unimodal.values():
            problems += [label_problem(name, space) for name in alone.distribution or {}]
            if alone.label is not None:
                problems.append(label_problem(alone.label, self.label_space))
        if self.distribution is not None and sum(self.distribution.values()) <= 0:
            problems.append("distribution adds up to 0; leave it out when nobody voted")
        found = [problem for problem in dict.fromkeys(problems) if problem]
        if found:
            raise ValueError("; ".join(found))
        return self


def _as_list(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


class Preference(Strict):
    """An answer to the record, and worse ones."""

    chosen: str
    rejected: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    """One answer, or a list of them."""
    weights: list[Annotated[float, Field(ge=0)]] = Field(default_factory=list)
    """How much each rejected answer counts; they are scaled to add up to 1, and none given means all alike."""
    rejected_media: Media | None = None
    """A clip, picture or sound of another record under which `chosen` would be wrong; as many of each kind as the record has."""
    chosen_by: str | None = None
    """Who wrote the chosen answer: a person, a model, a source of pairs."""
    rejected_by: list[str] = Field(default_factory=list)
    """The same of each rejected answer."""

    @model_validator(mode="after")
    def _weighted(self) -> "Preference":
        if self.weights and (len(self.weights) != len(self.rejected) or not sum(self.weights)):
            raise ValueError(f"{len(self.weights)} weights {self.weights} for {len(self.rejected)} rejected answers; give one each, not all 0")
        if self.chosen in self.rejected:
            raise ValueError("the chosen answer is among the rejected ones")
        if self.rejected_by and len(self.rejected_by) != len(self.rejected):
            raise ValueError(f"rejected_by names {len(self.rejected_by)} for {len(self.rejected)} rejected answers; name one each, or none")
        return self

    @property
    def shares(self) -> list[float]:
        """The weights, adding up to 1."""
        weights = self.weights or [1.0] * len(self.rejected)
        return [weight / sum(weights) for weight in weights]


class Record(Strict):
    """One annotated image, clip or text."""

    id: Annotated[str, Field(min_length=1)]
    dataset: str
    split: str
    group: str
    """Speaker, subject or item that must not be on both sides of a split."""
    fold: Annotated[int, Field(ge=1)] | None = None
    """The fold of an official cross-validation in which this record is tested, from 1."""
    media: Media = Media()
    text: str | None = None
    """Transcript or accompanying text."""
    question: str | None = None
    person: Box | None = None
    """Where the one who is asked about stands in the first picture: x1, y1, x2, y2 in pixels of the upright picture, from its top left."""
    target: Target = Target()
    aligned_modality: str | None = None
    """For clips whose modalities conflict: the modality that `target` describes (CA-MER)."""
    preference: Preference | None = None
    attributes: dict[str, str | int | float | bool | list[str]] = Field(default_factory=dict)
    """What else the annotation says, e.g. the task of a benchmark, the scene of a picture, the age of a speaker."""
    licence: str
    source: str

    def below(self, folder: str) -> "Record":
        """The same record, by media paths that start one folder higher."""
        preference = self.preference
        if preference and preference.rejected_media:
            preference = preference.model_copy(update={"rejected_media": preference.rejected_media.below(folder)})
        return self.model_copy(update={"media": self.media.below(folder), "preference": preference})

    @model_validator(mode="after")
    def _asks_the_same_of_rejected_media(self) -> "Record":
        other = self.preference.rejected_media if self.preference else None
        if other is not None and other.kinds != self.media.kinds:
            raise ValueError(f"preference.rejected_media holds {other.kinds} where media holds {self.media.kinds}; one prompt is asked of both")
        return self


def read_records(path: Path) -> list[Record]:
    """Every record of a JSON Lines file, in file order.

    Raises:
        UserError: with every fault of the file: line, record id, field, what was found, what is accepted.
    """
    faults: list[str] = []
    records = list(stream_records(path, faults))
    raise_faults(faults)
    return records


def stream_records(path: Path, faults: list[str], progress: Callable[[int], None] = lambda num_chars: None) -> Iterator[Record]:
    """The same one by one, for files that are larger than memory: of the records before it only the ids are kept.

    Faults are added to `faults`, for the caller to raise when the last record has come. `progress` is that of `files.read_jsonl`.
    """
    lines_of: dict[str, int] = {}
    for line, raw in read_jsonl(path, faults, progress):
        try:
            record = Record.model_validate(raw)
        except ValidationError as error:
            where = f"{path}:{line}: record {raw.get('id')!r}: "
            faults += [where + (f"{dotted(location)}: " if location else "") + text for location, text in describe(error, Record)]
            continue
        if record.id in lines_of:
            faults.append(f"{path}:{line}: record {record.id!r} stands on line {lines_of[record.id]} already; ids are unique")
            continue
        lines_of[record.id] = line
        yield record
    if not lines_of and not faults:
        faults.append(f"{path}: holds no records")


def columns(record: Record) -> dict[str, Any]:
    """The record as the flat columns that a reward function may ask for by name.

    `id`, `dataset`, `split`, `text`, `question`, `aligned_modality` and every field of `target`; `label`, not `target.label`.
    """
    flat = record.model_dump(exclude={"target", "media", "preference"})
    return {**flat, **record.target.model_dump()}


COLUMNS: frozenset[str] = frozenset(set(Record.model_fields) - {"target", "media", "preference"}) | frozenset(Target.model_fields)
"""The names that a reward function may require."""
