"""What a newcomer types: no flags, no activated environment, a misspelt target, a step that fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("workflow")

REPOSITORY = Path(__file__).parents[2]
BARE = "/usr/bin:/bin"  # nothing of the environment in which Snakemake is installed
DATA = "results/data/digits/index.json"


def options(*arguments: str) -> dict:
    """What Snakemake makes of its command line and of the profiles that it finds from the repository."""
    program = (
        "import json, sys; from snakemake.cli import parse_args; a = parse_args(sys.argv[1:])[1]; print(json.dumps("
        "{'cores': str(a.cores), 'quiet': sorted(q.name for q in a.quiet or ()), 'failed': a.show_failed_logs,"
        " 'triggers': sorted(t.name for t in a.rerun_triggers), 'again': a.rerun_incomplete, 'keep': a.keep_going}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_default_profile_says_what_plain_snakemake_does():
    found = options("results/tables/digits.csv")
    assert 1 <= int(found.pop("cores")) <= 4
    assert found == {
        "quiet": ["RULES"], "failed": True, "triggers": ["INPUT", "MTIME", "PARAMS"], "again": True, "keep": False,
    }  # fmt: skip


@pytest.mark.parametrize("dry", ["-n", "-np", "--dry-run"])
def test_a_dry_run_says_what_would_run(dry):
    assert options(dry, "results/tables/digits.csv")["quiet"] == []


@pytest.mark.parametrize("named", [("--profile", "slurm"), ("--profile=slurm",)])
def test_beside_a_named_profile_the_default_one_gives_way(named):
    found = options(*named, "results/tables/digits.csv")
    assert (found["cores"], found["quiet"], found["keep"]) == ("100000", [], True)


def test_the_command_line_wins_over_the_default_profile():
    assert options("--cores", "7", "--quiet", "all", "--", "tables")["cores"] == "7"


def test_jobs_run_the_python_that_runs_snakemake(fresh, tmp_path):
    other = tmp_path / "bin" / "reedbench"  # of another environment, which is activated
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 9\n")
    other.chmod(0o755)
    outcome = fresh.plain(DATA, path=f"{other.parent}:{BARE}")
    assert outcome.code == 0, outcome.text
    assert (fresh.folder / DATA).exists()


@pytest.mark.parametrize(
    ("target", "guess"),
    [
        ("results/tables/tyni.csv", "did you mean results/tables/tiny.csv?"),
        ("spedup.pdf", "did you mean results/figures/tiny/speedup.pdf"),
        (
            "results/samples/tiny/reed/seed0/step-20/ode",
            "did you mean results/samples/tiny/reed/seed0/step-0000020/ode?",
        ),
        ("results/figures/tiny/levels.pdf", "benchmark tiny has no such figure"),
        ("results/ablations/tiny/dept.csv", "did you mean results/ablations/tiny/depth.csv?"),
    ],
)
def test_a_target_that_no_rule_makes_is_refused_with_our_guess(fresh, target, guess):
    outcome = fresh.plain("results/tables/tiny.csv", target)
    assert outcome.code == 2
    assert guess in outcome.text
    assert "reedbench list targets" in outcome.text
    assert not any(word in outcome.text for word in ("Traceback", "WorkflowError", 'File "', "common.smk"))
    assert not (fresh.folder / "results").exists()


def test_a_broken_configuration_is_said_without_a_traceback(fresh):
    fresh.edit("weight: 0.25", "wieght: 0.25")
    outcome = fresh.plain("-n")
    assert outcome.code == 2
    assert "did you mean 'weight'?" in outcome.text
    assert not any(word in outcome.text for word in ("Traceback", "WorkflowError", 'File "', "common.smk"))


@pytest.mark.parametrize("text", ["damaged", "{}"])
def test_a_damaged_record_of_the_cache_is_said_without_a_traceback(fresh, text):
    record = fresh.folder / "results/cache/tiny/cache.prov.json"
    record.parent.mkdir(parents=True)
    record.write_text(text)
    outcome = fresh.plain("-n")
    assert outcome.code == 3
    assert "reedbench: results/cache/tiny/cache.prov.json: " in outcome.text
    assert not any(word in outcome.text for word in ("Traceback", "WorkflowError", 'File "', "common.smk"))


@pytest.mark.parametrize("quiet", [(), ("--quiet", "host")])
def test_the_message_of_a_step_that_fails_is_shown_once(fresh, quiet):
    cache = fresh.folder / "results/cache/tiny"
    cache.mkdir(parents=True)
    for name in ("metrics.parquet", "curves.parquet", "preview.npz"):
        (cache / name).write_text("damaged")
    (cache / "cache.prov.json").write_text('{"ablations": []}')
    outcome = fresh.plain("results/from-cache/tiny/tiny.csv", *quiet)
    assert outcome.code == 1
    message = (fresh.folder / "logs/tabulate_cached/tiny.log").read_text().strip()
    assert message.startswith("reedbench step tabulate: results/cache/tiny/")
    assert outcome.text.count(message) == 1
