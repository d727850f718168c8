# `make` lists the targets. Each sets up what it needs: a bare machine wants Python 3.11 or newer, and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What `pip` installs is named by hash in a lock, and what it may build is built by what the lock installed.
LOCKED := $(PIP) --require-hashes --only-binary :all: --requirement
EDITABLE := $(PIP) --no-deps --no-build-isolation --no-index --editable .

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.runtime ## Start a server to try, on 127.0.0.1 (PORT=8080), with credentials and curl lines
	@exec $(BIN)/farebox demo --port $(PORT)

.PHONY: test
test: $(VENV)/.dev ## Run every test (PYTEST_ARGS=… passes arguments on)
	@command -v softhsm2-util >/dev/null || \
		echo "softhsm2 is not installed: the PKCS#11 tests are skipped (apt-get install softhsm2)." >&2
	@command -v chromium >/dev/null || \
		echo "Chromium is not installed: the browser tests are skipped (apt-get install chromium)." >&2
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(SDKS); else \
		echo "npm is not installed: the published web SDK is not run (apt-get install npm)." >&2; fi
	$(BIN)/python -m pytest --numprocesses auto $(PYTEST_ARGS)

# What gateways publish for browsers, as tests run it; nothing of it is served or shipped.
SDKS := tests/browser/node_modules/.package-lock.json
$(SDKS): tests/browser/package-lock.json
	@npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/browser
	@touch $@

.PHONY: proofs
proofs: $(VENV)/.dev ## Run the races and the kill storms at the size that is claimed (most of an hour)
	FAREBOX_PROOF_SCALE=full $(BIN)/python -m pytest -rP tests/e2e/test_race.py tests/e2e/test_kill_storm.py \
		tests/e2e/test_webhook_storm.py

.PHONY: check
check: $(VENV)/.dev ## Check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --project pyproject.toml
	$(BIN)/lint-imports --no-cache

.PHONY: bench
bench: $(VENV)/.dev ## Measure speed beside the machine's own reference points
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

.PHONY: format
format: $(VENV)/.dev ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: docs
docs: $(VENV)/.dev ## Write the documents that are made from the code
	$(BIN)/python -m tools.docs

.PHONY: lock
lock: $(VENV)/.dev ## Lock the dependencies again, with hashes
	$(BIN)/python requirements/lock.py

.PHONY: clean
clean: ## Remove the environment and caches; the demo's data stays
	rm -rf $(VENV) .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist

# The first Python that is new enough makes the environment; pip is the last thing that arrives in it.
$(BIN)/pip:
	@python=; for name in python3 python3.13 python3.12 python3.11; do \
		if command -v $$name >/dev/null && \
			$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then echo "Farebox needs Python 3.11 or newer (apt-get install python3)." >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		package=$$($$python -c 'import sys; print("python3.%d-venv" % sys.version_info[1])'); \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing $$package, which holds Python's venv module." >&2; \
			apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $$package >/dev/null; \
		else echo "Python's venv module is missing; run: sudo apt-get install $$package" >&2; exit 1; fi; fi; \
	echo "Setting up $(VENV) with $$($$python --version)." >&2; \
	$$python -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/pip requirements/runtime.lock pyproject.toml
	@if [ ! -e $(VENV)/.dev ]; then $(LOCKED) requirements/runtime.lock; fi
	@$(EDITABLE)
	@touch $@

$(VENV)/.dev: $(BIN)/pip requirements/dev.lock pyproject.toml
	@$(LOCKED) requirements/dev.lock
	@$(EDITABLE)
	@touch $@ $(VENV)/.runtime
