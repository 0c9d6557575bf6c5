# Everything starts here. `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venvs/workshop/bin
.DEFAULT_GOAL := help
.PHONY: help setup workshop lab test check bench lock clean

help:      ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 16

setup:     ## make the environments and the notebook kernels (a few minutes the first time, nothing after)
	@$(PYTHON) src/workshop/environments.py

workshop: setup  ## run all labs on the local AWS and write a report
	@$(BIN)/workshop run all --resume

lab: setup ## open the labs in JupyterLab
	@$(BIN)/workshop lab

test:      ## run every test that this machine can run
	@$(PYTHON) src/workshop/environments.py --tests
	@$(BIN)/python -m pytest

check:     ## lint, types, templates, notebooks, README
	@$(PYTHON) src/workshop/environments.py --tests
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/cfn-lint cloudformation/*.yaml
	@$(BIN)/workshop notebooks --check
	@$(BIN)/python -m pytest -q tests/fast/test_readme.py

bench:     ## measure what is claimed about speed and accuracy
	@$(PYTHON) src/workshop/environments.py --moto
	@$(BIN)/python -m benchmarks

LOCK = .venvs/uv/bin/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
lock:      ## resolve pyproject.toml into requirements/ again
	@for name in workshop mxnet serving linear-learner airflow uv moto awscli audit; do $(LOCK) --extra $$name -o requirements/$$name.txt || exit 1; done
	@for name in tensorflow test; do $(LOCK) --extra $$name -c requirements/workshop.txt -o requirements/$$name.txt || exit 1; done
	@for name in mxnet tensorflow; do $(LOCK) --extra $$name-gpu -c requirements/$$name.txt -o requirements/$$name-gpu.txt || exit 1; done

clean:     ## stop the local AWS and remove everything that was made here
	@if [ -x $(BIN)/workshop ]; then $(BIN)/workshop down; fi
	@rm -rf .venvs .workshop runs
