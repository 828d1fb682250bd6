"""A student's jobs: exactly the segments of its teacher that it needs, and again when that one is edited."""

import json

import pytest

pytestmark = pytest.mark.xdist_group("workflow")

STUDENTS = """
  tuned: {base: sit, label: Tuned, init: teacher, teacher: {method: sit, step: 5}, steps: 10}
  r:
    rounds:
      times: 2
      of: {base: tuned, label: R, steps: 5}
      first: {method: tuned, step: 10}
table: [sit, repa, reed, r.2]
"""
RECEIPT = "results/runs/tiny/{}/seed0/segment-{}.json"
LAST = RECEIPT.format("r.2", 0)


def trained(outcome) -> list[tuple[str, str]]:
    return sorted((w["m"], w["i"]) for rule, w in outcome.planned if rule == "train")


def test_a_student_schedules_its_teachers_up_to_the_step_and_follows_their_edits(fresh):
    fresh.edit("table: [sit, repa, reed]", STUDENTS)
    first = fresh.dry_run(LAST)
    assert first.jobs == {"prepare": 1, "train": 4}
    assert trained(first) == [("r.1", "0"), ("r.2", "0"), ("sit", "0"), ("tuned", "0")]
    outcome = fresh.snakemake("--", LAST)
    assert outcome.code == 0, outcome.text
    assert fresh.dry_run(LAST).jobs == {}
    recipe = json.loads((fresh.folder / "results/runs/tiny/r.2/seed0/config.json").read_text())
    receipt = json.loads((fresh.folder / RECEIPT.format("r.1", 0)).read_text())
    assert recipe["teacher"] == {"recipe": receipt["key"], "step": 5}

    fresh.edit("tuned: {base: sit,", "tuned: {base: sit, label_dropout: 0.2,")
    edited = fresh.dry_run(LAST)
    assert trained(edited) == [("r.1", "0"), ("r.2", "0"), ("tuned", "0")]  # rounds are copies of it, too
    assert "an edit trains 3 runs anew" in edited.text or edited.text.count("an edit trains") > 1
    fresh.edit("label_dropout: 0.2, ", "")
    fresh.edit("of: {base: tuned,", "of: {base: tuned, label_dropout: 0.2,")
    assert trained(fresh.dry_run(LAST)) == [("r.1", "0"), ("r.2", "0")]
    fresh.edit("evaluate: [10, 20]", "evaluate: [10, 20, 30]")
    assert trained(fresh.dry_run(LAST)) == [("r.1", "0"), ("r.2", "0")]


SPIN = """
  spin:
    rounds:
      times: 2
      of: {uses: self-play, label: SPIN, pool: {sampler: ode}, beta: 10, steps: 5}
      first: {method: sit, step: 10}
table: [sit, repa, spin.2]
"""


def jobs(outcome) -> list[str]:
    """Methods of the jobs that train and sample."""
    return sorted(f"{rule} {w['m']}" for rule, w in outcome.planned if rule in ("train", "sample"))


@pytest.mark.long
def test_rounds_of_self_play_want_samples_of_the_round_before(fresh):
    fresh.edit("table: [sit, repa, reed]", SPIN)
    last = RECEIPT.format("spin.2", 0)
    wanted = ["sample sit", "sample spin.1", "train sit", "train spin.1", "train spin.2"]
    first = fresh.dry_run(last)
    assert (jobs(first), first.jobs["evaluate"]) == (wanted, 0)
    outcome = fresh.snakemake("--", RECEIPT.format("spin.1", 0))
    assert outcome.code == 0, outcome.text
    assert jobs(fresh.dry_run(last)) == ["sample spin.1", "train spin.2"]
    # Another sampler samples anew, and trains the rounds alone.
    fresh.edit("ode: {uses: euler, steps: 2}", "ode: {uses: euler, steps: 3}")
    edited = fresh.dry_run(last)
    assert jobs(edited) == ["sample sit", "sample spin.1", "train spin.1", "train spin.2"]
    assert "pool.sampler.steps: 2 -> 3" in edited.text
    fresh.edit("ode: {uses: euler, steps: 3}", "ode: {uses: euler, steps: 2}\n  more: {uses: euler, steps: 3}")
    assert jobs(fresh.dry_run(last)) == ["sample spin.1", "train spin.2"]
