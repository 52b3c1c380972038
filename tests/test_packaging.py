"""What is installed is what is here, the rewards under their own name too."""

import importlib.util
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def sources() -> set[str]:
    """Where each module of ours stands in a wheel."""
    package = {str(path.relative_to(ROOT)) for pattern in ("*.py", "*.csv", "*.json", "*.yaml") for path in (ROOT / "emoreason").rglob(pattern)}
    return package | {f"emoreason/rewards/{path.name}" for path in (ROOT / "rewards").glob("*.py")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since a build leaves files that the next one would pick up."""
    pytest.importorskip("setuptools", minversion="77")
    copy, built = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in ("emoreason", "rewards"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.md"), ROOT / "LICENSE", ROOT / "pyproject.toml"):
        shutil.copy(path, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "--wheel-dir", str(built), str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = built.iterdir()
    return path


def test_every_folder_with_modules_is_a_package_that_is_listed() -> None:
    folders = {path.parent for path in (ROOT / "emoreason").rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in [*folders, ROOT / "rewards"])
    names = [".".join(folder.relative_to(ROOT).parts) for folder in folders]
    assert sorted(SETUPTOOLS["packages"]) == sorted([*names, "emoreason.rewards"])
    assert SETUPTOOLS["package-dir"] == {"emoreason.rewards": "rewards"}


def test_a_file_that_is_no_module_is_a_table_that_is_listed() -> None:
    """Setuptools leaves them out of a wheel unless told."""
    files = [path for folder in ("emoreason", "rewards") for path in (ROOT / folder).rglob("*") if path.is_file()]
    others = {path for path in files if path.suffix not in (".py", ".pyc")}
    listed = SETUPTOOLS["package-data"]["emoreason"]
    assert others == {path for pattern in listed for path in (ROOT / "emoreason").glob(pattern)}
    assert listed == ["annotate/templates/*.yaml", "tables/*.csv", "tables/architectures/*.json"]


def test_a_checkout_that_is_installed_finds_its_rewards() -> None:
    assert Path(importlib.util.find_spec("emoreason.rewards.answer_format").origin).name == "answer_format.py"


@pytest.mark.slow
def test_the_wheel_holds_every_module(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == sources()
    assert "emoreason/rewards/answer_format.py" in names
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)
    assert any(name.endswith("LICENSE") for name in names)


@pytest.mark.slow
def test_the_wheel_works_by_itself(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import emoreason.rewards.answer_format as reward; from emoreason.completions import Template; "
        "print(reward.__file__, reward.answer_format_reward(['<answer>joy</answer>'], [Template(think='none')]))"
    )
    # Without site-packages, so that the checkout cannot help out.
    command, environment = [sys.executable, "-S", "-c", code], {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert done.stdout.strip() == f"{tmp_path}/emoreason/rewards/answer_format.py [1.0]"
