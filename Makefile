# make demo: set up and run the whole pipeline on a CPU.  make demo-av: the same on clips with sound, which it makes first.
# make test: set up and run the tests.  make test-vllm: the tests of vLLM, on its CPU build in an environment of its own (7 GB, minutes).
# make test-slurm: the tests of jobs, on a real SLURM cluster of two nodes on this machine, as root (slurm-wlm and munge by apt, minutes).
PYTHON ?= python3
BIN := .venv/bin
CLUSTER := /var/tmp/emoreason_cluster

.PHONY: demo demo-av test test-slurm test-vllm

demo: .venv/installed
	$(BIN)/emoreason run recipes/tiny

demo-av: .venv/installed recipes/tiny_av/data/README.md
	$(BIN)/emoreason run recipes/tiny_av

# The script writes its folder whole or not at all, so its notes stand for all of it; however old, they are not made again.
recipes/tiny_av/data/README.md: | .venv/installed
	$(BIN)/python data_prep/talking_faces.py recipes/tiny/data recipes/tiny_av/data

test: .venv/installed_dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m pytest

test-slurm: .venv/installed_dev
	tests/slurm/cluster.sh start $(CLUSTER)
	SLURM_CONF=$(CLUSTER)/slurm.conf EMOREASON_TEST_CLUSTER=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slurm --durations=0 tests/slurm; \
	code=$$?; tests/slurm/cluster.sh stop $(CLUSTER); exit $$code

test-vllm: .venv-vllm/installed
	.venv-vllm/bin/python -m pytest -m vllm tests/vllm_cpu

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# The loaders of other frameworks, without what they need to train: tests of `emoreason export` read rows by them.
FRAMEWORKS := ms-swift==4.6.0 llamafactory==0.9.5 verl==0.9.1 qwen-vl-utils==0.0.14 omegaconf==2.3.0 antlr4-python3-runtime==4.9.3

.venv/installed_dev: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target .venv/frameworks $(FRAMEWORKS)
	touch $@

.venv-vllm/installed: tests/vllm_cpu/environment.sh pyproject.toml
	PYTHON=$(PYTHON) bash tests/vllm_cpu/environment.sh .venv-vllm
	touch $@
