"""What any framework is told of a record: the texts that our own trainer shows, the media in their order, what rewards ask for."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from emoreason.completions import Template, parse_completion
from emoreason.emotions import OPEN_VOCABULARY
from emoreason.prompts import gold_answers, prompt_messages, target_text
from emoreason.recipe import AnyRecipe, PromptSettings
from emoreason.records import Media, Preference, Record, columns

Kind = Literal["sft", "grpo", "dpo"]
ClipStyle = Literal["silent clips", "clips with their sound", "clips kept as frames"]
NAMED_COLUMNS = (
    "dataset", "split", "group", "text", "question", "label", "labels", "label_space", "choices", "aligned_modality", "reasoning",
)  # fmt: skip
"""What rewards may ask for by name and what is of one type in all records. The rest, whose keys differ, Arrow would fill up with nulls;
it is in the column `record`, as JSON."""


@dataclass(frozen=True)
class MediaFile:
    """A picture, a clip or a sound, as files."""

    kind: Literal["image", "video", "audio"]
    paths: tuple[str | bytes, ...]
    """One, or the pictures of a clip in time order; bytes once they are embedded."""
    fps: float | None = None
    """Of clips that are kept as pictures: how many stand for one second."""
    sound: str | bytes | None = None
    """Of clips: the file whose sound is heard in time with the frames, mostly the clip itself."""

    @property
    def clip_style(self) -> ClipStyle | None:
        """None of pictures and sounds."""
        if self.kind != "video":
            return None
        return "clips kept as frames" if self.fps is not None else "clips with their sound" if self.sound is not None else "silent clips"

    def placed(self, place: Callable[[str], str | bytes]) -> "MediaFile":
        """The same with other paths."""
        return replace(self, paths=tuple(map(place, self.paths)), sound=None if self.sound is None else place(self.sound))


@dataclass(frozen=True)
class Sample:
    """One row of any framework. The media stand before the text of the user's turn."""

    id: str
    user: str
    system: str | None = None
    media: tuple[MediaFile, ...] = ()
    answer: str | None = None
    """What the model should write; of a pair the better answer."""
    rejected: str | None = None
    rejected_media: tuple[MediaFile, ...] = ()
    """Media under which the answer, which is then both the better and the worse one, would be wrong."""
    columns: dict[str, Any] = field(default_factory=dict)
    """For GRPO: `solution`, the annotators' answer as it would stand in `<answer>`, or "", and what rewards ask for."""

    @property
    def texts(self) -> list[str]:
        """Everything that is read as text."""
        return [text for text in (self.system, self.user, self.answer, self.rejected) if text is not None]

    def placed(self, place: Callable[[str], str | bytes]) -> "Sample":
        """The same with other paths of its media."""
        media, rejected = (tuple(one.placed(place) for one in files) for files in (self.media, self.rejected_media))
        return replace(self, media=media, rejected_media=rejected)


@dataclass(frozen=True)
class Style:
    """How records are asked and answered."""

    template: Template = field(default_factory=Template)
    prompt: PromptSettings = field(default_factory=PromptSettings)
    label_space: str = OPEN_VOCABULARY
    think_from: Literal["cues", "reasoning"] = "reasoning"

    @classmethod
    def of(cls, recipe: AnyRecipe) -> "Style":
        """That of a recipe; of one with phases, the last."""
        phase = recipe.phases[-1] if recipe.stage == "sft" else None
        template = phase.template if phase and phase.template else recipe.template
        return cls(template.build(), recipe.prompt, recipe.label_space, phase.think_from if phase else "reasoning")


def samples_of(record: Record, kind: Kind, style: Style) -> tuple[list[Sample], str]:
    """(The samples that a record gives, why it gives none or ""). Only pairs can be several: one for each rejected answer and medium."""
    *system, user = prompt_messages(record, style.template, style.prompt, style.label_space)
    sample = Sample(record.id, user["content"][-1]["text"], system[0]["content"][0]["text"] if system else None, media_files(record.media))
    if kind == "grpo":
        return [replace(sample, columns=_columns(record, style.template))], ""
    if kind == "dpo":
        return (list(_pairs(sample, record.preference)), "") if record.preference else ([], "no preference")
    text = target_text(record, style.template, style.think_from)
    parsed = parse_completion(text, style.template)
    if parsed.problems:
        return [], f"its target breaks the template: {_kind_of(parsed.problems[0])}"
    if style.template.answer != "none" and parsed.answers != gold_answers(record, style.template):
        return [], "its target says another answer than the record"
    return [replace(sample, answer=text)], ""


def _kind_of(problem: str) -> str:
    """A problem without the words that it quotes, so that alike ones are counted together."""
    return re.sub(" holds .*", " holds no verdict", problem).split(": ")[0]


def media_files(media: Media) -> tuple[MediaFile, ...]:
    """The media in the order of `prompts.media_kinds`."""
    files = [MediaFile("image", (path,)) for path in media.images]
    if media.video:
        files.append(MediaFile("video", (media.video,), sound=(media.sound_track or media.video) if media.audio_in_video else None))
    if media.frames:
        files.append(MediaFile("video", tuple(media.frames), fps=media.frames_fps))
    if media.audio:
        files.append(MediaFile("audio", (media.audio,)))
    return tuple(files)


def _columns(record: Record, template: Template) -> dict[str, Any]:
    answers = gold_answers(record, template)
    solution = ", ".join(answer.upper() for answer in answers) if template.answer == "choice" else ", ".join(answers)
    known = columns(record)
    return {"solution": solution, **{name: known[name] for name in NAMED_COLUMNS}, "record": json.dumps(known, ensure_ascii=False)}


def _pairs(sample: Sample, preference: Preference) -> Iterator[Sample]:
    chosen = replace(sample, answer=preference.chosen)
    several = len(preference.rejected) > 1
    for number, text in enumerate(preference.rejected, start=1):
        yield replace(chosen, id=f"{sample.id}#{number}" if several else sample.id, rejected=text)
    if preference.rejected_media:
        yield replace(chosen, id=f"{sample.id}#media", rejected=preference.chosen, rejected_media=media_files(preference.rejected_media))
