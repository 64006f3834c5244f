# Everything runs in $(VENV), which is made on first use. A stamp in it marks each finished installation step,
# so that a second call starts at once and a change of pyproject.toml or constraints.txt installs anew.
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
REQUIREMENTS := pyproject.toml constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

# Tests and examples use the cores by processes; threads inside them only get in each other's way.
test docs: export OMP_NUM_THREADS = 1
test docs: export OPENBLAS_NUM_THREADS = 1
test docs: export MKL_NUM_THREADS = 1
test docs: export MPLBACKEND = Agg

.PHONY: help demo test lint types docs format bench notebooks clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    compare fair models on the embedded sample: prints a table, writes report.html"
	@echo "make test    install everything and run the whole test suite"
	@echo "make lint    ruff (rules and layout) and codespell;  make format repairs what it can"
	@echo "make types   mypy on the package"
	@echo "make docs    build the documentation into docs/_build/html, warnings are errors"
	@echo "make bench   run every benchmark (long)"
	@echo "make notebooks  run the tutorial notebooks in place (on the files in FAIRGROUP_DATA_HOME)"
	@echo "make clean   remove the environment and everything that was built"
	@echo "PYTHON=python3.12 chooses the interpreter, VENV=folder the environment."

demo: $(VENV)/.demo
	$(BIN)/fairgroup compare lending --report report.html
	@echo "The report is in report.html."

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --durations=10 $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.test $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.doc
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.bench
	set -e; for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

notebooks: $(VENV)/.test
	$(BIN)/jupyter-execute --inplace examples/notebooks/*.ipynb

clean:
	rm -rf $(VENV) docs/_build docs/auto_examples docs/api/generated docs/benchmarks docs/tutorials docs/sg_execution_times.rst
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis report.html

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fairgroup needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	@touch $@

$(VENV)/.demo: $(VENV)/.python $(REQUIREMENTS)
	$(PIP) -e ".[report]"
	@touch $@

# The pinned torch goes in first, so that nothing that depends on it chooses another build.
$(VENV)/.torch: $(VENV)/.python $(REQUIREMENTS)
	$(PIP) torch
	@touch $@

$(VENV)/.test: $(VENV)/.torch
	$(PIP) -e ".[all]" --group test
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PIP) --group bench
	@touch $@

$(VENV)/.doc: $(VENV)/.torch
	$(PIP) -e ".[all]" --group doc
	@touch $@

$(VENV)/.dev: $(VENV)/.python $(REQUIREMENTS)
	$(PIP) --group dev
	@touch $@
