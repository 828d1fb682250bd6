"""The script that measures a margin for DiffROP: under a trained baseline, at each of its evaluated steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

from reedbench.steps import main

REPOSITORY = Path(__file__).parents[2]
METHOD = "\n  diffrop: {uses: overlap, label: DiffROP, margin: 1.0}\ntable: [sit, diffrop]\n"


def test_it_prints_how_far_predictions_are_apart(workspace):
    file = workspace / "config/benchmarks/tiny.yaml"
    file.write_text(file.read_text().replace("\ntable: [sit, repa, reed]\n", METHOD))
    train = "train --benchmark tiny --method sit --seed 0 --segment"
    for step in ("prepare --dataset digits", f"{train} 0", f"{train} 1"):
        assert main(step.split()) == 0
    words = ["tiny", "diffrop", "sit", "--batches", "2"]
    command = [sys.executable, str(REPOSITORY / "speed/overlap_margin.py"), *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    head, shares, *rows = done.stdout.splitlines()
    assert re.match(r"tiny/diffrop/seed0: distance '\w+' under tiny/sit/seed0", head)
    assert re.findall(r"\d+%", shares) == ["10%", "25%", "50%", "75%", "90%"]
    assert [row.split()[0] for row in rows] == ["10", "20"]
    for row in rows:
        values = [float(value) for value in row.split()[1:]]
        assert values == sorted(values)
        assert values[0] > 0
