"""What every reward must hold to, over each file of rewards/."""

import copy
import doctest
import importlib
import inspect
import math
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emoreason.completions import Template
from emoreason.records import COLUMNS, Record, columns

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "rewards").glob("[!_]*.py"))
FULL = Template(think="free", answer="list", confidence=True)
SHORT = Template(think="none", answer="label")

ANNOTATED = {
    "label": "joy",
    "labels": ["joy", "pride", "awe struck"],
    "label_space": "open",
    "distribution": {"joy": 7, "pride": 2, "fear": 1},
    "vad": {"valence": 7.5, "arousal": 6.0, "dominance": 5.0, "scale": (1, 9)},
    "action_units": {"AU6": 3.0, "AU12": None},
    "cues": {"image": ["lip corners raised", "cheeks raised"], "text": ["says they won"]},
    "reasoning": "The lip corners are raised, so the face shows joy.",
    "choices": ["joy", "fear"],
}
COMPLETIONS = [
    "<think>lip corners raised (AU12), cheeks raised (AU6)</think><answer>joy, pride</answer><confidence>0.8</confidence>",
    "<think>brows up</think><answer>fear</answer><confidence>90%</confidence>",
    "<answer>joy</answer>",
    "<think>unclosed <answer>Joy.</answer>",
    "<think>" + "on and on " * 60 + "</think><answer>joy</answer>",
    "no tags at all",
    "",
]
HOSTILE = [
    "",
    " ",
    "<",
    "<" * 50,
    "<think>",
    "</answer>",
    "</answer><answer>",
    "<think><answer><confidence>",
    "<answer><answer>joy</answer></answer>",
    "<think><think>a</think><answer>joy<confidence>1</confidence></answer></think>",
    "<answer>,,,;;;///</answer>",
    "<confidence>" + "9" * 5000 + "/" + "9" * 5000 + "</confidence>",
    "<confidence>1e999</confidence><answer>joy</answer>",
    "<ANSWER>\u0130\u0131\u017f\u212a</ANSWER>",
    "\x00\ud800\u202e{}%s\\",
    [],
    [{"role": "assistant", "content": ""}],
    [{"role": "assistant", "content": [{"type": "text", "text": "<answer>joy</answer>"}, {"type": "image"}]}],
]
LONG = {
    "open brackets": "<" * 100_000,
    "open tags": "<answer>" * 12_500,
    "tag pairs": "<think>a</think>" * 6_250,
    "closing before opening": "</answer><answer>" * 6_000,
    "spaces in the answer": "<answer>" + " " * 100_000 + "joy</answer>",
    "lines in the answer": "<answer>" + "\n" * 100_000 + "x</answer>",
    "one long word": "<think>x</think><answer>" + "j" * 100_000 + "</answer>",
    "many words": "<think>x</think><answer>" + "joy and pride, " * 6_500 + "</answer>",
    "a long think text": "<think>" + "lip corners raised, AU12. " * 4_000 + "</think><answer>joy</answer><confidence>0.5</confidence>",
    "a long number": "<answer>joy</answer><confidence>" + "1" * 100_000 + "x</confidence>",
    "spaces in the number": "<answer>joy</answer><confidence>1" + " " * 100_000 + "x</confidence>",
}


def row(template, target, **more):
    record = Record.model_validate({"id": "1", "dataset": "d", "split": "train", "group": "g", "licence": "l", "source": "s",
                                    "target": target, **more})
    return {**columns(record), "template": template}


KINDS = [
    row(FULL, ANNOTATED, text="We won!", question="How do they feel?", aligned_modality="text"),
    row(SHORT, ANNOTATED),
    row(SHORT, {"label": "fear", "label_space": "ekman_6", "labels": ["fear"]}),
    row(FULL, {}),
]


@pytest.fixture(params=NAMES)
def reward(request):
    return getattr(importlib.import_module(f"emoreason.rewards.{request.param}"), f"{request.param}_reward")


@pytest.fixture
def rows():
    """(completion, row) of every completion with every kind of record, as fresh objects."""
    return copy.deepcopy([(completion, kind) for completion in COMPLETIONS for kind in KINDS])


def scores(reward, rows, **more):
    completions, kinds = [completion for completion, _ in rows], [kind for _, kind in rows]
    batch = {name: [kind[name] for kind in kinds] for name in KINDS[0]}
    return reward(completions=completions, **batch, **more)


def test_there_are_rewards():
    assert "answer_format" in NAMES


def test_signature_has_columns_first_and_settings_by_keyword(reward):
    first, *others, last = inspect.signature(reward).parameters.values()
    assert first.name == "completions"
    assert last.kind is last.VAR_KEYWORD
    for parameter in others:
        if parameter.default is parameter.empty:
            assert parameter.name in COLUMNS | {"template"}
        else:
            assert parameter.kind is parameter.KEYWORD_ONLY


def test_one_finite_value_or_none_a_completion(reward, rows):
    values = scores(reward, rows)
    assert isinstance(values, list) and len(values) == len(rows)
    assert all(value is None or (isinstance(value, int | float) and math.isfinite(value)) for value in values)
    assert len(set(values)) > 1, "the reward tells none of these completions from another"
    assert scores(reward, []) == []


def test_a_row_has_the_same_value_wherever_and_however_often_it_stands(reward, rows):
    values = scores(reward, rows)
    assert scores(reward, rows[::-1]) == values[::-1]
    assert scores(reward, rows[3:] + rows[:3]) == values[3:] + values[:3]
    assert scores(reward, rows + rows) == values + values
    assert [scores(reward, [one])[0] for one in rows] == values


def test_other_columns_and_trainer_objects_are_ignored(reward, rows):
    values = scores(reward, rows)
    more = {"prompts": ["p"] * len(rows), "completion_ids": [[1]] * len(rows), "trainer_state": object(), "no_such_column": None}
    assert scores(reward, rows, **more) == values


def test_inputs_are_left_as_they_were(reward, rows):
    before = copy.deepcopy(rows)
    scores(reward, rows)
    assert rows == before


def test_a_list_of_one_message_counts_as_its_text(reward, rows):
    messages = [([{"role": "assistant", "content": completion}], kind) for completion, kind in rows]
    assert scores(reward, messages) == scores(reward, rows)


def test_hostile_completions_get_a_value(reward):
    values = scores(reward, [(completion, kind) for completion in HOSTILE for kind in KINDS])
    assert len(values) == len(HOSTILE) * len(KINDS)
    assert all(value is None or math.isfinite(value) for value in values)


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_hundred_thousand_characters_take_less_than_a_second(reward, text):
    start = time.process_time()
    scores(reward, [(text, KINDS[0])])
    assert time.process_time() - start < 1.0


def test_survives_a_trip_to_another_process(reward):
    assert pickle.loads(pickle.dumps(reward)) is reward


def test_docstring_has_a_source_and_an_example_that_holds(reward):
    assert "Source:" in reward.__doc__
    tried = doctest.testmod(sys.modules[reward.__module__])
    assert tried.attempted > 0 and tried.failed == 0


def test_importing_the_rewards_leaves_torch_out():
    imports = "; ".join(f"import emoreason.rewards.{name}" for name in NAMES)
    code = f"import sys; {imports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
