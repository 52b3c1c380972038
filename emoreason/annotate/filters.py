"""Whether an answer can be used: length, leakage, emotion, action units, agreement of modalities; each says why it cannot.

The format is judged before, by `answers.read_answer` and `filling.fill_record`.
"""

import re
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any, Literal, NamedTuple

from emoreason.action_units import facs, parse_action_units, unknown_action_units
from emoreason.annotate.answers import texts_at, values_at
from emoreason.annotate.templates import ActionUnitFilter, EmotionFilter, Filters, LeakageFilter, LengthFilter
from emoreason.completions import normalise_word
from emoreason.emotions import LABEL_SPACES, label_meant
from emoreason.mentions import Finder
from emoreason.records import Record
from emoreason.wheels import emotion_words, own_wheels

FILTERS = ("format", "length", "leakage", "emotion", "action_units", "agreement")
"""In the order in which they are asked; an answer is counted under the first that rejects it."""
Agreement = Literal["agree", "conflict", "none"]
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+(?:['’-][^\W\u3040-\u30ff\u3400-\u9fff]+)*")
_NO_EMOTION = frozenset({"", "neutral", "none", "unclear", "unknown", "ambiguous", "no emotion"})


class Problem(NamedTuple):
    """Why an answer is rejected."""

    filter: str
    text: str
    """A sentence for the report, and for the model where it is asked again."""


def problems_of(answer: dict[str, Any], record: Record, filters: Filters) -> list[Problem]:
    """What the filters for one answer find, in the order of `FILTERS`; `agreement_of` needs several answers."""
    checks: list[tuple[str, Any, Callable[[dict, Record, Any], Iterable[str]]]] = [
        ("length", filters.length, _length_problems), ("leakage", filters.leakage, _leakage_problems),
        ("emotion", filters.emotion, _emotion_problems), ("action_units", filters.action_units, _action_unit_problems),
    ]  # fmt: skip
    return [Problem(name, text) for name, settings, check in checks if settings is not None for text in check(answer, record, settings)]


def gold_emotion(record: Record) -> str | None:
    """The label, else the first of the open words."""
    return record.target.label or next(iter(record.target.labels), None)


def same_emotion(word: str, other: str, label_space: str, min_wheel_f1: float) -> bool:
    """Whether two words mean one class of the label space; beyond it, whether the wheels put them together in at least this share."""
    if label_space in LABEL_SPACES:
        meant, gold = label_meant(word, label_space), label_meant(other, label_space)
        if meant is not None and gold is not None:
            return meant == gold
    if normalise_word(word) == normalise_word(other):
        return True
    f1 = own_wheels().set_f1([word], [other])
    return f1 is not None and f1 >= min_wheel_f1 > 0


def agreement_of(emotions: dict[str, str], label_space: str, min_wheel_f1: float) -> Agreement:
    """How the emotions of the modalities meet: `agree` where two or more name one and all mean the same, `conflict` where some differ.

    Neutral, unclear and the like name none; `none` is when fewer than two do.
    """
    named = [word for word in emotions.values() if normalise_word(word) not in _NO_EMOTION]
    if len(named) < 2:
        return "none"
    return "agree" if all(same_emotion(one, other, label_space, min_wheel_f1) for one, other in combinations(named, 2)) else "conflict"


def _length_problems(answer: dict, record: Record, settings: LengthFilter) -> Iterable[str]:
    num_words = sum(len(_WORD.findall(text)) for text in texts_at(answer, settings.fields))
    if num_words < settings.min_words:
        yield f"it has {num_words} words, and at least {settings.min_words} are wanted"
    if settings.max_words is not None and num_words > settings.max_words:
        yield f"it has {num_words} words, and at most {settings.max_words} are wanted"


def _leakage_problems(answer: dict, record: Record, settings: LeakageFilter) -> Iterable[str]:
    finder = Finder(settings.phrases)
    found = [mention.term for text in texts_at(answer, settings.fields) for mention in finder.find(text)]
    if found:
        quoted = ", ".join(repr(phrase) for phrase in dict.fromkeys(found))
        yield f"it speaks of what it was told ({quoted}) where it should speak of what is seen and heard"


def _emotion_problems(answer: dict, record: Record, settings: EmotionFilter) -> Iterable[str]:
    gold, space = gold_emotion(record), record.target.label_space
    if gold is None:
        return
    if settings.answer is not None:
        words = [str(word) for word in values_at(answer, settings.answer)]
        if not words or not same_emotion(words[0], gold, space, settings.min_wheel_f1):
            yield f"it answers {words[0] if words else 'no emotion'!r}, which is not {gold!r}"
    if not settings.reasoning or not own_wheels().knows(gold):  # a compound such as `happily surprised` is on no wheel
        return
    words = list(dict.fromkeys(word for text in texts_at(answer, settings.reasoning) for word in emotion_words(text)))
    if words and not any(same_emotion(word, gold, space, settings.min_wheel_f1) for word in words):
        yield f"its reasoning speaks of {', '.join(words[:5])} and never of {gold}"
    if not words and settings.must_name:
        yield f"its reasoning names no emotion; it should arrive at {gold}"


def _action_unit_problems(answer: dict, record: Record, settings: ActionUnitFilter) -> Iterable[str]:
    """Texts are read one by one, so that a negation ends with its text."""
    present = {code for code, level in (record.target.action_units or {}).items() if level is None or level > 0}
    texts = texts_at(answer, settings.fields)
    units = [(unit, any(sign.isdigit() for sign in text[unit.start : unit.end])) for text in texts for unit in parse_action_units(text)]
    said = {unit.code for unit, _ in units if unit.status == "asserted"}
    counted = {unit.code for unit, is_code in units if unit.status == "asserted" and (is_code or settings.phrases)}
    unknown = list(dict.fromkeys(code for text in texts for code in unknown_action_units(text)))
    denied = {unit.code for unit, is_code in units if unit.status == "negated" and is_code and unit.code in present} - said
    if unknown:
        yield f"it names {', '.join(unknown)}, which FACS does not have"
    if denied:
        yield f"it denies {_listed(denied)}, which the annotation has"
    invented, missed = counted - present, present - said
    num_named = len(counted) + len(unknown)
    if num_named and len(counted & present) < settings.min_precision * num_named and invented:
        yield f"it names {_listed(invented)}, which the annotation does not have"
    if present and len(present & said) < settings.min_recall * len(present):
        yield f"it leaves out {_listed(missed)}"


def _listed(codes: Iterable[str]) -> str:
    numbers = sorted(int(code[2:]) for code in codes)
    return ", ".join(f"AU{number} ({facs()[number].name})" if number in facs() else f"AU{number}" for number in numbers)
