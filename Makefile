.DEFAULT_GOAL := help
.PHONY: help install test lint format docs gallery screenshots bench quality ci

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
	python docs/families.py

screenshots:  ## photograph the studio for the docs (needs a Chromium)
	python docs/screenshots.py

bench:  ## measure start-up, the cost per step beside other engines, whole edits; write docs/performance.md
	python benchmarks/startup.py
	python benchmarks/steps.py
	python benchmarks/edits.py
	python benchmarks/batch.py
	python benchmarks/scenes.py

quality:  ## measure how good the tools are and write docs/tools-quality.md
	python benchmarks/removal.py
	python benchmarks/finding.py
	python benchmarks/speed.py

ci:  ## run what CI runs
	.ci/run
