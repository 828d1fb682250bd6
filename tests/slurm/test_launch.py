"""A launched step on a real Slurm publishes the same bytes, whatever is killed, and never runs twice at once."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest
from safetensors.numpy import load_file

PATIENCE = 600  # seconds, as in conftest.py
SEGMENT = "work/jobs/train/tiny/sit/seed0/segment-0"
RECEIPT = "results/runs/tiny/sit/seed0/segment-0.json"


@pytest.fixture
def held(bench):
    """Starts a launcher whose job then stands before step 7, and returns it with the number of its job."""

    def start(command=None, **environment):
        bench.hold()
        launcher = bench.start(command or bench.train(), REEDBENCH_FAULT="hold:before-step@7", **environment)
        job = str(bench.ticket()["job"])
        bench.until("the state of step 6", lambda: 6 in bench.state_steps())
        return launcher, job

    return start


def finish(launcher):
    """The launcher's words, once it has succeeded."""
    text, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 0, text
    return text


def left_at(text):
    """The steps at which a job left, and came back; where a signal finds it is not for a test to say."""
    return (re.findall(rf"{word} at step (\d+)", text) for word in ("paused", "resumed"))


def killed(launcher):
    """Kill a launcher as a crash of its machine would, its job lives on."""
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.communicate(timeout=PATIENCE)


def test_it_runs_on_a_node_that_has_gpus_and_publishes(bench, uninterrupted):
    done = bench.run(bench.train("reed", extra="--gres=gpu:1"))
    assert done.returncode == 0, done.stdout
    assert bench.receipt("reed") == uninterrupted["reed"]
    record = json.loads((bench.folder / "results/runs/tiny/reed/seed0/segment-0.json.prov.json").read_text())["job"]
    assert record["launcher"] == "slurm"
    assert record["node"] in ("n1", "n2")
    assert record["cuda_visible_devices"] in ("0", "1")
    assert record["id"] in bench.my_jobs()
    # Only the ticket is left of the job.
    assert sorted(p.name for p in (bench.folder / "work/jobs/train/tiny/reed/seed0/segment-0").iterdir()) == [
        "lock", "ticket.json",
    ]  # fmt: skip


def test_two_nodes_with_two_ranks_each_train_the_same(bench, uninterrupted):
    done = bench.run(bench.train("reed", nodes=2, tasks_per_node=2))
    assert done.returncode == 0, done.stdout
    assert {row["NumNodes"] for row in bench.my_jobs().values()} == {"2"}
    weights = "results/runs/tiny/reed/seed0/segment-0/step-0000010.safetensors"
    ranks, alone = load_file(bench.folder / weights), load_file(uninterrupted["folder"] / weights)
    for name, tensor in alone.items():
        assert abs(ranks[name] - tensor).max() <= 1e-5 * max(1.0, abs(tensor).max()), name


def test_a_failing_step_shows_its_traceback(bench):
    done = bench.run(bench.train(), REEDBENCH_FAULT="raise:before-step@3")
    assert done.returncode == 1
    assert "Traceback" in done.stdout
    assert "RuntimeError: fault asked for at before-step@3" in done.stdout
    assert len(bench.my_jobs()) == 1


def test_a_configuration_error_is_never_submitted_again(bench):
    done = bench.run([*bench.train(), "--expect", "000000000000"])
    assert done.returncode == 2
    assert "the configuration changed since this job was planned" in done.stdout
    assert len(bench.my_jobs()) == 1


def test_a_job_that_slurm_refuses_is_a_configuration_error(bench):
    done = bench.run(bench.train(partition="nowhere"))
    assert done.returncode == 2
    assert "Slurm refused the job: " in done.stdout
    assert "invalid partition" in done.stdout


def test_a_job_killed_with_9_is_submitted_again(bench, held, uninterrupted):
    launcher, job = held()
    (process,) = bench.processes(job)
    os.kill(process, signal.SIGKILL)
    bench.let_go()
    text = finish(launcher)
    assert f"job {job} was lost" in text
    assert "resumed at step 6" in text
    assert bench.receipt() == uninterrupted["sit"]
    assert len(bench.my_jobs()) == 2


