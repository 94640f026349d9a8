.DEFAULT_GOAL := help
.PHONY: help install test lint format docs gallery bench ci

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install:  ## install lego for development into the active environment
	python -m pip install -e ".[dev]"

test:  ## run the tests
	pytest

lint:  ## check style and types
	ruff check .
	ruff format --check .
	mypy

format:  ## lay out the code
	ruff format .
	ruff check --fix .

docs:  ## write the pages that are made from the code (docs/tools.md, docs/errors.md)
	python docs/generate.py

gallery:  ## edit the photographs in docs/photos and write docs/gallery
	python docs/gallery.py

bench:  ## measure start-up, the cost per step, whole edits and every tool
	python benchmarks/startup.py
	python benchmarks/steps.py
	python benchmarks/tools.py

ci:  ## run what CI runs
	.ci/run
