# make demo: set up and run the whole pipeline on a CPU.  make test: set up and run the tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint

demo: .venv/installed
	$(BIN)/emoreason run recipes/tiny

test: .venv/installed_dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m pytest

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed_dev: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
