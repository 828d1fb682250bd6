"""`reedbench status`: every state once, from what runs and jobs leave behind."""

import fcntl
import io as text
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from reedbench import cli
from reedbench.core import paths
from reedbench.core.locks import held
from reedbench.launch import status_table
from reedbench.launch.processes import Process
from reedbench.launch.status import Report, Row
from reedbench.launch.ticket import comment_of
from reedbench.schema import runs, words

OUTDATED = "0" * 12  # the key of a recipe that was edited since
CELL = "tiny/sit/seed0/step-0000010/ode"
GO_ON = "run the workflow again to go on"


def cell_comment(scene, verb: str, recipe: str | None = None) -> str:
    """Of the job of a cell, as the workflow says it today; or under another recipe."""
    cell = runs.benchmark(scene.suite, "tiny").cell("sit", 0, 10, "ode")
    place, recipe = ("tiny", "sit", 0, "0000010", "ode"), recipe or cell.run.key
    arguments = words.cell(*place)
    step = {
        "sample": words.sample(arguments, cell.sampling_key, recipe),
        "evaluate": words.evaluate(arguments, cell.run.benchmark.scoring.key, recipe, cell.sampling_key),
    }[verb]
    return comment_of(words.cell_key(verb, *place), step.split())


# ---- one state after the other


def test_a_run_of_the_table_waits_and_one_of_an_ablation_is_not_shown(scene):
    rows = scene.report().rows
    assert [row.name for row in rows] == [f"tiny/{m}/seed0" for m in ("sit", "repa", "reed")]
    assert {(row.kind, row.state, row.step, row.total) for row in rows} == {("run", "waiting", 0, 20)}


def test_a_run_of_an_ablation_is_shown_once_it_was_started(scene):
    scene.store("repa-deep")
    assert scene.run("repa-deep").state == "stopped"


def test_done_is_what_the_receipts_of_the_current_recipe_say(scene):
    scene.receipts(2)
    assert (scene.run().state, scene.run().step) == ("done", 20)


def test_receipts_and_states_of_an_outdated_recipe_do_not_count(scene):
    scene.receipts(2, key=OUTDATED)
    scene.state(15, key=OUTDATED)
    assert (scene.run().state, scene.run().step) == ("waiting", 0)


@pytest.mark.parametrize("content", ["[]", '"text"', "{}", '{"key": "a"}'])
def test_a_receipt_of_another_shape_does_not_count(scene, content):
    scene.receipts(2)
    Path(paths.receipt("tiny", "sit", 0, 1)).write_text(content)
    assert (scene.run().state, scene.run().step) == ("stopped", 10)


def test_stopped_has_progress_and_nothing_that_lives(scene):
    scene.receipts(1)
    scene.state(15)
    log = scene.folder / paths.log("train", "tiny", "sit", "seed0", "segment-1")
    log.parent.mkdir(parents=True)
    log.write_text("tiny/sit/seed0: 15/20 steps\n\n")
    row = scene.run()
    assert (row.state, row.step, row.rate, row.line) == ("stopped", 15, None, "tiny/sit/seed0: 15/20 steps")


def test_running_has_rate_eta_node_memory_and_the_last_line(scene):
    scene.squeue("7|RUNNING|n1|None|")
    scene.log(scene.ticket(), "\x1b[1mresumed\x1b[0m\n\nsubmitit INFO (now) - hello\nsrun: error: x\n")
    scene.event(4, gpu_memory_mb=1234.4)
    row = scene.run()
    assert (row.state, row.step, row.total, row.rate, row.eta_seconds) == ("running", 4, 20, 2.0, 8.0)
    assert (row.launcher, row.job, row.node, row.gpu_memory_mb) == ("slurm", "7", "n1", 1234)
    assert row.line == "resumed"


def test_an_event_of_an_earlier_process_says_nothing_of_this_one(scene):
    scene.squeue("7|RUNNING|n1|None|")
    scene.log(scene.ticket(), "loading\n")
    scene.event(4, ago=50)
    scene.state(3)
    scene.taken()
    assert (scene.run().state, scene.run().step, scene.run().rate) == ("running", 3, None)


def test_an_event_that_is_just_being_written_is_not_read(scene):
    scene.squeue("7|RUNNING|n1|None|")
    scene.ticket()
    scene.event(4)
    with (scene.store() / "events.jsonl").open("a") as file:
        file.write('{"time": 99')
    assert scene.run().step == 4


def test_a_running_job_that_is_silent_is_said_to_be(scene):
    scene.squeue("7|RUNNING|n1|None|")
    scene.log(scene.ticket(submitted=1.0), "step 3\n", ago=900)
    scene.event(4, ago=14.2 * 60)
    assert (scene.run().state, scene.run().line) == ("running", "no news for 14 min: step 3")


def test_a_job_that_has_just_started_is_not_called_silent(scene):
    scene.squeue("7|RUNNING|n1|None|")
    scene.ticket(segment=1)
    scene.receipts(1)
    scene.taken(ago=9000)
    assert (scene.run().state, scene.run().line) == ("running", None)


