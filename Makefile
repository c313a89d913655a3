# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python3
VENV ?= .venv
FUZZ_SECONDS ?= 60
BENCH_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
CMAKE := PATH="$(CURDIR)/$(BIN):$$PATH" cmake
NATIVE := pyproject.toml CMakeLists.txt $(shell find cmake native -type f -not -name '*.pyc' 2>/dev/null)
SOURCES := $(NATIVE) README.md LICENSE $(shell find pytriton -name '*.py')
CXX_SOURCES = $(shell find native benchmarks -path '*/.cache' -prune -o \( -name '*.cc' -o -name '*.h' \) -print 2>/dev/null)
EXISTING = $(wildcard $(1))
# Built by test-native; the contract tests ask it for the layout of shared memory.
LAYOUT_DUMP = $(CURDIR)/build/native-address/native/tests/layout_dump

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv install demo test lint format typecheck test-unit test-native test-packaging test-integration \
	test-interpreters test-torch fuzz bench wheel clean deps

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# --- environments -----------------------------------------------------------------------------------------------------

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"
	@touch $@

# Plain and editable take turns in the one environment: each removes the other's mark.
$(VENV)/.plain: $(VENV)/.created $(SOURCES)
	$(PIP) install .
	@rm -f $(VENV)/.editable && touch $@

$(VENV)/.tools: $(VENV)/.created pyproject.toml
	$(PIP) install --quiet --group dev
	@touch $@

$(VENV)/.editable: $(VENV)/.tools $(NATIVE)
	$(PIP) install --editable .
	@rm -f $(VENV)/.plain && touch $@

$(VENV)/.torch: $(VENV)/.tools
	$(PIP) install --quiet --group torch
	@touch $@

venv: $(VENV)/.editable ## .venv with the tools and an editable install

install: $(VENV)/.plain ## pip install . into .venv

deps:
	scripts/debian-deps.sh test

# --- use --------------------------------------------------------------------------------------------------------------

demo: $(if $(wildcard $(VENV)/.editable),$(VENV)/.editable,$(VENV)/.plain) ## install, serve a model, ask it over HTTP and gRPC
	$(PIP) install --quiet --group demo
	$(BIN)/python scripts/demo.py examples/linear_numpy

wheel: dist/.built ## build the wheel into dist/

dist/.built: $(SOURCES) scripts/build_wheel.py | $(VENV)/.tools
	$(BIN)/python scripts/build_wheel.py
	@touch $@

bench: $(VENV)/.plain ## run the benchmarks (BENCH_ARGS=--quick)
	scripts/debian-deps.sh bench
	$(PIP) install --quiet --group bench
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m benchmarks run $(BENCH_ARGS)

# --- checks -----------------------------------------------------------------------------------------------------------

test: deps lint typecheck test-native test-unit fuzz test-integration test-packaging test-torch test-interpreters ## every check there is

lint: $(VENV)/.tools ## ruff and clang-format, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CXX_SOURCES)

format: $(VENV)/.tools ## let ruff and clang-format rewrite the sources
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_SOURCES)

typecheck: $(VENV)/.tools ## mypy --strict
	$(BIN)/mypy

test-unit: $(VENV)/.editable ## unit and contract tests
	PYTRITON_LAYOUT_DUMP="$(wildcard $(LAYOUT_DUMP))" $(PYTEST) $(call EXISTING,tests/unit tests/contract tests/typing)

test-native: $(VENV)/.tools deps ## native unit tests under ASan+UBSan, then under TSan
	set -e; for sanitize in "address;undefined" thread; do \
	  folder="build/native-$${sanitize%%;*}"; \
	  $(CMAKE) -S . -B "$$folder" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	    -DPYTRITON_BUILD_TESTS=ON "-DPYTRITON_SANITIZE=$$sanitize"; \
	  $(CMAKE) --build "$$folder"; \
	  $(BIN)/ctest --test-dir "$$folder" --output-on-failure --no-tests=error --timeout 300; \
	done

fuzz: $(VENV)/.tools deps ## fuzz the message decoder (FUZZ_SECONDS=60)
	CXX=clang++ $(CMAKE) -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DPYTRITON_BUILD_FUZZERS=ON "-DPYTRITON_SANITIZE=address;undefined"
	$(CMAKE) --build build/fuzz
	set -e; targets=$$(find build/fuzz -type f -name 'fuzz_*' -perm -u+x); test -n "$$targets"; \
	for target in $$targets; do \
	  mkdir -p "$$target.corpus"; \
	  "$$target" -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -artifact_prefix=build/fuzz/ \
	    "$$target.corpus"; \
	done

test-integration: $(VENV)/.editable ## tests against a real server
	$(PYTEST) $(call EXISTING,tests/integration tests/examples)

test-packaging: $(VENV)/.editable wheel ## what is in the wheel, and every way of installing
	$(PYTEST) tests/packaging

test-torch: $(VENV)/.editable $(VENV)/.torch ## the PyTorch example, on the CPU
	$(PYTEST) tests/examples -k pytorch

test-interpreters: wheel ## the built wheel on every CPython found here
	$(BIN)/python scripts/test_interpreters.py dist/*.whl

clean: ## remove what was built; .venv stays
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
