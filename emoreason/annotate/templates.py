"""Templates of annotation: what a server is asked about a record, how it must answer, where the answer goes, what is rejected.

A template is one YAML file, shipped or the user's own. Its texts are Jinja in a sandbox; they see `record`, `target`, `text`,
`question`, `label`, `labels`, `classes` (those of the label space), `action_units` (code, name and intensity of each that is present),
`media` (what is sent: image, video, audio) and `modality`; the texts of `fill` see `answer` as well.
"""

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import yaml
from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, ValidationError

from emoreason.completions import AnswerKind, Template, ThinkKind
from emoreason.faults import UserError, did_you_mean, raise_faults
from emoreason.records import Media, Record, Target
from emoreason.schema import Strict, describe, dotted
from emoreason.secrets import hide_secrets

Kind = Literal["image", "video", "audio"]
Modality = Literal["image", "video", "audio", "text"]
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]

ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
"""Templates are files of users, so they reach no attribute beyond the data."""
FILLED = ("target.reasoning", "target.label", "target.labels", "target.sections", "target.cues", "target.unimodal", "preference.chosen",
          "preference.rejected")  # fmt: skip
"""What an answer may fill; sections and cues take a name behind them, unimodal a modality and `label`."""
NAMED = {"target.sections": 1, "target.cues": 1, "target.unimodal": 2}


class Sampling(Strict):
    """How the server draws its answers."""

    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    seed: int | None = 0
    extra: dict[str, Any] = {}
    """More keys of the request, e.g. vLLM's `chat_template_kwargs`."""


class ActionUnitFilter(Strict):
    """The action units that the text asserts, beside those of the record."""

    fields: list[str] = []
    min_precision: Share = 1.0
    """Of the codes in the text, so many must be the record's."""
    min_recall: Share = 1.0
    """So many of the record's must be in the text, by code or by a phrase such as `brows lowered`."""
    phrases: bool = False
    """Phrases count for precision, too; one of them may stand for two units."""


class EmotionFilter(Strict):
    """The emotion that is answered, and those that the reasoning asserts, beside the record's label; not applied where it has none."""

    answer: str | None = None
    """A field with a word, or with words of which the first counts."""
    reasoning: list[str] = []
    must_name: bool = False
    """Reasoning that names no emotion is rejected, too."""
    min_wheel_f1: Share = 0.5
    """Open words mean the same where the wheels agree at least so far."""


class LeakageFilter(Strict):
    """What would give away that the label was told."""

    fields: list[str] = []
    phrases: Annotated[list[Text], Field(min_length=1)]


class LengthFilter(Strict):
    """Words of the fields together; a Chinese or Japanese character counts as one."""

    fields: list[str] = []
    min_words: Annotated[int, Field(ge=0)] = 0
    max_words: Annotated[int, Field(ge=1)] | None = None


class AgreementFilter(Strict):
    """Whether the emotions that the modalities show by themselves agree; with `each: modality`."""

    answer: str
    min_wheel_f1: Share = 0.5
    reject: list[Literal["agree", "conflict", "none"]] = []


class Filters(Strict):
    """No fields means every text of the answer."""

    length: LengthFilter | None = None
    leakage: LeakageFilter | None = None
    emotion: EmotionFilter | None = None
    action_units: ActionUnitFilter | None = None
    agreement: AgreementFilter | None = None


class Statements(Strict):
    """Pairs of a correct and an incorrect statement, each of which becomes a record with a verdict, so that both come equally often."""

    pairs: str
    """The field with the list of pairs; the next three are fields of a pair."""
    dimension: str = "dimension"
    correct: str = "correct"
    incorrect: str = "incorrect"
    question: Text
    """Jinja, with `statement`."""


class Shape(Strict):
    """The completion that the new record must make without a problem."""

    think: ThinkKind = "free"
    answer: AnswerKind = "label"
    sections: list[str] = []

    def template(self) -> Template:
        return Template(self.think, self.answer, sections=tuple(self.sections))


class AnnotationTemplate(Strict):
    """One way to ask."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    about: Text
    source: Text
    """Whose method it is."""
    each: Literal["record", "modality"] = "record"
    """One request a record, or one for each modality that it has, which then sees nothing else."""
    min_modalities: Annotated[int, Field(ge=1)] = 2
    """With `each: modality`, records with fewer are left out."""
    needs: list[str] = []
    """Fields of the record, `target.label`; of `media.images|media.video` one is enough."""
    media: list[Kind] = ["image", "video", "audio"]
    """What is sent of the record's media."""
    system: str | None = None
    user: Text
    again: Text = "That answer cannot be used: {{ problems | join('; ') }}. Answer again in the same form, with this put right."
    """What is said after an answer that was rejected, with `problems`."""
    rounds: Annotated[int, Field(ge=1, le=20)] = 1
    """How often a record is asked at most."""
    answer_schema: dict[str, Any]
    """JSON Schema of the answer, an object."""
    sampling: Sampling = Sampling()
    fill: dict[str, str] = {}
    """{field of the record: field of the answer, or Jinja with `answer`}."""
    statements: Statements | None = None
    filters: Filters = Filters()
    completion: Shape | None = None

    @property
    def digest(self) -> str:
        """Hex SHA-256 of everything in the template."""
        return hashlib.sha256(json.dumps(self.model_dump()).encode()).hexdigest()

    @property
    def request_digest(self) -> str:
        """The same of what shapes a request, so that changed filters judge the answers that are there already.

        The order of the schema's properties counts, since servers decode in it.
        """
        shaping = self.model_dump(include={"each", "media", "system", "user", "again", "answer_schema", "sampling"})
        return hashlib.sha256(json.dumps(shaping).encode()).hexdigest()


