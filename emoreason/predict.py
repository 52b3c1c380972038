"""Answers of a released model for pictures, clips and sounds from anywhere."""

import tempfile
from pathlib import Path
from typing import Any

from emoreason.completions import Template, parse_completion
from emoreason.evaluate import sample
from emoreason.faults import raise_faults
from emoreason.files import read_json
from emoreason.preflight import file_record, prediction_faults
from emoreason.recipe import ModelSettings, Recipe, Rollouts, Sampling
from emoreason.rollouts.opening import open_engine
from emoreason.training_data import Example, Rows


def predict(
    folder: Path, files: list[Path], hear_clips: bool = False, max_new_tokens: int = 512, engine: str = "transformers"
) -> list[dict[str, Any]]:
    """For each file: `file`, `reasoning`, `emotions` (dominant first), `confidence`, `problems` of the answer's format.

    Raises:
        UserError: the folder is no release, or a file is missing or damaged; all such files in one report.
    """
    raise_faults(prediction_faults(folder, files, hear_clips))
    settings = read_json(folder / "emoreason.json")
    shared = {key: settings[key] for key in ("template", "prompt", "media", "label_space", "seed")}
    recipe = Recipe(output_dir=str(folder), model=ModelSettings(path=str(folder), dtype="float32"), **shared)
    template = Template(**settings["template"])
    examples = [Example(file_record(path, hear_clips), path) for path in files]
    greedy = Sampling(num_completions=1, temperature=0.0, max_new_tokens=max_new_tokens, batch_size=8)
    with tempfile.TemporaryDirectory() as scratch, open_engine(recipe.model, recipe.media, Rollouts(engine=engine), Path(scratch)) as opened:
        groups = sample(opened, Rows(recipe, template), examples, greedy, "looking and listening")
    rows = []
    for path, group in zip(files, groups, strict=True):
        parsed = parse_completion(group[0].text, template)
        rows.append({"file": str(path), "reasoning": parsed.think, "emotions": parsed.answers, "confidence": parsed.confidence,
                     "problems": parsed.problems})  # fmt: skip
    return rows
