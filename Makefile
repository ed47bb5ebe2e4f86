# The two commands for a newcomer: `make run`, `make test`. CONTRIBUTING.md tells the others.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
# How many processes run the tests; each has a database server and a browser of its own.
PROCESSES := 2

.PHONY: help install run test test-pbx test-faults check static format bench lock clean
.DELETE_ON_ERROR:

help:
	@echo "make install   the program and its locked dependencies in .venv; leaves .venv/bin/ringcard"
	@echo "make run       install, then a demonstration: recorded calls, invented clients, data in ./data"
	@echo "make test      everything: also Chromium and a real Asterisk where they can run"
	@echo "make test-pbx  telephones at a real Asterisk 16 and 22: about half an hour, optional"
	@echo "make test-faults  load while the database, links, disk, browsers or the program itself fail: optional"
	@echo "make check     the quick gate: format, lint, types, layers, tests without browser and PBX"
	@echo "make format    write the format that make check wants"
	@echo "make bench     the benchmarks' table; make bench NAMES='ami lookup' for some of them"
	@echo "make lock      maintainers: resolve the dependencies anew (needs uv)"
	@echo "make clean     remove .venv and caches; ./data stays"

install: $(VENV)/.installed
	@echo "ringcard is installed: $(BIN)/ringcard"

run: $(VENV)/.installed
	@exec $(BIN)/ringcard demo

test: static
	@tools/system_packages.sh
	@$(BIN)/python -m pytest -n $(PROCESSES) -m "not long and not faults"

test-pbx: $(VENV)/.installed-dev
	@tools/system_packages.sh
	@$(BIN)/python -m pytest -m "pbx and long"

test-faults: $(VENV)/.installed-dev
	@tools/system_packages.sh
	@$(BIN)/python -m pytest -m faults

check: static
	$(BIN)/python -m pytest -q -n $(PROCESSES) -m "not browser and not pbx and not slow and not faults"

static: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m bench $(NAMES)

lock:
	@command -v uv >/dev/null || { echo "ringcard: make lock needs uv (https://docs.astral.sh/uv/)" >&2; exit 1; }
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--no-emit-index-url --custom-compile-command "make lock" $(UPGRADE) \
		pyproject.toml tools/build-requirements.in -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--no-emit-index-url --custom-compile-command "make lock" $(UPGRADE) --extra dev \
		pyproject.toml tools/build-requirements.in -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info build

# The stamps make a second `make run` quick: nothing is asked of pip until a lock file changes.
$(VENV)/.installed: requirements.lock pyproject.toml
	@tools/make_venv.sh $(VENV)
	@echo "ringcard: installing the locked dependencies (a minute or two the first time)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "ringcard: installing the locked tools for development"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
