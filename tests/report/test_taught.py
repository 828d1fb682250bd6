"""Methods that learn from other runs, and of lengths of their own: what they cost in all, and what is compared."""

import dataclasses
import math

import pytest

from reedbench.report import figures, style
from reedbench.report.costs import BASE, TAUGHT, Costs
from reedbench.report.notes import notes
from reedbench.report.paired import differences
from reedbench.report.source import Source
from reedbench.report.speedup import speedups
from reedbench.report.tables import compare

BASE_STEPS, BASE_FLOPS = 100.0, 5e7
FALLING = [100.0, 50.0, 100.0 / 3, 25.0]  # as 1 / step


def taught(source: Source, flops: float = BASE_FLOPS, method: str = "tuned") -> Source:
    """A method of a source goes on from 100 steps of another run."""
    curves = source.curves.copy()
    own = curves["method"] == method
    curves.loc[own, TAUGHT] = "sit at step 100"
    for name in BASE.values():
        curves.loc[own, name] = flops
    curves.loc[own, BASE["step"]] = BASE_STEPS
    return dataclasses.replace(source, curves=curves)


def shortened(source: Source) -> Source:
    """The tuned method ends at step 200."""
    return dataclasses.replace(
        source, metrics=source.metrics[(source.metrics["method"] != "tuned") | (source.metrics["step"] <= 200)]
    )


def test_what_a_run_learns_from_is_part_of_its_costs_once(make_source):
    source = taught(make_source({("sit", 0): FALLING, ("tuned", 0): FALLING}, oneoff={"tuned": 80.0}))
    costs, at = Costs(source), [100.0]
    assert costs.on("steps", "tuned", 0, at) == 200
    assert costs.on("flops", "tuned", 0, at) == costs.of("flops", "tuned", 0, at) + BASE_FLOPS
    assert costs.on("flops+oneoff", "tuned", 0, at) == costs.of("flops", "tuned", 0, at) + 80e6  # holds the base
    assert costs.on("steps", "sit", 0, at) == 100
    assert costs.base("flops", "sit", 0) == 0


def test_a_speed_up_counts_the_steps_that_a_run_goes_on_from(make_source):
    source = taught(make_source({("sit", 0): FALLING, ("tuned", 0): FALLING}))
    steps = next(one for one in speedups(source, "fd@x", "sit", ["tuned"]) if one.axis == "steps")
    wanted = math.exp(sum(math.log(step / (step + 100)) for step in (100, 200, 300, 400)) / 4)
    assert steps.ratio.value == pytest.approx(wanted, rel=1e-6)


def test_what_nobody_knows_of_a_teacher_makes_no_speed_up(make_source):
    source = taught(make_source({("sit", 0): FALLING, ("tuned", 0): FALLING}), flops=float("nan"))
    for one in speedups(source, "fd@x", "sit", ["tuned"]):
        assert one.ratio.value is None
        assert one.reason == "learns from imported weights: what their training took is not known"


def test_what_nobody_knows_of_the_baselines_teacher_makes_no_speed_up(make_source):
    source = make_source({("sit", 0): FALLING, ("tuned", 0): FALLING, ("more", 0): FALLING})
    source = taught(taught(source, float("nan"), "sit"), float("nan"), "more")
    own, of_baseline = (
        f"{who}learns from imported weights: what their training took is not known" for who in ("", "the baseline ")
    )
    found = speedups(source, "fd@x", "sit", ["sit", "tuned", "more"])
    assert {one.ratio.value for one in found} == {one.to_final.value for one in found} == {None}
    assert {(one.method, one.reason) for one in found} == {("sit", own), ("tuned", of_baseline), ("more", own)}


def test_notes_say_once_that_the_baseline_has_no_known_cost(three_seeds, facts):
    said = notes(compare(taught(three_seeds, float("nan"), "sit"), facts))
    own = [line for line in said if "speed-up" in line.lower() or "imported weights" in line]
    assert "No speed-ups: SiT learns from imported weights, and what their training took is not known." in own
    assert not any(line.startswith(("Speed-up:", "To SiT's final value")) for line in own)


def test_a_level_line_of_weights_of_unknown_cost_is_one_in_the_legend_too(three_seeds, facts, tmp_path, monkeypatch):
    drawn: list = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (drawn.append(figure), save(figure, *rest))[1])
    figures.draw("speedup", taught(three_seeds, float("nan"), "repa"), facts, tmp_path / "s")
    (legend,) = (one for part in [drawn[0], *drawn[0].subfigs] for one in part.legends)
    lines = dict(zip((text.get_text() for text in legend.get_texts()), legend.get_lines(), strict=False))
    assert "REPA_x 50% (level line): learns from imported weights" in lines
    (level,) = (line for line in drawn[0].axes[0].lines if line.get_color() == style.look(1).colour)
    shown = lines["REPA_x 50% (level line): learns from imported weights"]
    assert (shown.get_linestyle(), shown.get_marker()) == (level.get_linestyle(), level.get_marker()) == ("--", "")


@pytest.mark.parametrize(("method", "who"), [("tuned", "it"), ("sit", "the baseline")])
def test_a_preparation_of_unknown_operations_makes_no_ratio_of_them_and_of_nothing_else(make_source, method, who):
    source = make_source({(m, k): FALLING for m in ("sit", "tuned") for k in (0, 1)})
    curves = source.curves.copy()
    curves.loc[(curves["method"] == method) & (curves["seed"] == 1), "oneoff_flops"] = float("nan")
    found = speedups(dataclasses.replace(source, curves=curves), "fd@x", "sit", ["tuned"])
    lacking = {one.axis: one for one in found if one.ratio.value is None}
    assert lacking.keys() == {"flops+oneoff"}
    one = lacking["flops+oneoff"]
    assert one.sentence == f"no speed-up: what was prepared once for {who} took is not known (flops)"
    assert one.to_final.value is None
    assert {other.ratio.value for other in found if other is not one} == {1.0}


def test_methods_of_their_own_length_are_compared_at_last_steps(make_source):
    source = shortened(make_source({("sit", 0): FALLING, ("tuned", 0): [90.0, 20.0, 0.0, 0.0], ("repa", 0): FALLING}))
    names = ["sit", "repa", "tuned"]
    found = {
        (one.method, one.step): one.over.mean for one in differences(source, ["fd@x.v1-n64"], names, "sit", ["tuned"])
    }
    assert found == {("tuned", 200): 20.0 - 25.0, **{("repa", step): 0.0 for step in (100, 200, 300, 400)}}
    assert len(differences(source, ["fd@x.v1-n64"], names, "sit")) == 6
    steps = next(one for one in speedups(source, "fd@x", "sit", ["tuned"], {"tuned": 200}) if one.axis == "steps")
    assert steps.reached is not None
    assert steps.reached < 200
    lost = next(one for one in speedups(source, "fd@x", "sit", ["tuned"]) if one.axis == "steps")
    assert "no evaluation at step 400" in lost.reason
