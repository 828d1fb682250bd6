"""The words of a training job, once: the workflow's rule says them with wildcards, plan and status with values.

Their text is frozen like the launch line: the hash of a job's words is how a launcher finds its job again.
"""


def run(b: str, m: str, k: int | str) -> str:
    """Arguments that name a run."""
    return f"--benchmark {b} --method {m} --seed {k}"


def segment(b: str, m: str, k: int | str, i: int | str) -> str:
    """Arguments that name a segment."""
    return f"{run(b, m, k)} --segment {i}"


def train(b: str, m: str, k: int | str, i: int | str, expect: str, grid: str) -> str:
    """The step of a training job, under the recipe and the grid that it was planned with."""
    return f"step train {segment(b, m, k, i)} --expect {expect} --grid {grid}"


def train_key(b: str, m: str, k: int | str, i: int | str) -> str:
    """The name of a training job."""
    return f"train/{b}/{m}/seed{k}/segment-{i}"
