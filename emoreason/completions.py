"""The output template, and the one parser that SFT linting, rewards, confidence, preferences and evaluation share.

    >>> template = Template(think="free", answer="list", confidence=True)
    >>> parsed = parse_completion("<think>lips up</think><answer>joy, pride</answer><confidence>0.8</confidence>", template)
    >>> parsed.answers, parsed.confidence, parsed.problems
    (['joy', 'pride'], 0.8, [])
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

from emoreason.emotions import LABEL_SPACES, label_meant
from emoreason.stated_confidence import parse_confidence, read_confidence

__all__ = [
    "SECTIONS", "TAGS", "VERDICTS", "AnswerKind", "Completion", "Template", "ThinkKind", "canonical_answer", "choice_letter",
    "completion_text", "is_label", "normalise_word", "parse_completion", "parse_confidence", "read_verdict", "render", "with_confidence",
]  # fmt: skip

ThinkKind = Literal["none", "free", "sections"]
AnswerKind = Literal["none", "label", "list", "choice", "verdict"]

TAGS = ("think", "answer", "confidence")
SECTIONS: dict[str, tuple[str, ...]] = {
    # The tags of EmoCaliber (arXiv 2512.15528), as its reward asks for them.
    "emocaliber": ("element", "human", "context", "interaction", "analysis"),
    # The six dimensions of SABER-LLM (arXiv 2601.18321) in the order of its prompt; it writes them without tags.
    "saber": ("scene", "face", "body", "acoustics", "speech", "analysis"),
    # The three blocks of Exp-CoT (ExpLLM, arXiv 2409.02828); it writes them as paragraphs.
    "expllm": ("observations", "interpretation", "conclusion"),
    # The levels of VidEmo's affective tree (arXiv 2511.02712); how it writes them is not published.
    "videmo": ("attribute", "expression", "emotion"),
}
VERDICTS = {"correct": "correct", "true": "correct", "yes": "correct", "right": "correct",
            "incorrect": "incorrect", "false": "incorrect", "no": "incorrect", "wrong": "incorrect", "not correct": "incorrect"}  # fmt: skip

# ASCII, since ignoring case would otherwise take the long s and the Kelvin sign for letters of a tag.
_ANY_TAG = re.compile(r"<(/?)(think|answer|confidence)>", re.IGNORECASE | re.ASCII)
_BETWEEN_ANSWERS = re.compile(r"[,;/\n，、；]\s*(?:and\s)?|\sand\s", re.IGNORECASE)
_CHOICE = re.compile(r"\(([A-Za-z])\)|^([A-Za-z])(?=[.):]|$)|\b([A-Z])\)")
_LONGEST_KEPT = 10_000
_SURROUNDING = " .!?:;,\"'`*()[]{}-_“”‘’…。！？：；，、「」『』《》"
# Labels that hold what separates answers, such as EMOTIC's doubt/confusion: {label: itself with the separators masked}.
_WHOLE_LABELS = {
    label.casefold(): _BETWEEN_ANSWERS.sub("\x00", label.casefold())
    for labels in LABEL_SPACES.values()
    for label in labels
    if _BETWEEN_ANSWERS.search(label)
}


@dataclass(frozen=True)
class Template:
    """What the model writes, in this order: `<think>` text, `<answer>`, `<confidence>`; what is `none` is absent.

    A `label` is one class. A `list` is emotion words separated by commas, the dominant one first. A `choice` is the letter or
    the text of one of the record's choices. A `verdict` is correct or incorrect.
    """

    think: ThinkKind = "free"
    answer: AnswerKind = "label"
    confidence: bool = False
    sections: tuple[str, ...] = ()
    """With `think="sections"`, the tags inside `<think>`, each once, in this order."""
    prefilled: bool = False
    """The prompt ends with `<think>`, so that completions start inside of it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", tuple(self.sections))  # a recipe and a manifest hold a list
        wrong = [name for name in self.sections if not re.fullmatch("[a-z][a-z_]*", name) or name in TAGS]
        if (self.think == "sections") != bool(self.sections) or wrong or len(set(self.sections)) != len(self.sections):
            raise ValueError(f"sections {self.sections} with think={self.think!r}; accepted: with think=sections one or more different names "
                             f"in small letters, none of {', '.join(TAGS)}; else none")
        if self.prefilled and self.think == "none":
            raise ValueError("prefilled needs a <think> to start in, and think is none")

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags that a completion has, each once, in order."""
        present = {"think": self.think != "none", "answer": self.answer != "none", "confidence": self.confidence}
        return tuple(tag for tag in TAGS if present[tag])

    @cached_property
    def _wanted(self) -> list[tuple[bool, str]]:
        return [(closing, tag) for tag in self.tags for closing in (False, True)]

    @cached_property
    def _section_tag(self) -> re.Pattern[str]:
        return re.compile(rf"<(/?)({'|'.join(self.sections)})>", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Completion:
    """What was found in a model's text. `problems` is empty exactly when the text follows the template."""

    think: str | None = None
    """All of the reasoning; with sections, their tags included."""
    answers: list[str] = field(default_factory=list)
    """Answer words, normalised, without repeats, in the order written; one at most unless the template asks for a list.

    A choice is its letter (`b`) where the model gave one, else its text; a verdict is `correct` or `incorrect`.
    """
    confidence: float | None = None
    """In [0, 1]."""
    problems: list[str] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=dict)
    """{section: its text}, those that could be read, in the template's order."""

    @property
    def label(self) -> str | None:
        """The dominant answer, or None when there is no usable answer."""
        return self.answers[0] if self.answers else None


