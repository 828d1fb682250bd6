"""Submit one step, wait for it and publish its outputs; re-attach to it, or collect it, if that was interrupted."""

import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from reedbench.core import paths
from reedbench.core.console import say
from reedbench.core.errors import ConfigError, MissingArtefact, RunAgain
from reedbench.launch import saves
from reedbench.launch.coordinator import coordinator
from reedbench.launch.job import Outcome, StepJob, outcomes, stage
from reedbench.launch.publish import publish
from reedbench.launch.resources import Request
from reedbench.launch.site import Busy, Site, log_files
from reedbench.launch.ticket import CANCELLED, FAILED, PUBLISHED, SUBMITTED, Desk, Ticket, comment_of

RESUBMISSIONS = 3
GRACE = float(os.environ.get("REEDBENCH_GRACE_SECONDS", "15"))  # NFS may show a result this long after its job's end
TIDY_SECONDS = 10.0
STOP_SECONDS = 15.0  # for which a stopping launcher looks for a job whose number it does not know
ORPHAN_SECONDS = 5.0  # for which a launcher without a ticket waits to hear whether a job of its own lives
PATIENCE = 5.0  # seconds before a job that found its run taken is submitted again; then three times as many
TAIL, RANKS_SHOWN = 40, 4


class Stopped(Exception):
    """A signal asked this launcher to stop."""

    def __init__(self, signum: int) -> None:
        self.signum = signum


class Abandoned(Exception):
    """The workflow that this launcher works for is gone."""


