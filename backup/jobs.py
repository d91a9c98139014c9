"""The jobs: one pgbackrest invocation each, its record, and what its result means.

A scheduled backup and one that an operator asked for are this same code: the same lock, the same record, the same
proof. Exit code 0 is not success. Success is the new label in the repository's list, without page checksum errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import tenacity

from backup import identity, logs, oplock, pgbackrest, process, protection, repository_key, schedule
from backup.deployment import Deployment
from backup.postgres import DatabaseError
from backup.state.history import Beginning, Ending, State
from contract import events
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import BackupType

Origin = Literal["schedule", "first", "retry", "manual"]

GRACE_SECONDS: Final = 30.0
PROGRESS_SECONDS: Final = 3.0
QUIET_PROGRESS_SECONDS: Final = 60.0
INFO_TIMEOUT_SECONDS: Final = 120.0
LOCK_PATIENCE_SECONDS: Final = 120.0
SHORTEST_DEADLINE_SECONDS: Final = 6 * 3600.0
LONGEST_DEADLINE_SECONDS: Final = 7 * 24 * 3600.0


class RepositoryError(ProductError):
    """The repository could not be asked; the message is what pgbackrest said."""

    exit_code = Exit.REPOSITORY


@dataclass(frozen=True)
class BackupRequest:
    """What to do and why: `reason` is a sentence for the record. Unless it `expires`, nothing old is removed after it."""

    kind: BackupType
    repo: int
    origin: Origin
    reason: str
    expires: bool = True


@dataclass(frozen=True)
class Outcome:
    """What a job did. `message` and `hint` are for people; `label` is the proven new backup."""

    state: State
    exit_code: int
    message: str
    hint: str = ""
    label: str | None = None
    seconds: float = 0.0
    tail: tuple[str, ...] = ()


def read_info(deployment: Deployment) -> pgbackrest.Info:
    """Ask pgbackrest what the repositories hold. Raises RepositoryError when it cannot be asked at all.

    A single unreadable repository raises nothing: it stands in the answer's `repositories`.
    """
    try:
        return pgbackrest.parse_info(raw_info(deployment, as_json=True), deployment.config.stanza)
    except pgbackrest.UnreadableAnswerError as error:
        raise RepositoryError(str(error), hint="run `pgbackrest info` by hand in the backup container") from error


def raw_info(deployment: Deployment, *, as_json: bool) -> bytes:
    """Return what `pgbackrest info` prints. Raises RepositoryError when it fails as a whole."""
    answer = process.capture(pgbackrest.info(deployment.config.stanza, as_json=as_json), INFO_TIMEOUT_SECONDS)
    if answer.exit_code == 0:
        return answer.stdout
    meaning = pgbackrest.meaning(answer.exit_code)
    said = answer.stderr.strip().splitlines() or answer.stdout.decode("utf-8", "replace").strip().splitlines()
    detail = said[0] if said else "no message"
    raise RepositoryError(f"pgbackrest info: exit code {answer.exit_code} ({meaning.name}): {detail}", hint=meaning.hint)


def create_stanza(deployment: Deployment, on_line: Callable[[str], None]) -> Outcome:
    """Create the stanza in every repository; does nothing where it is there and valid. Never upgrades one.

    Writes nothing unless the configured passphrase opens each repository and they are of the running cluster, and
    afterwards remembers the passphrases as used.
    """
    if troubles := repository_key.trouble(deployment):
        message = "; ".join(each.message for each in troubles)
        return Outcome("failed", Exit.REPOSITORY, message, troubles[0].hint)
    if (refusal := identity_refusal(deployment)) is not None:
        return refusal
    finished = run_patiently(
        pgbackrest.stanza_create(deployment.config.stanza),
        on_line,
        process.Limits(deployment.stop, SHORTEST_DEADLINE_SECONDS, GRACE_SECONDS),
    )
    outcome = _outcome(finished, "stanza-create")
    return _remembered(deployment, outcome) if outcome.state == "succeeded" else outcome


def identity_refusal(deployment: Deployment, info: pgbackrest.Info | None = None) -> Outcome | None:
    """Return the failure of a job that must not begin: another cluster runs, or that cannot be told. Keeps the alarm."""
    try:
        objection = identity.guard(deployment, deployment.postgres.server(), info or read_info(deployment))
    except ProductError as error:
        return Outcome("failed", error.exit_code, error.message, error.hint)
    return None if objection is None else Outcome("failed", Exit.ANOTHER_CLUSTER, objection.message, objection.hint)


def _remembered(deployment: Deployment, outcome: Outcome) -> Outcome:
    try:
        protection.remember(deployment)
    except OSError as error:
        message = f"the passphrases in use cannot be written down: {error.filename}: {error.strerror}"
        return Outcome("failed", Exit.REPOSITORY, message, "check the free space of the volume backup-state")
    return outcome


def take_backup(deployment: Deployment, request: BackupRequest, patience_seconds: float) -> Outcome:
    """Take one backup: lock, record, run, prove, record. Never raises for a failed backup; raises BusyError.

    `patience_seconds` is how long to wait while another backup or a restore holds the operation lock.
    """
    log = logs.logger()
    with oplock.hold(
        deployment.volumes.operation_lock,
        f"{request.kind} backup ({request.origin})",
        patience_seconds=patience_seconds,
        stop=deployment.stop,
        on_wait=lambda holder: log.info(events.LOCK_WAITING, holder=holder),
    ):
        if killed := deployment.history.mark_interrupted("backup", deployment.now()):
            log.warning(events.RUNS_INTERRUPTED, count=killed)
        beginning = Beginning("backup", request.kind, request.repo, request.origin, request.reason)
        run = deployment.history.begin(beginning, deployment.now())
        log.info(events.BACKUP_STARTED, type=request.kind, repo=request.repo, reason=request.reason)
        outcome = _run_backup(deployment, request)
        deployment.history.end(run, _ending(outcome), deployment.now())
    _tell(request, outcome)
    return outcome


def _run_backup(deployment: Deployment, request: BackupRequest) -> Outcome:
    try:
        info = read_info(deployment)
    except RepositoryError as error:
        return Outcome("failed", Exit.REPOSITORY, error.message, error.hint)
    unreadable = next((r for r in info.repositories if r.key == request.repo and not r.is_usable), None)
    if unreadable is not None:  # without a list from before, any backup would look like the new one
        return Outcome(
            "failed", Exit.REPOSITORY, f"repository {request.repo}: {unreadable.message}", "run `make backup-check`"
        )
    if (refusal := identity_refusal(deployment, info)) is not None:
        return refusal
    before = info.labels(request.repo)
    argv = pgbackrest.backup(deployment.config.stanza, request.repo, request.kind, expires=request.expires)
    limits = process.Limits(deployment.stop, deadline_seconds(deployment, request.kind), GRACE_SECONDS)
    every = PROGRESS_SECONDS if request.origin == "manual" else QUIET_PROGRESS_SECONDS
    with logs.job_log(deployment.volumes.log, f"backup-{request.kind}.log", every) as write:
        finished = run_patiently(argv, write, limits)
    outcome = _outcome(finished, f"{request.kind} backup")
    return _proven(deployment, request, before, outcome) if outcome.state == "succeeded" else outcome


def _proven(deployment: Deployment, request: BackupRequest, before: frozenset[str], outcome: Outcome) -> Outcome:
    """Turn "exit code 0" into success or failure by what the repository lists now."""
    try:
        info = read_info(deployment)
    except RepositoryError as error:
        return Outcome("failed", Exit.BACKUP_FAILED, f"ended, but not proven: {error.message}", error.hint)
    new = [backup for backup in info.backups if backup.repo == request.repo and backup.label not in before]
    if not new:
        message = f"{request.kind} backup: pgbackrest ended well, but the repository lists no new backup"
        return Outcome("failed", Exit.BACKUP_FAILED, message, "run `make backup-check`", tail=outcome.tail)
    backup = new[-1]
    if backup.has_errors:
        message = f"backup {backup.label}: page checksum errors, the database's own files are damaged"
        hint = f"see `pgbackrest --stanza={deployment.config.stanza} info --set={backup.label}`; earlier backups are kept"
        return Outcome("failed", Exit.BACKUP_FAILED, message, hint, backup.label, outcome.seconds, outcome.tail)
    with contextlib.suppress(DatabaseError):  # gone since the backup ended; the repository says who it was
        identity.remember(deployment, deployment.postgres.server(), backup.database_bytes)
    message = f"{backup.kind} backup {backup.label}"
    if backup.kind != request.kind:
        message += f" ({backup.kind} instead of {request.kind}: there was none to build on)"
    return Outcome("succeeded", Exit.OK, message, "", backup.label, outcome.seconds, outcome.tail)


def deadline_seconds(deployment: Deployment, kind: BackupType) -> float:
    """Return how long a backup of this type may take: until its next but one due time, within 6 hours and 7 days."""
    expression = deployment.config.schedule.expressions().get(kind)
    if expression is None:
        return LONGEST_DEADLINE_SECONDS
    first = schedule.next_run(expression, deployment.zone, deployment.now())
    interval = (schedule.next_run(expression, deployment.zone, first) - deployment.now()).total_seconds()
    return min(max(interval, SHORTEST_DEADLINE_SECONDS), LONGEST_DEADLINE_SECONDS)


def run_patiently(argv: pgbackrest.Argv, on_line: Callable[[str], None], limits: process.Limits) -> process.Finished:
    """Run a pgbackrest command, and again while another pgbackrest holds its lock, for two minutes at most.

    Asynchronous archiving holds the archive lock for moments at a time, which `stanza-create` needs too.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda finished: pgbackrest.meaning(finished.exit_code).name == "lock-acquire"),
        wait=tenacity.wait_random(1, 3),
        stop=tenacity.stop_any(tenacity.stop_after_delay(LOCK_PATIENCE_SECONDS), tenacity.stop_when_event_set(limits.stop)),
        sleep=tenacity.sleep_using_event(limits.stop),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    finished: process.Finished = retrying(process.run, argv, on_line, limits)
    return finished