def render(template: Template, think: str, answers: list[str], confidence: float | None = None, sections: dict[str, str] | None = None) -> str:
    """The text that says this in the template; the inverse of `parse_completion`. Confidence has two decimals.

    With sections, `think` is not used; a section that is not given is left empty, which the parser reports.
    """
    if template.think == "sections":
        think = "".join(f"<{name}>{(sections or {}).get(name, '')}</{name}>" for name in template.sections)
    parts = {"think": think, "answer": ", ".join(answers), "confidence": "" if confidence is None else f"{confidence:.2f}"}
    text = "".join(f"<{tag}>{parts[tag]}</{tag}>" for tag in template.tags)
    return text.removeprefix("<think>") if template.prefilled else text


def with_confidence(text: str, confidence: float) -> str:
    """A completion that states no confidence, followed by one, as `render` would write it."""
    return f"{text}<confidence>{confidence:.2f}</confidence>"


def parse_completion(text: str, template: Template) -> Completion:
    """What `text` says in `template`; never raises, whatever the text.

    A text that breaks the template is still read as far as it is unambiguous, so that accuracy and format can be told apart,
    and `problems` says what is wrong with it. The last complete `<answer>` and `<confidence>` count, and none inside of the
    reasoning, which may quote the template.
    """
    # Every reward of a stack reads the same batch of texts; a copy, since a caller may change what it is given.
    found = (_parse_once if len(text) <= _LONGEST_KEPT else _parse)(text, template)
    return Completion(found.think, [*found.answers], found.confidence, [*found.problems], {**found.sections})


def _parse(text: str, template: Template) -> Completion:
    if template.prefilled and text[:64].lstrip()[:7].lower() != "<think>":
        text = "<think>" + text
    tags = [_Tag(match[1] == "/", match[2].lower(), match.start(), match.end()) for match in _ANY_TAG.finditer(text)]
    problems = _structure_problems(text, tags, template)
    spans = _last_spans(text, tags, template)
    think, sections = spans.get("think"), {}
    if think is not None:
        if not think.strip():
            problems.append("<think> is empty")
        elif template.think == "sections":
            sections, section_problems = _parse_sections(think, template)
            problems += section_problems
    answers: list[str] = []
    if "answer" in spans:
        answers, answer_problems = _parse_answers(spans["answer"], template.answer)
        problems += answer_problems
    confidence = None
    if "confidence" in spans:
        confidence, why = read_confidence(spans["confidence"])
        if why is not None:
            problems.append(f"<confidence> holds {spans['confidence'].strip()[:40]!r}: {why}")
    return Completion(None if think is None else think.strip(), answers, confidence, problems, sections)


