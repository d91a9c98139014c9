"""What the archives of a cluster hold, read from every repository that can be read, and the branch to follow through them.

A repository whose listing or history cannot be read is left out when another one is there: it is no source then, and
recovery does not ask it, because one failing `archive-get` ends a recovery. What only it holds cannot be known, so that
whoever plans with the others has to say so: `Read.unread` has the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from backup import pgbackrest, throttled
from backup.keeping.inventory import RepositoryError
from backup.keeping.merging import NOT_ANSWERED
from backup.ledger import archive as archives
from backup.ledger import timelines, wal
from backup.ledger.archive import Archive
from backup.ledger.timelines import FIRST, Branch
from backup.pgbackrest import Backup, Info, UnreadableAnswerError
from backup.process import Captured
from backup.restore.planning import phrases, plan
from backup.restore.planning.plan import Wanted
from backup.restore.planning.refusal import RefusedError

LISTING_SECONDS: Final = 300.0
"""A listing of a hundred thousand segments is a hundred answers of an object store."""

HISTORY_SECONDS: Final = 60.0
_SAID: Final = re.compile(r"ERROR: \[\d+\]: (.+)")


@dataclass(frozen=True)
class Holding:
    """What one repository's archive of a cluster holds; `ids` are its names there ("17-1"), the newest last."""

    repo: int
    ids: tuple[str, ...]
    archive: Archive


@dataclass(frozen=True)
class Read:
    """The archives that were read, and by repository why others could not be."""

    holdings: tuple[Holding, ...]
    unread: Mapping[int, RepositoryError] = field(default_factory=dict)

    def without(self, failed: Mapping[int, RepositoryError]) -> Read:
        """Leave repositories out. Raises RepositoryError when none is left."""
        left = tuple(holding for holding in self.holdings if holding.repo not in failed)
        if failed and not left:
            raise next(iter(failed.values()))
        return Read(left, {**self.unread, **failed})

    def usable(self, info: Info) -> Info:
        """Return what `info` says with the repositories that could not be read marked as such, and without their backups."""
        return replace(
            info,
            repositories=tuple(
                replace(r, code=NOT_ANSWERED, message=self.unread[r.key].message) if r.key in self.unread else r
                for r in info.repositories
            ),
            backups=tuple(b for b in info.backups if b.repo not in self.unread),
        )


def read(info: Info, repo: int | None, backup: Backup) -> Read:
    """List the archives of a backup's cluster in every repository that can be read, or in one.

    Raises RepositoryError when none of them can be listed.
    """
    size = archives.segment_bytes_of(b for b in info.good() if b.system_id == backup.system_id)
    holdings, failed = [], {}
    for key in plan.readable(info):
        ids = archive_ids(info, key, backup.system_id)
        if ids and repo in (None, key):
            try:
                listed = [archives.read(_listing(info.stanza, key, archive_id), size) for archive_id in reversed(ids)]
            except RepositoryError as error:
                failed[key] = error
            else:
                holdings.append(Holding(key, ids, archives.merged(listed)))
    return Read(tuple(holdings)).without(failed)


def archive_ids(info: Info, repo: int, system_id: int | None) -> tuple[str, ...]:
    """Return the names of a cluster's archives in a repository ("17-1"), the newest last."""
    cluster = {(c.repo, str(c.id)): c.system_id for c in info.clusters}
    return tuple(a.id for a in info.archive if a.repo == repo and cluster.get((repo, a.id.rpartition("-")[2])) == system_id)


def follow(wanted: Wanted, found: Read, stanza: str, backup: Backup) -> tuple[Branch, Read]:
    """Return the branch to follow, and the archives without those in which its history cannot be read.

    It is a backup set's own, the one that is named, or the newest in any archive. Raises RefusedError, and RepositoryError
    when its history can be read nowhere and no other archive is left.
    """
    every = {name for holding in found.holdings for name in holding.archive.histories}
    number = _timeline(wanted, every, backup)
    name = f"{number:08X}.history"
    if name not in every:
        if number != FIRST.timeline and wanted.timeline is not None:
            there = ", ".join(str(each) for each in (FIRST.timeline, *sorted(wal.timeline_of(each) for each in every)))
            elsewhere = (phrases.perhaps_there(repo, error.message) for repo, error in found.unread.items())
            raise RefusedError(
                f"there is no timeline {number} in the archive", "; ".join((f"there is {there}: TIMELINE=1", *elsewhere))
            )
        return replace(FIRST, timeline=number), found
    told, failed = list[Branch](), {}
    for holding in found.holdings:
        if name in holding.archive.histories:
            try:
                told.append(_read_history(holding, stanza, name))
            except RepositoryError as error:
                failed[holding.repo] = error
    left = found.without(failed)
    return (told[0], left) if told else follow(wanted, left, stanza, backup)


def _timeline(wanted: Wanted, histories: set[str], backup: Backup) -> int:
    if wanted.verb == "backup":
        return wal.timeline_of(backup.wal_stop or "00000001")
    if wanted.timeline is not None:
        return wanted.timeline
    return wal.timeline_of(timelines.newest(histories) or "00000001")


def _listing(stanza: str, repo: int, archive_id: str) -> Mapping[str, int]:
    answer = throttled.capture(archives.list_archive(stanza, repo, archive_id), LISTING_SECONDS)
    if answer.exit_code != 0:
        raise _error("the archive cannot be listed", answer)
    try:
        return archives.listing(answer.stdout)
    except UnreadableAnswerError as error:
        raise RepositoryError(str(error), hint="run `make backup-check`") from error


def _read_history(holding: Holding, stanza: str, name: str) -> Branch:
    for archive_id in reversed(holding.ids):
        answer = throttled.capture(pgbackrest.read_history_file(stanza, holding.repo, archive_id, name), HISTORY_SECONDS)
        if answer.exit_code == 0:
            return _parsed(holding, name, answer.stdout)
    raise _error(f"the archive's history of timeline {wal.timeline_of(name)} cannot be read", answer)


def _parsed(holding: Holding, name: str, content: bytes) -> Branch:
    """Return what a history file says. One without a single line is damaged: every promotion has left another timeline."""
    try:
        branch = timelines.parse_history(name, content.decode("ascii", "replace"))
    except ValueError:
        branch = FIRST
    if not branch.left_at:
        raise RepositoryError(
            f"the archive's history of timeline {wal.timeline_of(name)} is damaged",
            hint=f"look at {name} in the archive of repository {holding.repo}",
        )
    return branch


def _error(what: str, answer: Captured) -> RepositoryError:
    meaning = pgbackrest.meaning(answer.exit_code)
    said = next((f": {found[1]}" for line in answer.stderr.splitlines() if (found := _SAID.match(line))), "")
    return RepositoryError(f"{what} ({meaning.name}){said}", hint=meaning.hint)
