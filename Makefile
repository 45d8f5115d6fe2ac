# fencepost: `make` lists what there is. Recipes run from this folder with relative paths, so its name may hold spaces.
# PYTHON and CC choose the interpreter and the compiler (make bench PYTHON=python3.12 CC=clang).

PROFILE ?= standard
RUN ?= latest
PYTEST_ARGS ?=
FUZZ_ARGS ?=
KILLS ?= 500
READER ?= imports
TOOLCHAINS_ARGS ?=
CROSSCHECK_ARGS ?=
PYTHON ?=
export PYTHON
# Only a CC of the user's is passed on: make's own default says nothing, and an empty one breaks those who read it.
ifeq ($(origin CC),default)
unexport CC
else
export CC
endif
# Not in the home directory, which may be read-only.
export MPLCONFIGDIR ?= $(CURDIR)/build/matplotlib
unexport PYTHONHOME PYTHONPATH

VENV := .venv/bin
# The tests start hundreds of Python processes. Without compiled files each would compile all modules anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(VENV)/python -m pytest
C_FILES = csrc/*.[ch] csrc/*/*.[ch] csrc/*/*/*.[ch] csrc/*/*/*/*.[ch] tools/*.c benchmarks/*.[ch] examples/*/*.[ch]*
SHELL_FILES := tools/*.sh .ci/run cli/fleet_hosts/roles/fencepost/files/*.sh examples/fleet/*.sh
PYTHON_FILES := analysis bench benchmarks cli csrc tests tools setup.py conftest.py

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help bench test test-slow test-all fuzz faults fleet-faults toolchains crosscheck peers report compare lint format sanitize soak arch-check gallery-check wheel release-check clean install install-dev

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

bench: install ## measure this machine and write a report (PROFILE=quick, standard or rigorous)
	@# Exit status 1: some cases failed, and the others are there to be read all the same.
	@status=0; $(VENV)/fencepost run --profile $(PROFILE) || status=$$?; \
	[ $$status -le 1 ] || exit $$status; \
	$(VENV)/fencepost report latest || exit; exit $$status

# Three on two CPUs: some tests wait for a process, a fleet, a browser or a signal, and all workers of runs share one CPU.
test: install-dev ## run the tests but for the slow ones, about 3 minutes (PYTEST_ARGS="-k clock")
	@$(PYTEST) -m "not slow" --numprocesses 3 --dist worksteal $(PYTEST_ARGS)

test-slow: install-dev ## run the slow tests: all compilers, sanitizers, models, a browser
	@$(PYTEST) -m slow --numprocesses 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-all: test test-slow ## run all tests

fuzz: install-dev ## try a million hostile inputs over every reader (an hour; FUZZ_ARGS="--inputs 20000 --seed 2" for less)
	@PYTHONPATH=tests:tools $(VENV)/python -m fuzz $(FUZZ_ARGS)

fuzz-guided: install-dev ## try inputs that atheris makes, if it is installed (READER=imports; a minute)
	@PYTHONPATH=tests:tools $(VENV)/python -m fuzz.guided $(READER) $(FUZZ_ARGS)

faults: install-dev ## kill a small run 500 times, and fail each of its operations on files (an hour; KILLS=50 for less)
	@KILLS=$(KILLS) FAULTS=all $(PYTEST) -m "" $(PYTEST_ARGS) tests/bench/test_file_faults.py tests/bench/test_whole_faults.py tests/bench/test_kills.py

fleet-faults: install-dev ## plant 24 faults in fleets of namespaces, and faults here (as root, 15 minutes)
	@FAULTS=all $(PYTEST) -m "" $(PYTEST_ARGS) tests/fleet/test_faults.py tests/fleet/test_hosts.py

toolchains: install-dev ## try every compiler and Python that is here; writes docs/toolchains.md (half an hour)
	@$(VENV)/python tools/toolchains.py $(TOOLCHAINS_ARGS)

crosscheck: install-dev ## compare our figures with those of perf bench, cyclictest and stress-ng; writes docs/crosscheck.md (3 minutes)
	@$(VENV)/python tools/crosscheck.py $(CROSSCHECK_ARGS)

peers: install ## compare the rings with those of other libraries that are installed here (about 2 minutes)
	@$(VENV)/fencepost peers examples/peers

report: install ## write the report of the latest run again (RUN=folder)
	@$(VENV)/fencepost report "$(RUN)"

compare: install ## measure through pytest-benchmark and compare with the last time (PYTEST_ARGS="-k clock")
	@$(VENV)/python -m pytest bench/ --benchmark-autosave --benchmark-save-data --benchmark-compare --benchmark-columns=min,median,max,rounds $(PYTEST_ARGS)

lint: install-dev ## check style, types and warnings of all sources
	@sh tools/preflight.sh tools clang-format shellcheck gcc clang
	$(VENV)/ruff check $(PYTHON_FILES)
	$(VENV)/ruff format --check $(PYTHON_FILES)
	clang-format --dry-run -Werror $(C_FILES)
	shellcheck $(SHELL_FILES)
	@# mypy takes one CPU for a minute or more, and the compilers take the others.
	sh tools/selftest.sh warnings & compilers=$$!; $(VENV)/mypy; typed=$$?; wait $$compilers && exit $$typed

format: install-dev ## bring all sources into the form that lint wants
	@sh tools/preflight.sh tools clang-format
	$(VENV)/ruff check --fix-only --quiet $(PYTHON_FILES)
	$(VENV)/ruff format $(PYTHON_FILES)
	clang-format -i $(C_FILES)

sanitize: ## run the C self-test under the address, undefined behaviour, thread and memory sanitizers
	@sh tools/selftest.sh sanitize && sh tools/selftest.sh memory

soak: ## 10^9 items through the rings, order and loss checked (minutes; ITEMS=1000000 for less)
	@sh tools/soak.sh

arch-check: ## build the C self-test for aarch64 and riscv64 and run it under qemu
	@sh tools/selftest.sh architectures

gallery-check: install ## check every published folder in results/: one sentence a fault
	@$(VENV)/fencepost publish --check

wheel: ## build an installable wheel in dist/
	@sh tools/install.sh wheel

release-check: install ## build what a release has twice, compare, check, and measure with it as another user (5 minutes)
	@$(VENV)/python tools/release_check.py

clean: ## remove everything that make made, except runs and reports
	rm -rf .venv build dist *.egg-info bench/_kernels* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install:
	@sh tools/install.sh runtime

install-dev:
	@sh tools/install.sh dev
