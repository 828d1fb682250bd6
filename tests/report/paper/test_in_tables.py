"""`reedbench step paper` writes own results and verdicts of a made-up run beside the papers' numbers."""

import csv
import shutil
from pathlib import Path

from reedbench.core import io
from reedbench.report.paper.verdicts import COLUMNS
from reedbench.steps import runner

REPOSITORY = Path(__file__).parents[3]


def table(name):
    with Path(f"results/paper/tables/{name}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_verdict_stands_in_the_tables_and_is_counted(lab):
    for name in lab.whole.measured:
        lab.add(name)
    shutil.copytree(REPOSITORY / "config/reference", "config/reference")
    shutil.copy(REPOSITORY / "config/paper.yaml", "config/paper.yaml")
    lab.measure("sit", 400_000, [17.0, 17.3, 17.6])
    lab.measure("repa", 400_000, [9.5])
    lab.measure("reed", 300_000, [6.2])
    (left_out,) = lab.measure("reed", 400_000, [7.3])
    Path(left_out).write_text(Path(left_out).read_text().replace("7.3", "7.2"))
    read = lab.measure("reed", 1_000_000, [1.8], sampler="sde-cfg-sit")
    assert runner.main(["paper"]) == 0
    fids = {
        (row["method"], row["steps"]): row
        for row in table("image-steps")
        if (row["metric"], row["backbone"], row["kind"]) == ("fid", "SiT-XL/2", "claim")
    }
    assert set(COLUMNS) <= set(fids["SiT", "400000"])
    assert [fids[key]["verdict"] for key in (("SiT", "400000"), ("REPA", "400000"), ("REED", "300000"))] == [
        "reproduced", "worse", "better",
    ]  # fmt: skip
    assert float(fids["SiT", "400000"]["own"]) == 17.3
    assert fids["SiT", "7000000"]["verdict"] == "not run"
    assert fids["SiT", "7000000"]["own"] == ""
    guided = [row for row in table("image-guided") if row["guidance"] == "1.275" and row["metric"] == "fid"]
    assert [row["verdict"] for row in guided] == ["not comparable"]
    page = Path("results/paper/tables/image-steps.md").read_text()
    assert "17.30 [" in page
    assert "SiT-XL/2 SiT 400,000: reproduced: +0.10, tolerance 1.20" in page
    summary = Path("results/paper/summary.md").read_text()
    # Not comparable: the guided number, and what others got by an ODE (17.97) or in 50 steps (20.01 and 11.14).
    assert "cells run: reproduced 1, better 1, worse 1, not comparable 4" in summary.splitlines()[0]
    assert "is not the file that its step wrote" in summary
    assert read[0] in io.read_object("results/paper/summary.md.prov.json", {"inputs": dict})["inputs"]
