# Two commands on a machine with Python 3.11 and pip: `make demo`, `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SHARED := $(or $(BANDWALL_SHARED),../shared)
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
COVERAGE := --cov=sim --cov-branch --cov-report=term:skip-covered --cov-fail-under=95

.PHONY: demo test lint bench validate docs tables lock clean

demo: $(RUN)
	$(BIN)/bandwall run examples/ax-k1-h200.yaml
	$(BIN)/bandwall explain examples/ax-k1-h200.yaml --decode 64 --context 4096

test: $(DEV)
	$(BIN)/pytest -n 2 $(COVERAGE)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

bench: $(RUN)
	$(BIN)/python benchmarks/speed.py

# Against recorded references, which are no part of the project: SHARED is the folder they lie in.
validate: $(DEV)
	@test -d "$(SHARED)" || { echo "no reference data in $(SHARED); name its folder in BANDWALL_SHARED"; exit 1; }
	$(BIN)/bandwall validate scheduler "$(SHARED)"/conformance/open/*.json.gz
	$(BIN)/bandwall validate memory "$(SHARED)"/dram/reference.csv --configs "$(SHARED)"/dram/configs
	$(BIN)/python docs/fidelity_tables.py "$(SHARED)"/opdata/open
	$(BIN)/bandwall validate serving "$(SHARED)"/validation/cases.jsonl --json $(VENV)/serving.json
	$(BIN)/python docs/serving_tables.py $(VENV)/serving.json
	$(BIN)/python benchmarks/queueing.py
	$(BIN)/bandwall validate network "$(SHARED)"/opdata/open/comm.parquet "$(SHARED)"/opdata/open/moe_a2a.parquet

# The scenario reference and the JSON Schema follow from the schemas; tests say when they are out of date.
docs: $(RUN)
	$(BIN)/python -m sim.scenario.reference docs

# What DRAM gives each access, of every memory device of the catalogue: ten minutes. A test says when out of date.
tables: $(DEV)
	$(BIN)/python -m sim.dram.tables

lock:
	$(PYTHON) -m pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(PYTHON) -m piptools compile --quiet $(LOCK) -o requirements.lock pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(PYTHON) -m piptools compile --quiet $(LOCK) --extra dev -o requirements-dev.lock pyproject.toml

LOCK := --generate-hashes --allow-unsafe --no-strip-extras --all-build-deps --no-emit-index-url --no-emit-trusted-host \
	--no-emit-options

clean:
	rm -rf $(VENV) build dist .coverage .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(DEV): requirements-dev.lock $(RUN)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	touch $@
