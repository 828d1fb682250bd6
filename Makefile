# Two commands a newcomer needs: `make demo` and `make test`. Both set up .venv first (once).
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
CORES ?= 2
DEMO ?= digits

.PHONY: demo test test-long test-slurm lint format clean install

demo: $(VENV)/.installed
	snakemake --cores $(CORES) -- results/tables/$(DEMO).csv results/figures/$(DEMO)/speedup.pdf \
	  results/figures/$(DEMO)/differences.pdf results/figures/$(DEMO)/samples.pdf \
	  results/figures/$(DEMO)/alignment.pdf
	reedbench summary $(DEMO)
	@echo "Next, in this terminal: source $(BIN)/activate"
	@echo "and then for example:   reedbench list targets $(DEMO)"

test: $(VENV)/.installed
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadgroup -m "not long" tests --ignore tests/slurm

# Bounds of memory, a thousand benchmarks of equal methods, whole workflows: what takes a minute or more.
test-long: $(VENV)/.installed
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadgroup -m long tests --ignore tests/slurm

# On a private Slurm cluster of two fake nodes, which is started for it and stopped after it. Debian packages:
# slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins
test-slurm: $(VENV)/.installed
	OMP_NUM_THREADS=1 pytest -n 3 tests/slurm

lint: $(VENV)/.installed
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	lint-imports
	mypy
	snakemake --lint

format: $(VENV)/.installed
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/pip || python3 -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "python3 cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[workflow,image,protein,molecule,metrics,dev]"
	touch $@

# Everything that was generated; the committed cache and the environment stay.
clean:
	find results -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +
	rm -rf work logs .snakemake
