"""The server of a recipe by itself: the folder and the flags are those of the trainer's own server, but for where it listens."""

import os
import sys
from pathlib import Path

import pytest
from conftest import TINY
from transformers import Qwen2_5_VLConfig

from emoreason import cli
from emoreason.faults import UserError
from emoreason.recipe import AnyRecipe
from emoreason.recipe_files import load_recipe
from emoreason.rollouts import serving
from emoreason.rollouts.server_engine import command
from emoreason.rollouts.vllm_folder import config_of

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def vllm_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "check_vllm", lambda model_type, with_adapters=False: "0.29.0")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    Qwen2_5_VLConfig().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def grpo(model: Path, *overrides: str) -> AnyRecipe:
    run = f"output_dir={model.parent}/run"
    return load_recipe(TINY / "stage3_grpo.yaml", [f"model.path={model}", run, "rollouts.engine=vllm_server", *overrides])


def test_it_is_the_trainers_own_command_on_every_address_of_the_node(model: Path, tmp_path: Path) -> None:
    recipe = grpo(model, 'rollouts.server.arguments=["--tensor-parallel-size", "8"]')
    own = command(str(model), 20002, config_of(str(model)), recipe.rollouts, "float32", True, None, False)
    words = serving.serving(recipe, tmp_path / "scratch", serving.Place("0.0.0.0", 20002), on_cpu=False)
    assert words == [*own, "--host", "0.0.0.0"]
    assert words.index("8") == words.index("--tensor-parallel-size") + 1


def test_adapters_are_let_in_where_the_policy_is_handed_over_as_one(model: Path, tmp_path: Path) -> None:
    place = serving.Place("n2", 20002)
    assert "--enable-lora" not in serving.serving(grpo(model), tmp_path, place, on_cpu=True)
    words = serving.serving(grpo(model, "rollouts.sync=adapter"), tmp_path, place, on_cpu=True)
    assert words[words.index("--max-lora-rank") + 1] == "16"


def test_over_several_nodes_the_first_one_answers() -> None:
    spread = ["--nnodes", "2", "--node-rank"]
    assert serving.Place("h", 1, 2, 0, "n3").flags() == ["--host", "h", *spread, "0", "--master-addr", "n3"]
    assert serving.Place("h", 1, 2, 1, "n3").flags() == ["--host", "h", *spread, "1", "--master-addr", "n3", "--headless"]


def test_the_process_becomes_the_server(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    program = tmp_path / "vllm"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    became = []
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(os, "execve", lambda *words: became.append(words))
    serving.serve(grpo(model), tmp_path / "scratch", serving.Place("0.0.0.0", 20002))
    ((path, words, variables),) = became
    assert Path(path).name == "vllm" and words[:3] == ["vllm", "serve", str(model)]
    assert variables["VLLM_SERVER_DEV_MODE"] == "1", "without it no weights are taken"
    assert capfd.readouterr().out.startswith(f"$ vllm serve {model} --host 127.0.0.1 --port 20002 ")


def test_without_the_program_it_says_what_to_install(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving.shutil, "which", lambda name, path: None)
    with pytest.raises(UserError, match="pip install 'emoreason"):
        serving.serve(grpo(model), tmp_path, serving.Place("0.0.0.0", 20002))


def test_a_stage_that_samples_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["emoreason", "serve", str(TINY / "stage1_sft.yaml")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2 and "rollouts: unknown key" in capsys.readouterr().err
