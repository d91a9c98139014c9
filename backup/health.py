"""Whether the promise is kept, from local state alone: asks neither database nor repository.

Docker asks every half minute, monitoring maybe more often. Asked of an object store that would be a bill, and with the
libraries of the other commands a tenth of a processor core; so this reads one SQLite file, in which the supervisor keeps
what it has found out, and imports nothing but the standard library.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from backup.state.alarms import Alarms, Raised
from backup.state.history import Heartbeat, History, Run
from backup.state.holdings import Holdings
from backup.state.store import Store, StoreError
from contract import paths
from contract.exits import Exit, HealthExit
from contract.severity import Severity

SIGN_OF_LIFE: Final = timedelta(seconds=60)
"""The supervisor leaves one every five seconds; a minute without is a supervisor that hangs or is gone."""

SUPERVISOR: Final = "supervisor"
STATE: Final = "state"
NO_BACKUP: Final = "no-backup"
_NOBODY_KNOWS: Final = frozenset({SUPERVISOR, STATE})
_PREVENTS_READINESS: Final = frozenset({*_NOBODY_KNOWS, NO_BACKUP})
_SEE_LOG: Final = "see `docker logs salespider-backup`"
_RUN: Final = "backup"


@dataclass(frozen=True)
class Cause:
    """One thing that is not as promised. `key` names it as alarms are named; `since` is None where nobody knows."""

    key: str
    severity: Severity
    message: str
    hint: str = ""
    since: datetime | None = None

    def as_line(self) -> str:
        """Return it in one line: severity, what, since when, the next step."""
        since = f" (since {self.since.astimezone().isoformat(' ', 'seconds')})" if self.since else ""
        hint = f"; HINT: {self.hint}" if self.hint else ""
        word = "unknown" if self.key in _NOBODY_KNOWS else self.severity
        return " ".join(f"{word.upper()}: {self.message}{since}{hint}".split())


@dataclass(frozen=True)
class Health:
    """The verdict of a moment; `causes` has the worst first. `doing` is what the supervisor said last."""

    at: datetime
    level: HealthExit
    doing: str
    causes: tuple[Cause, ...]

    @property
    def is_kept(self) -> bool:
        """Tell whether the promise is kept; a warning does not break it."""
        return self.level in {HealthExit.OK, HealthExit.WARNING}

    @property
    def is_ready(self) -> bool:
        """Tell whether the supervisor runs and something can be restored, whatever else may be wrong."""
        return not any(cause.key in _PREVENTS_READINESS for cause in self.causes)

    def as_lines(self) -> list[str]:
        """Return a line a cause, or one that says that there is none."""
        return [cause.as_line() for cause in self.causes] or [f"OK: backups are as promised; {self.doing}"]

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold; times are ISO 8601 in UTC."""
        causes = [asdict(cause) | {"since": cause.since and cause.since.isoformat()} for cause in self.causes]
        status = self.level.name.lower()
        return {"schema_version": 1, "at": self.at.isoformat(), "status": status, "doing": self.doing, "causes": causes}


@dataclass(frozen=True)
class Known:
    """What the state says: the sign of life, the open alarms, the last run, and whether there is a backup to restore."""

    heartbeat: Heartbeat | None
    alarms: tuple[Raised, ...]
    last_run: Run | None
    has_backup: bool


def known(store: Store) -> Known:
    """Read what there is. Raises StoreError."""
    history = History(store)
    return Known(history.heartbeat(), Alarms(store).raised(), history.last(_RUN), has_backup(store))


def has_backup(store: Store) -> bool:
    """Tell whether a repository was last seen with a good backup, or has got one since. Raises StoreError.

    The record alone would not do: it is younger than the backups on a new host, and outlives those somebody has deleted.
    """
    holdings = Holdings(store).recall().values()
    if any(not backup.has_errors for known in holdings for backup in known.backups):
        return True
    proven = History(store).last(_RUN, state="succeeded")
    if proven is None or proven.finished is None:
        return False
    return all(proven.finished >= known.seen_at for known in holdings)


