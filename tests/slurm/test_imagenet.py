"""The shipped ImageNet benchmark on Slurm: tiny, from images to the table, every heavy job on two nodes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import tiny_imagenet

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 1200  # seconds; what takes longer has failed
IMAGES = Path(os.environ.get("REEDBENCH_DATA", "../shared/data")).resolve() / "imagenet-sample"
TABLE = "results/tables/imagenet.csv"
# Steps whose parts, or whose rows of a batch, are divided over processes.
DIVIDED = {"prepare", "caption", "compress", "represent", "train", "sample"}
ON_ONE = {"cpus": 1, "mem_mb": 4000, "runtime": 20}
ON_TWO = {**ON_ONE, "nodes": 2, "tasks_per_node": 1}
RESOURCES = {"pretrain": ON_ONE, "evaluate": ON_ONE} | dict.fromkeys(sorted(DIVIDED), ON_TWO)


@pytest.mark.skipif(not IMAGES.is_dir(), reason="no imagenet-sample in $REEDBENCH_DATA (../shared/data)")
def test_from_images_to_the_table_on_two_nodes(bench_at, tmp_path):
    bench = bench_at(tmp_path)
    tiny_imagenet.write(bench.folder, IMAGES, RESOURCES)
    shutil.copytree(REPOSITORY / "slurm", bench.folder / "slurm")
    line = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--profile", "slurm"]
    workflow = bench.start([*line, "--", TABLE])
    text, _ = workflow.communicate(timeout=PATIENCE)
    assert workflow.returncode == 0, text

    table = pd.read_csv(bench.folder / TABLE)
    table = table[table["weights"] != "data"]  # real data beside
    assert table[["method", "step"]].values.tolist() == [[method, 20] for method in ("sit", "repa", "reed")]
    assert (table["device_seconds"] > 0).all()
    records = [json.loads(file.read_text()) for file in bench.folder.rglob("*.prov.json")]
    ran = {record["step"]: record["job"] for record in records if record["job"]}
    assert DIVIDED <= set(ran)
    assert {record["job"]["id"] for record in records if record["job"]} == set(bench.my_jobs())
    for job in (ran[step]["id"] for step in DIVIDED):
        shown = subprocess.run(["scontrol", "-o", "show", "job", job], capture_output=True, text=True, check=True)
        assert "NodeList=n[1-2] " in shown.stdout, shown.stdout
    assert "Nothing to be done" in bench.run([*line, "-n", "--", TABLE]).stdout
