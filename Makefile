# Watchbill's own commands. `make` alone explains them.
#
# They need Python 3.11 or newer and make; everything else comes into .venv, by hash, from the lock files.

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
PY := $(VENV)/bin/python
# --no-compile: Python compiles what is imported, when it is; compiling all of it takes as long as installing it.
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-compile
SOURCES := backups config fleet leadscan monitoring schedules sessions tests benchmarks manage.py
UV_COMPILE := $(VENV)/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help run test check chaos bench lock
.DELETE_ON_ERROR:

help: ## Show this list
	@echo "Watchbill: the night watch of a fleet of AI agents"
	@echo
	@sed -n 's/^\([a-z%-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | sed 's/%/NAME/' | while IFS='|' read -r name text; do \
		printf '%-17s %s\n' "$$name" "$$text"; done
	@echo
	@echo "Honoured by make run: PORT, FLOWER_PORT, REDIS_URL, DATABASE_URL, S3_ENDPOINT_URL (and the other S3_*),"
	@echo "WATCHBILL_DATA (the data folder, var/ unless given), WORKER_SLOTS."

run: $(VENV)/.run ## Start the watch on this machine; Ctrl-C ends it
	@exec $(PY) -m config.watch

# ARGS narrows it down: make test ARGS='tests/config -k redis'
# Modules go in their order, so that tests/acceptance, which waits longest, is not what all wait for at the end.
test: $(VENV)/.dev ## Run all tests, in parallel (ARGS='tests/config' for a part of them)
	$(PY) -m pytest -q -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev ## Check format, lint, types, floors and migrations
	$(VENV)/bin/ruff format --check $(wildcard $(SOURCES))
	$(VENV)/bin/ruff check $(wildcard $(SOURCES))
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	DATABASE_URL=sqlite://:memory: $(PY) manage.py check --fail-level WARNING
	DATABASE_URL=sqlite://:memory: $(PY) manage.py makemigrations --check --dry-run

# A quarter of an hour on each database. A failure prints the seed and the command line that repeats it.
chaos: $(VENV)/.dev ## Break the watch 300 times on each database (ARGS='--seed 7 --faults 50 --database sqlite')
	$(PY) -m tests.chaos $(ARGS)

bench: $(patsubst benchmarks/%.py,bench-%,$(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))) ## Run every benchmark

bench-%: $(VENV)/.dev ## Run one of them
	$(PY) benchmarks/$*.py

lock: $(VENV)/.dev ## Pin the dependencies of pyproject.toml anew
	$(UV_COMPILE) --extra embedded --output-file requirements/run.lock
	$(UV_COMPILE) --extra embedded --extra dev --constraints requirements/run.lock --output-file requirements/dev.lock

# The stamps below make a second start quick: pip runs again only when a lock file changed.

$(VENV)/.run: requirements/run.lock pyproject.toml | $(VENV)/.made
	@echo "Installing Watchbill's packages into $(VENV) (once; a minute or so) ..."
	@$(PIP) --require-hashes -r requirements/run.lock || { $(PIP_FAILED); }
	@$(INSTALL_SELF)
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/.made
	@echo "Installing the packages for development into $(VENV) (once; a minute or so) ..."
	@$(PIP) --require-hashes -r requirements/dev.lock || { $(PIP_FAILED); }
	@$(INSTALL_SELF)
	@touch $(VENV)/.run $@

# Made again where it no longer works: the project was moved, or the Python below it is gone.
ifneq ($(shell cat $(VENV)/.made 2>/dev/null && $(PY) -c '' 2>/dev/null && echo works),$(CURDIR) works)
# Through a link the environment of another tree would be emptied: even `make -n` gets as far as this.
ifneq ($(shell test -L $(VENV) && echo link),)
$(error $(VENV) is a link to the environment of another place, which making it here would empty. Remove the link: rm $(VENV))
endif
$(shell rm -f $(VENV)/.made $(VENV)/.run $(VENV)/.dev)
endif

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { $(NEEDS_PYTHON); }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { $(NEEDS_PYTHON); }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(NEEDS_VENV); }
	@$(PYTHON) -m venv --clear $(VENV)
	@echo '$(CURDIR)' >$@

# setuptools is one of the locked packages, so building needs no network.
INSTALL_SELF = $(PIP) --no-index --no-deps --no-build-isolation --editable .

PIP_FAILED = echo "The packages could not be installed (see above). Is the network or your package index reachable?" \
	"Behind a proxy set HTTPS_PROXY, with a mirror PIP_INDEX_URL; then run make again." >&2; exit 1
NEEDS_PYTHON = echo "Watchbill needs Python 3.11 or newer, and '$(PYTHON)' is not that." \
	"Name one: make run PYTHON=/path/to/python3.12" >&2; exit 1
NEEDS_VENV = echo "'$(PYTHON)' cannot make virtual environments." \
	"On Debian or Ubuntu: apt install python3-venv" >&2; exit 1
