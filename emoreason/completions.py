"""The output template, and the one parser that SFT linting, rewards, confidence, preferences and evaluation share.

    >>> template = Template(think="free", answer="list", confidence=True)
    >>> parsed = parse_completion("<think>lips up</think><answer>joy, pride</answer><confidence>0.8</confidence>", template)
    >>> parsed.answers, parsed.confidence, parsed.problems
    (['joy', 'pride'], 0.8, [])
"""

import re
from dataclasses import dataclass, field
from typing import Literal

ThinkKind = Literal["none", "free"]
AnswerKind = Literal["none", "label", "list"]

TAGS = ("think", "answer", "confidence")
# ASCII, since ignoring case would otherwise take the long s and the Kelvin sign for letters of a tag.
_ANY_TAG = re.compile(r"<(/?)(think|answer|confidence)>", re.IGNORECASE | re.ASCII)
_BETWEEN_ANSWERS = re.compile(r"[,;/\n]\s*(?:and\s)?|\sand\s", re.IGNORECASE)
_NUMBER = re.compile(r"^(?P<value>\d+(?:[.,]\d+)?|[.,]\d+)(?P<percent>\s*%)?(?:\s*/\s*(?P<total>\d+))?$")


@dataclass(frozen=True)
class Template:
    """What the model writes, in this order: `<think>` text, `<answer>`, `<confidence>`; what is `none` is absent.

    A `label` is one class. A `list` is emotion words separated by commas, the dominant one first.
    """

    think: ThinkKind = "free"
    answer: AnswerKind = "label"
    confidence: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that a completion has, each once, in order."""
        present = {"think": self.think != "none", "answer": self.answer != "none", "confidence": self.confidence}
        return tuple(tag for tag in TAGS if present[tag])


@dataclass(frozen=True)
class Completion:
    """What was found in a model's text. `problems` is empty exactly when the text follows the template."""

    think: str | None = None
    answers: list[str] = field(default_factory=list)
    """Answer words, normalised, without repeats, in the order written; one at most for `label`."""
    confidence: float | None = None
    """In [0, 1]."""
    problems: list[str] = field(default_factory=list)

    @property
    def label(self) -> str | None:
        """The dominant answer, or None when there is no usable answer."""
        return self.answers[0] if self.answers else None


def render(template: Template, think: str, answers: list[str], confidence: float | None = None) -> str:
    """The text that says this in the template; the inverse of `parse_completion`. Confidence has two decimals."""
    parts = {"think": think, "answer": ", ".join(answers), "confidence": "" if confidence is None else f"{confidence:.2f}"}
    return "".join(f"<{tag}>{parts[tag]}</{tag}>" for tag in template.tags)


def with_confidence(text: str, confidence: float) -> str:
    """A completion that states no confidence, followed by one, as `render` would write it."""
    return f"{text}<confidence>{confidence:.2f}</confidence>"


def parse_completion(text: str, template: Template) -> Completion:
    """What `text` says in `template`; never raises, whatever the text.

    A text that breaks the template is still read as far as it is unambiguous (the last complete `<answer>` counts), so
    that accuracy and format can be told apart, and `problems` says what is wrong with it.
    """
    problems = _structure_problems(text, template)
    spans = {tag: _last_span(text, tag) for tag in template.tags}
    answers: list[str] = []
    if spans.get("answer") is not None:
        answers, answer_problems = _parse_answers(spans["answer"], template.answer)
        problems += answer_problems
    confidence = None
    if spans.get("confidence") is not None:
        confidence = parse_confidence(spans["confidence"])
        if confidence is None:
            problems.append(f"<confidence> holds {spans['confidence'].strip()[:40]!r}, not a number from 0 to 1")
    think = spans.get("think")
    if think is not None and not think.strip():
        problems.append("<think> is empty")
    return Completion(think.strip() if think is not None else None, answers, confidence, problems)


def parse_confidence(text: str) -> float | None:
    """A stated confidence in [0, 1], or None where the text states none: `0.85`, `.85`, `0,85`, `85%`, `8/10`, `1`.

    A bare number above 1 is refused, since nobody knows its scale.
    """
    match = _NUMBER.match(text.strip())
    if match is None:
        return None
    value = float(match["value"].replace(",", "."))
    if match["percent"] and match["total"]:
        return None
    if match["percent"]:
        value /= 100
    elif match["total"]:
        total = float(match["total"])  # not int, which refuses thousands of digits
        if total == 0:
            return None
        value /= total
    return value if value <= 1 else None


def normalise_word(text: str) -> str:
    """Lower case, one space between words, no surrounding punctuation."""
    return " ".join(text.casefold().split()).strip(" .!?:;,\"'`*()[]{}-_“”‘’…")


def _structure_problems(text: str, template: Template) -> list[str]:
    """How the tags differ from those of the template: missing, repeated, out of order, unclosed, text outside."""
    found = [(match[1] == "/", match[2].lower()) for match in _ANY_TAG.finditer(text)]
    wanted = [(closing, tag) for tag in template.tags for closing in (False, True)]
    if found == wanted:
        outside = re.sub("|".join(rf"<{tag}>.*?</{tag}>" for tag in template.tags) or "$^", "", text, flags=_ANY_TAG.flags | re.DOTALL)
        return ["text outside the tags"] if outside.strip() else []
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


def _last_span(text: str, tag: str) -> str | None:
    """The text of the last complete pair of this tag, from the opening nearest to its close; None when there is none."""
    start = span = None
    for match in _ANY_TAG.finditer(text):
        if match[2].lower() != tag:
            continue
        if not match[1]:
            start = match.end()
        elif start is not None:
            span, start = text[start : match.start()], None
    return span


def _parse_answers(text: str, kind: AnswerKind) -> tuple[list[str], list[str]]:
    words = [normalise_word(word) for word in _BETWEEN_ANSWERS.split(text.strip())]
    if not any(words):
        return [], ["<answer> is empty"]
    problems = ["<answer> has an empty item"] if not all(words) else []
    answers = list(dict.fromkeys(word for word in words if word))
    if kind == "label" and len(answers) > 1:
        return [], [*problems, f"<answer> names {len(answers)} labels where one is asked: {', '.join(answers)[:60]}"]
    return answers, problems


def completion_text(completion: str | list[dict]) -> str:
    """The text of a completion as TRL hands it to a reward: a string, or a list of one assistant message."""
    if isinstance(completion, str):
        return completion
    content = completion[0]["content"] if completion else ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
