# What a person types here. Every target does its own set-up first; a set-up with nothing to do takes no time.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench migration openapi lock clean

BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
           --no-header --no-annotate --no-emit-index-url

help:  ## Show this list
	@echo "Fensi 粉丝: make <target>"; echo
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	    printf '  %-10s %s\n' "$$name" "$$text"; done

setup:  ## Prepare everything: .venv, locked packages, pages, Chromium for the browser tests
	@scripts/setup

demo:  ## Start a brand with a phone to try it; Ctrl-C stops everything
	@scripts/setup code pages
	@exec $(BIN)/fensi demo

test:  ## Run all tests (ARGS="-k points" narrows them)
	@scripts/setup
	@$(BIN)/pytest -n auto --dist worksteal $(ARGS)

check:  ## Lint, format, types, import order, pages' types, OpenAPI up to date
	@scripts/setup code frontend
	@scripts/check

bench:  ## Run the benchmarks; each prints a ratio measured in this run
	@scripts/setup code
	@$(BIN)/python -m bench $(ARGS)

migration:  ## Write the next migration from the models: make migration NAME=what_changed
	@scripts/setup code
	@test -n "$(NAME)" || { echo "Name it: make migration NAME=what_changed" >&2; exit 2; }
	@$(BIN)/fensi migration $(NAME)

openapi:  ## Write docs/openapi/ from the code
	@scripts/setup code
	@$(BIN)/fensi openapi

lock:  ## Write the lock files anew from pyproject.toml (ARGS="--upgrade" takes newer versions)
	@scripts/setup code
	@$(COMPILE) pyproject.toml --group dev $(ARGS) -o requirements.lock
	@$(COMPILE) --group tools $(ARGS) -o scripts/tools.lock
	@$(COMPILE) --group node $(ARGS) -o scripts/node.lock

clean:  ## Remove what the set-up made; var/ (your data) stays
	rm -rf .venv .tools web/static frontend/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