_parse_once = lru_cache(maxsize=1024)(_parse)


def normalise_word(text: str) -> str:
    """Lower case, one space between words, no surrounding punctuation."""
    return " ".join(text.casefold().split()).strip(_SURROUNDING)


def read_verdict(text: str) -> str | None:
    """`correct` or `incorrect`, from one of the words of `VERDICTS` and nothing beside it; else None."""
    return VERDICTS.get(normalise_word(text))


def choice_letter(answer: str, choices: Sequence[str]) -> str | None:
    """The letter (`a`, `b`, ...) of the choice that an answer means: by letter, or by the whole text of exactly one choice; else None.

    Choices may carry their letters, as in `(A) joy`.
    """
    texts = [_choice_text(choice) for choice in choices]
    letters = [chr(ord("a") + index) for index in range(len(choices))]
    if answer in letters:
        return answer
    found = [letter for letter, text in zip(letters, texts, strict=True) if text == answer]
    return found[0] if len(found) == 1 else None


def canonical_answer(answer: str, label_space: str | None = None, choices: Sequence[str] | None = None) -> str:
    """The label that a parsed answer means, normalised: the text of its choice, the member of the label space that it is a form of, or itself."""
    letter = choice_letter(answer, choices) if choices else None
    if letter is not None:
        answer = _choice_text(choices[ord(letter) - ord("a")])
    return normalise_word(label_meant(answer, label_space) or answer) if label_space in LABEL_SPACES else answer


def is_label(answer: str | None, label: str, label_space: str | None = None, choices: Sequence[str] | None = None) -> bool:
    """Whether a parsed answer is this label, as `canonical_answer` reads both; the one decision of rewards, confidence and evaluation."""
    return answer is not None and canonical_answer(answer, label_space, choices) == canonical_answer(normalise_word(label), label_space, choices)


def completion_text(completion: str | list[dict]) -> str:
    """The text of a completion as TRL hands it to a reward: a string, or a list of one assistant message."""
    if isinstance(completion, str):
        return completion
    content = completion[0].get("content") if completion else ""
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content or ())


def _choice_text(choice: str) -> str:
    """A choice without the letter that it may carry."""
    return normalise_word(re.sub(r"^\s*\(?[A-Za-z][.):]\s*", "", choice))


class _Tag(NamedTuple):
    closing: bool
    name: str
    start: int
    end: int


def _structure_problems(text: str, tags: list[_Tag], template: Template) -> list[str]:
    """How the tags differ from those of the template: missing, repeated, out of order, unclosed, text outside."""
    found = [(tag.closing, tag.name) for tag in tags]
    if found == template._wanted:
        edges = [0, *(edge for tag in tags for edge in ((tag.end,) if tag.closing else (tag.start,))), len(text)]
        return ["text outside the tags"] if any(text[a:b].strip() for a, b in zip(edges[::2], edges[1::2], strict=True)) else []
    problems = []
    for tag in TAGS:
        opened, closed = found.count((False, tag)), found.count((True, tag))
        if tag not in template.tags:
            if opened or closed:
                problems.append(f"<{tag}> is not part of the template")
        elif not opened:
            problems.append(f"<{tag}> is missing")
        elif not closed:
            problems.append(f"<{tag}> is not closed; cut off?")
        elif (opened, closed) != (1, 1):
            problems.append(f"<{tag}> stands {max(opened, closed)} times")
    return problems or ["the tags are out of order; accepted: " + "".join(f"<{tag}></{tag}>" for tag in template.tags)]