def _outcome(finished: process.Finished, what: str) -> Outcome:
    meaning = pgbackrest.meaning(finished.exit_code)
    tail, seconds = finished.tail, finished.seconds
    if finished.stopped_by == "stop":
        return Outcome("interrupted", finished.exit_code, f"{what}: stopped on request", "", None, seconds, tail)
    if finished.stopped_by == "deadline":
        message = f"{what}: stopped after {seconds / 3600:.1f} hours, its deadline"
        return Outcome("failed", finished.exit_code, message, "see the log for what it waited for", None, seconds, tail)
    if finished.exit_code != 0:
        message = f"{what}: pgbackrest exit code {finished.exit_code} ({meaning.name}){error_line(tail)}"
        return Outcome("failed", finished.exit_code, message, meaning.hint, None, seconds, tail)
    return Outcome("succeeded", Exit.OK, what, "", None, seconds, tail)


def error_line(tail: tuple[str, ...]) -> str:
    """Return ": " and the first error that pgbackrest printed, or nothing."""
    errors = [line.split("ERROR:", 1)[1].strip() for line in tail if "ERROR:" in line]
    return f": {errors[0]}" if errors else ""


def _ending(outcome: Outcome) -> Ending:
    return Ending(outcome.state, outcome.exit_code, outcome.label, outcome.message, outcome.tail)


def _tell(request: BackupRequest, outcome: Outcome) -> None:
    log = logs.logger()
    facts = {"type": request.kind, "repo": request.repo, "seconds": round(outcome.seconds, 1)}
    if outcome.state == "succeeded":
        log.info(events.BACKUP_SUCCEEDED, label=outcome.label, **facts)
    elif outcome.state == "interrupted":
        log.warning(events.BACKUP_INTERRUPTED, **facts)
    else:
        log.error(events.BACKUP_FAILED, message=outcome.message, hint=outcome.hint, **facts)
