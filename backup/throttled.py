"""Asking again where a store has answered 429, too many requests.

pgBackRest tries a request again for as long as `io-timeout` after any 5xx and any broken connection. 429 it takes for final
before its version 2.57: in 2.55.1 a single one ends the command (exit code 39), or stands in the answer of `info`, whose
exit code is 0. Only files that its worker processes copy are tried twice more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import tenacity

from backup import logs, pgbackrest, process
from contract import events

MOST_ATTEMPTS: Final = 20
PATIENCE_SECONDS: Final = 120.0
"""No command is run again once this much time has gone into it, so none that has copied files for long."""

SHORTEST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 4.0
_SAID: Final = "HTTP request failed with 429"


def is_refusal(lines: Iterable[str]) -> bool:
    """Tell whether pgbackrest says that a store had too many requests."""
    return any(_SAID in line for line in lines)


def run(argv: pgbackrest.Argv, on_line: Callable[[str], None], limits: process.Limits) -> process.Finished:
    """Run a command as `process.run` does; again while a store refuses it and it fails soon."""
    spent_seconds = 0.0

    def once() -> process.Finished:
        nonlocal spent_seconds
        finished = process.run(argv, on_line, limits)
        spent_seconds += finished.seconds
        return finished

    def is_refused(finished: process.Finished) -> bool:
        return finished.exit_code > 0 and not finished.stopped_by and is_refusal(finished.tail)

    def has_taken_long(state: tenacity.RetryCallState) -> bool:
        return spent_seconds + state.idle_for > PATIENCE_SECONDS

    retrying = _retrying(argv, is_refused, limits.stop, has_taken_long)
    finished: process.Finished = retrying(once)
    return finished


def capture(argv: pgbackrest.Argv, timeout_seconds: float, stop: threading.Event | None = None) -> process.Captured:
    """Run a short command as `process.capture` does; again while a store refuses it. `stop` ends the waiting.

    The waiting takes 80 seconds at most.
    """

    def is_refused(answer: process.Captured) -> bool:
        return is_refusal((answer.stderr, answer.stdout.decode("utf-8", "replace")))

    retrying = _retrying(argv, is_refused, stop or threading.Event())
    answer: process.Captured = retrying(process.capture, argv, timeout_seconds)
    return answer


def _retrying(
    argv: pgbackrest.Argv,
    is_refused: Callable[[Any], bool],
    stop: threading.Event,
    has_taken_long: Callable[[tenacity.RetryCallState], bool] = lambda _state: False,
) -> tenacity.Retrying:
    """Return what tries again, at random moments, so that many who were refused do not come back together."""
    enough, stopped = tenacity.stop_after_attempt(MOST_ATTEMPTS), tenacity.stop_when_event_set(stop)

    def tell(state: tenacity.RetryCallState) -> None:
        logs.logger().info(events.REPOSITORY_THROTTLED, command=argv[-1], attempt=state.attempt_number)

    return tenacity.Retrying(
        retry=tenacity.retry_if_result(is_refused),
        wait=tenacity.wait_random(SHORTEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS),
        stop=lambda state: enough(state) or stopped(state) or has_taken_long(state),
        sleep=tenacity.sleep_using_event(stop),
        before_sleep=tell,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