class Launcher:
    """One step on its way through a site."""

    def __init__(self, site: Site, request: Request, step: Sequence[str], on_interrupt: str) -> None:
        self.site, self.request, self.step, self.on_interrupt = site, request, list(step), on_interrupt
        self.desk = Desk(Path(paths.job(request.key)).absolute())
        self.comment = comment_of(request.key, step)
        self.stop_signal = 0
        self.coordinator = coordinator()

    def run(self) -> int:
        """The step's exit code; 75 if its job was lost too often.

        Raises:
            ConfigError: the site refuses the job.
            MissingArtefact: the step left an output unmade.
        """
        self._end_outdated_launcher()
        with self.desk.held() as waited:
            ticket = self.desk.read()
            if waited and ticket and ticket.comment == self.comment and self._is_published(ticket):
                self._say("another launcher has just published it")
                return 0
            with self._signals():
                try:
                    return self._supervise(self._taken_over(ticket))
                except Stopped as stopped:
                    return self._stop(stopped.signum)
                except Abandoned:
                    self._say("the workflow is gone; its job goes on: run the workflow again to collect it")
                    return RunAgain.exit_code

    def _supervise(self, ticket: Ticket | None) -> int:
        """Wait for the job; submit it first if there is none, and again if it is lost."""
        attempts, fruitless, furthest = 0, 0, 0
        while fruitless <= RESUBMISSIONS:
            attempts += 1
            if ticket is None:
                ticket = self._submit(attempts)
            outcome = self._wait(ticket)
            if outcome is not None and outcome.code != RunAgain.exit_code:
                return self._finish(ticket, outcome)
            self._show_logs(ticket, 0 if outcome is None else outcome.rank)
            why = "was lost: it ended without a result" if outcome is None else "has to run again"
            self._end(ticket)
            if (done := saves.progress(Path(ticket.folder))) > furthest:
                # Preempted, or out of time, but not for nothing: such a job may come back as often as it takes.
                furthest, fruitless = done, 0
                self._say(f"job {ticket.job} {why}; its state of step {done} is saved")
            else:
                fruitless += 1
                self._say(f"job {ticket.job} {why} (submission {fruitless} of {RESUBMISSIONS + 1} that saved nothing)")
                if outcome is not None and fruitless <= RESUBMISSIONS:
                    # Another process holds what it needs, perhaps only because it is still ending.
                    self._pause(PATIENCE * 3 ** (fruitless - 1))
            ticket = None
        self._say(
            f"given up after {RESUBMISSIONS + 1} submissions in a row that saved nothing; "
            "run the same command again to go on"
        )
        return RunAgain.exit_code

    # ---- what an earlier launcher left

    def _end_outdated_launcher(self) -> None:
        """A launcher that still waits for what an edited configuration no longer asks: it cancels its job and goes."""
        ticket, holder = self.desk.read(), self.desk.holder()
        outdated = ticket is not None and ticket.state == SUBMITTED and ticket.comment != self.comment
        if outdated and holder is not None and holder.here() and holder.alive():
            os.kill(holder.pid, signal.SIGTERM)

    def _taken_over(self, ticket: Ticket | None) -> Ticket | None:
        """The ticket of a job that can be waited for or collected."""
        if ticket is None:
            return self._without_ticket()
        if ticket.state == PUBLISHED or ticket.where != self.site.name:
            return None
        self._wait_for_news()
        if ticket.job is None:
            self._adopt(ticket)
        alive = ticket.job is not None and self.site.alive(ticket)
        if ticket.comment == self.comment and ticket.state in (SUBMITTED, CANCELLED):
            done = self._outcomes(ticket)
            finished = len(done) == ticket.ranks and not any(outcome.code for outcome in done)
            if finished or (alive and ticket.state == SUBMITTED):
                self._say(f"re-attached to {'finished' if finished else 'live'} job {ticket.job}")
                return ticket
        if alive:
            outdated = ticket.comment != self.comment
            self._say(f"job {ticket.job} {'is outdated' if outdated else 'is still ending'}; waiting until it is gone")
            self._end(ticket)
        return None

    def _adopt(self, ticket: Ticket) -> None:
        """Take over a job that Slurm has and whose number nobody wrote down, if there is one."""
        ticket.job = next(iter(self.site.find(ticket.comment)), None)
        if ticket.job is None:
            return
        # submitit gives the job its work under its number, once it knows that.
        folder = Path(ticket.folder)
        unnamed = [file for file in folder.glob("*.pkl") if "_" not in file.stem]
        if len(unnamed) == 1 and not (folder / f"{ticket.job}_submitted.pkl").exists():
            unnamed[0].rename(folder / f"{ticket.job}_submitted.pkl")
        self.desk.write(ticket)

    def _outcomes(self, ticket: Ticket) -> list[Outcome]:
        """Outcomes so far; none where they cannot be read now."""
        try:
            return outcomes(Path(ticket.folder))
        except (OSError, MissingArtefact, TypeError):
            return []

    def _wait_for_news(self) -> None:
        began = time.time()
        while not self.site.news(began):
            self._pause(0.25)

    def _without_ticket(self) -> None:
        """Nothing is known of a job; if one of ours lives (somebody deleted `work/`), nobody can collect it."""
        began = time.time()
        # One answer serves all launchers that start together. Without any, sbatch says better what is wrong.
        while not self.site.news(began - self.site.interval) and time.time() < began + ORPHAN_SECONDS:
            self._pause(0.25)
        for job in self.site.find(self.comment.rpartition(":")[0] + ":"):
            self._say(f"cancelling job {job}, whose ticket is gone")
            orphan = Ticket(self.comment, self.site.name, "", [], self.request.ranks, job=job)
            self._end(orphan)

    def _is_published(self, ticket: Ticket) -> bool:
        return ticket.state == PUBLISHED and all(Path(path).exists() for path in self.request.outputs)

    def _end(self, ticket: Ticket) -> None:
        """Make sure that nothing of a job runs on."""
        if self.site.alive(ticket):
            self.site.cancel(ticket)
        self._until_gone(ticket)

    def _until_gone(self, ticket: Ticket) -> None:
        while self.site.alive(ticket):
            self._pause(0.5)

    # ---- submitting and waiting

    def _submit(self, attempt: int) -> Ticket:
        for old in self.desk.folder.glob("submission-*"):  # no job of ours lives: what is left are logs of failures
            shutil.rmtree(old, ignore_errors=True)
        # A fresh folder: submitit names files by job number alone, and numbers come back with a new cluster.
        folder = self.desk.folder / f"submission-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        ticket = Ticket(
            self.comment, self.site.name, str(folder), list(self.request.outputs), self.request.ranks,
            submitted=time.time(), attempts=attempt,
        )  # fmt: skip
        self.desk.write(ticket)
        asked = self.request
        warning = saves.warning_seconds(self.desk.folder, asked.runtime)
        job = StepJob(tuple(self.step), str(folder), asked.cpus, asked.gpus, asked.runtime, warning)
        self._unless_stopped()
        try:
            self._submit_when_there_is_room(job, ticket)
        except ConfigError as error:
            self._unless_stopped()  # what ended sbatch may have been Ctrl-C, and Slurm may have the job
            ticket.state, ticket.meta = FAILED, {"reason": str(error)}
            raise
        finally:
            self.desk.write(ticket)
        self._say(f"submitted {self.site.name} job {ticket.job}, {folder}")
        return ticket

    def _submit_when_there_is_room(self, job: StepJob, ticket: Ticket) -> None:
        pause = 1.0
        while ticket.job is None:
            try:
                self.site.submit(self.request, job, ticket)
            except Busy as busy:
                if pause == 1.0:
                    self._say(f"not submitted yet: {busy}")
                self._pause(pause)
                pause = min(60.0, 2 * pause)
                # A controller that did not answer may have taken the job all the same.
                self._wait_for_news()
                self._adopt(ticket)
        ticket.submitted = time.time()

    def _wait(self, ticket: Ticket) -> Outcome | None:
        """The worst outcome of the job's ranks once all are through or one has failed; nothing if it was lost."""
        began, gone = time.monotonic(), 0.0
        while True:
            ended = self._outcomes(ticket)
            failed = [outcome for outcome in ended if outcome.code]
            if failed:  # a rank whose peer failed only says "run again"
                return min(failed, key=lambda outcome: outcome.code == RunAgain.exit_code)
            if len(ended) == ticket.ranks:
                return ended[0]
            if self.site.alive(ticket):
                gone = 0.0
            elif not gone:
                gone = time.time()
            elif not self.site.alive(ticket, since=gone + GRACE):
                return None
            self._pause(min(2.0, max(0.2, (time.monotonic() - began) / 20)))

    def _finish(self, ticket: Ticket, outcome: Outcome) -> int:
        self._unless_stopped()
        if outcome.code == 0:
            self._publish(ticket)
        ticket.state, ticket.meta = FAILED if outcome.code else PUBLISHED, asdict(outcome)
        self.desk.write(ticket)
        self._show_logs(ticket, outcome.rank)
        if outcome.signalled:  # it ended while it was being requeued: nothing is left for the requeued job to do
            self.site.cancel(ticket)
        took = f"{outcome.seconds:.0f} s, {outcome.max_rss_mb} MB, {outcome.restarts} restart(s)"
        reason = f"; {outcome.reason}" if outcome.reason else ""
        self._say(f"job {outcome.job} on {outcome.host}: exit code {outcome.code} after {took}{reason}")
        if outcome.code == 0:
            self._tidy(ticket, 0 if outcome.signalled else TIDY_SECONDS)
        return outcome.code

    def _publish(self, ticket: Ticket) -> None:
        """Publish; a file that is not there yet gets some time, as NFS may want."""
        try:
            publish(stage(Path(ticket.folder)), self.request.outputs, self.request.key)
        except MissingArtefact:
            self._pause(GRACE)
            try:
                publish(stage(Path(ticket.folder)), self.request.outputs, self.request.key)
            except MissingArtefact as error:
                ticket.state, ticket.meta = FAILED, {"reason": str(error)}
                self.desk.write(ticket)
                raise

    def _tidy(self, ticket: Ticket, patience: float) -> None:
        """Remove the submission, once submitit has written its own result there: else it would call the job failed."""
        results = [Path(ticket.folder) / f"{ticket.job}_{rank}_result.pkl" for rank in range(ticket.ranks)]
        until = time.monotonic() + patience
        while time.monotonic() < until and not all(file.exists() for file in results):
            time.sleep(0.02)
        shutil.rmtree(ticket.folder, ignore_errors=True)

    # ---- signals

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM are noted, and acted upon between two looks at the job."""

        def note(signum: int, frame: FrameType | None) -> None:
            self.stop_signal = signum

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _unless_stopped(self) -> None:
        if self.stop_signal:
            raise Stopped(self.stop_signal)
        if self.coordinator is not None and not self.coordinator.alive():
            raise Abandoned

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self._unless_stopped()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.25))

    def _stop(self, signum: int) -> int:
        """Cancel the job, or leave it to be found again; the exit code is the shell's for the signal."""
        ticket = self.desk.read()
        if ticket and ticket.comment == self.comment and ticket.state == SUBMITTED:
            if self.on_interrupt == "leave":
                self._say(f"signal {signum}: job {ticket.job} goes on; run the same command again to collect it")
            else:
                self._cancel(ticket, signum)
        return 128 + signum

    def _cancel(self, ticket: Ticket, signum: int) -> None:
        began = time.time()
        while ticket.job is None and time.time() < began + STOP_SECONDS:  # the signal came before sbatch's answer
            if self.site.news(began):
                self._adopt(ticket)
                break
            time.sleep(0.1)
        if ticket.job is None:
            self._say(f"signal {signum}: stopped before a job was submitted, as far as can be told")
        elif self.site.cancel(ticket):
            ticket.state = CANCELLED
            self.desk.write(ticket)
            self._say(f"signal {signum}: cancelled job {ticket.job}")
        else:
            self._say(f"signal {signum}: job {ticket.job} could NOT be cancelled; run: scancel {ticket.job}")

    # ---- words

    def _show_logs(self, ticket: Ticket, first: int) -> None:
        """The end of what the job's ranks wrote, one of them first, into the rule's log."""
        for rank in dict.fromkeys([first, *range(min(ticket.ranks, RANKS_SHOWN))]):
            for file in log_files(Path(ticket.folder), str(ticket.job), rank):
                lines = file.read_text(errors="replace").splitlines() if file.exists() else []
                lines = [line for line in lines if not line.startswith("submitit INFO")]
                if lines:
                    say(f"--- {file.name}" + (f", last {TAIL} of {len(lines)} lines" if len(lines) > TAIL else ""))
                    say("\n".join(lines[-TAIL:]))

    def _say(self, message: str) -> None:
        say(f"reedbench launch {self.request.key}: {message}")


def launch(site: Site, request: Request, step: Sequence[str], on_interrupt: str) -> int:
    """Run a step at a site; returns its exit code."""
    if not request.outputs:
        raise ConfigError(f"{request.key}: nothing to publish; name the step's outputs with --output")
    return Launcher(site, request, step, on_interrupt).run()