def test_an_inline_run_runs_while_its_store_is_held(scene):
    scene.event(4)
    with (scene.store() / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        row = scene.run()
    assert (row.state, row.launcher, row.node, row.step) == ("running", "inline", platform.node(), 4)
    assert scene.run().state == "stopped"


def test_looking_at_a_lock_leaves_it_free(scene):
    scene.taken()
    lock = scene.store() / "lock"
    assert not held(lock)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert held(lock)


def test_a_local_job_runs_while_its_process_does(scene):
    scene.ticket(where="local", process=Process.this().plain())
    assert (scene.run().state, scene.run().node) == ("running", platform.node())


def test_queued_says_what_it_waits_for(scene):
    scene.squeue("7|PENDING||Resources|")
    scene.ticket()
    assert (scene.run().state, scene.run().line, scene.run().node) == ("queued", "waiting: Resources", None)


def test_a_job_that_squeue_cannot_list_yet_is_queued(scene):
    scene.squeue()
    scene.ticket(submitted=2e10)
    assert (scene.run().state, scene.run().line) == ("queued", "just submitted")


def test_a_job_whose_launcher_finds_no_room_is_queued(scene):
    scene.ticket(job=None)
    (scene.folder / paths.job("train/tiny/sit/seed0/segment-0") / "lock").write_text(json.dumps(Process.this().plain()))
    assert (scene.run().state, scene.run().line) == ("queued", "waiting to be submitted")


@pytest.mark.parametrize(
    ("row", "fields", "logs", "state"),
    [
        pytest.param("7|REQUEUED||None|", {}, False, 0, id="squeue says so"),
        pytest.param("7|SPECIAL_EXIT||None|", {}, False, 0, id="held after a start"),
        pytest.param("7|PENDING||BeginTime|", {}, True, 0, id="it has logs"),
        pytest.param("7|PENDING||None|", {"attempts": 2}, False, 0, id="the launcher submitted it again"),
        pytest.param("7|PENDING||None|", {}, False, 6, id="an earlier job left a state of this segment"),
    ],
)
def test_requeued_waits_though_it_has_run(scene, row, fields, logs, state):
    scene.squeue(row)
    ticket = scene.ticket(**fields)
    if logs:
        scene.log(ticket, "leaving, to be started again\n")
    if state:
        scene.state(state)
    assert scene.run().state == "requeued"
    assert scene.run().line.startswith("waiting")


def test_failed_shows_why_and_where(scene):
    ticket = scene.ticket(state="failed", meta={"code": 1, "host": "n2", "reason": ""})
    scene.log(
        ticket, "reedbench step train: loss is not finite\nsrun: error: n2: task 0: Exited\nslurmstepd: error: *\n"
    )
    assert (scene.run().state, scene.run().node) == ("failed", "n2")
    assert scene.run().line == "reedbench step train: loss is not finite"


def test_a_job_that_failed_while_nobody_waited_is_failed(scene):
    scene.outcome(scene.ticket(), 1, reason="RuntimeError: no")
    assert (scene.run().state, scene.run().line) == ("failed", "RuntimeError: no")


def test_a_failure_under_an_outdated_recipe_is_no_failure(scene):
    scene.ticket(state="failed", key=OUTDATED)
    assert scene.run().state == "waiting"


def test_a_job_under_an_outdated_recipe_that_still_lives_is_said_to_be(scene):
    scene.squeue("7|RUNNING|n1|None|")
    scene.ticket(key=OUTDATED)
    assert scene.run().state == "running"
    assert "outdated recipe" in scene.run().line


@pytest.mark.parametrize("rows", [[], ["8|RUNNING|n1|None|"], ["7|NODE_FAIL||None|"]])
def test_lost_is_a_job_that_is_gone_without_an_outcome(scene, rows):
    scene.squeue(*rows)
    scene.ticket()
    assert (scene.run().state, scene.run().line) == ("lost", GO_ON)


def test_a_local_job_whose_process_is_gone_is_lost(scene):
    scene.ticket(where="local", process={**Process.this().plain(), "started": "1"})
    assert scene.run().state == "lost"


def test_what_ended_while_nobody_waited_can_be_collected(scene):
    scene.store()
    scene.outcome(scene.ticket(), 0)
    assert (scene.run().state, scene.run().line) == ("stopped", "ended well: run the workflow again to collect it")


@pytest.mark.parametrize("verb", ["sample", "evaluate"])
def test_a_cell_that_ended_under_outdated_settings_is_not_said_to_be_collected(scene, verb):
    for recipe, line in ((None, "ended well"), (OUTDATED, "has outdated settings")):
        name = f"{verb}/{CELL}"
        shutil.rmtree(paths.job(name), ignore_errors=True)
        scene.outcome(scene.other_ticket(name, comment=cell_comment(scene, verb, recipe)), 0)
        (row,) = [row for row in scene.report().rows if row.kind == "job"]
        assert (row.state, row.line[: len(line)]) == ("stopped", line)


def test_without_squeue_states_are_guessed_and_the_report_says_so(scene):
    ticket = scene.ticket()
    assert scene.run().state == "queued"
    scene.log(ticket, "step 3\n")
    assert scene.run().state == "running"
    assert "squeue does not answer here" in scene.report().note


def test_squeue_is_asked_only_about_jobs_that_may_be_there(scene):
    scene.ticket(state="cancelled")
    assert scene.report().note == ""
    assert not (scene.folder / "work/jobs/squeue.txt").exists()


# ---- other jobs


def test_other_jobs_follow_the_runs(scene):
    scene.squeue("7|RUNNING|n1|None|", "8|PENDING||Priority|")
    scene.other_ticket(f"sample/{CELL}", comment=cell_comment(scene, "sample"))
    scene.other_ticket("pretrain/digits/clf", job="8")
    scene.other_ticket("prepare/digits", state="published")
    jobs = {row.name: (row.state, row.line) for row in scene.report().rows if row.kind == "job"}
    assert jobs == {
        f"sample/{CELL}": ("running", None),
        "pretrain/digits/clf": ("queued", "waiting: Priority"),
        "prepare/digits": ("done", None),
    }


def test_a_failed_job_whose_outputs_are_there_by_now_is_done(scene):
    (scene.folder / "made").touch()
    scene.other_ticket("prepare/digits", state="failed", outputs=["made"])
    assert scene.report().rows[-1].state == "done"


def test_a_benchmark_has_its_own_jobs_and_those_of_its_dataset(scene):
    for key in ("prepare/digits", "prepare/other", "floor/tiny", "floor/other"):
        scene.other_ticket(key, state="published")
    assert [row.name for row in scene.report("tiny").rows if row.kind == "job"] == ["floor/tiny", "prepare/digits"]


# ---- the command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["reedbench", "status", *arguments])
        return cli.main()

    return run


def test_json_is_a_list_of_objects_with_all_keys(scene, command, capsys):
    scene.other_ticket("prepare/digits", state="published")
    assert command("tiny", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [*(f"tiny/{m}/seed0" for m in ("sit", "repa", "reed")), "prepare/digits"]
    assert all(list(row) == list(Row.__dataclass_fields__) for row in rows)
    assert {name: value for name, value in rows[0].items() if value is not None} == {
        "kind": "run", "name": "tiny/sit/seed0", "state": "waiting", "step": 0, "total": 20,
    }  # fmt: skip


def test_the_table_counts_what_it_does_not_show(scene, command, capsys):
    scene.receipts(2)
    scene.other_ticket("prepare/digits", state="published")
    assert command() == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-2:] == ["3 runs: 1 done, 2 waiting", "1 other job: 1 done"]
    assert "prepare/digits" not in printed


def test_an_unknown_benchmark_is_a_configuration_error(scene, command, capsys):
    assert command("tinny") == 2
    assert "unknown benchmark 'tinny'; did you mean 'tiny'?" in capsys.readouterr().err


def test_json_and_watch_exclude_each_other(scene, command, capsys):
    assert command("--json", "--watch") == 2
    assert "--watch" in capsys.readouterr().err


def test_watch_shows_the_newest_look_and_ends_with_ctrl_c():
    class Looks:
        looks = 0

        def now(self) -> Report:
            self.looks += 1
            if self.looks == 3:
                raise KeyboardInterrupt
            return Report([Row("run", f"look-{self.looks}", "waiting")], "")

    screen = text.StringIO()
    status_table.watch(Looks(), 0.0, Console(file=screen, force_terminal=True, width=80))
    assert 0 < screen.getvalue().find("look-1") < screen.getvalue().find("look-2")


# ---- the looks

LONG = [
    Row("run", "imagenet/reed-no-text/seed0", "running", 121500, 400000, 3.42, 81432.0, "slurm", "42", "gpu-a100-017",
        38123, "imagenet/reed-no-text/seed0: 121500/400000 steps, 3.4/s, 81432 s left denoise 0.1234"),
    Row("run", "digits/sit/seed0", "failed", 200, 800, node="n2", line="loss is not finite [/red] " * 9),
    Row("run", "digits/sit/seed1", "waiting", 0, 800),
]  # fmt: skip


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_number_is_readable_and_no_line_too_long(width):
    console = Console(width=width, file=text.StringIO())
    console.print(status_table.overview(Report(LONG, "")))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert {"imagenet/reed-no-text/seed0", "121500/400000", "3.4/s", "22h", "37m", "37.2", "failed"} <= set(words)
    assert any("gpu-a100-017" in line for line in lines)
    assert [line.split()[0] for line in lines[1:] if "/seed" in line] == [LONG[i].name for i in (1, 0, 2)]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0s"), (59, "59s"), (60, "1m 0s"), (7290, "2h 1m"), (90000, "1d 1h")]
)
def test_time_left_has_two_units(seconds, words):
    assert status_table.COLUMNS["ETA"](Row("run", "x", "running", eta_seconds=seconds)) == words


def test_it_loads_nothing_heavy():
    heavy = ["torch", "pandas", "submitit", "sklearn", "scipy"]
    program = f"import sys, reedbench.launch.status_table; print([name for name in {heavy} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
