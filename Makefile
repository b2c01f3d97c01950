# epcgroup: everything a person or CI runs. Needs Python >= 3.11, make and git; installs into .venv only.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO   ?= examples/noisy-neighbour.yaml
DEMO_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format coverage bench calibrate soak clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: $(STAMP)  ## make .venv with the pinned libraries

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "epcgroup needs Python >= 3.11; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## the main job: real pods on a software EPC, three times; writes out/report.html
	@$(BIN)/epcg doctor --brief
	$(BIN)/epcg compare $(DEMO) --out out $(DEMO_FLAGS)

test: $(STAMP)  ## the whole test suite (under 10 minutes on 2 cores)
	$(BIN)/python -m pytest

lint: $(STAMP)  ## style, types, import directions
	$(BIN)/ruff check src tests benchmarks .ci
	$(BIN)/ruff format --check src tests benchmarks .ci
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP)  ## rewrite the sources to the style
	$(BIN)/ruff check --fix src tests benchmarks .ci
	$(BIN)/ruff format src tests benchmarks .ci

coverage: $(STAMP)  ## branch coverage of the engine, run as plain Python (fails below 98 %)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q --timeout=500 tests/unit/engine tests/unit/face tests/unit/state tests/unit/conformance \
	  tests/property/test_engine_*.py tests/property/test_blame.py tests/conformance tests/golden/test_files_golden.py \
	  tests/golden/test_cli_conformance.py --cov=epcgroup.engine --cov=epcgroup.face --cov=epcgroup.state --cov=epcgroup.compiled \
	  --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=98

bench: $(STAMP)  ## all benchmarks (half an hour); writes benchmarks/results/*.json
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.engine_call
	$(BIN)/python -m benchmarks.engine_growth
	$(BIN)/python -m benchmarks.engine_start
	$(BIN)/python -m benchmarks.pager
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.sim
	$(BIN)/python -m benchmarks.traces
	$(BIN)/python -m benchmarks.policies
	$(BIN)/python -m benchmarks.sweep
	$(BIN)/python -m benchmarks.fleet

calibrate: $(STAMP)  ## is the simulator true? live against simulated, and published figures (ten minutes, idle machine)
	$(BIN)/python -m benchmarks.calibration

soak: $(STAMP)  ## half a million evictions under concurrent writers, with a negative control
	$(BIN)/python -m benchmarks.soak

clean:  ## remove what was built
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
