# Everything a checkout needs: Python 3.11 or newer and make. `make` lists what there is.
PYTHON ?= python3
UV ?= uv
DEMO ?= walk-forward strategies.rsi_reversion

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Bytecode and PYTHONPATH of the caller's shell would make runs here slower, or different.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # the first failing step is the last thing on the screen
.PHONY: help demo test lint types contracts pytest test-cluster campaign bench lock lowest clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## walk one strategy forward over the bundled sample
	@$(BIN)/iverson $(DEMO)

test: lint types contracts pytest ## everything a change has to pass

lint: $(READY) ## ruff: rules and format
	@echo; echo "== ruff check"
	@$(BIN)/ruff check .
	@echo; echo "== ruff format"
	@$(BIN)/ruff format --check .

types: $(READY) ## mypy --strict
	@echo; echo "== mypy --strict"
	@$(BIN)/mypy

contracts: $(READY) ## who may import whom
	@echo; echo "== import contracts"
	@$(BIN)/lint-imports --no-logo

# worksteal: neighbours stay together, so that what a module sets up is set up once, and at the end
# no core waits for the slowest tests of another.
pytest: $(READY) ## the tests, on every core
	@echo; echo "== pytest"
	@$(BIN)/python -m pytest -n logical --dist worksteal -m "not slow and not cluster"

test-cluster: ## the search on Dask and Ray clusters of this machine, in .venv-cluster (minutes)
	@$(PYTHON) -m venv .venv-cluster
	@timeout 900 .venv-cluster/bin/python -m pip install --quiet --editable ".[research,dev,cluster]"
	@timeout --kill-after 30 1200 .venv-cluster/bin/python -m pytest -n 0 -m cluster tests/research/test_search_clusters.py

campaign: $(READY) ## engine against stock, kernel against engine, noise, the exchange, crashes (an hour and more)
	@$(BIN)/python -m tests.engine.campaign --seeds 2000
	@$(BIN)/python -m tests.research.sweep_campaign 0 980
	@$(BIN)/python -m tests.simulator.campaign
	@$(BIN)/python -m tests.stages.campaign
	@$(BIN)/python -m pytest -q -n 0 -m slow tests/stages/test_canary.py tests/parity
	@$(BIN)/python -m tests.research.overfitting_campaign --repeats 2000

bench: $(READY) ## the speed page, against stock Backtrader (10 minutes) and PEERS="vectorbt ..." (10 each)
	@$(BIN)/python -m tests.bench --peers "$(PEERS)" --works "$(or $(WORKS),all)" $(if $(LONG),--long)

lock: ## write requirements.lock anew from pyproject.toml (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: $(PYTHON) -m pip install uv"; exit 1; }
	@$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --extra research --extra simulator --extra dev --output-file requirements.lock pyproject.toml

lowest: ## pytest on Python 3.11 and the oldest versions pyproject.toml allows (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lowest needs uv: $(PYTHON) -m pip install uv"; exit 1; }
	@$(UV) venv --quiet --clear --python 3.11 .venv-lowest
	@$(UV) pip install --quiet --python .venv-lowest --resolution lowest-direct --compile-bytecode \
	  --editable ".[research,simulator,dev]"
	@.venv-lowest/bin/python -m pytest -n logical --dist worksteal -m "not slow and not cluster"

clean: ## remove the environments and the caches
	@rm -rf .venv .venv-lowest .venv-cluster .venv-bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find iverson strategies tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Two steps, so that an edit of pyproject.toml costs seconds and only a new lock costs a minute.
$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Iverson needs Python 3.11 or newer, and '$(PYTHON)' is not; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making $(VENV) from requirements.lock; about a minute, once."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	@touch $@

$(READY): $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check --quiet
	@touch $@
