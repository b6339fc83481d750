# Each target does all its own set-up, in .venv. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CLIENTS := .venv-clients
CLIENTS_STAMP := $(CLIENTS)/.installed

# The tests of one selection. None at all (pytest's exit code 5) is a failure, and is said.
define pytest
@$(BIN)/python -m pytest -q -n 2 -m "$(1)" || \
	  { code=$$?; [ $$code -ne 5 ] || echo "There must be tests; given: none that are $(1). Next: look at the marks" >&2; exit $$code; }
endef

.DEFAULT_GOAL := help
.PHONY: help setup clients demo test engines lint format types fences docs bench constraints clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## create .venv and install Tule with everything the other targets need

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer must be installed; given: $$($(PYTHON) --version 2>&1). Next: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "The venv module must be there. Next: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,lint]'
	@touch $@

clients: $(CLIENTS_STAMP)  ## create .venv-clients: dbt, ibis, BigQuery DataFrames, Apache Beam and others that have pins of their own

$(CLIENTS_STAMP): tests/clients/requirements.txt tests/clients/aiplatform-1.txt | $(STAMP)
	test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement tests/clients/requirements.txt
	rm -rf $(CLIENTS)/aiplatform-1
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(CLIENTS)/aiplatform-1 --requirement tests/clients/aiplatform-1.txt
	@touch $@

demo: $(STAMP)  ## table -> model -> registry -> endpoint -> predictions, on the flights data, by Google's own clients
	$(BIN)/tule demo

test: $(STAMP) $(CLIENTS_STAMP)  ## all tests, the fast ones first
	$(call pytest,not clients and not slow and not ecosystem and not engines)
	$(call pytest,(clients or slow) and not ecosystem and not engines)
	$(call pytest,ecosystem)

engines: $(STAMP)  ## the whole contract of the SQL engine on Spark
	@$(BIN)/python -m pytest -q -m engines

lint: $(STAMP) fences types  ## format, lint, types and the fences between rooms
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks

types: $(STAMP)
	$(BIN)/mypy

fences: $(STAMP)
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house

format: $(STAMP)  ## rewrite the code as the formatter wants it
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

docs: $(STAMP)  ## write the generated pages (coverage tables, settings, commands)
	$(BIN)/python -m tule.testing.pages docs

bench: $(STAMP)  ## all benchmarks; one table: what, Tule, reference, ratio
	$(BIN)/python benchmarks/run.py

constraints: $(STAMP)  ## renew constraints.txt from what is installed
	{ echo '# One known-good set of versions: what `make setup` installs and CI tests. Renew with `make constraints`.'; \
	  $(BIN)/python -m pip freeze --exclude-editable | grep -vE '^(pip|setuptools)==' | sed 's/+cpu$$//'; } > constraints.txt

clean:  ## remove .venv and caches
	rm -rf $(VENV) $(CLIENTS) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
