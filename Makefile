# Liandong. `make run` on a fresh machine needs Python 3.11+, make and a C library; see README.md.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
BIN := .venv/bin
DATA_DIR ?= .liandong
PYTEST := $(BIN)/pytest
JOBS ?= 3
PARALLEL := -n $(JOBS) --dist loadfile --no-loadscope-reorder
HOURS ?= 1
ifndef SEED
SEED := $(shell date +%s)
endif

.PHONY: help run setup dev test test-fast chaos soak mutants lint bench lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

run: setup ## set up what is missing, start everything, print the URL (Ctrl-C stops it)
	@exec $(BIN)/liandong up --data-dir $(DATA_DIR) $(ARGS)

setup: ## set up only: environment, packages, Java, Kafka's jars, screens
	@$(if $(PYTHON),,echo "Liandong needs Python 3.11 or newer and finds none. Install it (Debian, Ubuntu: apt install python3 python3-venv), or: make PYTHON=/path/to/python3.11" && exit 1;) \
	"$(PYTHON)" deploy/setup.py runtime

dev: setup
	@"$(PYTHON)" deploy/setup.py dev

test: dev ## every test, JOBS=3 files at a time; needs no running platform
	$(PYTEST) $(PARALLEL) $(ARGS)

test-fast: dev ## unit, property and contract tests, these with fewer examples: under two minutes
	$(PYTEST) $(PARALLEL) --quick tests/unit tests/property tests/contract -m "not broker and not chaos and not browser and not docker" $(ARGS)

chaos: dev ## every fault and every negative control; SEED=n repeats a run; writes tests/chaos/RESULTS.md
	$(PYTEST) $(PARALLEL) tests/chaos --write-results --seed $(SEED) $(ARGS)

soak: dev ## faults by chance for HOURS=n; SEED=n repeats their order; writes tests/chaos/RESULTS.md
	$(BIN)/python -m tests.chaos.soak --hours $(HOURS) --seed $(SEED) $(ARGS)

mutants: dev ## small changes to the core, and which of them no test notices; goes on where it stopped; writes tests/mutants/RESULTS.md
	$(BIN)/python -m tests.mutants $(ARGS)

lint: dev ## format, rules, types, import arrows
	$(BIN)/ruff check schemas streams services tests deploy
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: dev ## benchmarks; results in tests/bench/results
	$(BIN)/python -m tests.bench $(ARGS)

lock: dev ## resolve all dependencies anew and write the locks
	$(BIN)/python deploy/lock.py
	$(BIN)/python -m services.embedded.jars lock

clean: ## remove everything that was set up or built; not the data
	rm -rf .venv .cache mutants services/web/dist services/web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
