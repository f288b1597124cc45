# Two commands matter: `make demo` and `make test`. Both set up all they need, and again without harm.
# Package mirrors come from the machine's own apt, pip and Go settings.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# the stack makes network interfaces and starts Docker; where there is no sudo, riti says what is missing
AS_ROOT := $(shell test "$$(id -u)" = 0 || ! command -v sudo >/dev/null || echo 'sudo -E env "PATH=$$PATH"')

.PHONY: demo test test-slow test-faults test-long test-merges check bench bench-enroll-10000 image-tools image-build image-reproduce image-boot image-update image-rollback image-power image-crashes image-e2e venv setup clean

demo: venv ## the product's whole job once, on real servers; KEEP=1 leaves it up
	$(AS_ROOT) $(BIN)/riti dev demo $(if $(KEEP),--keep)

# two at a time, a file each, in the order of the folders; each of the two has servers of its own
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: SETUP := --forge # the tests' own Gitea is built too
test: venv setup check ## everything but the slow suite, the cheap first
	$(AS_ROOT) $(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-slow: venv setup
	$(AS_ROOT) $(BIN)/python -m pytest -m slow

test-faults: venv setup ## the fault matrix (docs/faults.md), its slow rows too
	$(AS_ROOT) $(BIN)/python -m pytest -m "not long" tests/faults

test-long: venv setup ## every moment of a sync to be killed in, for hours; PART=3 is one of eight parts
	$(AS_ROOT) $(BIN)/python -m pytest -m long --numprocesses 3 --dist load -rP $(if $(PART),-k "[$(PART)]")

test-merges: venv setup ## fifty merges of every kind under live calls; its figures are printed
	$(AS_ROOT) $(BIN)/python -m pytest -m slow -s tests/integration/test_merges.py

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict ritilib bench box-os/boxos box-os/onbox
	PYTHONPATH=box-os $(BIN)/lint-imports

bench: venv setup ## all benchmarks, or one: make bench NAME=image
	$(AS_ROOT) $(BIN)/python -m bench $(NAME)

bench-enroll-10000: venv setup ## ten thousand boxes enroll at once, and come back after ten minutes: 30 to 45 minutes on two cores
	$(AS_ROOT) $(BIN)/python -m bench enroll-10000

IMAGE := PYTHONPATH=box-os $(BIN)/python -m boxos
BOARD ?= virt
FLAVOUR ?= debian

image-tools: venv ## Debian packages with the programs that make a box's image; nothing else needs them
	@missing=$$($(IMAGE) tools) && { test -z "$$missing" || $(AS_ROOT) apt-get install --yes --no-install-recommends $$missing; }

image-build: image-tools ## the box's image, bundle and bill: BOARD=virt FLAVOUR=debian (box-os/README.md)
	$(AS_ROOT) env $(IMAGE) build --board $(BOARD) --flavour $(FLAVOUR)

image-reproduce: image-build ## makes all of it once more, elsewhere; fails where a byte is another
	$(AS_ROOT) env $(IMAGE) reproduce

# PATIENCE=3 makes every deadline of the targets below three times as long: for a machine that has other work
image-boot: image-tools ## searches what image-build made for secrets, starts it in QEMU (bare, and twice from a card), scans its ports
	$(AS_ROOT) env $(IMAGE) boot $(if $(MORE),--more "$(MORE)")

image-update: image-tools ## what image-build made is updated in QEMU, over at most 10 MB; tampered, foreign and old bundles are refused
	$(AS_ROOT) env $(IMAGE) update

image-rollback: image-tools ## versions that do not work are tried in QEMU: wrong hash, panic, hang, no agent, no Consul; FAULTS="panic hang"
	$(AS_ROOT) env $(IMAGE) rollback $(FAULTS)

image-e2e: image-tools setup ## from power to dial tone: what image-build made enrolls in QEMU at a stack of servers, and calls; CUTS=3 while it enrolls
	$(AS_ROOT) env CUTS=$(or $(CUTS),0) $(BIN)/python -m pytest -s tests/image

image-power: image-tools ## cuts what image-build made off at CUTS random moments of starts, installations and tries in QEMU
	$(AS_ROOT) env $(IMAGE) power --cuts $(or $(CUTS),5)

image-crashes: image-tools ## records what image-build made writes to its card in QEMU, and checks STATES=1000 cards that lost some of it
	$(AS_ROOT) env $(IMAGE) crashes --states $(or $(STATES),1000) $(if $(SEED),--seed $(SEED))

setup: venv
	$(AS_ROOT) $(BIN)/riti dev setup $(SETUP)

venv: $(VENV)/.project

$(VENV)/.interpreter:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed ($(PYTHON) is not): apt-get install python3.11 python3.11-venv," \
	    "or: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.requirements: requirements.txt $(VENV)/.interpreter
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements.txt
	@touch $@

$(VENV)/.project: pyproject.toml setup.py $(VENV)/.requirements
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean: ## what was made in the checkout, a demo that was left up too; servers and images stay in ~/.cache/riti
	if [ -d .demo ]; then $(AS_ROOT) $(BIN)/riti dev down --purge --dir .demo/stack && $(AS_ROOT) rm -rf .demo; fi
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