def test_a_rank_killed_with_9_ends_the_job_which_restarts_from_its_state(bench, held):
    launcher, job = held(bench.train(nodes=2, tasks_per_node=2))
    os.kill(bench.processes(job)[-1], signal.SIGKILL)
    bench.let_go()
    text = finish(launcher)
    assert "resumed at step 6" in text
    assert len(bench.my_jobs()) == 2
    assert bench.receipt()["stop"] == 10


def test_a_job_that_is_always_lost_is_given_up_after_four_submissions_that_saved_nothing(bench):
    done = bench.run(bench.train(), REEDBENCH_FAULT="before-step@7")
    assert done.returncode == 75
    assert "its state of step 6 is saved" in done.stdout  # the first one was not for nothing
    assert "given up after 4 submissions in a row that saved nothing" in done.stdout
    assert len(bench.my_jobs()) == 5


def test_after_kill_9_of_the_launcher_the_next_one_attaches_to_the_same_job(bench, held, uninterrupted):
    launcher, job = held()
    killed(launcher)
    second = bench.start(bench.train(), REEDBENCH_FAULT="hold:before-step@7")
    attached = next(line for line in second.stdout if "re-attached" in line)  # until then the job must live
    bench.let_go()
    finish(second)
    assert f"re-attached to live job {job}" in attached
    assert list(bench.my_jobs()) == [job]
    assert bench.receipt() == uninterrupted["sit"]


def test_what_ended_while_nobody_waited_is_collected(bench, held, uninterrupted):
    launcher, job = held()
    killed(launcher)
    bench.let_go()
    bench.until("the job to end", lambda: not bench.live())
    # Nothing was published behind the back of a workflow that does not know of it.
    assert not (bench.folder / "results/runs/tiny/sit/seed0/segment-0").exists()
    assert f"re-attached to finished job {job}" in finish(bench.start(bench.train()))
    assert list(bench.my_jobs()) == [job]
    assert bench.receipt() == uninterrupted["sit"]


def test_a_launcher_killed_between_sbatch_and_its_answer_loses_nothing(bench, uninterrupted):
    sbatch = bench.folder / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(f'#!/bin/sh\n{shutil.which("sbatch")} "$@"\nkill -9 $PPID\n')
    sbatch.chmod(0o755)
    first = bench.start(bench.train(), PATH=f"{sbatch.parent}:{bench.environment['PATH']}")
    assert first.wait(timeout=PATIENCE) == -signal.SIGKILL
    assert json.loads((bench.folder / SEGMENT / "ticket.json").read_text())["job"] is None
    (job,) = bench.my_jobs()
    assert f"re-attached to live job {job}" in finish(bench.start(bench.train()))
    assert list(bench.my_jobs()) == [job]
    assert bench.receipt() == uninterrupted["sit"]


def test_a_job_whose_ticket_was_deleted_is_cancelled(bench, held):
    launcher, job = held()
    killed(launcher)
    (bench.folder / SEGMENT / "ticket.json").unlink()
    second = bench.start(bench.train())
    assert f"cancelling job {job}, whose ticket is gone" in finish(second)
    assert bench.my_jobs()[job]["JobState"] == "CANCELLED"


def test_ctrl_c_leaves_an_empty_queue(bench, held):
    launcher, job = held()
    os.kill(launcher.pid, signal.SIGINT)
    text, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 130
    assert f"cancelled job {job}" in text
    bench.until("an empty queue", lambda: not bench.live())


def test_ctrl_c_can_leave_the_job(bench, held):
    launcher, job = held(REEDBENCH_ON_INTERRUPT="leave")
    os.kill(launcher.pid, signal.SIGTERM)
    text, _ = launcher.communicate(timeout=PATIENCE)
    assert f"job {job} goes on" in text
    second = bench.start(bench.train())
    bench.let_go()
    finish(second)
    assert list(bench.my_jobs()) == [job]


