#!/bin/bash
# A benchmark on CUDA, without Snakemake: on_gpu.sh BENCHMARK; writes $OUT/cache (as `reedbench cache export`), table and
# log. Data from outside lie in .data/. Nothing of a committed cache may be returned by mistake: it is removed first.
set -euo pipefail
b=$1
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl
export PYTHONPATH=/tmp/site:$PWD PYTHONUNBUFFERED=1 REEDBENCH_DATA=$PWD/.data
nvidia-smi -L
python3 -c "import sys, torch; print('torch', torch.__version__, 'python', sys.version.split()[0])"
rm -rf results work
{ time python3 speed/run_plan.py "$b" --workers 8 --gpus 1; } 2>&1 | tee "$OUT/log"
python3 -m reedbench cache export "$b"
cp "results/tables/$b.csv" "results/figures/$b/speedup.csv" "results/cache/$b"/*.parquet "results/cache/$b/cache.prov.json" "$OUT/"
