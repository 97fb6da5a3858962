# `make` alone says what there is. One virtual environment serves every target: `run` asks only for what serving needs,
# the others for everything. Both follow constraints.txt, and are made again when it or pyproject.toml changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help run test check bench format clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## serve on http://127.0.0.1:8080 with the seeds, and print a posting key (RUN_ARGS: more options)
	@exec $(BIN)/registry serve --seeds seeds --first-key $(RUN_ARGS)

test: $(VENV)/all.stamp ## run the tests on two processes (TEST_ARGS: a file, -k ...)
	$(BIN)/python -m pytest -n 2 $(TEST_ARGS)

check: $(VENV)/all.stamp ## lint, layout, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/all.stamp $(VENV)/bench.stamp ## measure against limits taken in the same run (BENCH_ARGS: options)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

format: $(VENV)/all.stamp ## put the layout right, and what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment, caches and builds; never data/
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made where it is missing or was left half made.
define environment
@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, and $(PYTHON) is %d.%d: name another, as in make PYTHON=python3.12" % sys.version_info[:2])'
@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
endef

$(VENV)/run.stamp: pyproject.toml constraints.txt
	$(environment)
	$(INSTALL) --editable .
	@touch $@

# What others are measured with is not there for every machine: then the measuring says so, and goes on without.
$(VENV)/bench.stamp: $(VENV)/all.stamp
	@$(INSTALL) --editable '.[bench]' || echo "UmaDB, which benchmarks compare with, could not be installed" >&2
	@touch $@

$(VENV)/all.stamp: pyproject.toml constraints.txt
	$(environment)
	$(INSTALL) --editable '.[test,check]'
	@touch $(VENV)/run.stamp $@
