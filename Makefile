# The words of Backtalk. `make up` starts it, `make test` proves it; both install what is missing and nothing twice.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: up test install install-dev check faults faults-release bench demo format clean
.DEFAULT_GOAL := up

up: install
	@exec $(BIN)/backtalk up

install:
	@$(PYTHON) deploy/install.py

install-dev:
	@$(PYTHON) deploy/install.py --dev

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m backtalk.docs --check
	$(BIN)/python -m server.typescript --check
	$(BIN)/python -m tests.faults.report --check
	cd client && npm run --silent check

# Files are shared out between two processes. Real processes, browsers and kills on a machine that others use too: who
# fails is run once more, alone, and is reported in either case; who fails twice fails.
test: install-dev
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder || { [ $$? -eq 1 ] && \
		$(BIN)/python -m pytest --last-failed --last-failed-no-failures=none; }
	cd client && npm test --silent

# Each goes on where it was cut short, and makes docs/reliability.md anew.
faults: install-dev
	$(BIN)/python -m tests.faults --tier 1

faults-release: install-dev
	$(BIN)/python -m tests.faults --tier 2

demo: install
	$(BIN)/backtalk demo

bench: install
	$(BIN)/backtalk bench

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .stamps client/node_modules server/web
