"""What the repositories were seen to hold, for those who must not ask: the health check, and the eye on the schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from backup.pgbackrest import Backup
from backup.state.marks import Marks
from backup.state.store import Store

_MARK: Final = "backups.known"


@dataclass(frozen=True)
class Known:
    """What is known of a repository, and since when. Of its backups only those by which the schedule is judged.

    `empty_since`: when it was first seen without any, None when it has or ever had some. `count` is that of its good
    backups, `location` where it was then.
    """

    seen_at: datetime
    empty_since: datetime | None
    backups: tuple[Backup, ...]
    count: int = 0
    location: str = ""


class Holdings:
    """The latest look at each repository."""

    def __init__(self, store: Store) -> None:
        """Use this file."""
        self._marks = Marks(store)

    def put(self, seen: Mapping[int, tuple[Backup, ...]], kept: Mapping[int, str], now: datetime) -> None:
        """Keep what was `seen` in repositories by their numbers; forget those that are not `kept`, a location each.

        Raises StoreError.
        """
        before = self.recall()
        looks = {repo: _seen(before.get(repo), backups, kept.get(repo, ""), now) for repo, backups in seen.items()}
        known = {repo: known for repo, known in {**before, **looks}.items() if repo in kept}
        self._marks.put(_MARK, {str(repo): _stored(value) for repo, value in known.items()})

    def recall(self) -> dict[int, Known]:
        """Return what is known, by the repositories' numbers; nothing of one that was never seen. Raises StoreError."""
        try:
            return {int(repo): _known(value) for repo, value in (self._marks.get(_MARK) or {}).items()}
        except (KeyError, TypeError):  # another release wrote it down; the next look takes its place
            return {}


def telling(backups: Iterable[Backup]) -> tuple[Backup, ...]:
    """Return the few backups that decide about lateness: the first of all, and the last of each type, good and damaged."""
    in_order = sorted(backups, key=lambda backup: backup.stopped)
    last = {(backup.kind, backup.has_errors): backup for backup in in_order}
    return tuple(sorted({*in_order[:1], *last.values()}, key=lambda backup: backup.stopped))


def _seen(before: Known | None, backups: tuple[Backup, ...], location: str, now: datetime) -> Known:
    if backups:
        return Known(now, None, telling(backups), sum(not backup.has_errors for backup in backups), location)
    if before is None:
        return Known(now, now, (), location=location)
    return Known(now, before.empty_since, (), location=location)


def _stored(known: Known) -> dict[str, Any]:
    return {
        "seen_at": known.seen_at.timestamp(),
        "empty_since": known.empty_since and known.empty_since.timestamp(),
        "backups": [
            asdict(backup) | {"started": backup.started.timestamp(), "stopped": backup.stopped.timestamp()}
            for backup in known.backups
        ],
        "count": known.count,
        "location": known.location,
    }


def _known(value: Mapping[str, Any]) -> Known:
    return Known(
        _moment(value["seen_at"]),
        None if value["empty_since"] is None else _moment(value["empty_since"]),
        tuple(
            Backup(
                **{
                    **entry,
                    "started": _moment(entry["started"]),
                    "stopped": _moment(entry["stopped"]),
                    "annotations": tuple((name, text) for name, text in entry.get("annotations", ())),
                }
            )
            for entry in value["backups"]
        ),
        value.get("count", sum(not entry["has_errors"] for entry in value["backups"])),
        value.get("location", ""),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
