"""Is this the database that the backups are of? A different or suspiciously empty cluster must not be backed up.

Its backups would take the place of those that cannot be made again. Two sources say which cluster is right: what was
remembered after the last proven backup, and what each repository says of itself, so that losing the one leaves the
other. Pure: identities in, an objection or none out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from backup.pgbackrest import Info

GIGABYTE: Final = 1_000_000_000
"""From this size on a database is looked at for having been emptied; below it there is too little to tell by."""

EMPTY_BYTES: Final = 64_000_000
"""A fresh cluster has 22 MB, and 8 MB more for every database in it."""

LEAST_SHARE: Final = 100
"""A database that is smaller than one part in so many of what it was has been emptied, too."""

RESTORE: Final = "bring the database of the backups back with `make restore-latest`"
ADOPT: Final = "if the running one is right, `make adopt CONFIRM=yes` (`salespider-backup adopt --i-know`)"
UPGRADE: Final = "if it was upgraded with pg_upgrade, `make stanza-upgrade` (`salespider-backup stanza-upgrade`)"

Reason = Literal["another", "emptied", "downgraded", "upgraded"]


@dataclass(frozen=True)
class Identity:
    """Who a cluster is. `version` is the major one; `database_bytes` is None where nobody has measured it.

    `source` says in words where it is known from, `at` since when.
    """

    system_id: int
    version: int
    database_bytes: int | None = None
    at: datetime | None = None
    source: str = ""

    def __str__(self) -> str:
        """Return it for people."""
        size = "" if self.database_bytes is None else f", {_size(self.database_bytes)}"
        return f"system identifier {self.system_id}, PostgreSQL {self.version}{size}"

    def as_mark(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        at = self.at.isoformat() if self.at else None
        return {"system_id": self.system_id, "version": self.version, "database_bytes": self.database_bytes, "at": at}


def from_mark(value: dict[str, Any]) -> Identity:
    """Return the identity that `as_mark` was called on."""
    at = datetime.fromisoformat(value["at"]) if value["at"] else None
    source = f"the last proven backup, {at:%Y-%m-%d %H:%M} UTC" if at else "the last proven backup"
    return Identity(value["system_id"], value["version"], value["database_bytes"], at, source)


def _size(count: int) -> str:
    return f"{count / GIGABYTE:.1f} GB" if count >= GIGABYTE else f"{count / 1_000_000:.0f} MB"


@dataclass(frozen=True)
class Objection:
    """Why the running cluster must not be backed up; while it stands there is no backup, expire, or stanza command."""

    message: str
    hint: str
    seen: Identity
    expected: Identity
    reason: Reason


def major_version(server_version: str) -> int:
    """Return the 17 of "17.6 (Debian 17.6-0+deb13u1)", "18beta1" or "17"."""
    digits = "".join(c if c.isdigit() else " " for c in server_version).split()
    return int(digits[0])


def expectations(remembered: Identity | None, info: Info) -> tuple[Identity, ...]:
    """Return who the cluster should be: as remembered, then as each repository says that has a stanza.

    A repository tells a size as well, that of its latest good backup, but only where nothing is remembered: after a
    restore to an early state the remembered one is the right one.
    """
    found = [remembered] if remembered else []
    for repository in info.repositories:
        if (present := info.present_cluster(repository.key)) is None:
            continue
        backups = [b for b in info.good(repository.key) if b.cluster_id == present.id]
        latest = backups[-1] if backups and not remembered else None
        size, at = (latest.database_bytes, latest.stopped) if latest else (None, None)
        found.append(Identity(present.system_id, present.version, size, at, f"repository {repository.key}"))
    return tuple(found)


def judge_all(seen: Identity, expected: Iterable[Identity]) -> Objection | None:
    """Return the first objection by any expectation, or None."""
    return next((found for each in expected if (found := judge(seen, each))), None)


def judge(seen: Identity, expected: Identity) -> Objection | None:
    """Compare the running cluster with the one that is expected."""
    reason = _reason(seen, expected)
    if reason is None:
        return None
    told = f"running: {seen}; expected by {expected.source or 'the backups'}: {expected}"
    what, ways_out = {
        "another": ("the running database is another cluster than the one the backups are of", (RESTORE, ADOPT)),
        "emptied": ("the running database is all but empty where there was much more", (RESTORE, ADOPT)),
        "downgraded": ("the running database is of an older PostgreSQL than the one the backups are of", (RESTORE, ADOPT)),
        "upgraded": ("the running database is of a newer PostgreSQL than the one the backups are of", (UPGRADE, RESTORE)),
    }[reason]
    return Objection(f"{what} ({told})", "; or, ".join(ways_out), seen, expected, reason)


def _reason(seen: Identity, expected: Identity) -> Reason | None:
    if seen.version != expected.version:
        return "downgraded" if seen.version < expected.version else "upgraded"
    if seen.system_id != expected.system_id:
        return "another"
    return "emptied" if is_emptied(seen, expected) else None


def is_emptied(seen: Identity, expected: Identity) -> bool:
    """Tell whether there are next to no data where there were gigabytes. What was not measured is no evidence."""
    now, before = seen.database_bytes, expected.database_bytes
    if now is None or before is None or before < GIGABYTE:
        return False
    return now <= EMPTY_BYTES or now * LEAST_SHARE < before
