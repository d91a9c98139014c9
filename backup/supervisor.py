"""The loop: once a second it looks at the time and the state, and decides the one thing to do next.

`Supervisor.tick` returns a sentence, what the supervisor is doing now; it is logged when it changes and left as a sign
of life. Work itself happens in the runner thread.
"""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from backup import jobs, lateness, logs, placement, policy, protection, schedule
from backup.deployment import BackupsOffError, ConfigurationError, Deployment, require_backups
from backup.health_server import HealthServer
from backup.jobs import BackupRequest, Outcome
from backup.oplock import BusyError
from backup.postgres import DatabaseError
from backup.runner import Runner
from backup.watch.watcher import Watcher
from contract import events
from contract.exits import Exit

TICK_SECONDS: Final = 1.0
POLL_SECONDS: Final = 5.0
RETRY_DELAYS: Final = tuple(timedelta(seconds=s) for s in (2, 5, 15, 60, 300, 900, 3600))
WATCHER_SECONDS: Final = 5.0
FOREVER_SECONDS: Final = 10 * 365 * 24 * 3600.0
BEAT_EVERY: Final = timedelta(seconds=5)
JUDGE_EVERY: Final = timedelta(minutes=1)
_ANY_TIME: Final = datetime.min.replace(tzinfo=UTC)


class Supervisor:
    """What is known between two ticks, and the decision made in each."""

    def __init__(self, deployment: Deployment, runner: Runner) -> None:
        """Start with nothing known: the database, the stanza and the first backup are all still to be seen."""
        self._deployment = deployment
        self._runner = runner
        self._log = logs.logger()
        self._stanza_ready = False
        self._first_backup_known = False
        self._considered_until = deployment.now()
        self._failures = 0
        self._not_before = _ANY_TIME
        self._next_attempt = ""
        self._after_job: Callable[[Outcome], None] = lambda _outcome: None
        self._doing = ""
        self._to_take: deque[BackupRequest] = deque()
        self._beat = ("", _ANY_TIME)
        self._judged_at = _ANY_TIME

    @property
    def deployment(self) -> Deployment:
        """The deployment with the configuration that is in force."""
        return self._deployment

    def tick(self) -> str:
        """Decide and start what is next; return what is going on, and leave it as a sign of life."""
        now = self._deployment.now()
        doing = self._decide(now)
        if doing != self._beat[0] or abs(now - self._beat[1]) >= BEAT_EVERY:
            self._deployment.history.beat(doing, now)
            self._beat = (doing, now)
        if abs(now - self._judged_at) >= JUDGE_EVERY:
            self._judged_at = now
            lateness.judge(self._deployment)
            protection.judge(self._deployment)
        return doing

    def _decide(self, now: datetime) -> str:
        if (outcome := self._runner.collect()) is not None:
            self._after_job(outcome)
        if self._runner.is_busy:
            return self._doing
        self._reload_if_changed()
        if now < self._not_before:
            return self._doing + self._next_attempt
        if not self._stanza_ready:
            return self._prepare_stanza(now)
        if not self._first_backup_known:
            return self._first_backup(now)
        return self._due_backup(now)

    # --- the steps, in the order of a first start ---------------------------------------------------------------------

    def _prepare_stanza(self, now: datetime) -> str:
        try:
            server = self._deployment.postgres.server()
        except DatabaseError as error:
            self._poll(now, TICK_SECONDS)
            return self._say(f"waiting for the database ({error.message})")
        if server.in_recovery:
            self._poll(now, POLL_SECONDS)
            paused = " and is paused there: `SELECT pg_wal_replay_resume()` opens it" if server.recovery_paused else ""
            return self._say(f"waiting for the database: it is in recovery{paused}")
        if server.archive_mode == "off":
            self._poll(now, POLL_SECONDS)
            return self._say("waiting for the database: archiving is off until it is restarted, `make restart`")
        self._log.info(events.DATABASE_REACHED, version=server.version, timeline=server.timeline)
        return self._start(
            functools.partial(jobs.create_stanza, self._deployment, logs.foreign_line),
            self._stanza_created,
            "creating the stanza",
        )

    def _stanza_created(self, outcome: Outcome) -> None:
        if outcome.state == "succeeded":
            self._stanza_ready = True
            self._succeeded()
            self._log.info(events.STANZA_READY, stanza=self._deployment.config.stanza)
        elif outcome.state == "failed":
            event = events.REPOSITORY_REFUSED if outcome.exit_code == Exit.REPOSITORY else events.STANZA_FAILED
            self._log.error(event, message=outcome.message, hint=outcome.hint)
            if outcome.exit_code == Exit.REPOSITORY:
                self._say(f"waiting for the repository ({outcome.message})")
            self._later(self._deployment.now())

    def _first_backup(self, now: datetime) -> str:
        try:
            info = jobs.read_info(self._deployment)
        except jobs.RepositoryError as error:
            self._later(now)
            return self._say(f"waiting for the repository ({error.message})")
        lateness.remember(self._deployment, info)
        for repository in self._deployment.config.repositories:
            if policy.needs_first_full(info, repository.key):
                reason = f"repository {repository.key} holds no full backup yet"
                request = BackupRequest("full", repository.key, "first", reason)
                return self._start_backup(request, "taking the first full backup")
        self._first_backup_known = True
        return self._idle(now)

    def _due_backup(self, now: datetime) -> str:
        if not self._to_take:
            self._to_take.extend(self._due_requests(now))
        if not self._to_take:
            return self._idle(now)
        request = self._to_take.popleft()
        return self._start_backup(request, f"taking the scheduled {request.kind} backup")

    def _due_requests(self, now: datetime) -> tuple[BackupRequest, ...]:
        config = self._deployment.config
        due = schedule.due(config.schedule.expressions(), self._deployment.zone, self._considered_until, now)
        self._considered_until = now
        if due is None:
            return ()
        self._log.info(events.BACKUP_DUE, type=due.kind, due=self._local(due.at))
        reason = f"scheduled for {self._local(due.at)}"
        return tuple(BackupRequest(due.kind, repository.key, "schedule", reason) for repository in config.repositories)

    # --- starting and ending work -------------------------------------------------------------------------------------

    def _start_backup(self, request: BackupRequest, doing: str) -> str:
        deployment = self._deployment

        def job() -> Outcome:
            try:
                outcome = jobs.take_backup(deployment, request, FOREVER_SECONDS)
            except BusyError as error:  # only when asked to stop while waiting
                return Outcome("interrupted", error.exit_code, error.message, error.hint)
            _remember(deployment)
            return outcome

        return self._start(job, functools.partial(self._backup_ended, request), doing)

    def _backup_ended(self, request: BackupRequest, outcome: Outcome) -> None:
        if request.origin == "first":
            self._considered_until = self._deployment.now()  # what fell due meanwhile is in it
        if outcome.state == "succeeded":
            self._succeeded()
            for run in self._upcoming():
                self._log.info(events.SCHEDULE_NEXT, type=run.kind, at=self._local(run.at))
        elif request.origin == "first":
            self._later(self._deployment.now())

    def _start(self, job: Callable[[], Outcome], after: Callable[[Outcome], None], doing: str) -> str:
        self._after_job = after
        self._doing = doing
        self._runner.submit(job)
        return self._say(doing)

    def _reload_if_changed(self) -> None:
        changed = self._deployment.reloaded()
        if changed is self._deployment:
            return
        require_backups(changed.config)
        self._deployment = changed
        kept = {repository.key for repository in changed.config.repositories}
        self._to_take = deque(request for request in self._to_take if request.repo in kept)
        self._stanza_ready = self._first_backup_known = False
        self._log.info(events.CONFIGURATION_CHANGED)
        try:
            changed.postgres.reload()
            waiting = changed.postgres.settings_waiting_for_restart()
        except DatabaseError as error:
            self._log.warning(events.DATABASE_WAITING, message=error.message)
            return
        if waiting:
            hint = "docker compose restart postgres"
            self._log.warning(events.CONFIGURATION_WAITS, settings=", ".join(waiting), hint=hint)

    def _later(self, now: datetime) -> None:
        """Try again after a delay that grows with every failure, and name the moment."""
        delay = RETRY_DELAYS[min(self._failures, len(RETRY_DELAYS) - 1)]
        self._failures += 1
        self._not_before = now + delay
        self._next_attempt = f"; next attempt at {self._local(self._not_before)}"

    def _poll(self, now: datetime, seconds: float) -> None:
        """Look again soon, without a word: a new sentence every few seconds would flood the log."""
        self._not_before = now + timedelta(seconds=seconds)
        self._next_attempt = ""

    def _succeeded(self) -> None:
        self._failures = 0
        self._not_before = _ANY_TIME

    # --- words --------------------------------------------------------------------------------------------------------

    def _say(self, doing: str) -> str:
        self._doing = doing
        return doing

    def _idle(self, now: datetime) -> str:
        runs = schedule.upcoming(self._deployment.config.schedule.expressions(), self._deployment.zone, now)
        return f"idle; next: {runs[0].kind} backup at {self._local(runs[0].at)}" if runs else "idle; nothing is scheduled"

    def _upcoming(self) -> tuple[schedule.Due, ...]:
        config = self._deployment.config
        return schedule.upcoming(config.schedule.expressions(), self._deployment.zone, self._deployment.now())

    def _local(self, moment: datetime) -> str:
        return f"{moment.astimezone(self._deployment.zone):%Y-%m-%d %H:%M:%S %Z}"