# Files ----------------------------------------------------------------------------------------------------------------------------------


def shipped_names() -> list[str]:
    """The templates that come with this package, sorted."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


def template_text(name_or_path: str) -> str:
    """The file of a shipped template by name, or of the user's own by its path, which ends in .yaml or .yml.

    Raises:
        UserError: there is none.
    """
    if not name_or_path.endswith((".yaml", ".yml")):
        if name_or_path not in shipped_names():
            raise UserError(f"unknown template {name_or_path!r}{did_you_mean(name_or_path, shipped_names())}; or give a path that ends in .yaml")
        return (_folder() / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    try:
        return Path(name_or_path).expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{name_or_path}: no such template (relative paths start at {Path.cwd()})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name_or_path}: cannot be read: {error}") from error


def load_template(name_or_path: str) -> AnnotationTemplate:
    """The template, checked as far as it can be without a record.

    Raises:
        UserError: every fault of the file: keys, Jinja, schema, names of fields.
    """
    try:
        values = yaml.safe_load(template_text(name_or_path))
    except yaml.YAMLError as error:
        raise UserError(f"{name_or_path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{name_or_path}: holds no mapping; see `emoreason annotate --show {shipped_names()[0]}`")
    faults = [f"{dotted(location)}: {what}; a template is copied and shared, leave it out" for location, what in hide_secrets(values)[1]]
    try:
        template = AnnotationTemplate.model_validate(values)
    except ValidationError as error:
        faults += [f"{dotted(location)}: {text}" for location, text in describe(error, AnnotationTemplate)]
    else:
        faults += [*_syntax_faults(template), *_schema_faults(template), *_field_faults(template)]
    raise_faults([f"{name_or_path}: {fault}" for fault in faults])
    return template


def _folder():
    return files("emoreason.annotate") / "templates"


# Faults ---------------------------------------------------------------------------------------------------------------------------------


def _syntax_faults(template: AnnotationTemplate) -> list[str]:
    texts = {"system": template.system, "user": template.user, "again": template.again}
    texts |= {f"fill.{place}": text for place, text in template.fill.items()}
    texts |= {"statements.question": template.statements.question} if template.statements else {}
    faults = []
    for place, text in texts.items():
        try:
            ENVIRONMENT.parse(text or "")
        except TemplateSyntaxError as error:
            faults.append(f"{place}, line {error.lineno}: {error.message}")
    return faults


def _schema_faults(template: AnnotationTemplate) -> list[str]:
    schema = template.answer_schema
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return [f"answer_schema.{dotted(tuple(error.absolute_path))}: {error.message}"]
    if schema.get("type") != "object" or not schema.get("properties"):
        return ["answer_schema: accepted is type: object with properties, so that the answer has named fields"]
    return [f"answer_schema: $ref {where!r}; accepted: places in this file, as #/$defs/name" for where in _references(schema) if where[:1] != "#"]


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [str(schema["$ref"])] if "$ref" in schema else []
        return own + [found for value in schema.values() for found in _references(value)]
    return [found for value in schema for found in _references(value)] if isinstance(schema, list) else []


def _field_faults(template: AnnotationTemplate) -> list[str]:
    """Names that neither the record nor the answer has."""
    faults = [fault for need in template.needs for name in need.split("|") if (fault := _need_fault(name.strip()))]
    faults += [fault for place in template.fill if (fault := _place_fault(place))]
    filters, statements = template.filters, template.statements
    named = {f"fill.{place}": [text] for place, text in template.fill.items() if "{{" not in text and "{%" not in text}
    for key in ("length", "leakage", "action_units"):
        if (one := getattr(filters, key)) is not None:
            named[f"filters.{key}.fields"] = one.fields
    if filters.emotion:
        named["filters.emotion"] = [*filters.emotion.reasoning, *([filters.emotion.answer] if filters.emotion.answer else [])]
    if filters.agreement:
        named["filters.agreement.answer"] = [filters.agreement.answer]
        faults += ["filters.agreement: needs each: modality"] if template.each == "record" else []
    if statements:
        named["statements.pairs"] = [statements.pairs]
        faults += ["statements: needs each: record"] if template.each == "modality" else []
    if not template.fill and not statements:
        faults.append("fill: missing; say which field of the record takes which field of the answer, or give statements")
    properties = template.answer_schema.get("properties", {})
    for place, paths in named.items():
        unknown = [path for path in paths if path.split(".")[0] not in properties]
        faults += [f"{place}: the answer has no field {path!r}{did_you_mean(path.split('.')[0], properties)}" for path in unknown]
    return faults


def _need_fault(name: str) -> str | None:
    first, _, rest = name.partition(".")
    inner = {"target": Target, "media": Media}.get(first)
    known = list(inner.model_fields) if inner and rest else list(Record.model_fields)
    given = rest if inner and rest else name
    return None if given in known else f"needs: a record has no field {name!r}{did_you_mean(given, known)}"


def _place_fault(place: str) -> str | None:
    root = ".".join(place.split(".")[:2])
    names = place.split(".")[2:]
    if root in FILLED and len(names) == NAMED.get(root, 0) and all(names) and (root != "target.unimodal" or names[1] == "label"):
        return None
    accepted = ", ".join(name + {0: "", 1: ".NAME", 2: ".MODALITY.label"}[NAMED.get(name, 0)] for name in FILLED)
    return f"fill: {place!r} cannot be filled; accepted: {accepted}"
