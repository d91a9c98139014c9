"""What retention lets go, and whether it may: the last good full backup of a repository never goes.

pgBackRest decides what is old, we decide whether that may be removed: it counts backups with page checksum errors like
good ones, so that enough damaged ones push the last good one out. Pure: its dry run goes in, a verdict comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from backup.pgbackrest import Backup, Info, UnreadableAnswerError
from contract.supervisor import Repository

_BACKUP: Final = re.compile(r"repo\d+: remove expired backup (?P<label>[0-9]{8}-[0-9]{6}F(?:_[0-9]{8}-[0-9]{6}[DI])?)$")
_WAL: Final = re.compile(
    r"repo\d+: (?P<id>[0-9.]+-\d+) remove archive, "
    r"start = (?P<first>[0-9A-F]{16,24}), stop = (?P<last>[0-9A-F]{16,24})$"
)
_REMOVES: Final = re.compile(r"\bremove (?:expired|archive)")
_WHOLE_ARCHIVE: Final = re.compile(r"repo\d+: remove archive path \S*/(?P<id>[0-9.]+-\d+)$")


@dataclass(frozen=True)
class RemovedWal:
    """WAL that goes from one archive, such as "17-1", both ends included; None as both ends: all of it.

    An end may be only the first 16 digits of a segment, which then stand for all segments that begin with them.
    """

    archive_id: str
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class Removal:
    """What one `expire` removes: the labels of backups, the oldest first, and WAL."""

    backups: tuple[str, ...] = ()
    wal: tuple[RemovedWal, ...] = ()


def parse_removal(lines: Iterable[str], repo: int) -> Removal:
    """Read what `expire` prints, with or without `--dry-run`, about one repository. Facts of pgBackRest 2.55.1.

    Raises UnreadableAnswerError for a removal that is not understood: it could be of the last good backup.
    """
    backups, wal = set(), []
    for line in (line.rstrip() for line in lines if f" repo{repo}: " in line):
        if found := _BACKUP.search(line):
            backups.add(found["label"])
        elif found := _WAL.search(line):
            wal.append(RemovedWal(found["id"], found["first"], found["last"]))
        elif found := _WHOLE_ARCHIVE.search(line):
            wal.append(RemovedWal(found["id"]))
        elif _REMOVES.search(line):
            raise UnreadableAnswerError(f"pgbackrest expire says what is not understood: {line.strip()}")
    return Removal(tuple(sorted(backups)), tuple(wal))


def without(info: Info, repo: int, removal: Removal) -> Info:
    """Return what the repositories would hold after a removal from one of them."""
    gone = frozenset(removal.backups)
    return replace(info, backups=tuple(b for b in info.backups if b.repo != repo or b.label not in gone))


def would_remain(info: Info, repo: int, removal: Removal) -> tuple[Backup, ...]:
    """Return the good full backups that a repository would still hold after a removal, oldest first."""
    return tuple(backup for backup in without(info, repo, removal).good(repo) if backup.kind == "full")


def refusal(info: Info, repo: int, removal: Removal) -> str | None:
    """Return why a removal must not happen, or None. Where there is no good full backup now, none can be lost."""
    good = would_remain(info, repo, Removal())
    if not good or would_remain(info, repo, removal):
        return None
    return (
        f"repository {repo}: nothing is expired, because the last full backup without errors, {good[-1].label}, would go "
        f"with it"
    )


def in_words(repository: Repository) -> str:
    """Return what a repository is told to keep."""
    full = repository.retention_full
    if repository.retention_full_type == "time":
        kept = f"full backups of {full} day{'s' if full > 1 else ''}, and the one before them"
    else:
        kept = f"{full} full backup{'s' if full > 1 else ''}"
    diff = repository.retention_diff
    return f"keeps {kept}; {diff} differential backup{'s' if diff > 1 else ''}; WAL back to the oldest full backup"
