.DEFAULT_GOAL := help
PYTHON ?= python3
SECONDS ?= 60
PIP := .venv/bin/pip --disable-pip-version-check install --quiet
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml
TORCH := torch==2.13.0
NO_TORCH := --excludes requirements/torch-cuda.txt --no-emit-package torch
SBOM := PYTHONWARNINGS=ignore .venv/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible
IMAGE := docker build -f docker/Dockerfile --build-arg REVISION=$$(git describe --always --abbrev=40 --exclude '*' --dirty=+)

.PHONY: help serve check test train format openapi screenshots lock images image-check fuzz sbom adopt clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: .venv/serve  ## install what serving needs and start the service on 127.0.0.1:8000 (HARMONIUM_WORKERS=0: a process per core)
	.venv/bin/python -m service

check: .venv/dev  ## check code, types and the files of docker/, without an engine and without running tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright
	.venv/bin/hadolint docker/Dockerfile
	.venv/bin/shellcheck --exclude SC2016,SC2329 .ci/run docker/*.sh
	docker/check-compose.sh

test: check  ## install what tests and training need and run all checks and tests
	.venv/bin/python -m pytest -n 2 --dist loadfile

train: .venv/dev  ## install what training needs and show the recipes
	.venv/bin/python -m training list

format: .venv/dev  ## put the code into its one format
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

openapi: .venv/dev  ## write docs/openapi.json anew, for review
	.venv/bin/python -m tests.docs.openapi

screenshots: .venv/dev  ## make the pictures of the documents anew, with the service and Chromium, for review
	.venv/bin/python -m tests.docs.screenshots

lock: .venv  ## resolve the pins of pyproject.toml into hashed lock files, for every Python and platform
	$(PIP) uv==0.13.9
	$(LOCK) --extra cpu -o requirements/serve.txt
	$(LOCK) --extra gpu -c requirements/serve.txt -o requirements/gpu.txt
	$(LOCK) $(NO_TORCH) --extra training --extra tracing --extra dev -c requirements/serve.txt -o requirements/dev.txt
	$(LOCK) --extra cpu --extra tracing -c requirements/dev.txt -o requirements/tracing.txt
	$(LOCK) $(NO_TORCH) --extra training -c requirements/dev.txt -o requirements/train.txt

images:  ## build the images harmonium:cpu and harmonium:gpu with Docker
	$(IMAGE) --target cpu -t harmonium:cpu .
	$(IMAGE) --target gpu -t harmonium:gpu .

image-check: .venv/dev  ## build the images, run them as docker-compose.yml says, and look at what they do, under load
	docker/image-check.sh

fuzz: .venv/dev  ## feed what reads bytes from outside with bytes that reach ever more of it, SECONDS each; findings are in var/fuzz
	$(PIP) atheris==3.0.0
	for target in picture tensor manifest graph sample items; do \
	    .venv/bin/python -m tests.robustness.fuzz $$target var/fuzz $(SECONDS) || exit 1; \
	done

sbom: .venv  ## list what each image installs, as CycloneDX in var/sbom
	$(PIP) cyclonedx-bom==7.5.0
	mkdir -p var/sbom
	$(SBOM) -o var/sbom/cpu.json requirements/serve.txt
	$(SBOM) -o var/sbom/gpu.json requirements/gpu.txt
	echo $(TORCH) | cat requirements/train.txt - | $(SBOM) -o var/sbom/train.json -

adopt: .venv/dev  ## move the newest version of MODEL=name from var/models into the shipped models
	.venv/bin/python -m training adopt $(MODEL)

clean:  ## delete the environment; models and runs in var/ stay
	rm -rf .venv

.venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with PYTHON=")'
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

.venv/serve: requirements/serve.txt | .venv
	$(PIP) --require-hashes -r requirements/serve.txt
	@touch $@

.venv/dev: requirements/dev.txt | .venv
	$(PIP) $(TORCH)
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@
