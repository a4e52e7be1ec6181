# The commands of the project. `make` alone lists them. Needs Python 3.11 or newer with its venv module, make and a C
# compiler; everything else comes from requirements-dev.lock.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
HEADWATER := $(BIN)/python -m deploy.command
DIST := services/dashboard/dist
COMPILE := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet
GENERATED := tests/contracts/fingerprints.json services/gateway/schema.graphql services/dashboard/src/lib/needs.json libs/contracts/asyncapi.json libs/agent/asyncapi.json deploy/containers/nats-users.conf
SEED ?=
# Tests of what the engines decide: the winner of a race, repeated deliveries, the locks of a statement.
ON_CONTAINERS ?= tests/integration/runtime tests/integration/runs tests/integration/heartbeat tests/integration/lazarus \
	tests/integration/deploy/test_provision.py tests/integration/gateway/test_founding_document.py
RACES ?= tests/system/test_races.py tests/integration/runs/test_races.py \
	tests/integration/agent/test_dispatch.py::test_fifty_agents_and_two_replicas_start_each_run_once

.PHONY: $(DIST) help setup dashboard up down status logs keys demo env wheel image images fmt lint types check test test-unit test-integration test-dashboard screenshots test-system \
	test-clients test-containers test-on-containers test-races test-faults test-fuzz bench generate verify subscribers migration lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the environment -------------------------------------------------------------------------------------------------

setup: $(READY) ## Make the virtual environment (done by every other command when the lock has changed)

$(READY): requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with its venv module found; install one (Debian: apt-get install python3-venv) or set PYTHON=." >&2; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

dashboard: $(READY) ## Build the web pages (other commands do it where npm's registry can be reached)
	@$(BIN)/python -m deploy.dashboard

# Without npm's registry everything else works; a page says what is missing.
$(DIST): $(READY)
	@$(BIN)/python -m deploy.dashboard --optional

# --- running it ------------------------------------------------------------------------------------------------------

up: $(READY) $(DIST) ## Start Headwater in the background; returns when it answers (HEADWATER_DATA, HEADWATER_PORT)
	@$(HEADWATER) up

down: $(READY) ## Stop it
	@$(HEADWATER) down

status: $(READY) ## Show what runs
	@$(HEADWATER) status

logs: $(READY) ## Follow its log
	@$(HEADWATER) logs --follow

keys: $(READY) ## Tenants and API keys without a key, do="create --tenant default --role tenant_admin --name mine"
	@$(HEADWATER) keys $(or $(do),--help)

demo: $(READY) $(DIST) ## Register, schedule and run real Prefect flows on it, and show what happened (DEMO_EXIT=1 ends then)
	@$(HEADWATER) demo

# --- packages and containers -----------------------------------------------------------------------------------------

env: ## Draw the secrets of docker-compose.yml into .env (what is there stays)
	@$(or $(PYTHON),python3) deploy/containers/write_env.py .env

wheel: $(READY) $(DIST) ## Build the package that `pip install` takes, with the web pages if they are built, in dist
	$(BIN)/python -m hatchling build --target wheel

image: ## Build the image that docker-compose.yml and the Helm chart run
	docker build --file deploy/Dockerfile --tag headwater:latest .

# --- changing it -----------------------------------------------------------------------------------------------------

fmt: $(READY) ## Format, and repair what can be repaired
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: $(READY) ## Formatting, lint and import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports

types: $(READY) ## Type-check strictly
	$(BIN)/mypy

check: lint types ## All that needs no engine: format, lint, imports, types

generate: $(READY) ## Write what is generated from the code, for review with it
	$(BIN)/python -m tests.contracts.fingerprint
	$(BIN)/python -m services.gateway.graphql.export
	$(BIN)/python -m deploy.asyncapi
	$(BIN)/python -m deploy.nats_users --write

verify: $(READY) ## Fail if `make generate` would change anything
	@before=$$(sha256sum $(GENERATED)); $(MAKE) --no-print-directory generate; \
	test "$$before" = "$$(sha256sum $(GENERATED))" || { echo "Generated files were out of date; review and commit them." >&2; exit 1; }

migration: $(READY) ## Draft a migration from the tables: make migration m="add a column"
	$(BIN)/python -m deploy.migration "$(m)"

subscribers: $(READY) ## What every service listens to on NATS, and how it gets there
	@$(BIN)/python -m deploy.subscribers

lock: $(READY) ## Pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile pyproject.toml $(COMPILE) --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev -c requirements.lock $(COMPILE) --upgrade -o requirements-dev.lock

# --- testing it ------------------------------------------------------------------------------------------------------

