"""No secret passes through a recipe, and none is shown by the fault that refuses it; ordinary values pass. Every key is made up here, at run time."""

import random
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emoreason import cli
from emoreason.faults import UserError
from emoreason.recipe_files import load_folder, load_recipe
from emoreason.secrets import HIDDEN, hide_secrets, is_secret_name, redacted, redacted_arguments, redacted_text, secret_shape

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))


def drawn(alphabet: str, length: int) -> str:
    return "1" + "".join(random.Random(length).choices(alphabet, k=length - 1))


LETTERS = string.ascii_letters + string.digits
SHAPES = {
    "a Hugging Face token": ["hf" + "_" + drawn(LETTERS, 34)],
    "a W&B key": [drawn("0123456789abcdef", 40), "wandb" + "_v1_" + drawn(LETTERS, 80)],
    "an API key": ["sk" + "-" + drawn(LETTERS, 48), "sk" + "-proj-" + drawn(LETTERS, 120), "sk" + "-ant-api03-" + drawn(LETTERS, 90),
                   "AI" + "za" + drawn(LETTERS, 35)],
    "an AWS key": ["AK" + "IA" + drawn(string.ascii_uppercase, 16)],
    "a token of a code host": ["gh" + "p_" + drawn(LETTERS, 36), "github" + "_pat_" + drawn(LETTERS, 60)],
    "a bearer token": ["Bea" + "rer " + drawn(LETTERS, 30)],
    "a signed token": [".".join("ey" + "J" + drawn(LETTERS, 30) for _ in "ab") + "." + drawn(LETTERS, 20)],
    "a private key": ["-----BEGIN RSA " + f"PRIVATE KEY-----\n{drawn(LETTERS, 64)}\n-----END RSA " + "PRIVATE KEY-----"],
    "a URL with a password": ["http" + f"://me:{drawn(LETTERS, 9)}@node7:8000"],
}  # fmt: skip
KEYS = [(what, key) for what, keys in SHAPES.items() for key in keys]
PASSWORD = "tulip-" + "garden"
"""Of no shape that tells it: known by its name alone."""


@pytest.mark.parametrize(("what", "key"), KEYS, ids=[key[:12] for _, key in KEYS])
def test_a_key_is_known_by_its_shape_wherever_it_stands(what: str, key: str) -> None:
    assert secret_shape(key) == what
    assert secret_shape(f"served by {key} today") == what
    assert not set(redacted_text(f"error: {key} was refused").split()) & set(key.removeprefix("http://").split())
    assert hide_secrets({"notes": ["fine", key]}) == ({"notes": ["fine", HIDDEN]}, [(("notes", 1), f"looks like {what}")])


@pytest.mark.parametrize(
    "name",
    ["api_key", "apiKey", "OPENAI_API_KEY", "--api-key", "hub_token", "HF_TOKEN", "token", "password", "db-password", "client_secret",
     "AWS_SECRET_ACCESS_KEY", "credentials", "authToken", "WANDB_API_KEY"],
)  # fmt: skip
def test_a_name_that_says_secret(name: str) -> None:
    assert is_secret_name(name)
    assert hide_secrets({name: PASSWORD}) == ({name: HIDDEN}, [((name,), "a secret by its name")])
    assert hide_secrets({name: None})[1] == hide_secrets({name: ""})[1] == [], "and nothing is given away where nothing stands"


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "num_tokens", "image_token", "image_token_id", "pad_token", "eos_token", "max_new_tokens", "num_key_value_heads", "key",
     "tokenizer", "token_counts", "include_num_input_tokens_seen", "secretary", "best_by", "author"],
)  # fmt: skip
def test_a_name_that_only_sounds_like_it(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "value",
    ["~/.cache/huggingface/hub/models--Qwen--Qwen2.5-VL-7B-Instruct/snapshots/" + "0123456789" * 4, "runs/task-sk-style_transfer", "hf_hub",
     "http://node7:8000", "https://huggingface.co/Qwen/Qwen2.5-VL-7B-Instruct", "Bearer of bad news is an expression", "a" * 64, "0" * 64,
     "emoreason.rewards.emotion_wheel:emotion_wheel_reward", "git@github.com:me/mine.git", "12:30@noon"],
)  # fmt: skip
def test_a_value_that_only_looks_like_it(value: str) -> None:
    assert secret_shape(value) is None and redacted_text(value) == value


