"""How fast the deterministic parts are, on one core, each beside what it could be compared with, measured in the same run.

    emoreason bench rewards
"""

import importlib
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from emoreason.completions import Template, render
from emoreason.wheels import WheelSet, emotion_mentions, own_wheels

DEFAULT_STACK = ("answer_format", "emotion_label", "emotion_wheel", "confidence_calibration", "length_penalty")
"""The rewards that the shipped GRPO recipes sum up."""
NUM_PAIRS = 20_000
NUM_COMPLETIONS = 2_000
NUM_WORDS = 150
GROUP_SIZE = 8
_TEMPLATE = Template(think="free", answer="list", confidence=True)
_PROSE = tuple(
    "the lips are pressed and her brows lowered while a low voice says that nothing was left of it eyes narrow AU4 head turns away hands still "
    "no smile is seen shoulders drop".split()
)


def bench_rewards(seed: int = 0) -> dict[str, Any]:
    """Pairs and completions a second, the best of three passes over made-up texts that are all different, and times to start.

    `plain_wheel_pairs_per_second` is the same score with a dictionary and two sets a wheel, as it is usually written;
    `wheel_speedup` is the ratio. `seconds_to_import` is a fresh process that imports the wheel reward less one that imports nothing.
    """
    wheels, draw = own_wheels(), random.Random(seed)
    pairs = [(_draw_words(draw, wheels.vocabulary), _draw_words(draw, wheels.vocabulary)) for _ in range(NUM_PAIRS)]
    plain = _plain_score(wheels)
    assert all(abs((wheels.set_f1(p, g) or 0.0) - plain(p, g)) < 1e-12 for p, g in pairs[:2000]), "the two scores differ"
    fast = NUM_PAIRS / _best_seconds(lambda: [wheels.set_f1(predicted, gold) for predicted, gold in pairs])
    slow = NUM_PAIRS / _best_seconds(lambda: [plain(predicted, gold) for predicted, gold in pairs])
    batches = _completions(draw, wheels.vocabulary)
    rewards = [getattr(importlib.import_module(f"emoreason.rewards.{name}"), f"{name}_reward") for name in DEFAULT_STACK]
    scored = NUM_COMPLETIONS / _best_seconds(lambda: [reward(**batch) for batch in batches for reward in rewards])
    thoughts = [text for batch in batches for text in batch["completions"]]
    read = NUM_COMPLETIONS / _best_seconds(lambda: [emotion_mentions(text) for text in thoughts])
    return {
        "wheel_pairs_per_second": round(fast),
        "plain_wheel_pairs_per_second": round(slow),
        "wheel_speedup": round(fast / slow, 1),
        "completions_per_second": round(scored),
        "mention_scans_per_second": round(read),
        "words_per_completion": NUM_WORDS,
        "rewards": list(DEFAULT_STACK),
        "seconds_to_import": round(_process_seconds("import emoreason.rewards.emotion_wheel") - _process_seconds("pass"), 3),
    }


def _plain_score(wheels: WheelSet) -> Callable[[Sequence[str], Sequence[str]], float]:
    """The mean set F1 with one dictionary a wheel and sets of names."""
    maps = [{word: cluster for word in wheels.vocabulary if (cluster := wheels.clusters(word)[number])} for number in range(len(wheels.names))]

    def score(predicted: Sequence[str], gold: Sequence[str]) -> float:
        values = []
        for mapping in maps:
            p, g = ({mapping.get(word.lower().strip(), wheels.family(word)) for word in words} for words in (predicted, gold))
            values.append(2 * len(p & g) / (len(p) + len(g)))
        return sum(values) / len(values)

    return score


def _completions(draw: random.Random, vocabulary: list[str]) -> list[dict[str, Any]]:
    """Batches of `GROUP_SIZE` completions with the columns of their record."""
    batches = []
    for _ in range(NUM_COMPLETIONS // GROUP_SIZE):
        gold = _draw_words(draw, vocabulary)
        texts = []
        for _ in range(GROUP_SIZE):
            think = " ".join(draw.choice(vocabulary) if draw.random() < 0.04 else draw.choice(_PROSE) for _ in range(NUM_WORDS))
            texts.append(render(_TEMPLATE, f"{think}.", _draw_words(draw, vocabulary), draw.random()))
        batches.append({"completions": texts, "template": [_TEMPLATE] * GROUP_SIZE, "label": [gold[0]] * GROUP_SIZE, "labels": [gold] * GROUP_SIZE})
    return batches


def _draw_words(draw: random.Random, vocabulary: list[str]) -> list[str]:
    return draw.sample(vocabulary, draw.randint(1, 5))


def _best_seconds(work: Callable[[], Any], num_passes: int = 3) -> float:
    """Processor time of the fastest pass; the first pass also warms what is cached once."""
    found = []
    for _ in range(num_passes):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def _process_seconds(code: str, num_passes: int = 5) -> float:
    found = []
    for _ in range(num_passes):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        found.append(time.perf_counter() - start)
    return min(found)
