"""A real `vllm serve` with a tiny model of random weights: it keeps to the schema, and says nothing that content filters let pass."""

from pathlib import Path

import pytest
import yaml
from media_samples import face
from vllm_families import Family

from emoreason.annotate.answers import read_answer
from emoreason.annotate.report import Files, Options, annotate
from emoreason.annotate.templates import AnnotationTemplate, load_template
from emoreason.files import read_jsonl, write_jsonl
from emoreason.rollouts.server_engine import ServerEngine

pytestmark = pytest.mark.vllm
pytest_plugins = ["vllm_server"]
SCHEMA = {
    "type": "object",
    "properties": {"think": {"type": "string", "minLength": 3, "maxLength": 20}, "emotion": {"enum": ["angry", "sad"]}},
    "required": ["think", "emotion"],
    "additionalProperties": False,
}


def test_answers_keep_to_the_schema_and_content_filters_reject_them(opened: tuple[Family, ServerEngine], tmp_path: Path) -> None:
    made, engine = opened
    vocabulary = made.policy.processor.tokenizer.get_vocab()
    # JSON allows any number of blanks, and random weights would write little else.
    blanks = {str(number): -100 for token, number in vocabulary.items() if not token.strip(" \u0120\u010a\u0109\u010d")}

    def template(**filters: object) -> AnnotationTemplate:
        sampling = {"temperature": 1.0, "max_tokens": 200, "extra": {"logit_bias": blanks}}
        values = {"name": "tiny", "about": "Two fields.", "source": "Ours.", "user": "Why {{ label }}?", "answer_schema": SCHEMA, "rounds": 2,
                  "again": "No.", "sampling": sampling, "fill": {"target.reasoning": "think"}, "filters": filters}  # fmt: skip
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        return load_template(str(tmp_path / "tiny.yaml"))

    rows = []
    for number in range(3):
        face(number).save(tmp_path / f"{number}.png")
        rows.append({"id": f"r{number}", "dataset": "d", "split": "train", "group": "g", "media": {"images": [f"{number}.png"]}, "licence": "l",
                     "source": "s", "target": {"label": "happy", "label_space": "mer_6"}})  # fmt: skip
    records_path, files = tmp_path / "records.jsonl", Files.beside(tmp_path / "out.jsonl")
    write_jsonl(records_path, rows)
    options = Options(engine.client.base_url, model=engine.model, concurrency=3)
    report = annotate(records_path, files, template(emotion={"answer": "emotion"}), options)
    assert (report["kept"], report["failed"], report["stopped"]) == (0, {}, None)
    assert {name: (one["records"], one["answers"]) for name, one in report["rejected"].items()} == {"emotion": (3, 6)}
    assert report["tokens"]["prompt"] > 6 * 20 and report["tokens"]["completion"] > 6 * 5
    rejected = [read_answer(row["answers"]["all"], SCHEMA) for _, row in read_jsonl(files.rejected, [])]
    assert len(rejected) == 3 and all(list(answer) == ["think", "emotion"] and not problems for answer, problems in rejected)
    again = annotate(records_path, files, template(), options)  # without the filter the same answers are good
    assert (again["kept"], again["answers"], again["requests"]["sent"]) == (3, {"from_cache": 3, "from_server": 0}, 0)
    assert [row["id"] for _, row in read_jsonl(files.out, [])] == ["r0", "r1", "r2"]
