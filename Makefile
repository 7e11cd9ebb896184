# The one door for developers; `make help` lists it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXAMPLES ?= 100000

.PHONY: help setup build build-debug fmt lint types test test-rust test-python soak bench bench-rust docs check clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

setup: $(BIN)/python ## environment with the package (release build) and every tool
	$(BIN)/pip install --quiet --editable '.[test,lint]'

build: ## rebuild the compiled part, release
	$(BIN)/maturin develop --release --quiet

build-debug: ## the same with debug assertions: right, and slow
	$(BIN)/maturin develop --quiet

fmt: ## rewrite layout
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

lint: ## layout and lints, nothing rewritten
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .

types: ## mypy --strict, and the stub against the compiled module
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest lambda_replay._core

test: test-rust test-python ## all tests

test-rust: ## unit and property tests of the core
	cargo test --locked --quiet

test-python: ## everything that goes through Python
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

soak: ## the oracle on EXAMPLES drawn scenarios (100,000)
	LAMBDA_REPLAY_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/differential

bench: ## benchmarks with the peers in PEERS=DIR beside them
	$(BIN)/pip install --quiet '.[bench]'
	$(BIN)/python benches/run.py $(if $(PEERS),--peers $(PEERS))

bench-rust: ## the calendar against its alternatives
	cargo bench

docs: ## the documentation, into target/docs; a broken link stops it
	$(BIN)/pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: lint types test ## what CI runs

clean: ## remove what was built
	cargo clean
	rm -rf $(VENV)
