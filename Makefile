# Each target does all the set-up that it needs on a machine with Python 3.11 to 3.13, pip and git.
PYTHON ?= python3
VENV ?= .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export PYTHONUNBUFFERED := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo gallery test lint docs airflow clean

demo: $(READY)  ## source -> released dataset: fetch the data, run every stage, say where the report is
	python -m pipelines.sources
	dvc repro
	python -m pipelines.summary

gallery: $(READY)  ## every system of pictures trained on bundled digits, on one page: build/gallery/index.html
	python -m pipelines.sources digits
	OMP_NUM_THREADS=1 python -m benchmarks.gallery --digits data/digits/mnist_5k.csv.gz

# two files beside each other, on one thread each, as small products wait for each other on more
test: $(READY)  ## all tests, with the coverage of the library
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

lint: $(READY)  ## style, types, formatting
	ruff check .
	ruff format --check .
	mypy

docs: $(READY)  ## the manual as a website in site/
	mkdocs build --strict

airflow: $(READY)  ## a local Airflow on loopback with the pools and a user
	python -m pipelines.sources
	python -m pipelines.graph
	python -m pipelines.airflow

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	python -m pip check
	touch $(READY)

clean:  ## remove what the stages made; the data and the environment stay
	rm -rf build reports release metrics .airflow site
