# What a person can ask of this repository. Every verb sets up what it needs; `make` alone lists them.
# Needs python3 (3.11 or newer), make and git; everything else comes from the locks, by hash, into .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := list
.PHONY: list setup demo test chaos prove solver bench check lint types imports fresh docs format up lock clean
.DELETE_ON_ERROR:

V := .venv/bin
READY := .venv/ready
SOLVER := .venv/solver
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
TESTS ?= tests
SERVICES := shared services simulator cli tests

list: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## make .venv and install what the locks name into it

demo: $(READY) ## update a simulated pool on this machine, from order to report
	@$(V)/rota demo

test: $(READY) ## run the whole suite (one folder: make test TESTS=tests/shared)
	@$(V)/python -m pytest -n 2 --dist worksteal --rings $(TESTS)

chaos: $(READY) ## prove that nothing is lost: every case in process, then RUNS=200 real ones and 3 on each recipe (SEED=, RESUME=1)
	@$(V)/python -m tests.chaos

prove: $(SOLVER) ## judge plans by an exact solver: COUNT=10000 turns, SCHEDULES=60 (SEED=, WORKERS=2)
	@$(V)/python -m tests.prove

solver: $(SOLVER) ## install that solver, OR-Tools, some 60 MB; `make test` then asks it too

bench: $(READY) ## Rota beside the incumbent on the same simulated pools (WORLDS=4h-50, ONLY=rota, REAL=1)
	@$(V)/python -m bench.rolling

check: $(READY) ## all that can be said without running it: lint, types, imports, docs
	@$(MAKE) --no-print-directory --keep-going lint types imports fresh

lint: $(READY) ## style and common mistakes
	@ended=0; $(V)/ruff check --output-format concise . || ended=1; \
	$(V)/ruff format --check --output-format concise . || ended=1; exit $$ended

types: $(READY) ## every type, strictly
	@$(V)/mypy

imports: $(READY) ## imports point down
	@$(V)/lint-imports --no-logo

fresh: $(READY) ## the printed pages under docs are what the code says
	@$(V)/python -m cli.docs --check
	@$(V)/python -m tests.services.planner.page --check

docs: $(READY) ## print those pages again, and make the pictures where there is a Chromium
	@$(V)/python -m cli.docs
	@$(V)/python -m tests.services.planner.page
	@$(V)/python -m tests.services.reporter.schema
	@$(V)/python -m tests.stories.pictures

format: $(READY) ## lay the code out as `make lint` wants it
	@$(V)/ruff check --fix-only .
	@$(V)/ruff format .

up: $(READY) ## run Rota on this machine, with rota.toml
	@$(V)/rota up

lock: $(READY) ## write the locks again from pyproject.toml
	@$(LOCK) pyproject.toml -o requirements.lock
	@$(LOCK) pyproject.toml --group dev -o requirements-dev.lock
	@$(LOCK) --group pyproject.toml:prove -c requirements-dev.lock -o requirements-prove.lock

clean: ## remove .venv and what the tools left
	@rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

LOCK = $(V)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links

# uv itself comes by hash out of the lock; where it cannot be had or does not get through, pip does the same, more slowly.
PIP := $(V)/python -m pip -q --disable-pip-version-check
UV := $(V)/uv pip install -q -p $(V)/python
$(READY): pyproject.toml requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "Rota needs Python 3.11 or newer, and python3 here is \
	$$(python3 -V 2>/dev/null || echo missing); install one, or name it: make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make a virtual environment; install its venv module \
	(on Debian and Ubuntu: apt-get install python3-venv), then say make again." >&2; exit 1; }
	@echo "setting up .venv with $$($(V)/python -V) ..."
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > .venv/uv.lock
	@sed '/^uv==/,/[^\\]$$/d' requirements-dev.lock > .venv/others.lock
	@{ $(PIP) install --require-hashes -r .venv/uv.lock && $(UV) --require-hashes -r requirements-dev.lock \
	  && $(UV) --no-deps --no-build-isolation -e . ; } \
	|| { echo "uv does not work here (reason above); pip does it instead, which takes a minute" >&2; \
	  $(PIP) install --require-hashes -r .venv/others.lock && $(PIP) install --no-deps --no-build-isolation -e . ; }
	@touch $@

$(SOLVER): $(READY) requirements-prove.lock
	@echo "installing the exact solver ..."
	@$(UV) --require-hashes -r requirements-prove.lock || $(PIP) install --require-hashes -r requirements-prove.lock
	@touch $@
