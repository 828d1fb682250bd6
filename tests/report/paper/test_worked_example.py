"""The example of docs/paper.md is what a run with its numbers gives."""

import re
from pathlib import Path

import pytest

from reedbench.report import intervals

PAGE = (Path(__file__).parents[3] / "docs/paper.md").read_text().split("## An example")[1]
SEEDS = {
    int(seed): (float(sit), float(repa)) for seed, sit, repa in re.findall(r"\| (\d) \| ([\d.]+) \| ([\d.]+)", PAGE)
}


def told(block: str) -> dict[str, str]:
    return dict(re.split(r"\s{2,}", line, maxsplit=1) for line in block.strip().splitlines())


@pytest.fixture
def run(lab):
    def make(**other: float):
        lab.measure("sit", 400_000, {seed: other.get(f"seed{seed}", sit) for seed, (sit, _) in SEEDS.items()})
        lab.measure("repa", 400_000, {seed: repa for seed, (_, repa) in SEEDS.items()})
        return lab.verdict(lab.row("REPA", 400_000))

    return make


def test_the_verdict_is_that_of_the_page(run, lab):
    assert len(SEEDS) == 3
    said = run()
    first, _ = map(told, re.findall(r"```\n(.*?)```", PAGE, re.DOTALL))
    assert first == {
        "verdict": said.verdict,
        "own": intervals.plain(said.own.over_seeds),
        "within_reruns": {True: "yes", False: "no"}[said.in_reruns],
        "why": said.why,
    }
    row = said.against
    assert f"prints an FID of {row.printed} (and SiT's {lab.row('SiT', 400_000).printed})" in PAGE
    half = lab.paper.tolerance["fid"].around(row.value)
    assert f"a band from {row.value - half:.1f} to {row.value + half:.1f}" in PAGE
    assert f"which is {0.07 * row.value:.2f}" in PAGE


def test_a_seed_turned_around_is_that_of_the_page(run):
    (low,) = re.findall(r"third seed come to ([\d.]+)", PAGE)
    said = run(seed2=float(low))
    _, second = map(told, re.findall(r"```\n(.*?)```", PAGE, re.DOTALL))
    assert second == {"verdict": said.verdict, "why": said.why}


def test_the_range_of_others_is_that_of_the_page(run, lab):
    near = [row for row in lab.rows if (row.method, row.backbone, row.steps, row.metric, row.guidance, row.setting)
            == ("REPA", "SiT-XL/2", 400_000, "fid", "none", "") and row.kind == "rerun"]  # fmt: skip
    assert sorted(row.printed for row in near) == ["11.14", "7.76", "8.73"]
    assert "Others got 7.76 and 8.73" in PAGE
    assert "A run of 11.14" in PAGE
