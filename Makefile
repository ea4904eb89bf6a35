# signsvc: `make demo` runs the whole service on test material, `make test` runs every test.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
BENCHES ?= cold_verify read verify sign timestamps xml_signatures

.PHONY: help install demo demo-once test test-full check lint bench clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	@PYTHON=$(PYTHON) .ci/packages install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "signsvc needs Python 3.11 or later; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@$(BIN)/python -m compileall -q signsvc
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@$(BIN)/python -m compileall -q signsvc
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed  ## Make .venv with the signsvc command

demo: install  ## Sign and verify on a test PKI and SoftHSM2, keep the service up until Ctrl-C
	@PYTHON=$(PYTHON) .ci/packages demo
	@$(BIN)/signsvc demo

demo-once: install  ## The same, then exit
	@PYTHON=$(PYTHON) .ci/packages demo
	@$(BIN)/signsvc demo --once

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: $(VENV)/.installed-test lint  ## Lint, types and unit tests, under a minute
	@PYTHON=$(PYTHON) .ci/packages demo
	$(BIN)/pytest tests/unit -q -n $(WORKERS) --dist loadfile

test: $(VENV)/.installed-test  ## Every test, with all set-up
	@PYTHON=$(PYTHON) .ci/packages test
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest tests -q -n $(WORKERS) --dist loadfile

test-full: $(VENV)/.installed-test  ## Every test with the full counts
	@PYTHON=$(PYTHON) .ci/packages test
	SIGNSVC_TEST_FULL=1 $(BIN)/pytest tests -q -n $(WORKERS) --dist loadfile --timeout 3600

bench: $(VENV)/.installed-test  ## Benchmarks: ratios against baselines measured beside them
	@PYTHON=$(PYTHON) .ci/packages test
	@$(BIN)/python -m compileall -q signsvc
	@for name in $(BENCHES); do echo "== tests/bench/$$name.py"; $(BIN)/python tests/bench/$$name.py || exit 1; done

clean:  ## Remove what was built here
	rm -rf $(VENV) var build dist *.egg-info tests/interop/java/lib tests/interop/java/classes \
		tests/interop/java/verapdf/lib tests/interop/java/verapdf/classes
	find . -name __pycache__ -prune -exec rm -rf {} +
