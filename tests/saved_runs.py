"""Runs as they lie on disk, made by hand: a recipe, records of drawn faces, and completions."""

import json
from pathlib import Path
from typing import Any

from conftest import rows_of

from emoreason.files import sha256, write_json, write_jsonl

WEIGHTS = {"label_reward": 1.0, "format_reward": 0.5}


def said(answer: str, confidence: float = 0.8, think: str = "eyes open") -> str:
    return f"<think>{think}</think><answer>{answer}</answer><confidence>{confidence}</confidence>"


def write_run(folder: Path, records_path: Path, lines: list[dict[str, Any]], stage: str = "grpo", **trainer: Any) -> Path:
    """A run over these records: run.json, and completions.jsonl with these lines."""
    recipe = {
        "stage": stage, "label_space": "shaver_6_disgust_neutral", "prompt": {"question": "What does the face show?"},
        "template": {"think": "free", "answer": "list", "confidence": True, "sections": [], "prefilled": False},
        "data": [{"path": str(records_path), "weight": 1.0}], "trainer": trainer,
        "rewards": [{"func": f"rewards/{name}.py:{name}", "weight": weight} for name, weight in WEIGHTS.items()],
    }  # fmt: skip
    write_json(folder / "run.json", {"status": "finished", "recipe": recipe, "data": {str(records_path): sha256(records_path)}})
    write_jsonl(folder / "completions.jsonl", lines)
    return folder


def change_records(path: Path, **fields: Any) -> None:
    """The first record of a file with other values."""
    first, *others = rows_of(path)
    path.write_text("".join(json.dumps(row) + "\n" for row in [{**first, **fields}, *others]))
