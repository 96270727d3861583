# What a person and .ci/run do with this project. `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup lint format test demo bench bench-cluster requirements clean

PYTHON ?= >=3.11
UPGRADE ?=
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup
# uv as installed; else our own copy below .cache, which needs neither root nor a change to the system's Python.
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo .cache/uv/bin/uv)
COMPILE = $(UV) pip compile --quiet --generate-hashes --universal --no-emit-index-url --python-version 3.11 $(UPGRADE) \
	--custom-compile-command 'make requirements'

# Tests side by side: a file's in one process, the files in their order, since those that take longest are the first.
SPREAD := --dist loadfile --no-loadscope-reorder

# Byte code is compiled once, at installation: a worker process a stage would else compile torch again and again.
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP) ## make .venv with the pinned packages and this project; does nothing if it is up to date

$(SETUP): requirements/dev.txt pyproject.toml | $(UV)
	test -x $(BIN)/python || $(UV) venv --quiet --python '$(PYTHON)' $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.cache/uv/bin/uv: requirements/uv.txt
	PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --upgrade --target .cache/uv --require-hashes --requirement $< \
		|| { echo 'error: uv must be installed, or pip be there to fetch it. Install uv or python3-pip.' >&2; exit 1; }
	@touch $@

lint: $(SETUP) ## check style, types and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	for file in operators/*/stage.py; do $(BIN)/mypy --no-error-summary "$$file"; done
	$(BIN)/lint-imports

format: $(SETUP) ## rewrite the source in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: $(SETUP) ## run all tests, with coverage; takes some minutes
	COVERAGE_FILE="$(CURDIR)/.coverage" $(BIN)/python -m pytest --cov $(SPREAD) -n 3

.PHONY: cluster-up cluster-down cluster-status cluster-logs cluster-env test-cluster soak
# Which cluster: auto, node (made of processes of this machine, by root), kind, existing (FIREWORKS_KUBECONTEXT).
CLUSTER ?= auto
PURGE ?=
PROVIDER = CLUSTER="$(CLUSTER)" PURGE="$(PURGE)" PYTHONPATH=tests $(BIN)/python -m cluster.provider

cluster-up: $(SETUP) ## start a Kubernetes with Argo and S3; CLUSTER=auto, node, kind or existing
	@$(PROVIDER) up

cluster-down: $(SETUP) ## stop it; images and S3 data stay, but with PURGE=1
	@$(PROVIDER) down

cluster-status: $(SETUP) ## say what of it runs
	@$(PROVIDER) status

cluster-logs: $(SETUP) ## show the last lines of its logs; LINES=20
	@$(PROVIDER) logs

cluster-env: $(SETUP) ## print what a shell needs to use it: eval "$$(make --silent cluster-env)"
	@$(PROVIDER) environment

# Tests that mostly wait for pods side by side, then those that nothing may run beside. What fails is tried once more, on
# a cluster that is whole again, and named: on a machine that others use too, a stall of some seconds is not ours. Not so
# if a test marked `invariant` is among it (the exit code is another one then): what is lost once in ten times is lost.
BESIDE := -m "cluster and not (slow or alone)" $(SPREAD) -n 5
ALONE := -m "cluster and alone and not slow"
CLUSTER_TESTS = CLUSTER="$(CLUSTER)" $(BIN)/python -m pytest tests/cluster tests/unit/test_manifests.py --durations=10
AGAIN := --last-failed --last-failed-no-failures=none

test-cluster: $(SETUP) ## start the cluster, build the image, run the tests that need them; leaves it up
	@$(PROVIDER) up
	@$(PROVIDER).images make
	$(CLUSTER_TESTS) $(BESIDE) || { test $$? = 1 && $(PROVIDER) up && $(CLUSTER_TESTS) $(BESIDE) $(AGAIN); }
	$(CLUSTER_TESTS) $(ALONE) || { test $$? = 1 && $(PROVIDER) up && $(CLUSTER_TESTS) $(ALONE) $(AGAIN); }

.PHONY: test-gpu
test-gpu: $(SETUP) ## run the tests that need a GPU; without one they fail
	$(BIN)/python -m pytest tests/gpu -m gpu

ROUNDS ?= 20
soak: $(SETUP) ## kill parts of the cluster at random under runs, ROUNDS=20, and run the slow tests; takes up to an hour
	@$(PROVIDER) up
	@$(PROVIDER).images make
	CLUSTER="$(CLUSTER)" FIREWORKS_SOAK_ROUNDS="$(ROUNDS)" $(BIN)/python -m pytest tests/cluster -m "cluster and slow" --capture=no
	CLUSTER="$(CLUSTER)" FIREWORKS_SOAK_ROUNDS="$(ROUNDS)" $(BIN)/python -m pytest tests/cluster -m cluster -k chaos --capture=no

.PHONY: images
# FIREWORKS_BASE_IMAGE and FIREWORKS_TORCH_INDEX choose another base and another build of torch.
images: $(SETUP) ## build the image that stages run in, and load it into the cluster; prints its name
	@$(PROVIDER).images make

demo: $(SETUP) ## find the prophages of E. coli: table, figure, AUROC
	@$(BIN)/python examples/01-prophages/demo.py

bench: $(SETUP) ## measure what the documentation claims
	for file in benchmarks/*.py; do $(BIN)/python "$$file"; done

bench-cluster: $(SETUP) ## the same of runs on the cluster, against Argo YAML written by hand; takes more than an hour
	@$(PROVIDER) up
	@$(PROVIDER).images make
	for file in benchmarks/cluster/*.py; do CLUSTER="$(CLUSTER)" PYTHONPATH=tests $(BIN)/python "$$file"; done

requirements: | $(UV) ## pin again after pyproject.toml changed; UPGRADE=--upgrade for the newest versions
	$(COMPILE) --extra dev --extra plot -o requirements/dev.txt pyproject.toml
	$(COMPILE) --constraint requirements/dev.txt -o requirements/base.txt pyproject.toml
	$(COMPILE) --extra database --extra plot --constraint requirements/dev.txt -o requirements/stage.txt pyproject.toml
	echo uv | $(COMPILE) -o requirements/uv.txt -

clean: ## remove .venv and all caches; results in .fireworks stay
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
