# `make help` lists what there is. Needs make and Python 3.11 or later with venv; everything else goes into .venv in this folder.

.DEFAULT_GOAL := help
.PHONY: help test-python mutate backup man docs test help-texts check format torture bench clean setup test-setup oracle release-setup wheel binary sbom

BIN := .venv/bin
# Processes that run tests side by side: one more than a small machine has processors, since now and then a test waits, for a server
# that starts or for a package index.
JOBS ?= 3
# Each process gets neighbours, which share what a module sets up, and takes from another what it has not begun. Rewritten assertions
# are kept also where the caller wants no bytecode: each process would spend five seconds on them.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
COLLECT := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --collect-only --quiet
# Taken as they are: a dollar sign in a folder's name is no variable. They reach the scripts through the environment, so that nothing
# in them can be taken for shell text.
override export FROM := $(value FROM)
override export TO := $(value TO)

help: ## Show this list
	@echo 'make backup FROM=FOLDER [TO=ALIAS:PATH]'
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  %-10s %s\n' "$$name" "$$text"; done

setup: ## Make .venv with pinned dependencies, and nothing else
	@scripts/environment.sh core

test-setup:
	@scripts/environment.sh test

# Tests that ask the oracle skip themselves where it could not be had; all others run.
oracle:
	@scripts/environment.sh oracle || echo 'tests: without Tahoe-LAFS; the tests that ask it are skipped' >&2
	@scripts/system-packages.sh
	@scripts/compile.sh
	@scripts/azurite.sh

backup: ## Back up FROM=FOLDER into the default vault, or to TO=ALIAS:PATH
	$(if $(FROM),,$(error usage: make backup FROM=FOLDER [TO=ALIAS:PATH]))
	@scripts/environment.sh core
	@scripts/backup.sh

man: setup ## Write the manual pages into build/man/man1
	@$(BIN)/tallac man --all build/man/man1
	@echo 'build/man/man1: put it where man looks, or call man with -M build/man'

# Every link has to lead somewhere, also one to a heading: what Sphinx would only warn of is an error.
docs: ## Build the site into build/docs and check its links
	@scripts/environment.sh docs
	@.docs-venv/bin/python -m sphinx --fail-on-warning --keep-going --quiet --conf-dir docs --doctree-dir build/doctrees . build/docs
	@echo 'build/docs/index.html: the site'

release-setup:
	@scripts/environment.sh release

wheel: release-setup ## Build the wheel and the source distribution into dist
	@scripts/release.sh wheel dist

binary: release-setup ## Build a one-file program that needs no Python into dist
	@scripts/release.sh binary dist
	@ls -sh dist/tallac-*

sbom: release-setup ## Write the bill of materials (CycloneDX) into dist
	@scripts/release.sh sbom dist
	@ls dist/*.cdx.json

test: test-setup oracle release-setup ## Run all tests
	@$(PYTEST) $(ARGS)

test-fast: test-setup ## Run the tests that take no seconds, in less than a minute
	@$(PYTEST) -m 'not (slow or torture)' $(ARGS)

# The compiled part gains time and nothing else: everything holds without it, too.
test-python: test-setup oracle release-setup ## Run all tests without what is compiled
	@TALLAC_NATIVE=0 scripts/compile.sh
	@TALLAC_NATIVE=0 $(PYTEST) $(ARGS); status=$$?; scripts/compile.sh; exit $$status

# Each process that runs tests would rewrite all their assertions by itself.
test-compiled: test-setup
	@mkdir -p build
	@$(COLLECT) >build/collected.txt || { cat build/collected.txt; exit 1; }

durations: test-setup oracle release-setup ## Run all tests, and list how long each took in build/durations.txt
	@$(PYTEST) --durations-file build/durations.txt $(ARGS)

help-texts: test-setup ## Pin what the commands' --help prints in tests/cli/help.txt
	@$(BIN)/python -m tests.cli.help_texts > tests/cli/help.txt

check: test-setup ## Lint, check the format, the types and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src tests
	$(BIN)/lint-imports

format: test-setup ## Put all files into the checked format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A long test takes as long as it was asked to, and to print after ten minutes where all its threads are has crashed Python 3.13.
torture: test-setup oracle release-setup ## Run the long tests as well (hours; SCALE= makes them longer)
	@TALLAC_TORTURE=$(or $(SCALE),1) $(PYTEST) -o faulthandler_timeout=0 -m 'torture or not torture' $(ARGS)

mutate: test-setup ## Switch the vault's protections off one by one, and see that a test notices each (half an hour)
	@$(BIN)/python scripts/mutate.py $(ARGS)

bench: setup ## Measure Tallac beside restic and Borg
	@$(BIN)/python bench/run.py $(ARGS)

clean: ## Remove what make made; vaults and configuration stay
	rm -rf src/tallac/native/libtallac.so.1 .venv .docs-venv .tahoe-venv .release-venv .azurite dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -exec rm -rf {} +
