# make demo   fine-tunes a real model on this machine and shows what came of it
# make test   runs the tests
# Both install what they need, into .venv; nothing else has to be set up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Processes that share the tests out, a file at a time. Two use two cores: many tests start two ranks, which wait for each other.
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The libraries write caches of their own; a test or a demonstration leaves nothing in the home directory but pip's downloads.
export HF_HOME ?= $(abspath $(VENV))/hf

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { ./.ci/system-packages python3-venv && $(PYTHON) -m venv --clear $(VENV); }

$(VENV)/.trainer: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --editable '.[trainer]' --constraint constraints.txt
	@touch $@

# In one go: pip takes a minute to look at what is there already.
$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --editable '.[operator,trainer,dev]' --constraint constraints.txt
	@touch $(VENV)/.trainer $@

demo: $(VENV)/.trainer ## fine-tune a small chat model on real text; ends with a table of base against tuned
	$(BIN)/python examples/quickstart/get_data.py
	$(BIN)/finetune run examples/quickstart/job.yaml --claim quickstart=examples/quickstart/data --workspace examples/quickstart/workspace

routing: $(VENV)/.trainer ## the other family of models: a text classifier
	$(BIN)/python examples/ticket-routing/get_data.py
	$(BIN)/finetune run examples/ticket-routing/job.yaml --workspace examples/ticket-routing/workspace

test: $(VENV)/.dev ## all tests that need no cluster
	@command -v chromium chromium-browser google-chrome >/dev/null || ./.ci/system-packages chromium
	$(BIN)/python -m pytest tests --ignore=tests/cluster --numprocesses $(WORKERS) --dist loadfile $(PYTEST)

check: $(VENV)/.dev ## format, lint, types, import walls, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/finetune crd --output markdown | diff -u docs/manifest.md - || { echo "docs/manifest.md is not what finetune_api says: make docs" >&2; exit 1; }
	$(BIN)/finetune crd | diff -u crds/finetunejobs.yaml - || { echo "crds/ is not what finetune_api generates: make crds" >&2; exit 1; }

format: $(VENV)/.dev ## bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

crds: $(VENV)/.dev ## write crds/ anew from finetune_api, and the chart's copy of it
	$(BIN)/finetune crd > crds/finetunejobs.yaml.new && mv crds/finetunejobs.yaml.new crds/finetunejobs.yaml
	cp crds/finetunejobs.yaml helm/finetune-operator/files/finetunejobs.yaml

docs: $(VENV)/.dev ## write docs/manifest.md anew from finetune_api
	$(BIN)/finetune crd --output markdown > docs/manifest.md.new && mv docs/manifest.md.new docs/manifest.md

golden: $(VENV)/.dev ## write the golden files anew; read the difference before you commit it
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest tests/finetune_operator tests/chart -q

constraints: $(VENV)/.dev ## pin the newest versions that pyproject.toml allows
	./.ci/write-constraints $(BIN)

clean: ## remove the demonstrations' data and workspaces
	rm -rf examples/*/data examples/*/workspace

.PHONY: help demo routing test check format crds docs golden constraints clean

-include tests/cluster/cluster.mk
