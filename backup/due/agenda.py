"""What is still to be taken, repository by repository: what fell due, what a new repository needs, what must be tried again.

What fell due is kept in the state together with how far the schedule has been looked at, in one value, until its run has
ended: whatever moment the container dies at, a run is neither lost nor due again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from backup import logs
from backup.deployment import Deployment
from backup.due import schedule
from backup.due.retry import jitter_seconds, retry
from backup.due.schedule import MOST_THOROUGH_FIRST, Decision, Due
from backup.keeping import policy
from backup.notice import Notice
from backup.pgbackrest import Info
from backup.restore import aftercare
from backup.state.gaps import Gaps
from backup.taking.jobs import BackupRequest
from backup.watch.outage import WORKS_AGAIN
from contract import events
from contract.supervisor import BackupType

MARK: Final = "agenda"
RUNS_CONSIDERED: Final = 50
WRITE_EVERY: Final = timedelta(minutes=1)
_ANY_TIME: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Waiting:
    """A request that fell due, and the moment before which it is not taken."""

    request: BackupRequest
    not_before: datetime


class Agenda:
    """The requests that wait, kept across restarts."""

    def __init__(self, deployment: Deployment) -> None:
        """Go on where the state says that an earlier supervisor stopped."""
        self._deployment = deployment
        self._gaps = Gaps(deployment.store)
        self._considered_until, waiting = _read(deployment)
        self._waiting = [each for each in waiting if not _is_taken(deployment, each)]
        self._written_at: datetime | None = None
        self._lacking: frozenset[int] = frozenset()
        self._configured_at = deployment.now()

    def reconfigured(self, deployment: Deployment) -> None:
        """Go on with another configuration; what waits for a repository that is gone is dropped."""
        self._deployment = deployment
        self._configured_at = deployment.now()
        kept = {repository.key for repository in deployment.config.repositories}
        self._waiting = [each for each in self._waiting if each.request.repo in kept]

    def look_at(self, info: Info) -> None:
        """Learn which repositories hold no full backup; one that cannot be read may hold some."""
        readable = {repository.key for repository in info.repositories if repository.is_usable}
        keys = {repository.key for repository in self._deployment.config.repositories}
        self._lacking = frozenset(key for key in keys & readable if policy.needs_first_full(info, key))

    def consider(self, now: datetime, running: BackupRequest | None) -> None:
        """Note what has fallen due since the last look; what runs or waits already is told and not taken twice."""
        config = self._deployment.config
        decision = schedule.decide(config.schedule.expressions(), self._deployment.zone, self._considered_until, now)
        self._considered_until = decision.considered_until
        if decision.clock_jumped:
            self._waiting = [replace(each, not_before=min(each.not_before, now)) for each in self._waiting]
            self._deployment.teller.tell(_clock_jumped(now))
        if decision.due is not None:
            self._note(decision, decision.due, running)
        if decision.due is not None or self._written_at is None or abs(now - self._written_at) >= WRITE_EVERY:
            self._write(now)

    def next(self, now: datetime) -> BackupRequest | None:
        """Return the request to take now, the most thorough first, or None."""
        ready = [each.request for each in self._all(now) if each.not_before <= now]
        return min(ready, key=lambda request: (MOST_THOROUGH_FIRST.index(request.kind), request.repo), default=None)

    def later(self, now: datetime) -> Waiting | None:
        """Return what waits for its moment and comes first, or None."""
        waiting = [each for each in self._all(now) if each.not_before > now]
        return min(waiting, key=lambda each: each.not_before, default=None)

    def ended(self, request: BackupRequest, *, taken: bool, now: datetime) -> None:
        """Cross out a request whose run has ended; how it ended decides, from the history, whether it is tried again."""
        self._waiting = [each for each in self._waiting if each.request != request]
        if taken and request.kind == "full":
            self._lacking -= {request.repo}
        self._write(now)

    def _note(self, decision: Decision, due: Due, running: BackupRequest | None) -> None:
        local = self._deployment.local(due.at)
        logs.logger().info(events.BACKUP_DUE, type=due.kind, due=local, missed=decision.is_missed)
        reason = f"scheduled for {local}"
        not_before = due.at
        if decision.is_missed:
            reason = f"missed at {local}"
            seconds = jitter_seconds(self._deployment.config.catch_up_jitter_seconds, str(due.at))
            not_before = self._deployment.now() + timedelta(seconds=seconds)
        overlapping = [
            repository.key
            for repository in self._deployment.config.repositories
            if not self._add(BackupRequest(due.kind, repository.key, "schedule", reason), not_before, running)
        ]
        if decision.is_missed:
            self._deployment.teller.tell(_missed(decision, local))
        for key in overlapping:
            self._deployment.teller.tell(_overlap(due, key, local))

    def _add(self, request: BackupRequest, not_before: datetime, running: BackupRequest | None) -> bool:
        """Let a request wait; return False when one for its repository runs or waits that saves all that it would."""
        others = [each.request for each in self._waiting if each.request.repo == request.repo]
        if running is not None and running.repo == request.repo:
            others.append(running)
        if any(_covers(other, request) for other in others):
            return False
        self._waiting = [
            each
            for each in self._waiting
            if each.request == running or each.request.repo != request.repo or not _covers(request, each.request)
        ]
        self._waiting.append(Waiting(request, not_before))
        return True

    def _all(self, now: datetime) -> list[Waiting]:
        found = list(self._waiting)
        for repository in self._deployment.config.repositories:
            waiting = any(each.request.repo == repository.key for each in self._waiting)
            if not waiting and (more := self._unscheduled(repository.key, now)) is not None:
                found.append(more)
        return found

    def _unscheduled(self, repo: int, now: datetime) -> Waiting | None:
        """Return what a repository needs although nothing is due: another attempt, or its first full backup."""
        runs = self._deployment.history.backups_of(repo, RUNS_CONSIDERED)
        works_again = self._deployment.marks.moment(WORKS_AGAIN)
        again = retry(runs, now, works_again)
        if again is not None:
            return Waiting(BackupRequest(again.kind, repo, "retry", again.reason), again.at)
        failed = runs[0] if runs and runs[0].state == "failed" else None
        changed_at = max(self._configured_at, works_again or _ANY_TIME)
        if failed is not None and (failed.finished or failed.started) >= changed_at:
            return None  # trying again without a change cannot help
        if (wanted := self._wanted_at_once(repo)) is not None:
            return Waiting(wanted, now)
        if failed is not None and failed.origin != "manual":
            kind = cast("BackupType", failed.requested or failed.what)
            return Waiting(BackupRequest(kind, repo, "retry", "the last one failed, and something was changed since"), now)
        return None

    def _wanted_at_once(self, repo: int) -> BackupRequest | None:
        if self._gaps.pending(repo) is not None:
            return BackupRequest("full", repo, "resume", "the WAL emergency has ended")
        if (kind := aftercare.wanted_backup(self._deployment, repo)) is not None:
            return BackupRequest(kind, repo, "restore", aftercare.REASON)
        if repo in self._lacking:
            return BackupRequest("full", repo, "first", f"repository {repo} holds no full backup yet")
        return None

    def _write(self, now: datetime) -> None:
        until = self._considered_until
        waiting = [{**asdict(each.request), "not_before": each.not_before.timestamp()} for each in self._waiting]
        self._deployment.marks.put(MARK, {"considered_until": until.timestamp() if until else None, "waiting": waiting})
        self._written_at = now


def _covers(one: BackupRequest, other: BackupRequest) -> bool:
    return schedule.absorb(one.kind, Due(other.kind, _ANY_TIME))


def _read(deployment: Deployment) -> tuple[datetime | None, list[Waiting]]:
    kept = deployment.marks.get(MARK)
    if kept is None:
        return None, []
    until, entries = kept["considered_until"], kept["waiting"]
    waiting = [
        Waiting(
            BackupRequest(entry["kind"], entry["repo"], entry["origin"], entry["reason"]),
            datetime.fromtimestamp(entry["not_before"], UTC),
        )
        for entry in entries
    ]
    return datetime.fromtimestamp(until, UTC) if until else None, waiting


def _is_taken(deployment: Deployment, waiting: Waiting) -> bool:
    """Tell whether the record has this very run as succeeded: the process may have ended before it was crossed out."""
    request = waiting.request
    return any(
        run.state == "succeeded"
        and run.origin == request.origin
        and run.reason.startswith(request.reason)  # which names the moment; a changed type adds to it
        and run.started >= waiting.not_before
        for run in deployment.history.backups_of(request.repo, RUNS_CONSIDERED)
    )


def _clock_jumped(now: datetime) -> Notice:
    summary = f"the clock was more than a day ahead and says {now:%F %H:%M} UTC now; the schedule goes on from here"
    return Notice(events.CLOCK_JUMPED, "warning", summary, "check that this host keeps the time: `timedatectl`")


def _missed(decision: Decision, local: str) -> Notice:
    count = sum(decision.fell_due.values())
    summary = f"nobody was there to take the backup that was due at {local}; one run makes up for {count} missed"
    return Notice(events.BACKUP_MISSED, "warning", summary, facts={"missed": count})


def _overlap(due: Due, repo: int, local: str) -> Notice:
    summary = f"repository {repo}: a {due.kind} backup was due at {local}, but the one before is not done; it is not doubled"
    hint = "give backups more time, processors or processes: BACKUP_SCHEDULE_…, BACKUP_CPU_LIMIT, PGBACKREST_PROCESS_MAX"
    return Notice(events.BACKUP_OVERLAP, "warning", summary, hint, facts={"type": due.kind, "repo": repo})
