# Everything from a fresh clone with Python >= 3.11, pip and make. An active virtual environment is used as it is; else .venv is made.

PYTHON ?= python3
ifdef VIRTUAL_ENV
ENV := $(VIRTUAL_ENV)
else
ENV := .venv
endif
BIN := $(ENV)/bin
STAMP := $(ENV)/.sgdsde-installed
PROFILE ?= quick
OUT ?= report
WORKERS ?= 2
WIDTH ?= neurips

# one thread of linear algebra a worker: blocks and test workers are the parallelism
export OMP_NUM_THREADS = 1

.PHONY: help install triton verify test check lint bench peers figures gallery docs clean

help:
	@echo "make verify   measure the claims and write report/report.html (PROFILE=quick|full)"
	@echo "make test     the tests (below 10 minutes on 2 cores)"
	@echo "make check    all tests, the slow ones too, linter, type checker, documentation"
	@echo "make bench    the benchmark tables in benchmarks/ (BENCH=--quick); make peers first, for other packages beside ours"
	@echo "make figures  the figures of the paper, in figures/ (WIDTH=neurips|icml|jmlr)"
	@echo "make docs     the documentation, in docs/_build/html (a warning is an error)"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sgdsde needs Python 3.11 or newer; $(PYTHON) is older, or not there. Say which: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(ENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,io,distributed,compiled]'
	@touch $(STAMP)

# the test of the fused GPU step then runs in Triton's interpreter; CUDA builds of torch bring their own Triton
triton: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -c .ci/triton.txt -e '.[triton]'

verify: install
	$(BIN)/python -m sgdsde verify --profile $(PROFILE) --out $(OUT)

test: install
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

check: install lint docs
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

bench: install
	$(BIN)/python benchmarks $(BENCH)

# environments of their own for what the benchmarks are held against; without them the tables say absent
peers:
	PYTHON=$(PYTHON) benchmarks/peers/make.sh

figures: install
	$(BIN)/python -m sgdsde figures --width $(WIDTH) --out figures

gallery: figures
	mkdir -p docs/images && cp figures/*.png figures/*.json docs/images/

docs: install
	@$(BIN)/python -c 'import sphinx, myst_parser, pydata_sphinx_theme, sphinx_gallery' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf .venv report runs figures docs/_build docs/generated docs/api/generated .pytest_cache .mypy_cache .ruff_cache
