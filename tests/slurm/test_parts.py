"""Steps that go part by part, on two nodes: requeued in the middle, they keep their parts and end in the same bytes."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from reedbench.core import paths

PATIENCE = 600  # seconds, as in conftest.py
CELL = "--benchmark tiny --method sit --seed 0 --step 10 --sampler ode"
SAMPLES = paths.samples("tiny", "sit", 0, 10, "ode")
WIDE = paths.representation("digits", "wide")
MADE = Path(__file__).parents[1] / "speed" / "made"  # plugins
# By step: its words, its outputs, where its parts are while it runs, and how many the first of two ranks makes.
STEPS = {
    "represent": (
        "represent --dataset digits --encoder wide",
        [paths.shards(WIDE), paths.index(WIDE)],
        "represent/digits/wide",
        2,
    ),
    "sample": (f"sample {CELL}", [SAMPLES], "sample/tiny/sit/seed0/step-0000010/ode", 2),
}
# So that there are several parts: some 1,400 rows of 16 tokens, and 1,024 samples.
EDITS = {
    "encoders:\n": "encoders:\n  wide: {uses: made-tokens, dim: 4096}\n",
    "count: 64, batch: 64": "count: 1024, batch: 64",
}


@pytest.fixture
def many(bench):
    """A bench whose representation and whose samples have three parts or more, ready for both steps."""
    bench.environment["REEDBENCH_PLUGINS"] = str(MADE)
    file = bench.folder / "config/benchmarks/tiny.yaml"
    text = file.read_text()
    for old, new in EDITS.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    inline(bench, "train --benchmark tiny --method sit --seed 0 --segment 0", [])
    return bench


def inline(bench, step, outputs):
    done = bench.run(bench.command(step.split()[0], step, *outputs, where="inline"))
    assert done.returncode == 0, done.stdout


def digests(bench, outputs):
    """sha256 of all files of some outputs."""
    found = {}
    for output in map(Path, outputs):
        whole = bench.folder / output
        for file in sorted(whole.iterdir()) if whole.is_dir() else [whole]:
            found[f"{output.name}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


@pytest.mark.parametrize("verb", STEPS)
def test_requeued_in_the_middle_it_keeps_its_parts_and_ends_in_the_same_bytes(verb, many):
    bench, (step, outputs, kept, mine) = many, STEPS[verb]
    inline(bench, step, outputs)
    wanted = digests(bench, outputs)
    subprocess.run(["rm", "-rf", *(str(bench.folder / output) for output in outputs)], check=True)
    bench.hold()  # the second rank stands before its first part
    command = bench.command(kept, step, *outputs, nodes=2, tasks_per_node=1)
    launcher = bench.start(command, REEDBENCH_FAULT="hold:before-part@1")

    def parts():
        return sorted((bench.folder / "work/parts" / kept).glob("*/part-*.safetensors"))

    bench.until("the first rank's parts", lambda: len(parts()) == mine)
    made = {part.name: part.stat().st_ino for part in parts()}
    (job,) = bench.live()
    subprocess.run(["scontrol", "requeue", job], check=True)
    bench.until("the job to be requeued", lambda: bench.jobs()[job]["JobState"] == "PENDING")
    bench.let_go()
    held_again = {part.name: part.stat().st_ino for part in parts()}
    bench.release(job)
    text, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 0, text
    assert made.items() <= held_again.items()  # nothing of the first life is made again
    assert digests(bench, outputs) == wanted
    record = json.loads((bench.folder / f"{outputs[0]}.prov.json").read_text())["job"]
    assert (record["id"], record["restarts"]) == (job, 1)
    assert parts() == []
