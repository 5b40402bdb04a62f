# `make book` and `make test` are all that is needed; `make help` lists the rest.
# Every target first sees to .venv, which takes a moment when nothing has changed.

PYTHON ?= python3
PROFILE ?= quick
SEED ?= 0
DATA ?=
OUT ?=
SCHEDULER ?=
SET ?=

# Workers and kernels start often; compiled modules are worth keeping.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
RUN_OPTIONS := --profile "$(PROFILE)" --seed "$(SEED)" \
	$(if $(DATA),--data "$(DATA)") $(if $(OUT),--out "$(OUT)") $(if $(SCHEDULER),--scheduler "$(SCHEDULER)") \
	$(foreach one,$(SET),--set "$(one)")
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env book test lint unit long nbval notebooks bench lock clean distclean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

env:  ## make .venv from the lock file, or mend it
	@$(PYTHON) tools/environment.py

book: env  ## run the method and build the book; PROFILE= DATA= OUT= SEED= SCHEDULER= SET=
	$(BIN)/ftirlib book $(RUN_OPTIONS)

test: lint unit nbval  ## style, unit tests, and the notebooks against their stored outputs

lint: env  ## style, and that each notebook's two files agree
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/pairs.py notebooks

# A file stays with one worker, which makes its shared runs once; conftest.py says in which order files are handed out.
unit: env  ## unit tests, on up to four cores
	$(BIN)/pytest -m "not long" --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
		--durations 10

long: env  ## the tests that take minutes each: whole roads, from files to a book
	$(BIN)/pytest -m long

# Results go to an empty folder: with results at hand the notebooks would only read back what is to be checked.
nbval: env  ## run the notebooks and compare with their stored outputs
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	FTIRLIB_RESULTS=$$folder $(BIN)/pytest --nbval-lax --nbval-current-env \
		--nbval-sanitize-with tests/nbval_sanitize.cfg notebooks/

notebooks: env  ## run the notebooks at the smoke profile and store their outputs
	$(BIN)/ftirlib notebooks

bench: env  ## measure speed and memory
	$(BIN)/python -m benchmarks

lock:  ## resolve requirements.lock again from pyproject.toml
	@$(PYTHON) tools/environment.py lock

clean:  ## remove the built book and caches; results stay
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
	find ftirlib tests tools benchmarks book -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove .venv and all results too
	rm -rf .venv results
