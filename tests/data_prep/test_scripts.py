"""All converters alike: card, help, README, tests, size; and the README's example converts."""

import ast
import importlib.util
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest
from converted import SCRIPTS, plant

from emoreason.conversion.card import Card

ROOT = SCRIPTS.parent
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if "\nCARD = " in path.read_text(encoding="utf-8"))
README = (SCRIPTS / "README.md").read_text(encoding="utf-8")
MOST_LINES = 110
"""Below the help, which takes what lines it needs."""


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("data_prep_table", SCRIPTS / "table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cards(table: ModuleType) -> dict[str, Card]:
    return table.cards()


def run(path: Path, *arguments: str) -> int:
    """The exit code of a script, run in this process."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(sys, "argv", [path.name, *arguments])
        patch.setenv("COLUMNS", "160")
        runpy.run_path(str(path), run_name="__main__")
    return stopped.value.code


def test_converters_are_found() -> None:
    assert {"meld", "emorealm", "vecbench"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_it_must(name: str, cards: dict[str, Card]) -> None:
    card = cards[name]
    assert card.name == name
    missing = [field for field, value in vars(card).items() if not value.strip() and field not in ("inferred", "recipes")]
    assert not missing, missing
    assert all(re.match("(or )?(image|video|audio|text)\\b", part) for part in re.split("[,;] ", card.modalities)), card.modalities
    assert card.url.startswith(("https://", "http://")), card.url
    for recipe in filter(None, card.recipes.split(", ")):
        assert (ROOT / "recipes" / recipe).is_dir(), recipe


@pytest.mark.parametrize("name", NAMES)
def test_help_teaches(name: str, cards: dict[str, Card], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SCRIPTS / f"{name}.py", "--help") == 0
    printed, card = capsys.readouterr().out, cards[name]
    for fact in (f"access: {card.access}", f"licence: {card.licence}", f"citation: {card.citation}", card.url):
        assert fact in printed
    assert re.search(rf"^    python data_prep/{name}\.py \S+ \S+", printed, re.MULTILINE), "no example command"


@pytest.mark.parametrize("name", NAMES)
def test_a_script_is_short_and_has_a_test(name: str) -> None:
    text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    help_lines = ast.parse(text).body[0].end_lineno
    assert len(text.splitlines()) - help_lines <= MOST_LINES
    tests = Path(__file__).parent / f"test_{name}.py"
    assert tests.exists() and f'convert("{name}"' in tests.read_text(encoding="utf-8"), tests


def test_the_table_of_the_readme_is_up_to_date(table: ModuleType) -> None:
    assert table.with_table(README) == README, "run: python data_prep/table.py"


def test_check_tells_a_table_that_is_out_of_date(table: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(README.replace("MELD", "MOLD"), encoding="utf-8")
    monkeypatch.setattr(table, "README", copy)
    monkeypatch.setattr(sys, "argv", ["table.py", "--check"])
    with pytest.raises(SystemExit, match="not up to date"):
        table.main()
    monkeypatch.setattr(sys, "argv", ["table.py"])
    table.main()
    assert copy.read_text(encoding="utf-8").count("| [MELD](") == 1


def test_the_readme_has_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    run(SCRIPTS / "meld.py", "--help")
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert "--split" in options and {option for option in options if f"`{option}" not in README} == set()


def test_the_example_of_the_readme_converts(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len([line for line in example.splitlines() if line.strip()]) <= 22
    labels = "image,emotion,person\n1.jpg,happy,ann\n2.jpg,calm,ann\n"
    plant(tmp_path, {"smiles.py": example, "smiles/labels.csv": labels, "smiles/images/1.jpg": b"picture"})
    assert run(tmp_path / "smiles.py", str(tmp_path / "smiles"), str(tmp_path / "out"), "--max-bad-share", "0.5") == 0
    assert '"label":"happiness"' in (tmp_path / "out" / "all.jsonl").read_text(encoding="utf-8")