def without_backup(store: Store, repositories: Iterable[int]) -> tuple[int, ...]:
    """Return those of these repositories that were not seen with a good backup and got none, either. Raises StoreError."""
    holdings, history = Holdings(store).recall(), History(store)
    seen = {key for key, known in holdings.items() if any(not backup.has_errors for backup in known.backups)}
    unseen = (key for key in repositories if key not in seen)
    return tuple(key for key in unseen if not history.recent(_RUN, repo=key, state="succeeded", limit=1))


def examine(store: Store, now: datetime) -> Health:
    """Read the state and judge it; a state that cannot be read is a verdict, too."""
    try:
        return judge(known(store), now)
    except StoreError as error:
        return _unreadable(error, now)


def judge(found: Known, now: datetime) -> Health:
    """Return the verdict. Pure.

    Critical outweighs unknown: what an open alarm says stays true while the supervisor is silent.
    """
    silence = _silence(found.heartbeat, now)
    alarms = [_of_alarm(raised) for raised in found.alarms if raised.alarm.severity in {"warning", "critical"}]
    is_told = any(alarm.severity == "critical" for alarm in alarms)
    causes = [*silence, *_no_backup(found), *alarms, *([] if is_told else _failed_run(found.last_run))]
    causes.sort(key=lambda cause: (cause.severity != "critical", cause.since or now))
    is_broken = any(cause.severity == "critical" and cause.key != SUPERVISOR for cause in causes)
    level = HealthExit.CRITICAL if is_broken else HealthExit.UNKNOWN if silence else HealthExit.WARNING
    level = level if causes else HealthExit.OK
    return Health(now, level, found.heartbeat.phase if found.heartbeat else "starting", tuple(causes))


def _silence(heartbeat: Heartbeat | None, now: datetime) -> list[Cause]:
    if heartbeat is not None and abs(now - heartbeat.at) <= SIGN_OF_LIFE:
        return []
    since = heartbeat.at if heartbeat else None
    return [Cause(SUPERVISOR, "critical", "the supervisor gives no sign of life", _SEE_LOG, since)]


def _no_backup(found: Known) -> list[Cause]:
    if found.has_backup:
        return []
    doing = found.heartbeat.phase if found.heartbeat else "starting"
    return [Cause(NO_BACKUP, "critical", f"no backup yet, nothing can be restored ({doing})", _SEE_LOG)]


def _of_alarm(raised: Raised) -> Cause:
    alarm = raised.alarm
    return Cause(alarm.key, alarm.severity, alarm.message, alarm.hint, raised.since)


def _failed_run(run: Run | None) -> list[Cause]:
    """Return what the last run's alarm would say, for a failed run without one."""
    if run is None or run.state != "failed":
        return []
    message = f"the last backup run failed: {run.message}"
    return [Cause(f"{_RUN}:{run.repo}", "critical", message, "see `make backup-history`", run.finished)]


def _unreadable(error: StoreError, now: datetime) -> Health:
    hint = "check owner (uid 999), mode and free space of the volume backup-state"
    cause = Cause(STATE, "critical", f"the supervisor's state cannot be read: {error}", hint)
    return Health(now, HealthExit.UNKNOWN, "unknown", (cause,))


def look(path: Path, now: datetime) -> Health:
    """Open the state and examine it."""
    try:
        store = Store(path)
    except StoreError as error:
        return _unreadable(error, now)
    try:
        return examine(store, now)
    finally:
        store.close()


def main(arguments: list[str]) -> int:
    """Print the causes; return a code of `HealthExit`, or with `--docker` the two that Docker knows: 0 and 1."""
    found = look(paths.HISTORY, datetime.now(UTC))
    for line in found.as_lines():
        print(line)  # noqa: T201 Docker and monitoring keep it as the reason
    if "--docker" in arguments:
        return Exit.OK if found.is_kept else Exit.UNEXPECTED
    return found.level


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
