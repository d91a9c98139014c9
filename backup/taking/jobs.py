"""The job: a backup from the lock to the last word about it. The creation of the stanza is in `backup.taking.stanza`.

A scheduled backup and one that an operator asked for are this same code: the same lock, the same record, the same
questions before and the same proof after. Exit code 0 is not success; see `backup.taking.proof`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from backup import logs, oplock, process
from backup.deployment import Deployment
from backup.due import chain, schedule
from backup.emergency import words
from backup.keeping import losses, placement, retention
from backup.keeping.inventory import RepositoryError, raw_info, read_info
from backup.notice import Fact, Notice
from backup.notify.heartbeat import heartbeat
from backup.ownership import identity
from backup.state.alarms import Alarm
from backup.state.gaps import Gaps
from backup.state.history import Beginning
from backup.taking import attempts, live, preflight, proof
from backup.taking.attempts import GRACE_SECONDS, run_patiently
from backup.taking.outcome import BackupRequest, Outcome, error_line, judged
from backup.taking.preflight import NotReadyError, Ready
from backup.taking.stanza import SHORTEST_DEADLINE_SECONDS, create_stanza
from contract import events
from contract.exits import Exit
from contract.supervisor import BackupType

__all__ = [
    "GRACE_SECONDS",
    "PROGRESS_SECONDS",
    "SHORTEST_DEADLINE_SECONDS",
    "BackupRequest",
    "Outcome",
    "RepositoryError",
    "create_stanza",
    "deadline_seconds",
    "error_line",
    "raw_info",
    "read_info",
    "run_patiently",
    "take_backup",
]

PROGRESS_SECONDS: Final = 3.0
LONGEST_DEADLINE_SECONDS: Final = 7 * 24 * 3600.0
GAVE_WAY: Final = "stopped, because a restore goes first"
REMEMBERED_RUNS: Final = 2000
"""How many runs are looked at for the type of the next one: a month of hourly ones in two repositories."""


# --- a backup ---------------------------------------------------------------------------------------------------------


def alarm_key(repo: int) -> str:
    """Return the key of the alarm that backups into a repository fail."""
    return f"backup:{repo}"


def take_backup(deployment: Deployment, request: BackupRequest, patience_seconds: float) -> Outcome:
    """Take one backup: lock, record, look, run, prove, record, tell. Never raises for a failed one; raises BusyError.

    `patience_seconds` is how long to wait while another backup or a restore holds the operation lock. A restore that comes
    while it runs goes first: then it ends as interrupted, and is taken again unless it was asked for by hand.
    """
    log = logs.logger()
    with oplock.hold_giving_way(
        deployment.volumes.operation_lock,
        f"{request.kind} backup ({request.origin})",
        patience_seconds=patience_seconds,
        stop=deployment.stop,
        on_wait=lambda holder: log.info(events.LOCK_WAITING, holder=holder),
    ) as end:
        if killed := deployment.history.mark_interrupted("backup", deployment.now()):
            log.warning(events.RUNS_INTERRUPTED, count=killed)
        beginning = Beginning("backup", request.kind, request.repo, request.origin, request.reason)
        run = deployment.history.begin(beginning, deployment.now())
        _tell_start(deployment, request)
        outcome = _unless_stopped(end, request, _backed_up(replace(deployment, stop=end), request, run))
        deployment.history.end(run, outcome.ending(), deployment.now())
        _tell_end(deployment, request, outcome)
    return outcome


def _unless_stopped(end: oplock.End, request: BackupRequest, outcome: Outcome) -> Outcome:
    """Take a failure for an interruption when it was to end: the database may have gone first."""
    if outcome.state == "failed" and outcome.label is None and end.is_set():
        outcome = replace(outcome, state="interrupted", retryable=True)
    if outcome.state == "interrupted" and end.gave_way:
        again = "" if request.origin == "manual" else "it is taken again after the restore"
        return replace(outcome, message=GAVE_WAY, hint=again)
    return outcome


def _backed_up(deployment: Deployment, request: BackupRequest, run: int) -> Outcome:
    try:
        ready = preflight.look(deployment, request.repo)
        kind, why = _chosen(deployment, request, ready)
        if kind != request.kind:
            _tell_change(deployment, request, kind, why, run)
        if (warning := preflight.require_room(deployment, ready, request.repo, kind)) is not None:
            deployment.teller.tell(Notice(events.BACKUP_SPACE_TIGHT, "warning", warning, facts={"repo": request.repo}))
    except NotReadyError as error:
        return Outcome.failed(error.exit_code, error.message, error.hint, retryable=error.retryable)
    if (warning := placement.on_the_databases_disk(deployment)) is not None:
        logs.logger().warning(events.REPOSITORY_ON_DATABASE_DISK, message=warning)
    outcome = _run(deployment, request, kind)
    if outcome.state != "succeeded":
        return outcome
    proven = proof.prove(deployment, request.repo, ready.info.labels(request.repo), outcome)
    if proven.outcome.state == "succeeded":
        _settle(deployment, request, ready, proven)
    return replace(proven.outcome, message=f"{proven.outcome.message} ({why})") if why else proven.outcome


def _chosen(deployment: Deployment, request: BackupRequest, ready: Ready) -> tuple[BackupType, str]:
    """Return the type to take, and why it is another one than was asked for, or no full one; or nothing.

    Only proven runs are evidence: a full backup that failed has not taken anything from the window, and is taken again.
    """
    runs = deployment.history.recent("backup", state="succeeded", limit=REMEMBERED_RUNS)
    facts = chain.chain_facts(
        [run for run in runs if run.repo == request.repo],
        deployment.config.full_after,
        ready.server.system_id,
        ready.server.version,
    )
    choice = chain.choose(request.kind, ready.info.backups, facts, deployment.now())
    if choice.kind == request.kind:
        return choice.kind, choice.reason
    return choice.kind, f"{choice.kind} instead of {request.kind}: {choice.reason}"


def _run(deployment: Deployment, request: BackupRequest, kind: BackupType) -> Outcome:
    limits = process.Limits(deployment.stop, deadline_seconds(deployment, kind), GRACE_SECONDS)
    shown_on = live.display(request)
    with (
        logs.job_log(deployment.volumes.log, f"backup-{kind}.log", PROGRESS_SECONDS) as write,
        live.watched(live.lock_file(deployment, request.repo), shown_on),
    ):

        def on_line(line: str) -> None:
            shown_on.clear()
            write(line)

        gap = Gaps(deployment.store).pending(request.repo)
        order = attempts.Order(deployment.config.stanza, request.repo, kind, gap.annotations() if gap else ())
        attempted = attempts.run_backup(order, on_line, limits)
    place = placement.of(deployment, request.repo)
    judgement = judged(attempted.finished, f"{kind} backup", place, was_readable=True)  # preflight has asked it
    return replace(judgement, attempts=attempted.attempts, kind=kind)


def _settle(deployment: Deployment, request: BackupRequest, ready: Ready, proven: proof.Proof) -> None:
    """Remember whose backup this is, and only now let old ones go: pgbackrest itself would count damaged ones."""
    outcome = proven.outcome
    identity.remember(deployment, ready.server, outcome.sizes.database if outcome.sizes else None)
    if proven.info is not None:
        losses.remember(deployment, proven.info)
        for gap in Gaps(deployment.store).learn(proven.info):
            deployment.teller.over(words.KEY, events.WAL_RESUMED, words.ended(gap))
    if request.expires and proven.info is not None:
        with logs.job_log(deployment.volumes.log, f"backup-{outcome.kind}.log", PROGRESS_SECONDS) as write:
            retention.expire(deployment, request.repo, proven.info, write)


def deadline_seconds(deployment: Deployment, kind: BackupType) -> float:
    """Return how long a backup of this type may take: until its next but one due time, within 6 hours and 7 days."""
    expression = deployment.config.schedule.expressions().get(kind)
    if expression is None:
        return LONGEST_DEADLINE_SECONDS
    first = schedule.next_run(expression, deployment.zone, deployment.now())
    interval = (schedule.next_run(expression, deployment.zone, first) - deployment.now()).total_seconds()
    return min(max(interval, SHORTEST_DEADLINE_SECONDS), LONGEST_DEADLINE_SECONDS)


# --- telling ----------------------------------------------------------------------------------------------------------


def _tell_start(deployment: Deployment, request: BackupRequest) -> None:
    summary = f"{request.kind} backup into repository {request.repo} begins: {request.reason}"
    facts: dict[str, Fact] = {"type": request.kind, "repo": request.repo, "reason": request.reason}
    deployment.teller.tell(Notice(events.BACKUP_STARTED, "debug", summary, facts=facts))
    heartbeat(deployment, "start")


def _tell_change(deployment: Deployment, request: BackupRequest, kind: BackupType, why: str, run: int) -> None:
    deployment.history.decide(run, kind, f"{request.reason}; {why}")
    facts: dict[str, Fact] = {"type": kind, "requested": request.kind, "repo": request.repo, "reason": why}
    summary = f"repository {request.repo}: {why}"
    deployment.teller.tell(Notice(events.BACKUP_TYPE_CHANGED, "info", summary, facts=facts))


def _tell_end(deployment: Deployment, request: BackupRequest, outcome: Outcome) -> None:
    facts: dict[str, Fact] = {
        "type": outcome.kind or request.kind,
        "repo": request.repo,
        "seconds": round(outcome.seconds, 1),
        "attempts": outcome.attempts,
    }
    if outcome.state == "succeeded":
        _tell_success(deployment, request, outcome, facts)
    elif outcome.state == "interrupted":
        logs.logger().warning(events.BACKUP_INTERRUPTED, message=outcome.message, **facts)
    else:
        _tell_failure(deployment, request, outcome, facts)


def _tell_failure(deployment: Deployment, request: BackupRequest, outcome: Outcome, facts: dict[str, Fact]) -> None:
    facts |= {"exit_code": int(outcome.exit_code), "retryable": outcome.retryable}
    heartbeat(deployment, "fail")
    alarm = Alarm(alarm_key(request.repo), events.BACKUP_FAILED, "critical", outcome.message, outcome.hint)
    another = outcome.exit_code == Exit.ANOTHER_CLUSTER  # that is an alarm of its own already
    if another or not deployment.teller.alarm(alarm, facts):  # the log has every run, told before or not
        logs.logger().error(events.BACKUP_FAILED, message=outcome.message, hint=outcome.hint, **facts)


def _tell_success(deployment: Deployment, request: BackupRequest, outcome: Outcome, facts: dict[str, Fact]) -> None:
    facts |= {"label": outcome.label, "requested": request.kind}
    if outcome.sizes is not None:
        sizes = outcome.sizes
        facts |= {"database_bytes": sizes.database, "copied_bytes": sizes.copied, "stored_bytes": sizes.stored}
    deployment.teller.tell(Notice(events.BACKUP_SUCCEEDED, "info", outcome.message, facts=facts))
    heartbeat(deployment, "success")
    summary = f"backups into repository {request.repo} succeed again: {outcome.message}"
    deployment.teller.over(alarm_key(request.repo), events.BACKUP_RECOVERED, summary)
