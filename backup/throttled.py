"""Asking again where a store has answered 429, too many requests.

pgBackRest tries a request again for as long as `io-timeout` after any 5xx and any broken connection. 429 it takes for final
before its version 2.57: in 2.55.1 a single one ends the command (exit code 39), or stands in the answer of `info`, whose
exit code is 0. Only files that its worker processes copy are tried twice more.

The loops are our own: `status` loads this module while somebody waits, and tenacity loads asyncio, 71 modules in all.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from typing import Final

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


def run(
    argv: pgbackrest.Argv,
    on_line: Callable[[str], None],
    limits: process.Limits,
    again: pgbackrest.Argv | None = None,
) -> process.Finished:
    """Run a command as `process.run` does; again, as `again` if given, while a store refuses it and it fails soon."""
    spent_seconds = 0.0
    for attempt in range(1, MOST_ATTEMPTS + 1):
        finished = process.run(again or argv if attempt > 1 else argv, on_line, limits)
        spent_seconds += finished.seconds + (wait_seconds := _wait_seconds())
        refused = finished.exit_code > 0 and not finished.stopped_by and is_refusal(finished.tail)
        if not refused or attempt == MOST_ATTEMPTS or spent_seconds > PATIENCE_SECONDS or limits.stop.wait(wait_seconds):
            break
        _tell(argv, attempt)
    return finished


def capture(argv: pgbackrest.Argv, timeout_seconds: float, stop: threading.Event | None = None) -> process.Captured:
    """Run a short command as `process.capture` does; again while a store refuses it. `stop` ends the waiting.

    The waiting takes 80 seconds at most.
    """
    flag = stop or threading.Event()
    for attempt in range(1, MOST_ATTEMPTS + 1):
        answer = process.capture(argv, timeout_seconds)
        refused = is_refusal((answer.stderr, answer.stdout.decode("utf-8", "replace")))
        if not refused or attempt == MOST_ATTEMPTS or flag.wait(_wait_seconds()):
            break
        _tell(argv, attempt)
    return answer


def _wait_seconds() -> float:
    """Return a random time, so that many who were refused do not come back together."""
    return random.uniform(SHORTEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)  # noqa: S311 no secret


def _tell(argv: pgbackrest.Argv, attempt: int) -> None:
    logs.logger().info(events.REPOSITORY_THROTTLED, command=argv[-1], attempt=attempt)
