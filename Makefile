# Checkvalve: `make demo` runs a simulated plant end to end; `make test` runs every check. Both start from nothing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test soak pythons lint venv bundle clean
demo: $(VENV)/demo.stamp
	@$(BIN)/checkvalve demo $(ARGS)

test: $(VENV)/dev.stamp
	@PYTHON=$(BIN)/python deploy/check.sh

# make soak: the long counts, a storm of CHECKVALVE_SOAK_MINUTES (30) among them; prints what it counted
soak: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -m soak -s tests

# make pythons: the unit tests under every Python from 3.11 to 3.14 that this machine has
pythons:
	@deploy/pythons.sh

lint: $(VENV)/dev.stamp
	@LINT_ONLY=1 PYTHON=$(BIN)/python deploy/check.sh

# make bundle SIDE=high: one file that installs a side on a machine without a network
bundle: $(VENV)/dev.stamp
	@$(BIN)/python deploy/bundle.py "$(SIDE)" dist

venv: $(VENV)/dev.stamp

$(VENV)/bin/python:
	@deploy/make-venv.sh "$(PYTHON)" "$(VENV)"

$(VENV)/demo.stamp: $(VENV)/bin/python pyproject.toml
	@deploy/pip-shown.sh $(BIN)/python --editable '.[fast]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/bin/python pyproject.toml
	@deploy/pip-shown.sh $(BIN)/python --editable '.[fast,dev]'
	@touch $(VENV)/demo.stamp $@

clean:
	rm -rf $(VENV) .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