def test_a_commit_is_no_key_where_a_commit_belongs() -> None:
    commit = drawn("0123456789abcdef", 40)
    assert hide_secrets({"revision": commit, "hub_revision": commit})[1] == []
    assert hide_secrets({"arguments": ["--revision", commit, f"--tokenizer-revision={commit}", "--dtype", "half"]})[1] == []
    assert hide_secrets({"arguments": ["--revision", "main", commit]})[1] == [(("arguments", 2), "looks like a W&B key")]
    assert hide_secrets({"note": commit})[1] == [(("note",), "looks like a W&B key")]


def test_a_count_of_tokens_is_a_number_and_a_password_may_be_one() -> None:
    assert hide_secrets({"token": 5, "password": 12345})[1] == [(("password",), "a secret by its name")]
    assert hide_secrets({"password": True})[1] == []


def test_the_words_of_a_command() -> None:
    words = ["serve", "m", "--api-key", PASSWORD, "--max-tokens", "5", f"--token={PASSWORD}", "--api-key", "--enable", KEYS[0][1]]
    shown = ["serve", "m", "--api-key", HIDDEN, "--max-tokens", "5", f"--token={HIDDEN}", "--api-key", "--enable", HIDDEN]
    assert redacted_arguments(words) == shown
    assert words[3] == PASSWORD, "the command itself is left as it is"


def test_an_environment_is_shown_without_its_secrets() -> None:
    environment = {"HF_TOKEN": PASSWORD, "PATH": "/usr/bin:/bin", "VLLM_API_KEY": PASSWORD, "MAX_TOKENS": "5", "LAST": KEYS[0][1], "HOME": "/root"}
    shown = {**environment, "HF_TOKEN": HIDDEN, "VLLM_API_KEY": HIDDEN, "LAST": HIDDEN}
    assert redacted(environment) == shown


# Recipes.


def faults_of(recipe: Path, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as failed:
        load_recipe(recipe, list(overrides))
    assert str(failed.value) == "\n".join(failed.value.faults)
    return failed.value.faults


@pytest.mark.parametrize(("what", "key"), KEYS, ids=[key[:12] for _, key in KEYS])
def test_a_recipe_with_a_key_names_file_line_and_key_and_never_the_value(tiny_dir: Path, what: str, key: str) -> None:
    path = tiny_dir / "stage3_grpo.yaml"
    path.write_text(f"mine: {yaml.safe_dump({'note': key}, default_flow_style=True, width=10_000)}" + path.read_text())
    fault = next(fault for fault in faults_of(path) if "looks like" in fault)
    assert fault.startswith(f"{path}:1: mine.note: looks like {what}; a recipe is copied into run.json")
    assert "wandb login" in fault and key not in fault


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.hub_token=" + PASSWORD, "override 'trainer.hub_token=(hidden)': trainer.hub_token: a secret by its name"),
        ("wandb={api_key: " + PASSWORD + "}", "override 'wandb=(hidden)': wandb.api_key: a secret by its name"),
        ("rewards.0.kwargs={judge: {password: " + PASSWORD + "}}", "rewards[0].kwargs.judge.password: a secret by its name"),
        ("rollouts={engine: vllm_server, server: {arguments: [--api-key, " + PASSWORD + "]}}", "server.arguments[1]: --api-key gives a secret"),
        ("rollouts={engine: vllm_server, server: {arguments: [--api-key=" + PASSWORD + "]}}", "server.arguments[0]: --api-key gives a secret"),
        ("seed=" + KEYS[0][1], "override 'seed=(hidden)': seed: looks like a Hugging Face token"),
        (KEYS[0][1] + "=1", "(hidden): the key itself is a secret"),
    ],
)  # fmt: skip
def test_an_override_with_a_secret_is_refused_and_not_repeated(tiny_dir: Path, override: str, said: str) -> None:
    faults = faults_of(tiny_dir / "stage3_grpo.yaml", override)
    assert any(said in fault for fault in faults), faults
    assert PASSWORD not in "".join(faults) and KEYS[0][1] not in "".join(faults)


