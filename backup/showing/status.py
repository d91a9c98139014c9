"""What is known now, gathered once for `status`: the database, the disks, the repositories, the record, the open alarms.

Everything that can be slow has a limit of a few seconds and runs beside the rest. What cannot be asked becomes a cause
on the screen, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from backup import health
from backup.deployment import Deployment
from backup.due import lateness
from backup.emergency import gap
from backup.health import Cause
from backup.keeping import policy, reach, survey
from backup.keeping.survey import Answer
from backup.ownership import protection, repository_key
from backup.pgbackrest import Backup
from backup.postgres import DatabaseError, Server
from backup.showing.snapshot import (
    Archiver,
    Database,
    Disk,
    Kind,
    LastBackup,
    LastRun,
    Protection,
    RecoveryGap,
    Repository,
    Source,
    Status,
    StatusWord,
    Supervisor,
    Volume,
    Window,
)
from backup.state.gaps import Gaps
from backup.state.history import Run
from backup.state.holdings import Holdings, Known
from backup.watch.summary import WalStatus, summarize
from contract.exits import HealthExit
from contract.supervisor import BackupType
from contract.supervisor import Repository as Configured

_TYPES: Final[tuple[BackupType, ...]] = ("full", "diff", "incr")
_LEVELS: Final[dict[HealthExit, StatusWord]] = {
    HealthExit.OK: "ok",
    HealthExit.WARNING: "warning",
    HealthExit.CRITICAL: "critical",
    HealthExit.UNKNOWN: "unknown",
}


def gather(deployment: Deployment) -> Status:
    """Ask everybody, at the same time. Raises StoreError when the state cannot be read."""
    now = deployment.now()
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(survey.ask, deployment)
        wal = summarize(deployment)
        server = _server(deployment) if wal.database != "unreachable" else None
        answers = {answer.repo: answer for answer in asked.result()}
    state = health.known(deployment.store)
    recalled = Holdings(deployment.store).recall()
    repositories = tuple(
        _repository(deployment, repository, answers[repository.key], recalled.get(repository.key), wal.last_archived_at)
        for repository in deployment.config.repositories
    )
    verdict = health.judge(state, now)
    seen = [*_seen_of_wal(wal), *_seen_of_repositories(deployment, answers), *_seen_of_schedule(repositories)]
    known = {cause.key for cause in verdict.causes}
    causes = (*verdict.causes, *(cause for cause in seen if cause.key not in known))
    reason = protection.unprotected(deployment)
    return Status(
        schema_version=1,
        at=now,
        status=_worst(_LEVELS[verdict.level], seen),
        supervisor=Supervisor(verdict.doing, state.heartbeat.at if state.heartbeat else None),
        database=_database(wal, server),
        archiver=_archiver(wal),
        disk=_disk(wal),
        window=_window(answers, wal.last_archived_at),
        repositories=repositories,
        recovery_gaps=tuple(_gaps(deployment, answers)),
        last_run=_last_run(state.last_run) if state.last_run else None,
        protection=Protection(reason is None, reason or ""),
        causes=tuple(sorted(causes, key=lambda cause: cause.severity != "critical")),
    )


def _worst(level: StatusWord, seen: list[Cause]) -> StatusWord:
    severities = {cause.severity for cause in seen}
    if "critical" in severities:
        return "critical"
    return "warning" if level == "ok" and "warning" in severities else level


# --- database, archiver, disk -----------------------------------------------------------------------------------------


def _server(deployment: Deployment) -> Server | None:
    try:
        return deployment.postgres.server()
    except DatabaseError:  # it has gone since it was asked a moment ago
        return None


def _database(wal: WalStatus, server: Server | None) -> Database:
    if server is None:
        return Database(wal.database, None, None, None, wal.database_problem)
    return Database(wal.database, server.version, str(server.system_id), server.timeline, wal.database_problem)


def _archiver(wal: WalStatus) -> Archiver:
    return Archiver(
        wal.archiver,
        wal.waiting_segments,
        wal.waiting_bytes,
        wal.oldest_waiting_seconds,
        wal.last_archived_wal,
        wal.last_archived_at,
        wal.wal_rate,
        wal.pg_wal_bytes,
    )


def _disk(wal: WalStatus) -> Disk:
    volumes = (Volume(v.name, v.also, v.free_bytes, v.total_bytes, _rounded(v.used_percent)) for v in wal.volumes)
    return Disk(tuple(volumes), wal.safe_hours, wal.full_in_hours)


def _rounded(percent: float | None) -> float | None:
    return None if percent is None else round(percent, 1)


def _seen_of_wal(wal: WalStatus) -> Iterator[Cause]:
    if wal.database == "unreachable":
        hint = "see whether it runs and what it says: `docker logs salespider-postgres`"
        yield Cause("database", "critical", f"the database cannot be reached: {wal.database_problem}", hint)
    for alarm in wal.alarms:
        if alarm.severity in {"warning", "critical"}:
            yield Cause(alarm.key, alarm.severity, alarm.message, alarm.hint)


# --- repositories -----------------------------------------------------------------------------------------------------


def _repository(
    deployment: Deployment, configured: Configured, answer: Answer, known: Known | None, archived_at: datetime | None
) -> Repository:
    info, as_of = answer.info, deployment.now() if answer.info else known.seen_at if known else None
    backups = info.backups if info else known.backups if known else ()
    window = policy.window(info, configured.key, archived_at) if info else None
    return Repository(
        key=configured.key,
        type=configured.type,
        location=configured.location,
        encrypted=configured.encrypted,
        problem=answer.problem,
        as_of=as_of,
        window=Window(window.earliest, window.latest) if window else None,
        backups=len(info.good()) if info else None,
        damaged=len(info.backups) - len(info.good()) if info else None,
        types=tuple(_types(deployment, configured.key, backups, known)) if as_of else (),
    )


def _window(answers: dict[int, Answer], archived_at: datetime | None) -> Source | None:
    """Return what can be restored from any repository that answers; when one is lost, the next one gives the window."""
    found = reach.source(window for a in answers.values() if a.info for window in reach.windows(a.info, archived_at))
    return Source(found.repo, found.earliest, found.latest) if found else None


def _types(deployment: Deployment, repo: int, backups: tuple[Backup, ...], known: Known | None) -> Iterator[Kind]:
    """Yield the scheduled types, as the schedule sees them, and others of which there are backups.

    One more repository that is new holds none yet, and that is no failure: its first one is under way.
    """
    config = deployment.config
    allowed = timedelta(minutes=config.thresholds.late_minutes)
    is_new = known is None or (known.empty_since is not None and deployment.now() - known.empty_since <= allowed)
    first_is_awaited = not backups and is_new and len(config.repositories) > 1
    excuse = policy.leeway(config.thresholds, repo, deployment.history.last("backup", state="running"))
    verdicts = policy.freshness(config.schedule.expressions(), deployment.zone, backups, deployment.now(), excuse)
    judged = {verdict.kind: verdict for verdict in verdicts}
    for kind in _TYPES:
        if verdict := judged.get(kind):
            last = LastBackup.of(verdict.latest) if verdict.latest else None
            yield Kind(kind, last, verdict.next_at, None if first_is_awaited else verdict.problem)
        elif taken := [backup for backup in backups if backup.kind == kind and not backup.has_errors]:
            yield Kind(kind, LastBackup.of(taken[-1]), None, None)


def _seen_of_schedule(repositories: tuple[Repository, ...]) -> Iterator[Cause]:
    for repository in repositories:
        for kind in () if repository.problem else repository.types:
            if kind.problem:
                message = f"{kind.type} backup in repository {repository.key}: {kind.problem}"
                yield Cause(lateness.key(repository.key, kind.type), "critical", message, lateness.HINTS[kind.type])


def _seen_of_repositories(deployment: Deployment, answers: dict[int, Answer]) -> Iterator[Cause]:
    """Yield why repositories cannot be used: in our words where the passphrase may be the reason, else pgbackrest's."""
    refused = [answer for answer in answers.values() if answer.info is None]
    if refused and not any(answer.is_out_of_reach for answer in refused):
        troubles = repository_key.trouble(deployment)
        if troubles:
            yield from (Cause("repository", "critical", trouble.sentence, trouble.hint) for trouble in troubles)
            return
    for answer in refused:
        message = f"repository {answer.repo}: {answer.problem}"
        yield Cause(f"repository:{answer.repo}", "critical", message, answer.hint)


def _gaps(deployment: Deployment, answers: dict[int, Answer]) -> Iterator[RecoveryGap]:
    told = (gap.of_info(answer.info) for answer in answers.values() if answer.info)
    for each in gap.merged(Gaps(deployment.store).all(), *told):
        yield RecoveryGap(each.since, each.until, each.label, each.repo)


# --- the record -------------------------------------------------------------------------------------------------------


def _last_run(run: Run) -> LastRun:
    return LastRun(run.what, run.repo, run.origin, run.reason, run.started, run.finished, run.state, run.message)
