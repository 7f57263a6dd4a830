# Two commands matter: `make book` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
LISTS := pyproject.toml constraints.txt

# Small tensors are faster on one thread, and one thread gives the same sums everywhere.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# Never pick up a package of the user's home directory.
export PYTHONNOUSERSITE := 1
# The secret that draws the numbers of the hidden tests; by the environment, where no list shows it.
# `value`: a phrase may hold signs that mean something to make.
ifdef SEED
export COURSEWORK_SEED := $(value SEED)
endif

.PHONY: help setup book pdf test check test-long test-matrix test-peers notebooks bench gallery gallery-peers assignments grade rank lab browser clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

setup: $(VENV)/.stamp-test ## make .venv with everything that the tests and the book need

book: $(VENV)/.stamp-book ## build the book strictly (a warning is an error)
	@$(VENV)/bin/jupyter-book build book --all -W -n --keep-going
	@echo
	@echo "The book is built. Open _build/html/index.html in a browser."

pdf: $(VENV)/.stamp-book ## the book as one PDF, and a cheat sheet of one page (needs `make browser`)
	@$(PY) -m tools.paper ready
	@$(MAKE) --no-print-directory book
	@$(PY) -m tools.paper

test: $(VENV)/.stamp-test ## run every check of the project; the last line counts them
	@$(PY) tools/check.py

check: $(VENV)/.stamp-test ## the inner loop: lint, types, floors, and the tests of what changed
	@$(PY) tools/check.py lint format types layers changed

test-long: $(VENV)/.stamp-test ## what takes too long for every day: all cases, all mutants
	@$(PY) tools/check.py book long browser
	@$(PY) tools/mutants.py run

test-matrix: $(VENV)/.stamp-test ## tests and notebooks under other processors, Pythons, versions
	@$(PY) -m tools.matrix $(ROWS)

PEERS := .venv-peers
test-peers: $(PEERS)/.stamp ## compare with azula and deepinv, in an environment of their own
	@$(PEERS)/bin/python -m pytest -q -c tests/peers/pytest.ini --rootdir . tests/peers $(STORE)

notebooks: $(VENV)/.stamp-test ## execute the chapters that changed (.md -> .ipynb)
	@$(PY) tools/execute.py

bench: $(VENV)/.stamp-test ## time the engine beside the textbook (minutes; BENCH=--quick for less)
	@$(PY) -m benchmarks $(BENCH)
	@$(PY) -m benchmarks.operators
	@$(PY) -m benchmarks.goals --since ed473ac
	@$(PY) -m benchmarks.page
	@$(PY) -m benchmarks.pruning

gallery: $(VENV)/.stamp-test ## the rows of the leaderboard: goes on where it was stopped (CLUSTER=address)
	@$(PY) -m tools.gallery $(ROWS)

gallery-peers: $(PEERS)/.stamp ## the rows of azula and deepinv, in an environment of their own
	@$(PEERS)/bin/python -m tools.gallery --peers $(ROWS)

assignments: $(VENV)/.stamp-book ## make the student notebooks, and example submissions, in build/
	@$(PY) -m tools.coursework release

CLASS = $(if $(SUBMISSIONS),--submissions "$(SUBMISSIONS)") $(if $(LMS),--lms "$(LMS)") \
  $(if $(ROSTER),--roster "$(ROSTER)")
grade: $(VENV)/.stamp-book ## grade a folder: make grade SUBMISSIONS=folder SEED=phrase [LMS=canvas]
	@$(PY) -m tools.coursework grade $(CLASS)

rank: $(VENV)/.stamp-book ## rank the samplers of assignment 6: make rank SUBMISSIONS=folder SEED=phrase
	@$(PY) -m tools.coursework rank $(CLASS)

# What you do in lab/ is yours: no command writes over it, and `make clean` leaves it.
lab: $(VENV)/.stamp-lab ## open JupyterLab on chapters and assignments, or on NOTEBOOKS=folder
	@$(PY) -m tools.lab
	@$(PY) -m jupyterlab $(if $(NOTEBOOKS),"$(NOTEBOOKS)",lab)

browser: ## install Chromium, and by npm what the browser tests need (root, where it is missing)
	@$(PYTHON) tools/browser.py install

clean: ## remove what was built, and the environment
	rm -rf _build build *.egg-info .pytest_cache .ruff_cache .hypothesis $(VENV) $(PEERS)

$(PY):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 11) else \
	  "fsps_lite needs Python 3.11 or newer, got %d.%d: run make with PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)

# One stamp an extra: a second call installs nothing, a changed list installs again.
$(VENV)/.stamp-%: $(LISTS) | $(PY)
	@echo "Installing .[$*] into $(VENV) (the first time takes a few minutes)"
	$(INSTALL) -e ".[$*]"
	@touch $@

# They require torchvision, whose wheel may be built for another torch: a stand-in is installed for it.
$(PEERS)/.stamp: $(LISTS) tests/peers/standin/pyproject.toml tests/peers/standin/torchvision.py
	@echo "Installing .[peers] into $(PEERS) (the first time takes a few minutes)"
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  ./tests/peers/standin -e ".[peers]" pytest hypothesis beartype
	@touch $@

# The test extra holds the book extra.
ifneq ($(wildcard $(VENV)/.stamp-test),)
$(VENV)/.stamp-book: $(VENV)/.stamp-test
	@touch $@
endif
