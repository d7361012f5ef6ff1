PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test bench clean

setup: $(STAMP)

# torch first and alone: a pinned version, so that nothing pulls the newest build with its gigabytes of GPU packages
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	touch $(STAMP)

demo: setup
	$(BIN)/medrestore demo

test: setup
	$(BIN)/python -m pytest

# the quality table needs the volumes of the prior's cohort: make bench VOLUMES=volumes.npz
bench: setup
	$(BIN)/python benchmarks/speed.py --readme
	$(BIN)/python benchmarks/posteriors.py
	$(if $(VOLUMES),$(BIN)/python benchmarks/quality.py tune $(VOLUMES))
	$(if $(VOLUMES),$(BIN)/python benchmarks/quality.py run $(VOLUMES))

clean:
	rm -rf $(VENV) build *.egg-info
