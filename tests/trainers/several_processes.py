"""Runs of several processes on this machine, and data whose rows differ in what they hold."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import tiny_models
import yaml
from media_samples import FACES, IMAGES

from emoreason.files import write_jsonl

RANK = Path(__file__).with_name("rank.py")
MEDIA = {"min_pixels": 3136, "max_pixels": 6272, "video_min_pixels": 3136, "video_max_pixels": 6272, "min_frames": 2, "max_frames": 4}
REWARD = '''
def varied_reward(completions, **kwargs):
    """A number that differs from completion to completion."""
    return [sum(map(ord, completion[0]["content"])) % 17 / 17 for completion in completions]
'''


def launch(folder: Path, *words: str, processes: int = 2, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """`emoreason WORDS` in so many processes below `folder`, traced in folder/trace; 1 runs without a launcher."""
    return subprocess.run(command(*words, processes=processes), cwd=folder, capture_output=True, text=True, timeout=timeout,
                          env=environment_of(**environment))  # fmt: skip


def command(*words: str, processes: int) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--nnodes=1", f"--nproc-per-node={processes}", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    return [sys.executable, *(launcher if processes > 1 else []), str(RANK), "trace", *words]


def environment_of(**environment: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **environment}


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the processes themselves wrote of their end, without the launcher's report; else the end of all."""
    return [line for line in done.stderr.splitlines() if line.startswith("rank ")] or [done.stderr[-3000:]]


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if "loss" in row]


def traces(folder: Path, processes: int = 2) -> list[list[str]]:
    return [(folder / "trace" / f"{rank}.jsonl").read_text().splitlines() for rank in range(processes)]


def write_mixed(folder: Path, family: str) -> dict[str, Any]:
    """A tiny model of the family, records of which each holds something else, and what all recipes over them share."""
    base = tiny_models.checkpoint(family, folder)
    for index, name in enumerate(FACES):
        shutil.copy(IMAGES / name, folder / f"face{index}.png")
    time = np.arange(8000) / 16000
    soundfile.write(folder / "tone.wav", (0.4 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), 16000)
    picture, sound = {"images": ["face0.png"]}, {"audio": "tone.wav"}
    clip = {"frames": ["face1.png", "face2.png", "face1.png", "face3.png"], "frames_fps": 4.0}
    kinds = [{}, picture, clip, *([sound, picture | sound, clip | sound] if "omni" in family else [picture | clip])]
    labels = ("joy", "sadness", "anger", "fear", "surprise", "neutral")
    rows = [_row(index, media, label) for index, (media, label) in enumerate(zip(kinds, labels, strict=False))]
    write_jsonl(folder / "mixed.jsonl", rows)
    (folder / "varied.py").write_text(REWARD)
    return {"seed": 0, "label_space": "shaver_6_disgust_neutral", "media": MEDIA, "template": {"think": "free", "answer": "label"},
            "model": {"path": str(base), "dtype": "float32"}, "data": [{"path": "mixed.jsonl"}],
            "trainer": {"max_steps": 3, "logging_steps": 1, "save_steps": 2, "gradient_checkpointing": False, "learning_rate": 1.0e-3,
                        "per_device_train_batch_size": 1, "lr_scheduler_type": "constant", "disable_tqdm": True}}  # fmt: skip


def _row(index: int, media: dict[str, Any], label: str) -> dict[str, Any]:
    wrong = "joy" if label != "joy" else "fear"
    return {
        "id": f"mixed{index}", "dataset": "mixed", "split": "train", "group": str(index), "media": media, "text": "It is all gone." * (1 + index % 2),
        "target": {"label": label, "label_space": "shaver_6_disgust_neutral", "reasoning": f"The face is {label}." * (1 + index % 3)},
        "preference": {"chosen": f"<think>The face is {label}.</think><answer>{label}</answer>",
                       "rejected": [f"<think>No.</think><answer>{wrong}</answer>"]},
        "licence": "CC0-1.0", "source": "drawn",
    }  # fmt: skip


def write_recipe(folder: Path, stage: str, shared: dict[str, Any], **more: Any) -> str:
    """A recipe of this stage; the name of its file, below `folder`."""
    own: dict[str, Any] = {
        "sft": {"phases": [{"name": "all"}]},
        "dpo": {"pairs": {"sources": ["records"]}},
        "grpo": {"rewards": [{"func": "varied.py:varied_reward", "timeout_s": None}]},
    }[stage]
    trainer = dict(shared["trainer"])
    if stage == "grpo":
        trainer |= {"per_device_train_batch_size": 2, "num_generations": 2, "max_completion_length": 12, "beta": 0.04}
    recipe = {"stage": stage, "output_dir": f"runs/{stage}", **shared, **own, "trainer": trainer, **more}
    (folder / f"{stage}.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return f"{stage}.yaml"
