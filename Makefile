# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
OUT ?=
NAME ?=
export PYTHONPATH := $(CURDIR)
export PYSPARK_PYTHON := $(CURDIR)/$(BIN)/python

.PHONY: help demo test test-servers test-consumers test-petastorm check bench notebooks docs bundle setup clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/ready ## real pairs in; lake, training release, trained CLIP and report out (DATA=PATH: your own pairs; OUT=PATH: elsewhere)
	@$(BIN)/python -m demo.run $(if $(DATA),--data "$(DATA)") $(if $(OUT),--out "$(OUT)")

test: $(VENV)/ready ## run the tests (ARGS="-m 'not spark'": those that need no JVM)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

test-servers: $(VENV)/ready ## ask real servers: vLLM, llama.cpp, transformers serve, S3 (installs them into build/servers, 6.5 GB)
	@$(BIN)/python -m pytest tests/servers -rs $(ARGS)

test-consumers: $(VENV)/ready ## train by real trainers, read exports by real readers: open_clip, Trainer, datasets (installs 0.1 GB into build/consumers)
	@$(BIN)/python -m pytest tests/consumers -rs $(ARGS)

test-petastorm: $(VENV)/ready ## run petastorm's own tests through the bridge (installs what they need into build/petastorm, 0.1 GB)
	@$(BIN)/python -m tests.petastorms_own $(ARGS)

check: $(VENV)/ready ## format, lint, types, import layers, generated docs
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache && $(BIN)/python -m docs.generate --check

bench: $(VENV)/ready ## run the benchmarks (NAME=demo: that one; without, list them)
	@$(BIN)/python -m benchmarks $(NAME)

notebooks: $(VENV)/ready ## execute the notebooks against the demo's lake
	@$(BIN)/python -m notebooks.execute

docs: $(VENV)/ready ## write docs/tables.md and docs/jobs.md anew
	@$(BIN)/python -m docs.generate

bundle: $(VENV)/ready ## make build/multigrain.zip for spark-submit --py-files
	@$(BIN)/python -m demo.bundle

setup: $(VENV)/ready ## make the environment

clean: ## remove the environment and everything built
	rm -rf $(VENV) build

$(VENV)/ready: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) bash demo/setup.sh $(VENV)
