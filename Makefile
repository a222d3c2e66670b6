# What a fresh machine needs: make, and Python 3.10 or later. Everything else is installed here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTED := $(VENV)/.installed-dev
# The package that the Brixo face stands in for, in the release that it is compared with.
BRIXO := .venvs/brixo-0.1.6
# The package whose vocabulary the `langfuse` dialect speaks, likewise.
LANGFUSE := .venvs/langfuse-5.0.4

# The packages whose processors are given our spans.
PROCESSORS := .venvs/processors
# Where LangGraph is, and LangChain is not.
LANGGRAPH := .venvs/langgraph
# The instrumentors whose spans are stored in tests/data, and earlier releases of some.
INSTRUMENTORS := .venvs/instrumentors
EARLIER := .venvs/instrumentors-earlier

.DEFAULT_GOAL := help
.PHONY: help demo test check unit test-sdk-spans test-slow test-all test-brixo test-langgraph test-langfuse test-processors test-pairs record-spans test-cli test-backends test-collector bench-faults generate changelog clean

help:  ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(INSTALLED)  ## Run the quickstart: an agent, its traces, and where they are
	$(BIN)/python examples/quickstart.py

test: check unit  ## Lint, types, import rules and the quick tests

check: $(TESTED)  ## Lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python semconv/generate.py --check

unit: $(TESTED)  ## The quick tests
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

test-sdk-spans: $(TESTED)  ## The quick tests with OpenTelemetry's own spans instead of lean ones
	SPANWISE_LEAN_SPANS=false $(BIN)/python -m pytest -q -n 2 -m "not slow and not faults and not programs"

test-slow: $(TESTED)  ## The tests that take long
	$(BIN)/python -m pytest -q -n 2 -m slow

test-all: $(TESTED)  ## The tests on every Python, with the oldest and the newest OpenTelemetry
	$(BIN)/python tests/every_python.py

test-brixo: $(BRIXO)/.installed  ## Check that the published brixo still sends what is stored
	$(BRIXO)/bin/python tests/compat/brixo_facts.py --check tests/compat/brixo_published.json

test-langfuse: $(LANGFUSE)/.installed  ## Check that the published langfuse still sends what is stored
	$(LANGFUSE)/bin/python tests/compat/langfuse_facts.py langfuse --check tests/compat/langfuse_published.json

test-langgraph: $(LANGGRAPH)/.installed  ## The trees of LangGraph's graphs where LangChain is not installed
	$(LANGGRAPH)/bin/python -m pytest -q tests/instrumentation/test_trees.py

test-processors: $(PROCESSORS)/.installed  ## What the processors of others' packages get of lean spans and of OpenTelemetry's
	$(PROCESSORS)/bin/python -m pytest -q -W default tests/lean_spans/test_processors_of_others.py

test-collector: $(TESTED)  ## Send through a real Collector, made with Go or given as COLLECTOR=, and compare
	PYTHONPATH=tests $(BIN)/python -m otel_collector $(COLLECTOR)

test-backends: $(TESTED)  ## Send one program's traces to Phoenix and MLflow, and compare what they show
	PYTHONPATH=tests $(BIN)/python -m backends

test-pairs: $(INSTRUMENTORS)/.installed  ## Every pair of instrumentors at work: are a call's tokens counted once
	PYTHONPATH=src:tests $(INSTRUMENTORS)/bin/python -m foreign_spans.live

record-spans: $(TESTED) $(INSTRUMENTORS)/.installed $(EARLIER)/.installed  ## Record the instrumentors' spans anew, and what they mean
	PYTHONPATH=tests $(INSTRUMENTORS)/bin/python -m foreign_spans
	PYTHONPATH=tests $(EARLIER)/bin/python -m foreign_spans --earlier
	PYTHONPATH=tests $(BIN)/python -m foreign_spans.meanings

test-cli: $(TESTED)  ## The published FluxLoop CLI on this project, beside the published SDK
	PYTHONPATH=tests $(BIN)/python -m cli_compat

bench: $(TESTED)  ## What it costs, beside a decorator written by hand and peers, into docs/performance.md
	$(BIN)/python -m benchmarks

bench-quick: $(TESTED)  ## The same for ours alone, in two minutes; fails where a ratio is far off
	$(BIN)/python -m benchmarks --quick

bench-faults: $(TESTED)  ## What arrives in spite of faults, here and with the stock pipeline, into docs/delivery.md
	$(BIN)/python benchmarks/faults.py

generate: $(TESTED)  ## Write what is generated from semconv/model
	$(BIN)/python semconv/generate.py

changelog: $(TESTED)  ## Show the changelog that the fragments make
	$(BIN)/towncrier build --draft --version next

clean:  ## Remove what was installed and cached
	rm -rf $(VENV) .venvs .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BRIXO)/.installed: tests/compat/brixo_requirements.txt
	test -x $(BRIXO)/bin/python || $(PYTHON) -m venv $(BRIXO)
	$(BRIXO)/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

$(INSTRUMENTORS)/.installed: tests/foreign_spans/requirements.txt pyproject.toml
	test -x $(INSTRUMENTORS)/bin/python || $(PYTHON) -m venv $(INSTRUMENTORS)
	$(INSTRUMENTORS)/bin/python -m pip install -q --disable-pip-version-check -r $< -e .
	touch $@

$(EARLIER)/.installed: tests/foreign_spans/requirements_earlier.txt
	test -x $(EARLIER)/bin/python || $(PYTHON) -m venv $(EARLIER)
	$(EARLIER)/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

$(LANGFUSE)/.installed: tests/compat/langfuse_requirements.txt
	test -x $(LANGFUSE)/bin/python || $(PYTHON) -m venv $(LANGFUSE)
	$(LANGFUSE)/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

$(LANGGRAPH)/.installed: tests/graphs/requirements.txt pyproject.toml
	test -x $(LANGGRAPH)/bin/python || $(PYTHON) -m venv $(LANGGRAPH)
	$(LANGGRAPH)/bin/python -m pip install -q --disable-pip-version-check -e . -r $<
	touch $@

$(PROCESSORS)/.installed: tests/lean_spans/requirements.txt pyproject.toml
	test -x $(PROCESSORS)/bin/python || $(PYTHON) -m venv $(PROCESSORS)
	$(PROCESSORS)/bin/python -m pip install -q --disable-pip-version-check -e . -r $<
	touch $@

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed; choose one with make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	touch $@

$(TESTED): $(INSTALLED)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev,langchain,openai,instrumentors,declarative]'
	touch $@
