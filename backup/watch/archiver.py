"""Whether WAL reaches the repositories: the verdict on the archiver. Pure.

PostgreSQL's counters alone are no evidence: a command that always succeeds counts as archiving. What waits in pg_wal, for
how long, and where the server sends it is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from backup.emergency import words
from backup.ledger.wal import segment_number
from backup.notice import Fact, is_worse
from backup.units import human_bytes, human_duration
from backup.watch.memory import Elapsed, Memory, Stall
from backup.watch.readings import Over, Sample, Standing, WalReading
from backup.watch.refusals import Refusals
from contract import events
from contract.severity import Severity

KEY: Final = "archiver"
ArchiverState = Literal["working", "behind", "catching up", "failing", "stalled", "off", "emergency", "unknown"]

BEHIND_SEGMENTS: Final = 2
"""More than these at once is a backlog; one that was finished this moment, and one beside it, are none."""

OFF_SECONDS: Final = 60.0
"""How long archiving may be switched off: after a change of the configuration it is, until the restart."""

CRITICAL_AFTER: Final = 6
"""A stall of so many times what is allowed is critical."""

_HINT: Final = "`make backup-check` names the reason, `docker logs salespider-postgres` has pgBackRest's own words"
_NAMED_HINT: Final = "look at that repository: network, credentials, space (`make backup-check`)"
_PATIENCE: Final = "; archiving then catches up by itself, and nothing is lost while the disk lasts: `make wal-status`"
_OFF_HINT: Final = (
    "`make restart` applies the configuration, `ALTER SYSTEM RESET` takes back a change by hand; then `make backup`, "
    "because what was written meanwhile is not in the archive"
)


@dataclass(frozen=True)
class Backlog:
    """What waits, and how it moves: segments a second, negative while it shrinks, None when that cannot be told."""

    segments: int
    growth: float | None

    @property
    def shrinks(self) -> bool:
        """Tell whether archiving is faster than writing."""
        return self.growth is not None and self.growth < 0

    @property
    def catch_up_seconds(self) -> float | None:
        """How long until nothing waits, at the present pace."""
        return self.segments / -self.growth if self.growth is not None and self.growth < 0 else None


@dataclass(frozen=True)
class ArchiverVerdict:
    """The state, the backlog (None when the server does not tell), the new memory, and the alarm that stands or is over."""

    state: ArchiverState
    backlog: Backlog | None
    memory: Memory
    standing: Standing | None
    over: Over | None


def backlog(recent: Sequence[Sample], now: Sample) -> Backlog | None:
    """Return what waits and its pace since its highest point in `recent`, or since the beginning of that."""
    if now.wal is None:
        return None
    points = [(s.at.timestamp(), s.wal.ready_segments) for s in recent if s.wal and s.at < now.at]
    waiting = now.wal.ready_segments
    if not points:
        return Backlog(waiting, None)
    highest = max(points, key=lambda point: (point[1], point[0]))
    at, count = highest if highest[1] > waiting else points[0]
    return Backlog(waiting, (waiting - count) / (now.at.timestamp() - at))


def judge(
    memory: Memory, sample: Sample, recent: Sequence[Sample], elapsed: Elapsed, late_seconds: float
) -> ArchiverVerdict:
    """Return the verdict on one look. A server that does not answer, or is in recovery, tells nothing about archiving."""
    waiting, wal = backlog(recent, sample), sample.wal
    if waiting is None or wal is None or wal.in_recovery:
        return ArchiverVerdict("unknown", waiting, memory, _standing(memory, waiting), None)
    if wal.emergency is not None:  # nothing is behind any more, and nothing is archived either
        given_up = Over(KEY, events.ARCHIVER_RECOVERED, words.NO_LONGER_WAITS)
        memory = replace(memory, failing_seconds=0.0, off_seconds=0.0, stall=None)
        return ArchiverVerdict("emergency", waiting, memory, words.standing(wal.emergency), given_up)
    memory = replace(_timed(memory, wal, elapsed.seconds), refusals=_refusals(memory.refusals, wal, sample.refusals))
    over = None
    if not elapsed.clock_jumped:  # the ages of files mean nothing in this moment
        found = _stall_now(memory, sample.at.timestamp(), wal, late_seconds)
        before, memory = memory.stall, replace(memory, stall=found)
        over = _recovered(before, sample.at.timestamp(), wal) if found is None else None
    state = _state(memory, wal, waiting)
    if state == "failing":
        over = None
    return ArchiverVerdict(state, waiting, memory, _standing(memory, waiting), over)


def _refusals(before: Refusals | None, wal: WalReading, seen: Refusals | None) -> Refusals | None:
    """Return who does not take WAL: what is seen now, or was seen last, until an attempt succeeds.

    After a crash the server does not know any more that one has failed.
    """
    if wal.is_failing:
        return before if seen is None else seen.after(before)
    has_succeeded = wal.ready_segments == 0 or wal.last_archived_at is not None
    return None if has_succeeded else before


def _timed(memory: Memory, wal: WalReading, seconds: float) -> Memory:
    failing = memory.failing_seconds + seconds if wal.is_failing else 0.0
    off = 0.0 if wal.is_archiving_configured else memory.off_seconds + seconds
    return replace(memory, failing_seconds=failing, off_seconds=off)


def _stall_now(memory: Memory, now: float, wal: WalReading, late_seconds: float) -> Stall | None:
    """Return the stall that begins, or goes on until something was archived and nothing old waits any more."""
    before, waited = memory.stall, max(wal.oldest_ready_seconds or 0.0, memory.failing_seconds)
    if not wal.is_archiving_configured:
        is_off = memory.off_seconds >= OFF_SECONDS
        return _off(memory, now, wal) if is_off or before else None
    ended = before is not None and not wal.is_failing and waited < late_seconds / 2 and _has_moved(before, wal)
    if ended or (before is None and waited < late_seconds):
        return None
    since = before.since if before else now - waited
    severity: Severity = "critical" if now - since >= CRITICAL_AFTER * late_seconds else "warning"
    known = memory.refusals or Refusals()
    now_stalled = Stall(since, severity, _words(wal, memory.refusals), wal.archived_segment, wal.ready_segments)
    return _merged(before, replace(now_stalled, repos=known.repos, others=known.others))


def _off(memory: Memory, now: float, wal: WalReading) -> Stall:
    if wal.archive_mode == "off":
        reason = "archive_mode is off"
    elif wal.archive_library:
        reason = f"archive_library is '{wal.archive_library}'"
    else:
        reason = f"archive_command is '{wal.archive_command}'"
    lost = bool(wal.archive_mode == "off" or wal.archive_library or wal.archive_command)
    message = f"nothing is archived: {reason} instead of pgBackRest's"
    since = now - memory.off_seconds
    return _merged(memory.stall, Stall(since, "critical", message, wal.archived_segment, wal.ready_segments, lost))


def _merged(before: Stall | None, now: Stall) -> Stall:
    """Return a stall with the beginning of the one before, and the worst of both."""
    if before is None:
        return now
    severity = before.severity if is_worse(before.severity, now.severity) else now.severity
    most, lost = max(before.most_waiting, now.most_waiting), before.wal_lost or now.wal_lost
    repos = tuple(sorted({*before.repos, *now.repos}))
    others = tuple(key for key in now.others or before.others if key not in repos)
    merged = replace(now, since=before.since, severity=severity, archived=before.archived, most_waiting=most, wal_lost=lost)
    return replace(merged, repos=repos, others=others)


def _has_moved(stall: Stall, wal: WalReading) -> bool:
    """Tell whether something was archived since, or nothing is left to be: a young file alone may be a clock's doing."""
    return wal.ready_segments == 0 or wal.archived_segment != stall.archived