@pytest.mark.parametrize(
    "override",
    ["trainer.hub_token.x=" + KEYS[0][1], KEYS[0][1], "api_key=[" + PASSWORD, "data.9.token=" + PASSWORD, "=" + KEYS[0][1], "stage=" + KEYS[0][1]],
)
def test_a_wrong_override_does_not_show_its_secret_either(tiny_dir: Path, override: str, tmp_path: Path) -> None:
    path = tiny_dir / "stage3_grpo.yaml"
    path.write_text(path.read_text().replace("\ntrainer:\n", f"\ntrainer:\n  hub_token: {PASSWORD}\n"))
    faults = faults_of(path, override)
    assert PASSWORD not in "".join(faults) and KEYS[0][1] not in "".join(faults)
    _, faults = load_folder(tiny_dir, ["tokn=" + KEYS[0][1], "hub_token=" + PASSWORD])
    assert faults and PASSWORD not in "".join(faults) and KEYS[0][1] not in "".join(faults)


def test_a_file_that_is_no_yaml_is_not_quoted(tiny_dir: Path) -> None:
    path = tiny_dir / "stage3_grpo.yaml"
    path.write_text(f"password: {PASSWORD}: [1\n")
    (fault,) = faults_of(path)
    assert fault.startswith(f"{path}: not YAML: mapping values are not allowed here (line 1, column ") and PASSWORD not in fault


def test_the_last_door_shows_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("sys.argv", ["emoreason", "check", f"recipes/{KEYS[0][1]}.yaml"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    assert stopped.value.code == 2 and KEYS[0][1] not in said.err and HIDDEN in said.err


def test_a_traceback_shows_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def fail(path: Path) -> list[str]:
        raise RuntimeError(f"{KEYS[0][1]} was refused")

    monkeypatch.setattr(cli, "faults_of", fail)
    monkeypatch.setattr("sys.argv", ["emoreason", "check", "recipes/x.yaml"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and f"RuntimeError: {HIDDEN} was refused" in said and KEYS[0][1] not in said


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_shipped_recipe_is_refused(path: Path) -> None:
    assert hide_secrets(yaml.safe_load(path.read_text()))[1] == []


WORDS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
PARTS = st.one_of(WORDS, st.sampled_from(["runs", "stage1_sft", "checkpoint", "Qwen2.5-VL-7B", "0" * 40]))
PATHS = st.lists(PARTS, min_size=2, max_size=5).map("/".join)
PROSE = st.lists(WORDS, min_size=1, max_size=20).map(" ".join)
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())
ORDINARY = st.one_of(PATHS, PROSE, NUMBERS, st.lists(PATHS, max_size=3), st.dictionaries(WORDS.map(lambda word: f"{word}_x"), NUMBERS, max_size=3))
NAMES = st.sampled_from(["path", "system", "max_new_tokens", "num_tokens", "image_token", "weight", "kwargs", "target_modules", "func"])


@given(st.dictionaries(NAMES, ORDINARY))
def test_ordinary_values_are_left_as_they_are(values: dict) -> None:
    assert hide_secrets(values) == (values, [])


@given(st.text(max_size=60))
def test_what_is_hidden_stays_hidden(text: str) -> None:
    for _, key in KEYS[:4]:
        assert key not in redacted_text(f"{text} {key} {text}")
    assert redacted_text(redacted_text(text)) == redacted_text(text)
