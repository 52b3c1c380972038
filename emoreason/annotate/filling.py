"""Records out of answers: each answer where the template says, the record otherwise as it was, with who wrote it in its attributes."""

from typing import Any

from pydantic import ValidationError

from emoreason.annotate.answers import texts_at, values_at
from emoreason.annotate.asking import context_of, rendered
from emoreason.annotate.filters import agreement_of
from emoreason.annotate.templates import AnnotationTemplate
from emoreason.completions import normalise_word
from emoreason.emotions import LABEL_SPACES, label_meant
from emoreason.prompts import target_problems
from emoreason.records import Record
from emoreason.schema import describe, dotted

ANNOTATORS = ("target.label", "target.labels")
"""What people have said here stays; an answer fills it only where it is empty."""


def occupied(record: Record, template: AnnotationTemplate) -> list[str]:
    """The fields that the template would fill and that hold something already, but for labels, which are never replaced."""
    places = [place for place in template.fill if place not in ANNOTATORS]
    return [place for place in dict.fromkeys(places) if _held(record, place)]


def filled_records(record: Record, answers: dict[str | None, dict], template: AnnotationTemplate, model: str) -> tuple[list[Record], list[str]]:
    """(the new records, what is wrong with them); `answers` by modality, or one under None.

    Statements make a record each, with `question` and a verdict; everything else makes one.
    """
    signed = {**record.attributes, "annotator": model, "annotation_template": f"{template.name} {template.digest[:12]}"}
    if template.statements:
        return _statement_records(record, answers[None], template, signed)
    raw = record.model_dump()
    raw["attributes"] = signed
    if any(place.startswith("target.sections") for place in template.fill):
        raw["target"]["sections"] = {}  # the sections of one template are a set
    for modality, answer in answers.items():
        for place, source in template.fill.items():
            _put(raw, record, place.replace("MODALITY", modality or ""), _value(record, answer, place, source, template, modality))
    if template.filters.agreement:
        raw["attributes"]["unimodal_agreement"] = agreement(record, answers, template)
    return _checked([raw], template)


def agreement(record: Record, answers: dict[str | None, dict], template: AnnotationTemplate) -> str:
    """`agree`, `conflict` or `none`, of the emotions that the modalities name."""
    settings = template.filters.agreement
    named = {modality: str(next(iter(values_at(answer, settings.answer)), "")) for modality, answer in answers.items()}
    return agreement_of(named, record.target.label_space, settings.min_wheel_f1)


def _value(record: Record, answer: dict, place: str, source: str, template: AnnotationTemplate, modality: str | None) -> Any:
    if "{{" in source or "{%" in source:
        context = {**context_of(record), "answer": answer, "modality": modality, "media": []}
        return rendered(template, f"fill.{place}", source, context)
    if place in ("target.labels", "preference.rejected") or place.startswith("target.cues"):
        return [" ".join(text.split()) for text in texts_at(answer, [source]) if text.strip()]
    values = values_at(answer, source)
    return str(values[0]).strip() if values else ""


def _put(raw: dict, record: Record, place: str, value: Any) -> None:
    """Write the value at its place of the raw record; nothing where it is empty."""
    first, second, *names = place.split(".")
    if not value:
        return
    if place.endswith(".label"):
        meant = _label(value, record.target.label_space)
        value = meant or value if place == "target.label" else meant
    if place == "target.labels":
        value = list(dict.fromkeys(normalise_word(word) for word in value))
    if place in ANNOTATORS and (record.target.label or record.target.labels):
        return
    if first == "preference":
        raw["preference"] = {**(raw["preference"] or {}), second: value}
    elif second == "unimodal":
        if value is not None:
            raw["target"]["unimodal"] = {**raw["target"]["unimodal"], names[0]: {"label": value}}
    elif names:
        raw["target"][second] = {**raw["target"][second], names[0]: value}
    else:
        raw["target"][second] = value


def _label(word: str, label_space: str) -> str | None:
    """The label that a word means; in a closed label space None for a word that is no form of a label."""
    return label_meant(word, label_space) if label_space in LABEL_SPACES else normalise_word(word) or None


def _statement_records(record: Record, answer: dict, template: AnnotationTemplate, signed: dict) -> tuple[list[Record], list[str]]:
    """Two records a pair of statements."""
    settings, rows, problems, seen = template.statements, [], [], set()
    for number, (dimension, pair) in enumerate(_pairs(answer, template), start=1):
        texts = {verdict: " ".join(str(pair.get(name) or "").split()) for verdict, name in
                 (("correct", settings.correct), ("incorrect", settings.incorrect))}  # fmt: skip
        keys = {normalise_word(text) for text in texts.values()}
        if "" in keys or len(keys) < 2 or keys & seen:
            problems.append(f"pair {number}: a statement is empty, or stands there twice")
        seen |= keys
        for verdict, text in texts.items():
            question = rendered(template, "statements.question", settings.question, {**context_of(record), "statement": text})
            attributes = {**signed, "statement": text, "dimension": dimension}
            rows.append({
                **record.model_dump(exclude={"target", "preference", "aligned_modality"}), "id": f"{record.id}#{number}-{verdict}",
                "question": question, "target": {"label": verdict, "label_space": "verdict_2"}, "attributes": attributes,
            })  # fmt: skip
    if not rows:
        problems.append(f"{settings.pairs}: no pair")
    return ([], problems) if problems else _checked(rows, template)


def _pairs(answer: dict, template: AnnotationTemplate) -> list[tuple[str, dict]]:
    """(dimension, pair), of a list of pairs that say their dimension or of an object of pairs by dimension."""
    settings = template.statements
    found = [one for one in values_at(answer, settings.pairs) if isinstance(one, dict)]
    if len(found) == 1 and settings.correct not in found[0]:
        return [(name, pair) for name, pair in found[0].items() if isinstance(pair, dict)]
    return [(str(pair.get(settings.dimension) or "statement"), pair) for pair in found]


def _checked(rows: list[dict], template: AnnotationTemplate) -> tuple[list[Record], list[str]]:
    records, problems = [], []
    for raw in rows:
        try:
            record = Record.model_validate(raw)
        except ValidationError as error:
            problems += [f"{dotted(location)}: {text}" for location, text in describe(error, Record)]
            continue
        records.append(record)
        if template.completion:
            problems += target_problems(record, template.completion.template())
    return ([], problems) if problems else (records, [])


def _held(record: Record, place: str) -> bool:
    first, second, *names = place.split(".")
    if first == "preference":
        return record.preference is not None
    value = getattr(record.target, second)
    if second == "cues" and names[0] != "MODALITY":
        return bool(value.get(names[0]))
    return bool(value)