def supervise(deployment: Deployment) -> Exit:
    """Run until asked to stop; return the exit code. A dead runner thread ends it with Exit.UNEXPECTED."""
    log = logs.logger()
    runner = Runner()
    runner.start()
    config = deployment.config
    log.info(events.SUPERVISOR_STARTED, stanza=config.stanza, zone=config.time_zone, **config.schedule.expressions())
    if warning := placement.on_the_databases_disk(deployment):
        hint = "name a directory on another disk (PGBACKREST_REPO1_PATH), or add a second repository"
        log.warning(events.REPOSITORY_ON_DATABASE_DISK, message=warning, hint=hint)
    supervisor = Supervisor(deployment, runner)
    watcher = Watcher(lambda: supervisor.deployment, deployment.stop)
    health = HealthServer(deployment)
    watcher.start()
    health.start()
    said = ""
    while not deployment.stop.wait(TICK_SECONDS):
        if not (runner.is_alive() and watcher.is_alive() and health.is_alive()):
            return Exit.UNEXPECTED
        said = _tick(supervisor, said)
    log.info(events.SUPERVISOR_STOPPED, while_doing=said)
    runner.finish(jobs.GRACE_SECONDS + 10)
    watcher.finish(WATCHER_SECONDS)
    health.finish()
    deployment.store.close()
    return Exit.TERMINATED


def _remember(deployment: Deployment) -> None:
    """Write down what the repositories hold now; one that cannot be asked keeps what was known of it."""
    with contextlib.suppress(jobs.RepositoryError):
        lateness.remember(deployment, jobs.read_info(deployment))


def _tick(supervisor: Supervisor, said: str) -> str:
    log = logs.logger()
    try:
        now_doing = supervisor.tick()
    except (BackupsOffError, ConfigurationError):
        raise
    except Exception:
        log.exception(events.SUPERVISOR_TICK_FAILED)
        return said
    if now_doing != said:
        log.info(events.SUPERVISOR_DOING, what=now_doing)
    return now_doing
