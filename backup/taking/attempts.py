"""Running pgbackrest again when that can help: while its lock is busy, and after failures of connections.

Only what passes within minutes is waited for here. A failure that may pass later is `retryable` in the outcome, and the
supervisor decides when the next run is due. A full backup that is started over is a full backup again: pgbackrest can go
on with what an aborted one has stored, and would delete it before one of another type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import tenacity

from backup import logs, pgbackrest, process, throttled
from backup.storage import trouble
from backup.taking.outcome import error_line
from contract import events

GRACE_SECONDS: Final = 30.0
LOCK_PATIENCE_SECONDS: Final = 120.0

MOST_ATTEMPTS: Final = 3
RETRY_WITHIN_SECONDS: Final = 300.0
"""No run is started over once this much time has gone into it: after hours of copying, the next run is a decision."""

FIRST_WAIT_SECONDS: Final = 5.0
LONGEST_WAIT_SECONDS: Final = 60.0

PASSING: Final = frozenset({"config", "protocol", "host-connect", "db-connect", "archive-timeout", "service"})
"""The exit codes, by name, after which the same command may well succeed minutes later; `config`: no database found."""

CRASHED: Final = -11
"""SIGSEGV, as Python tells it."""

Lines = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """A backup to be taken, of type `kind` (full, diff, incr), with annotations as (name, value) pairs."""

    stanza: str
    repo: int
    kind: str
    annotations: pgbackrest.Annotations = ()

    def argv(self, *, warnings: bool = True) -> pgbackrest.Argv:
        """Return the command line."""
        return pgbackrest.backup(self.stanza, self.repo, self.kind, warnings=warnings, annotations=self.annotations)


@dataclass(frozen=True)
class Attempted:
    """How the last attempt ended, and how many there were."""

    finished: process.Finished
    attempts: int


def run_patiently(argv: pgbackrest.Argv, on_line: Lines, limits: process.Limits) -> process.Finished:
    """Run a pgbackrest command, and again while another pgbackrest holds its lock, for two minutes at most.

    Asynchronous archiving holds the archive lock for moments at a time, which `stanza-create` needs too. Where a store
    has too many requests, it is run again as well, see `backup.throttled`.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda finished: _name(finished) == "lock-acquire"),
        wait=tenacity.wait_random(1, 3),
        stop=tenacity.stop_any(tenacity.stop_after_delay(LOCK_PATIENCE_SECONDS), tenacity.stop_when_event_set(limits.stop)),
        sleep=tenacity.sleep_using_event(limits.stop),
        retry_error_callback=_last_result,
    )
    finished: process.Finished = retrying(throttled.run, argv, on_line, limits)
    return finished


def run(argv: pgbackrest.Argv, on_line: Lines, limits: process.Limits) -> Attempted:
    """Run a command, waiting for its lock, and start it over after a failure that passes: three attempts in five minutes."""
    left, attempts = limits.deadline_seconds, 0

    def once() -> process.Finished:
        nonlocal left, attempts
        finished = run_patiently(argv, on_line, replace(limits, deadline_seconds=max(left, 0.0)))
        left, attempts = left - finished.seconds, attempts + 1
        return finished

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(_may_pass),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
        stop=tenacity.stop_any(
            tenacity.stop_after_attempt(MOST_ATTEMPTS),
            tenacity.stop_after_delay(RETRY_WITHIN_SECONDS),
            tenacity.stop_when_event_set(limits.stop),
        ),
        sleep=tenacity.sleep_using_event(limits.stop),
        before_sleep=_tell_retry,
        retry_error_callback=_last_result,
    )
    return Attempted(retrying(once), attempts)


def run_backup(order: Order, on_line: Lines, limits: process.Limits) -> Attempted:
    """Take a backup as `run` does; when pgbackrest crashes, once more in silence.

    pgBackRest before 2.57 can crash while it words the warning about several invalid pages in one file (a pointer out of
    scope, upstream pull request 2675, seen in 2.55.1). Without the warning it ends well and notes the pages in the
    backup, where the proof finds them.
    """
    first = run(order.argv(), on_line, limits)
    if first.finished.exit_code != CRASHED or first.finished.stopped_by:
        return first
    logs.logger().warning(
        events.BACKUP_RETRIED, repo=order.repo, reason="pgbackrest crashed; once more without its warnings"
    )
    again = run(order.argv(warnings=False), on_line, limits)
    return Attempted(again.finished, first.attempts + again.attempts)


def _name(finished: process.Finished) -> str:
    return pgbackrest.meaning(finished.exit_code).name


def _may_pass(finished: process.Finished) -> bool:
    """Tell a failure of the moment, by its code and its words: a store that refuses the key will refuse it again."""
    if finished.stopped_by or _name(finished) not in PASSING:
        return False
    known = trouble.explain("\n".join(finished.tail), finished.exit_code)
    return known is None or known.may_pass


def _last_result(state: tenacity.RetryCallState) -> process.Finished | None:
    return state.outcome.result() if state.outcome else None


def _tell_retry(state: tenacity.RetryCallState) -> None:
    finished: process.Finished | None = _last_result(state)
    if finished is not None:
        reason = f"exit code {finished.exit_code} ({_name(finished)}){error_line(finished.tail)}"
        wait = round(state.next_action.sleep, 1) if state.next_action else 0.0
        logs.logger().warning(events.BACKUP_RETRIED, attempt=state.attempt_number, reason=reason, wait_seconds=wait)