def _words(wal: WalReading, refusals: Refusals | None) -> str:
    oldest = f", the oldest for {_lasting(wal.oldest_ready_seconds)}" if wal.oldest_ready_seconds is not None else ""
    said = f"archiving is behind: {_segments(wal.ready_segments)} ({human_bytes(wal.ready_bytes)}) wait{oldest}"
    if refusals is not None:
        return "; ".join((said, *(refusal.as_words() for refusal in refusals.refusals), *_others(wal, refusals)))
    return f"{said}; the latest attempt failed at {wal.last_failed_wal}" if wal.is_failing else said


def _others(wal: WalReading, refusals: Refusals) -> tuple[str, ...]:
    """Say how far the repositories are that were not named, as far as that is known."""
    through = segment_number(refusals.through, wal.segment_bytes)
    if through is None:
        return ()
    who = _repositories(refusals.others)
    finished = wal.wal_position // wal.segment_bytes - 1
    if finished - through > BEHIND_SEGMENTS:
        return (f"{who} took all but the newest {finished - through} in the latest attempt",)
    return (f"{who} {'is' if len(refusals.others) == 1 else 'are'} kept current",)


def _recovered(stall: Stall | None, now: float, wal: WalReading) -> Over:
    if stall is None:
        return Over(KEY, events.ARCHIVER_RECOVERED, "archiving works")
    caught_up, seconds = stall.most_waiting, max(0.0, now - stall.since)
    if wal.archived_segment is not None and stall.archived is not None and wal.archived_segment > stall.archived:
        caught_up = wal.archived_segment - stall.archived
    size = caught_up * wal.segment_bytes
    who = f"{_repositories(stall.repos)} can be archived to" if stall.repos and stall.others else "archiving works"
    summary = f"{who} again after {_lasting(seconds)}; {_segments(caught_up)} ({human_bytes(size)}) caught up"
    facts: dict[str, Fact] = {"seconds": round(seconds), "segments": caught_up, "bytes": size}
    if stall.wal_lost:
        summary = f"archiving works again after {_lasting(seconds)}, but what was written meanwhile is not archived"
        facts = {"seconds": round(seconds)}
    return Over(KEY, events.ARCHIVER_RECOVERED, summary, facts)


def _repositories(keys: Sequence[int]) -> str:
    return f"repositor{'y' if len(keys) == 1 else 'ies'} {' and '.join(map(str, keys))}"


def _segments(count: int) -> str:
    return f"{count} WAL segment{'' if count == 1 else 's'}"


def _lasting(seconds: float) -> str:
    return human_duration(timedelta(seconds=round(max(0.0, seconds))))


def _standing(memory: Memory, waiting: Backlog | None) -> Standing | None:
    stall = memory.stall
    if stall is None:
        return None
    facts = {"waiting_segments": waiting.segments if waiting else None, "since": _iso(stall.since)}
    hint = _OFF_HINT if stall.wal_lost else _named_hint(memory.refusals) if memory.refusals else _HINT
    return Standing(KEY, events.ARCHIVER_STALLED, stall.severity, stall.message, hint, facts)


def _named_hint(refusals: Refusals) -> str:
    return next((refusal.hint for refusal in refusals.refusals if refusal.hint), _NAMED_HINT) + _PATIENCE


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _state(memory: Memory, wal: WalReading, waiting: Backlog) -> ArchiverState:
    if not wal.is_archiving_configured:
        return "off"
    if memory.stall:
        return "catching up" if waiting.shrinks and not wal.is_failing else "stalled"
    if wal.is_failing:
        return "failing"
    if waiting.segments > BEHIND_SEGMENTS:
        return "catching up" if waiting.shrinks else "behind"
    return "working"
