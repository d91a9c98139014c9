"""The newest timeline that any archive knows: whatever is opened now begins one after it."""

from __future__ import annotations

from typing import Final

from backup import pgbackrest, throttled
from backup.ledger import archive as archives
from backup.ledger import timelines, wal
from backup.pgbackrest import ArchiveRange, Info
from backup.taking import jobs

TIMEOUT_SECONDS: Final = 60.0


def newest_timeline(info: Info) -> int:
    """Return the newest timeline in any archive. Raises RepositoryError when none can be listed.

    A repository that was emptied and begun anew may know of none while the other repositories do. One that cannot be listed
    tells by its last segment at least.
    """
    present = {archive.repo: archive for archive in info.archive}  # the last of a repository is that of its present cluster
    found, failures = list[int](), list[jobs.RepositoryError]()
    for archive in present.values():
        try:
            found.append(_newest_in(info.stanza, archive))
        except jobs.RepositoryError as error:
            failures.append(error)
    if failures and not found:
        raise failures[0]
    last = (wal.timeline_of(archive.last) for archive in present.values() if archive.last)
    return max((*found, *last), default=timelines.FIRST.timeline)


def _newest_in(stanza: str, archive: ArchiveRange) -> int:
    answer = throttled.capture(pgbackrest.list_history_files(stanza, archive.repo, archive.id), TIMEOUT_SECONDS)
    if answer.exit_code != 0:
        meaning = pgbackrest.meaning(answer.exit_code)
        raise jobs.RepositoryError(f"the archive's history cannot be read ({meaning.name})", hint=meaning.hint)
    name = timelines.newest(archives.listing(answer.stdout))
    return timelines.FIRST.timeline if name is None else wal.timeline_of(name)
