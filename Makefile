PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo check test test-slow dist front-door docs fuzz bench bench-posteriors bench-training bench-priors clean

setup: $(STAMP)

# torch first and alone, pinned: without an NVIDIA GPU the CPU build (0.2 GB instead of 6) from the page of those, where that can be
# reached. `make setup TORCH_BUILDS=` takes whatever pip finds, TORCH_BUILDS=URL the builds of another page.
TORCH_BUILDS ?= $(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu/torch/)
REACHED = $(if $(TORCH_BUILDS),$(shell $(PYTHON) -c "import urllib.request as web; web.urlopen('$(TORCH_BUILDS)', timeout=5)" \
  2>/dev/null && echo --find-links $(TORCH_BUILDS)))

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0 $(REACHED)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	touch $(STAMP)

demo: setup
	$(BIN)/medrestore demo --overwrite

# a test process for each core, each on one thread
test: setup
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

# what takes long: notebooks, examples of the pages, killed runs, small trainings
test-slow: setup
	$(BIN)/python -m pytest -m slow

# damaged files for every reader: make fuzz MUTANTS=10000; hours on two cores, counts and seeds in build/fuzz
MUTANTS ?= 10000
fuzz: setup
	PYTHONPATH=tests $(BIN)/python -m fuzz.campaign --mutants $(MUTANTS) -o build/fuzz

# what every change passes besides its tests: style, types, and the rules of the architecture
check: setup
	$(BIN)/ruff check medrestore tests benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

# a wheel and a source archive, in dist/
dist: setup
	$(BIN)/python -m build --outdir dist

# a fresh environment in an empty folder: the wheel, every command and block of the pages, the walks; sizes and times in
# build/front-door.md
front-door: dist
	PYTHONPATH=tests $(BIN)/python -m front_door --wheel $$(ls -t dist/*.whl | head -1) --torch "torch==2.13.0 $(REACHED)"

# the pages as a static site, in build/site
docs: setup
	$(BIN)/python docs/site/build.py

# peers that cannot be installed are left out, and the table says so
bench: setup
	-$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/peers -r benchmarks/peers.txt
	PYTHONPATH=build/peers $(BIN)/python benchmarks/speed.py --write --threads 1

bench-posteriors: setup
	$(BIN)/python benchmarks/posteriors.py

bench-training: setup
	$(BIN)/python benchmarks/training.py

# what the starter priors reach on subjects and scenes they have never seen: make bench-priors VOLUMES=volumes.npz [SCAN=raw_data.mat]
STUDIES := build/bench-priors
WORKERS ?= 2
AXES := coil,slice,col,row
bench-priors: setup
	$(BIN)/medrestore evaluate configs/evaluate/brain-mr-starter.yaml data.volumes=$(VOLUMES) validation.volumes=$(VOLUMES) \
	  -o $(STUDIES)/brain --workers $(WORKERS)
	$(if $(SCAN),$(BIN)/python benchmarks/quality.py scan $(SCAN) --study $(STUDIES)/brain --dataset raw --axes $(AXES))
	$(BIN)/medrestore evaluate configs/evaluate/surgical-starter.yaml -o $(STUDIES)/surgical --workers $(WORKERS)
	$(BIN)/python benchmarks/quality.py page --brain $(STUDIES)/brain --surgical $(STUDIES)/surgical

clean:
	rm -rf $(VENV) build *.egg-info
