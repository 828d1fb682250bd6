"""The words of a run's jobs, once: the workflow's rules say them with wildcards, plan and status with values.

Their text is frozen like the launch line: the hash of a job's words is how a launcher finds its job again. So they name
everything that a job's result depends on; one of an older configuration has other words, and is not collected.
"""


def run(b: str, m: str, k: int | str) -> str:
    """Arguments that name a run."""
    return f"--benchmark {b} --method {m} --seed {k}"


def segment(b: str, m: str, k: int | str, i: int | str) -> str:
    """Arguments that name a segment."""
    return f"{run(b, m, k)} --segment {i}"


def cell(b: str, m: str, k: int | str, step: int | str, s: str) -> str:
    """Arguments that name a cell."""
    return f"{run(b, m, k)} --step {step} --sampler {s}"


def train(b: str, m: str, k: int | str, i: int | str, expect: str, grid: str) -> str:
    """The step of a training job, under the recipe and the grid that it was planned with."""
    return f"step train {segment(b, m, k, i)} --expect {expect} --grid {grid}"


def train_key(b: str, m: str, k: int | str, i: int | str) -> str:
    """The name of a training job."""
    return f"train/{b}/{m}/seed{k}/segment-{i}"


def cell_key(verb: str, b: str, m: str, k: int | str, step: int | str, s: str) -> str:
    """The name of a job of a cell, `sample` or `evaluate`."""
    return f"{verb}/{b}/{m}/seed{k}/step-{step}/{s}"


def sample(arguments: str, expect: str, recipe: str) -> str:
    """The step of a sampling job: the cell's arguments, the settings and the recipe that it was planned with."""
    return f"step sample {arguments} --expect {expect} --recipe {recipe}"


def evaluate(arguments: str, expect: str, recipe: str, sampling: str) -> str:
    """The step of a scoring job, like `sample`, with the settings under which the samples were drawn."""
    return f"step evaluate {arguments} --expect {expect} --recipe {recipe} --sampling {sampling}"