# A file's tests stay with one worker, because they share its database and its broker. The longest files start first.
WORKERS ?= logical
PARALLEL := -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: $(READY) $(DIST) ## Unit, contract, integration and system tests, and four old clients; WORKERS=0 for one after the other
	$(BIN)/pytest $(PARALLEL) tests/clients tests/system tests/integration tests/contracts tests/unit

test-unit: $(READY) ## Rules and contracts; no engine, seconds
	$(BIN)/pytest tests/unit tests/contracts

test-integration: $(READY) ## Each service on a real PostgreSQL and a real NATS
	$(BIN)/pytest tests/integration

test-system: $(READY) ## The stories, with a real Prefect client
	$(BIN)/pytest tests/system

test-clients: $(READY) ## Every generation of real clients, in each mode, through every scenario
	$(BIN)/pytest tests/clients --clients=whole

images: $(READY) $(DIST) ## Make the images that the tests of the containers need; minutes, where nothing is cached
	@if [ "$${HEADWATER_NO_DOCKER:-}" = 1 ]; then echo "HEADWATER_NO_DOCKER=1: the containers are NOT tested" >&2; \
	else $(BIN)/python -m tests.offline images; fi

test-containers: $(READY) ## Image, compose story and Helm chart; starts Docker if it can (HEADWATER_NO_DOCKER=1 goes without)
	$(BIN)/pytest tests/deploy

test-on-containers: $(READY) ## Delivery, locking and SQL on PostgreSQL and NATS in containers, not the embedded ones
	$(BIN)/pytest --infra=containers $(ON_CONTAINERS)

test-races: $(READY) ## The races of the ledger at their full size: 1,000 rounds, 10,000 runs; half an hour
	HEADWATER_RACE_ROUNDS=1000 $(BIN)/pytest $(RACES)

test-faults: $(READY) ## Kills, pauses and duplicates; SEED= replays a schedule of faults
	$(if $(SEED),HEADWATER_SEED=$(SEED)) $(BIN)/pytest tests/faults

# Numbers of broken documents (and as many broken arguments and values) and of broken HTTP requests.
DOCUMENTS ?= 1000000
REQUESTS ?= 100000

PROPERTIES = $(filter-out %/test_fuzz.py,$(shell grep -rl --include='*.py' 'from hypothesis' tests/unit tests/integration))

test-fuzz: $(READY) ## A night of broken documents and HTTP (DOCUMENTS=, REQUESTS=), and other draws of all properties; SEED= replays a night
	@seed=$(or $(SEED),$$RANDOM); echo "Replay the documents with SEED=$$seed"; failed=; \
	HEADWATER_TEST_EXAMPLES=$$(($(DOCUMENTS) / 120)) $(BIN)/pytest --timeout=0 --hypothesis-seed=$$seed tests/integration/gateway/reads/test_fuzz.py || failed=1; \
	HEADWATER_TEST_EXAMPLES=$$(($(REQUESTS) / 1000)) $(BIN)/pytest --timeout=0 tests/integration/runtime/test_http_fuzz.py || failed=1; \
	HEADWATER_TEST_EXAMPLES=20 HEADWATER_TEST_SEED=$$seed $(BIN)/pytest --timeout=0 tests/integration/gateway/reads/test_differential.py || failed=1; \
	HEADWATER_TEST_EXAMPLES=20 $(BIN)/pytest --timeout=0 --hypothesis-seed=$$seed $(PROPERTIES) || failed=1; \
	test -z "$$failed"

bench: $(READY) ## The budgets of the design, measured (only= one of tests/bench)
	$(BIN)/python -m tests.bench $(only)

# Whoever else installs something is waited for, and a connection that breaks is made again.
APT := -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3

test-dashboard: $(READY) $(DIST) ## The web pages: their rules, then every page in a real Chromium (apt-get install chromium)
	@$(BIN)/python -m deploy.dashboard --test
	@command -v $${HEADWATER_TEST_CHROMIUM:-chromium} >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && export DEBIAN_FRONTEND=noninteractive && apt-get $(APT) update </dev/null \
			&& apt-get $(APT) install -y --no-install-recommends chromium </dev/null >/dev/null; } \
		|| { echo "There is no Chromium. Install one (apt-get install chromium), or name it in HEADWATER_TEST_CHROMIUM." >&2; exit 1; }
	$(BIN)/pytest -q -n 2 --dist loadgroup tests/dashboard

screenshots: $(READY) $(DIST) ## Draw the pictures of the README again
	HEADWATER_DRAW_SCREENSHOTS=1 $(BIN)/pytest -q -n0 tests/dashboard/test_screenshots.py -k drawn

clean: ## Remove the environment and caches; data stays
	rm -rf $(VENV) $(DIST) services/dashboard/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
