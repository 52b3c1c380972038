"""The shipped templates, and every fault of a user's own in one report."""

from pathlib import Path

import pytest
import yaml

from emoreason.annotate.templates import load_template, shipped_names, template_text
from emoreason.faults import UserError

SMALL = {
    "name": "mine", "about": "One sentence.", "source": "Ours.", "user": "Why {{ label }}?", "fill": {"target.reasoning": "why"},
    "answer_schema": {"type": "object", "properties": {"why": {"type": "string"}}, "required": ["why"]},
}  # fmt: skip


def written(folder: Path, **changes: object) -> str:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}, sort_keys=False), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_template_is_sound_and_named_as_its_file(name: str) -> None:
    template = load_template(name)
    assert template.name == name and template.filters.length is not None
    told_the_label = any("target.label" in need for need in template.needs) or "{{ label }}" in template.user
    assert (template.filters.leakage is not None) == told_the_label


def test_the_shipped_ones_are_those_that_the_field_uses() -> None:
    assert shipped_names() == ["emer_reasoning", "exp_cot", "facial_r1_loop", "insets_statements", "sed", "unimodal_descriptions"]


def test_a_template_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert load_template(path).fill == {"target.reasoning": "why"}
    Path(path).write_bytes(b"\xef\xbb\xbf" + Path(path).read_bytes())
    assert load_template(path).name == "mine"


def test_filters_do_not_shape_a_request_and_texts_do(tmp_path: Path) -> None:
    plain = load_template(written(tmp_path))
    filtered = load_template(written(tmp_path, filters={"length": {"min_words": 3}}))
    asked = load_template(written(tmp_path, user="Why not {{ label }}?"))
    assert plain.request_digest == filtered.request_digest != asked.request_digest
    schema = {**SMALL["answer_schema"], "properties": {"why": {"type": "string"}, "who": {}}}
    turned = {**schema, "properties": {"who": {}, "why": {"type": "string"}}}
    one, other = (load_template(written(tmp_path, answer_schema=given)).request_digest for given in (schema, turned))
    assert one != other, "servers decode in the order of the properties"
    assert len({plain.digest, filtered.digest, asked.digest}) == 3


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"usr": "x"}, "usr: unknown key; did you mean 'user'?"),
        ({"user": "{% if label %}"}, "user, line 1: "),
        ({"fill": {"target.reasoning": "{{ answer.why }"}}, "fill.target.reasoning, line 1: "),
        ({"fill": {"target.reasoning": "whi"}}, "fill.target.reasoning: the answer has no field 'whi'; did you mean 'why'?"),
        ({"fill": {"target.vad": "why"}}, "fill: 'target.vad' cannot be filled; accepted: target.reasoning"),
        ({"fill": {"target.sections": "why"}}, "target.sections.NAME"),
        ({"fill": {}}, "fill: missing"),
        ({"needs": ["target.lable"]}, "needs: a record has no field 'target.lable'; did you mean 'label'?"),
        ({"needs": ["media.images|media.vidoe"]}, "did you mean 'video'?"),
        ({"answer_schema": {"type": "objekt"}}, "answer_schema.type: 'objekt' is not valid"),
        ({"answer_schema": {"type": "array"}}, "accepted is type: object with properties"),
        (
            {"answer_schema": {"type": "object", "properties": {"why": {"$ref": "http://host/x"}}}},
            "$ref 'http://host/x'; accepted: places in this file",
        ),
        ({"filters": {"agreement": {"answer": "why"}}}, "filters.agreement: needs each: modality"),
        ({"filters": {"leakage": {"phrases": []}}}, "filters.leakage.phrases: "),
        ({"sampling": {"temperature": -1}}, "sampling.temperature: "),
        ({"sampling": {"extra": {"api_key": "abc"}}}, "sampling.extra.api_key: a secret by its name"),
    ],
)
def test_a_fault_says_where_it_is(tmp_path: Path, changes: dict, fault: str) -> None:
    with pytest.raises(UserError) as failed:
        load_template(written(tmp_path, **changes))
    assert fault in str(failed.value) and "mine.yaml: " in str(failed.value)


def test_all_faults_come_in_one_report(tmp_path: Path) -> None:
    with pytest.raises(UserError) as failed:
        load_template(written(tmp_path, user="{{", needs=["x"], filters={"length": {"fields": ["y"]}}))
    assert len(failed.value.faults) == 3


def test_a_file_that_is_no_template_is_named(tmp_path: Path) -> None:
    for content, fault in [(b"a: [", "not YAML"), (b"- a", "holds no mapping"), (b"\xff\xfe\x00", "cannot be read")]:
        (tmp_path / "x.yaml").write_bytes(content)
        with pytest.raises(UserError, match=fault):
            load_template(str(tmp_path / "x.yaml"))
    with pytest.raises(UserError, match="no such template"):
        template_text(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="did you mean 'exp_cot'"):
        template_text("exp_cto")
    with pytest.raises(UserError, match=r"unknown template '\.\./templates/sed'"):
        template_text("../templates/sed")
