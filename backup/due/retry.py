"""What must be tried again, and when. Pure: the record of runs in, the next attempt out.

A run that was cut off or failed for a reason that may pass is tried again as what it was: a full backup as a full one,
since anything else would delete what the repository can resume. Nothing is kept about it but the record of runs, so a
restart changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from backup.due.schedule import MOST_THOROUGH_FIRST
from backup.state.history import Run
from contract.supervisor import BackupType

DELAYS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
"""After the first, second, third failure in a row; the last one for all that follow."""

_LONGEST_JITTER_SECONDS: Final = 60
_PATIENCE_WITH_INTERRUPTIONS: Final = 3
"""So many interruptions in a row are tried again at once: people restart things. After that something kills it."""


@dataclass(frozen=True)
class Retry:
    """The next attempt: `kind` to `repo`, not before `at`, the `attempt`-th in a row. `reason` is for the record.

    `requested` is the type that was asked for in the first place; it belongs into the record of the new run, too.
    """

    kind: BackupType
    requested: BackupType
    repo: int
    at: datetime
    attempt: int
    reason: str


def jitter_seconds(maximum: int, seed: str | int) -> float:
    """Return a number from 0 to below `maximum` that looks random, and is always the same for a seed."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 * maximum


def retry(runs: Sequence[Run], now: datetime, works_again: datetime | None = None) -> Retry | None:
    """Return the next attempt that the last runs of one repository call for, the most thorough type first; None for none.

    `runs` are newest first, as `History.recent` gives them; those that claim to be running must really do so: close
    dead ones before (`History.mark_interrupted`). Runs by hand are not tried again, but their success counts. A moment
    that has passed is returned as `now`. `works_again` is when archiving was seen to succeed after it had failed: a run
    that failed before that is not made to wait any longer.
    """
    backups = [run for run in runs if run.kind == "backup"]
    if any(run.state == "running" for run in backups):
        return None
    for kind in MOST_THOROUGH_FIRST:
        if (found := _retry(kind, backups, now, works_again)) is not None:
            return found
    return None


def _retry(kind: BackupType, runs: Sequence[Run], now: datetime, works_again: datetime | None) -> Retry | None:
    failures = [run for run in _since_replaced(kind, runs) if run.what == kind and run.origin != "manual"]
    if not failures or (failures[0].state == "failed" and not failures[0].retryable):
        return None
    last, attempt = failures[0], len(failures) + 1
    ended = last.finished or last.started
    how = "was cut off" if last.state == "interrupted" else "failed for a reason that may pass"
    reason = f"attempt {attempt}: the {kind} backup begun at {last.started:%Y-%m-%d %H:%M} UTC {how}"
    requested = next((known for known in MOST_THOROUGH_FIRST if known == last.requested), kind)
    delay = timedelta(0) if works_again is not None and works_again > ended else _delay(failures)
    return Retry(kind, requested, last.repo or 1, max(ended + delay, now), attempt, reason)


def _since_replaced(kind: BackupType, runs: Sequence[Run]) -> Iterator[Run]:
    """Return the runs since one that succeeded and covers the type, or since a more thorough one fell due instead."""
    rank = MOST_THOROUGH_FIRST.index(kind)
    stronger, sufficient = MOST_THOROUGH_FIRST[:rank], MOST_THOROUGH_FIRST[: rank + 1]
    return takewhile(
        lambda run: (
            not ((run.what in sufficient and run.state == "succeeded") or (run.what in stronger and run.origin != "manual"))
        ),
        runs,
    )


def _delay(failures: Sequence[Run]) -> timedelta:
    """Return how long after the last failure the next attempt is made; nothing after an interruption or a few."""
    last = failures[0]
    in_a_row = sum(1 for _ in takewhile(lambda run: run.state == last.state, failures))
    if last.state == "interrupted":
        in_a_row -= _PATIENCE_WITH_INTERRUPTIONS
    if in_a_row <= 0:
        return timedelta(0)
    delay = DELAYS[min(in_a_row, len(DELAYS)) - 1]
    return delay + timedelta(seconds=jitter_seconds(_LONGEST_JITTER_SECONDS, f"{last.repo} {last.what} {last.id}"))