def _last_spans(text: str, tags: list[_Tag], template: Template) -> dict[str, str]:
    """The text of the last complete pair of each tag of the template, from the opening nearest to its close."""
    thought = next((tag.end for tag in tags if tag.closing and tag.name == "think"), 0) if template.think != "none" else 0
    opened: dict[str, int] = {}
    spans: dict[str, str] = {}
    for tag in tags:
        if tag.name not in template.tags or (tag.name != "think" and tag.start < thought):
            continue
        if not tag.closing:
            opened[tag.name] = tag.end
        elif tag.name in opened:
            spans[tag.name] = text[opened.pop(tag.name) : tag.start]
    return spans


def _parse_sections(think: str, template: Template) -> tuple[dict[str, str], list[str]]:
    """({section: text}, problems) of the reasoning; of a section that stands twice the first counts."""
    tags = [_Tag(match[1] == "/", match[2].lower(), match.start(), match.end()) for match in template._section_tag.finditer(think)]
    found: dict[str, str] = {}
    outside, position, problems = [], 0, []
    for opening, closing in pairwise(tags):
        if opening.closing or not closing.closing or opening.name != closing.name:
            continue
        outside.append(think[position : opening.start])
        position = closing.end
        if opening.name in found:
            problems.append(f"<{opening.name}> stands twice in <think>")
        found.setdefault(opening.name, think[opening.end : closing.start].strip())
    problems += [f"<{name}> is missing in <think>" for name in template.sections if name not in found]
    problems += [f"<{name}> is empty" for name, text in found.items() if not text]
    if not problems and list(found) != list(template.sections):
        problems.append(f"the sections are out of order; accepted: {', '.join(template.sections)}")
    if not problems and ("".join(outside) + think[position:]).strip():
        problems.append("text outside the sections of <think>")
    return {name: found[name] for name in template.sections if found.get(name)}, problems


def _parse_answers(text: str, kind: AnswerKind) -> tuple[list[str], list[str]]:
    if kind == "choice":
        answers = _read_choices(text)
    elif kind == "verdict":
        verdict = read_verdict(text)
        if verdict is None and normalise_word(text):
            return [], [f"<answer> holds {text.strip()[:40]!r}, no verdict; accepted: correct, incorrect"]
        answers = [verdict] if verdict else []
    else:
        words = [normalise_word(word) for word in _split_answers(text)]
        problems = ["<answer> has an empty item"] if any(words) and not all(words) else []
        answers = list(dict.fromkeys(word for word in words if word))
        if kind == "list" and answers:
            return answers, problems
        if problems and len(answers) == 1:
            return answers, problems
    if not answers:
        return [], ["<answer> is empty"]
    if len(answers) > 1:
        return [], [f"<answer> names {len(answers)} {kind}s where one is asked: {', '.join(answers)[:60]}"]
    return answers, []


def _split_answers(text: str) -> list[str]:
    text = text.strip()
    if "/" in text or " and " in text:
        folded = text.casefold()
        for label, masked in _WHOLE_LABELS.items():
            folded = re.sub(rf"(?<!\w){re.escape(label)}(?!\w)", lambda _, masked=masked: masked, folded)
        if "\x00" in folded:
            restored = {masked: label for label, masked in _WHOLE_LABELS.items()}
            return [restored.get(word.strip(_SURROUNDING), word) for word in _BETWEEN_ANSWERS.split(folded)]
    return _BETWEEN_ANSWERS.split(text)


def _read_choices(text: str) -> list[str]:
    """The letters that mark choices, else the whole text as one; `a smile` is no letter, `A`, `(a)`, `A.` and `A) joy` are."""
    text = text.strip()
    letters = list(dict.fromkeys((match[1] or match[2] or match[3]).lower() for match in _CHOICE.finditer(text)))
    if letters:
        return letters
    parts = [part for part in _BETWEEN_ANSWERS.split(text) if part.strip()]
    if len(parts) > 1 and all(re.fullmatch(r"\s*[A-Za-z]\s*", part) for part in parts):
        return list(dict.fromkeys(part.strip().lower() for part in parts))
    word = normalise_word(text)
    return [word] if word else []