def test_a_job_of_an_outdated_configuration_is_cancelled(bench, held):
    launcher, job = held()
    benchmark = bench.folder / "config/benchmarks/tiny.yaml"
    benchmark.write_text(benchmark.read_text().replace("lr: 1.0e-3", "lr: 2.0e-3"))
    # As Snakemake would: the new settings' digits in the line, whatever they are, make it another job.
    second = bench.start([*bench.train(), "--expect", "000000000000"])
    text, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 2, text  # these digits were made up
    assert launcher.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
    assert bench.my_jobs()[job]["JobState"] == "CANCELLED"


def test_a_second_launcher_waits_for_the_first_and_accepts_its_work(bench, held):
    launcher, job = held()
    second = bench.start(bench.train())
    waiting = f" {second.pid} "
    bench.until("the second to wait", lambda: any("->" in lock and waiting in lock for lock in open("/proc/locks")))
    bench.let_go()
    finish(launcher)
    assert "another launcher has just published it" in finish(second)
    assert list(bench.my_jobs()) == [job]


def test_scontrol_requeue_in_the_middle_changes_nothing(bench, held, uninterrupted):
    launcher, job = held()
    subprocess.run(["scontrol", "requeue", job], check=True)
    bench.until("the job to be requeued", lambda: bench.jobs()[job]["JobState"] == "PENDING")
    bench.let_go()
    bench.release(job)
    assert "resumed at step 6" in finish(launcher)
    assert list(bench.my_jobs()) == [job]
    assert bench.receipt() == uninterrupted["sit"]
    assert _restarts(bench) == 1


def test_a_job_that_ends_while_it_is_requeued_does_not_start_again(bench, uninterrupted):
    bench.hold()
    launcher = bench.start(bench.train(), REEDBENCH_FAULT="hold:after-receipt@10")
    job = str(bench.ticket()["job"])
    bench.until("the job's receipt", lambda: any((bench.folder / SEGMENT).glob(f"*/stage/{RECEIPT}")))
    subprocess.run(["scontrol", "requeue", job], check=True)
    bench.until_asked()
    bench.let_go()  # it has three seconds until SIGKILL, and needs a moment
    finish(launcher)
    assert bench.receipt() == uninterrupted["sit"]
    bench.until("an empty queue", lambda: not bench.live())


def test_sigusr2_saves_the_state_and_requeues(bench, uninterrupted):
    bench.hold()
    launcher = bench.start(bench.train(), REEDBENCH_FAULT="hold:before-step@7")  # no state is due at step 7
    job = str(bench.ticket()["job"])
    bench.until("training to reach step 6", lambda: bench.events() >= 6)
    subprocess.run(["scancel", "--signal=USR2", job], check=True)
    bench.until_asked()
    bench.let_go()
    bench.release(job)
    paused, resumed = left_at(finish(launcher))
    assert paused == resumed
    assert list(bench.my_jobs()) == [job]
    assert bench.receipt() == uninterrupted["sit"]
    assert _restarts(bench) == 1


def test_sigusr2_to_ranks_makes_them_leave_together(bench, held):
    launcher, job = held(bench.train(nodes=2, tasks_per_node=2))
    subprocess.run(["scancel", "--signal=USR2", job], check=True)
    bench.until_asked()
    bench.let_go()
    bench.release(job)
    paused, resumed = left_at(finish(launcher))
    assert paused == resumed
    assert list(bench.my_jobs()) == [job]


def test_sigterm_saves_the_state_and_goes_on(bench, held, uninterrupted):
    launcher, job = held()
    (process,) = bench.processes(job)
    os.kill(process, signal.SIGTERM)
    bench.let_go()
    finish(launcher)
    assert list(bench.my_jobs()) == [job]
    assert bench.receipt() == uninterrupted["sit"]


def _restarts(bench):
    record = bench.folder / "results/runs/tiny/sit/seed0/segment-0.json.prov.json"
    return json.loads(record.read_text())["job"]["restarts"]
