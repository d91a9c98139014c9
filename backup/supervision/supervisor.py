"""The loop: once a second it looks at the time and the state, and decides the one thing to do next.

`Supervisor.tick` returns a sentence, what the supervisor is doing now; it is logged when it changes and left as a sign
of life. Work itself happens in the runner thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from backup import logs
from backup.deployment import Deployment, require_backups
from backup.due import schedule
from backup.due.agenda import Agenda
from backup.emergency import waiting
from backup.keeping import losses
from backup.notice import Notice
from backup.oplock import BusyError
from backup.ownership import identity
from backup.postgres import DatabaseError
from backup.restore import tidying
from backup.state.gaps import Gaps
from backup.state.store import StoreError
from backup.supervision.runner import Runner
from backup.taking import jobs
from backup.taking.jobs import BackupRequest, Outcome
from backup.watch.outage import WORKS_AGAIN
from contract import events
from contract.exits import Exit

TICK_SECONDS: Final = 1.0
POLL_SECONDS: Final = 5.0
LOOK_AGAIN_SECONDS: Final = 300.0
IDENTITY_SECONDS: Final = 60.0
STANZA_SECONDS: Final = 60.0
TIDY_SECONDS: Final = 3600.0
RETRY_DELAYS: Final = tuple(timedelta(seconds=s) for s in (2, 5, 15, 60, 300, 900, 3600))
FOREVER_SECONDS: Final = 10 * 365 * 24 * 3600.0
BEAT_EVERY: Final = timedelta(seconds=5)
_ANY_TIME: Final = datetime.min.replace(tzinfo=UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_DOING: Final = {
    "schedule": "taking the scheduled {} backup",
    "first": "taking the first {} backup",
    "retry": "taking the {} backup again",
    "resume": "taking the {} backup after the WAL emergency",
    "restore": "taking the {} backup after the restore",
}


class Supervisor:
    """What is known between two ticks, and the decision made in each."""

    def __init__(self, deployment: Deployment, runner: Runner) -> None:
        """Start with nothing known: the database, the stanza and the repositories are all still to be seen."""
        self._deployment = deployment
        self._runner = runner
        self._agenda = Agenda(deployment)
        self._log = logs.logger()
        self._stanza_ready = False
        self._look_at = _ANY_TIME
        self._look_for_stanza = _ANY_TIME
        self._tidy_at = deployment.now() + timedelta(seconds=TIDY_SECONDS)
        self._failures = 0
        self._failed_at: datetime | None = None
        self._not_before = _ANY_TIME
        self._next_attempt = ""
        self._running: BackupRequest | None = None
        self._after_job: Callable[[Outcome], None] = lambda _outcome: None
        self._doing = ""
        self._beat = ("", _ANY_TIME)

    @property
    def deployment(self) -> Deployment:
        """The deployment as it is configured now."""
        return self._deployment

    def tick(self) -> str:
        """Decide and start what is next; return what is going on, and leave it as a sign of life."""
        now = self._deployment.now()
        doing = self._decide(now)
        if doing != self._beat[0] or abs(now - self._beat[1]) >= BEAT_EVERY:
            self._deployment.history.beat(doing, now)
            self._beat = (doing, now)
        return doing

    def _decide(self, now: datetime) -> str:
        self._agenda.consider(now, self._running)
        if (outcome := self._runner.collect()) is not None:
            self._after_job(outcome)
        if self._runner.is_busy:
            return self._doing
        self._reload_if_changed()
        if now < self._not_before and not self._works_again():
            return self._doing + self._next_attempt
        if waits := waiting.for_resume(self._deployment):
            self._poll(now, POLL_SECONDS)
            return self._say(waits)
        if not self._stanza_ready or self._is_stanza_missing(now):
            return self._prepare_stanza(now)
        if now >= self._look_at and (trouble := self._look_at_repositories(now)):
            return trouble
        request = self._agenda.next(now)
        return self._tidy_or_idle(now) if request is None else self._start_backup(request)

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
        if (objection := identity.glance(self._deployment, server)) is not None:
            identity.alarm(self._deployment, objection)
            self._poll(now, IDENTITY_SECONDS)
            return self._say(f"waiting: {objection.message}")
        self._log.info(events.DATABASE_REACHED, version=server.version, timeline=server.timeline)
        return self._start(
            functools.partial(jobs.create_stanza, self._deployment, logs.foreign_line),
            self._stanza_created,
            "creating the stanza",
        )

    def _is_stanza_missing(self, now: datetime) -> bool:
        """Look, once a minute, whether a repository answers that has none: it was emptied, or was left out at the start."""
        if now < self._look_for_stanza:
            return False
        self._look_for_stanza = now + timedelta(seconds=STANZA_SECONDS)
        if not self._deployment.marks.get(losses.WITHOUT_STANZA):
            return False
        self._deployment.marks.put(losses.WITHOUT_STANZA, None)
        self._stanza_ready, self._look_at = False, _ANY_TIME
        return True

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

    def _look_at_repositories(self, now: datetime) -> str:
        """Learn what the repositories hold; return what is waited for, or nothing. An unreadable one is asked again."""
        try:
            info = jobs.read_info(self._deployment)
        except jobs.RepositoryError as error:
            self._later(now)
            return self._say(f"waiting for the repository ({error.message})")
        self._agenda.look_at(info)
        losses.remember(self._deployment, info)
        Gaps(self._deployment.store).learn(info)
        bare = [repository.key for repository in info.repositories if repository.lacks_stanza]
        if bare:  # it has come back without one since the stanza was created in the others
            self._deployment.marks.put(losses.WITHOUT_STANZA, bare)
        all_readable = all(repository.is_usable for repository in info.repositories)
        self._look_at = _NEVER if all_readable else now + timedelta(seconds=LOOK_AGAIN_SECONDS)
        return ""

    # --- starting and ending work -------------------------------------------------------------------------------------

    def _start_backup(self, request: BackupRequest) -> str:
        deployment = self._deployment
        self._running = request

        def job() -> Outcome:
            try:
                return jobs.take_backup(deployment, request, FOREVER_SECONDS)
            except BusyError as error:  # only when asked to stop while waiting
                return Outcome("interrupted", error.exit_code, error.message, error.hint)
            except StoreError as error:
                hint = "see the free space of the volume backup-state"
                self._log.error(events.STATE_UNREADABLE, message=str(error), hint=hint)
                return Outcome("interrupted", Exit.UNEXPECTED, f"the state cannot be written: {error}", hint)

        return self._start(job, functools.partial(self._backup_ended, request), _DOING[request.origin].format(request.kind))

    def _backup_ended(self, request: BackupRequest, outcome: Outcome) -> None:
        self._running = None
        if outcome.state == "interrupted":  # it waits on: for the next start, or until the state can be written
            self._later(self._deployment.now())
            return
        self._agenda.ended(request, taken=outcome.state == "succeeded", now=self._deployment.now())
        for run in self._upcoming() if outcome.state == "succeeded" else ():
            self._log.info(events.SCHEDULE_NEXT, type=run.kind, at=self._local(run.at))

    def _tidy_or_idle(self, now: datetime) -> str:
        if now < self._tidy_at:
            return self._idle(now)
        self._tidy_at = now + timedelta(seconds=TIDY_SECONDS)
        if not tidying.is_due(self._deployment):
            return self._idle(now)
        job = functools.partial(tidying.tidy, self._deployment)
        return self._start(job, lambda _outcome: None, "removing databases that restores have replaced")

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
        self._agenda.reconfigured(changed)
        self._stanza_ready, self._look_at = False, _ANY_TIME
        self._not_before = _ANY_TIME
        changed.teller.tell(Notice(events.CONFIGURATION_CHANGED, "info", "another configuration is in force from now on"))
        try:
            changed.postgres.reload()
            pending = changed.postgres.settings_waiting_for_restart()
        except DatabaseError as error:
            self._log.warning(events.DATABASE_WAITING, message=error.message)
            return
        if pending:
            hint = "docker compose restart postgres"
            self._log.warning(events.CONFIGURATION_WAITS, settings=", ".join(pending), hint=hint)

    def _later(self, now: datetime) -> None:
        """Try again after a delay that grows with every failure, and name the moment."""
        delay = RETRY_DELAYS[min(self._failures, len(RETRY_DELAYS) - 1)]
        self._failures += 1
        self._failed_at = now
        self._not_before = now + delay
        self._next_attempt = f"; next attempt at {self._local(self._not_before)}"

    def _works_again(self) -> bool:
        """Tell whether archiving has begun to succeed since the failure that is waited for, and wait no longer."""
        moment = self._deployment.marks.moment(WORKS_AGAIN) if self._failed_at is not None else None
        if moment is None or self._failed_at is None or moment <= self._failed_at:
            return False
        self._succeeded()
        return True

    def _poll(self, now: datetime, seconds: float) -> None:
        """Look again soon, without a word: a new sentence every few seconds would flood the log."""
        self._failed_at = None
        self._not_before = now + timedelta(seconds=seconds)
        self._next_attempt = ""

    def _succeeded(self) -> None:
        self._failures = 0
        self._failed_at = None
        self._not_before = _ANY_TIME

    # --- words --------------------------------------------------------------------------------------------------------

    def _say(self, doing: str) -> str:
        self._doing = doing
        return doing

    def _idle(self, now: datetime) -> str:
        if (later := self._agenda.later(now)) is not None:
            request = later.request
            return self._say(f"idle; {request.kind} backup ({request.reason}) at {self._local(later.not_before)}")
        runs = self._upcoming()
        next_run = f"{runs[0].kind} backup at {self._local(runs[0].at)}" if runs else ""
        return self._say(f"idle; next: {next_run}" if next_run else "idle; nothing is scheduled")

    def _upcoming(self) -> tuple[schedule.Due, ...]:
        config = self._deployment.config
        return schedule.upcoming(config.schedule.expressions(), self._deployment.zone, self._deployment.now())

    def _local(self, moment: datetime) -> str:
        return self._deployment.local(moment)
