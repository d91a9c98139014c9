"""The newest branch that any archive knows: what recovery follows unless it is told otherwise, and what comes after it."""

from __future__ import annotations

from typing import Final

from backup import jobs, pgbackrest, throttled
from backup.pgbackrest import ArchiveRange, Info
from backup.restore import timeline

TIMEOUT_SECONDS: Final = 60.0


def newest(info: Info) -> timeline.Branch:
    """Return the branch of the newest timeline in any archive. Raises RepositoryError.

    A repository that was emptied and begun anew may know of none while the other repositories do.
    """
    present = {archive.repo: archive for archive in info.archive}  # the last of a repository is that of its present cluster
    branches = [_newest_in(info.stanza, archive) for archive in present.values()]
    return max(branches, key=lambda branch: branch.timeline, default=timeline.FIRST)


def _newest_in(stanza: str, archive: ArchiveRange) -> timeline.Branch:
    listing = _ask(pgbackrest.list_history_files(stanza, archive.repo, archive.id))
    name = timeline.newest(timeline.parse_listing(listing))
    if name is None:
        return timeline.FIRST
    text = _ask(pgbackrest.read_history_file(stanza, archive.repo, archive.id, name))
    return timeline.parse_history(name, text.decode("ascii", "replace"))


def _ask(argv: pgbackrest.Argv) -> bytes:
    answer = throttled.capture(argv, TIMEOUT_SECONDS)
    if answer.exit_code != 0:
        meaning = pgbackrest.meaning(answer.exit_code)
        raise jobs.RepositoryError(f"the archive's history cannot be read ({meaning.name})", hint=meaning.hint)
    return answer.stdout
