#!/bin/bash
# The digits benchmark on CUDA, without Snakemake; writes $OUT/cache (as `reedbench cache export`), table and log.
# Nothing of the CPU's committed cache may be returned by mistake: it is removed from this copy first.
set -euo pipefail
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl
export PYTHONPATH=/tmp/site:$PWD PYTHONUNBUFFERED=1
nvidia-smi -L
python3 -c "import sys, torch; print('torch', torch.__version__, 'python', sys.version.split()[0])"
rm -rf results work
{ time python3 speed/run_plan.py digits --workers 8 --gpus 1; } 2>&1 | tee "$OUT/log"
python3 -m reedbench cache export digits
cp results/tables/digits.csv results/figures/digits/speedup.csv results/cache/digits/*.parquet results/cache/digits/cache.prov.json "$OUT/"
