"""Small molecules on Slurm: tiny, from nothing to the table, every heavy job on two nodes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from reedbench.codecs.molecules import Molecules
from reedbench.core import paths

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 1200  # seconds; what takes longer has failed
TABLE = "results/tables/tiny.csv"
DIVIDED = {"prepare", "represent", "train", "sample"}  # over processes, by parts or by rows of a batch
ON_ONE = {"cpus": 1, "mem_mb": 4000, "runtime": 20}
ON_TWO = {**ON_ONE, "nodes": 2, "tasks_per_node": 1}
CHANGES = {
    "evaluate": [10],
    "sampling": {"count": 512, "batch": 128},  # two parts
    "resources": {"pretrain": ON_ONE, "evaluate": ON_ONE} | dict.fromkeys(sorted(DIVIDED), ON_TWO),
}


def test_from_nothing_to_the_table_on_two_nodes(make_workspace, bench_at, tmp_path):
    bench = bench_at(make_workspace(tmp_path / "bench", "tiny_molecules"))
    file = bench.folder / "config/benchmarks/tiny.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **CHANGES}))
    shutil.copytree(REPOSITORY / "slurm", bench.folder / "slurm")
    line = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--profile", "slurm"]
    workflow = bench.start([*line, "--", TABLE])
    text, _ = workflow.communicate(timeout=PATIENCE)
    assert workflow.returncode == 0, text

    table = pd.read_csv(bench.folder / TABLE)
    assert table[["method", "step"]].values.tolist() == [["semlaflow", 10], ["reed", 10]]
    assert (table["device_seconds"] > 0).all()
    assert len(Molecules().read(bench.folder / paths.samples("tiny", "reed", 0, 10, "euler"))) == 512
    records = [json.loads(record.read_text()) for record in bench.folder.rglob("*.prov.json")]
    ran = {record["step"]: record["job"] for record in records if record["job"]}
    assert DIVIDED <= set(ran)
    assert {record["notes"]["ranks"] for record in records if record["step"] == "train"} == {2}
    for job in (ran[step]["id"] for step in DIVIDED):
        shown = subprocess.run(["scontrol", "-o", "show", "job", job], capture_output=True, text=True, check=True)
        assert "NodeList=n[1-2] " in shown.stdout, shown.stdout
    assert "Nothing to be done" in bench.run([*line, "-n", "--", TABLE]).stdout
