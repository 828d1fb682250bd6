"""The page of a run and the papers of a table, through Snakemake."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.xdist_group("workflow")
CARD = "results/runs/tiny/repa/seed0/card.md"


def test_a_page_is_a_light_job_of_a_finished_run_that_follows_its_words(copy):
    assert copy.dry_run(CARD).jobs == {"card": 1}
    outcome = copy.snakemake("--", CARD)
    assert outcome.code == 0, outcome.text
    text = (copy.folder / CARD).read_text()
    assert text.startswith("# REPA (tiny/repa/seed0)")
    assert "Not evaluated" not in text
    assert "not drawn" not in text
    assert copy.dry_run(CARD).jobs == {}
    assert copy.dry_run().jobs == {}  # and the table's jobs do not mind it
    copy.edit("    label: REPA\n", "    label: Repa\n")
    assert copy.dry_run(CARD).jobs == {"card": 1}


def test_a_page_asks_for_its_own_run_alone(fresh):
    jobs = fresh.dry_run("results/runs/tiny/sit/seed0/card.md").planned
    assert {words["m"] for _, words in jobs if "m" in words} == {"sit"}
    assert "tabulate" not in dict(jobs)


def test_what_a_table_stands_on_is_in_its_sidecar(finished):
    command = [sys.executable, "-m", "reedbench", "cite", "results/tables/tiny.csv"]
    done = subprocess.run(command, cwd=finished.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "@inproceedings{yu2025repa," in done.stdout
    assert "heusel2017fid: metric fd@clf, metric fd@pixels" in done.stderr
