"""What a plan is made from, asked of the repositories, the database and its disk. Changes nothing and waits for no lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from backup import pgbackrest, throttled
from backup.deployment import Deployment
from backup.emergency import lever
from backup.ledger import archive as archives
from backup.ledger import timelines, wal
from backup.ledger.archive import Archive
from backup.ledger.intervals import Hole
from backup.ledger.timelines import FIRST, Branch
from backup.pgbackrest import Backup, Info
from backup.postgres import DatabaseError
from backup.restore import tail
from backup.restore.beside.proof import control
from backup.restore.planning import plan, seeking
from backup.restore.planning.plan import Wanted
from backup.restore.planning.refusal import RefusedError
from backup.restore.planning.window import Known, windows
from backup.taking import jobs

LISTING_SECONDS: Final = 300.0
"""A listing of a hundred thousand segments is a hundred answers of an object store."""

HISTORY_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Holding:
    """What one repository's archive of a cluster holds; `ids` are its names there ("17-1"), the newest last."""

    repo: int
    ids: tuple[str, ...]
    archive: Archive


def gather(deployment: Deployment, wanted: Wanted, info: Info, *, settled: bool = False) -> Known:
    """Return what is known for what is wanted. `settled`: the database's last WAL is archived by now, if it can be.

    Raises RefusedError, RepositoryError, UnreadableAnswerError.
    """
    plan.require_readable(wanted, info)
    backup = plan.backup_for(wanted, info, deployment.zone)
    good = [b for b in info.good(wanted.repo) if b.system_id == backup.system_id]
    holdings = read_archives(info, wanted.repo, backup)
    branch = _branch(wanted, holdings, info.stanza, backup)
    known = {holding.repo: holding.archive for holding in holdings}
    size = archives.segment_bytes_of(good)
    usable = [b for b in good if b.repo in known]
    found, holes = windows(known, branch, usable)
    waiting = _waiting(deployment, backup.system_id) if known else ()
    latest = windows(known, branch, usable, waiting) if waiting else (found, holes)
    made = Known(
        info=replace(info, backups=tuple(b for b in info.backups if b.system_id == backup.system_id)),
        branch=branch,
        windows=found,
        latest=latest[0],
        holes=latest[1] if wanted.verb == "latest" else holes,
        grows=not settled and _grows(deployment, backup.system_id, branch),
        is_down=_is_down(deployment),
        segment_bytes=size,
        at_hand=_at_hand(deployment.volumes.pgdata / "pg_wal", holes, backup.system_id),
    )
    return seeking.seen(deployment, wanted, made, backup.system_id)


def read_archives(info: Info, repo: int | None, backup: Backup) -> tuple[Holding, ...]:
    """List the archives of a backup's cluster in every repository that can be read, or in one."""
    cluster = {(c.repo, str(c.id)): c.system_id for c in info.clusters}
    good = [b for b in info.good() if b.system_id == backup.system_id]
    size = archives.segment_bytes_of(good)
    holdings = []
    for key in plan.readable(info):
        ids = tuple(
            a.id for a in info.archive if a.repo == key and cluster.get((key, a.id.rpartition("-")[2])) == backup.system_id
        )
        if ids and repo in (None, key):
            listed = [archives.read(_listing(info.stanza, key, archive_id), size) for archive_id in reversed(ids)]
            holdings.append(Holding(key, ids, archives.merged(listed)))
    return tuple(holdings)


def _listing(stanza: str, repo: int, archive_id: str) -> Mapping[str, int]:
    return archives.listing(_ask(archives.list_archive(stanza, repo, archive_id), "cannot be listed", LISTING_SECONDS))


def _branch(wanted: Wanted, holdings: Iterable[Holding], stanza: str, backup: Backup) -> Branch:
    """Return the branch to follow: a backup set's own, the one that is named, or the newest in any archive."""
    every = {name: holding for holding in holdings for name in holding.archive.histories}
    if wanted.verb == "backup":
        number = wal.timeline_of(backup.wal_stop or "00000001")
    elif wanted.timeline is not None:
        number = wanted.timeline
    else:
        number = wal.timeline_of(timelines.newest(every) or "00000001")
    name = f"{number:08X}.history"
    if name in every:
        return _read_history(every[name], stanza, name)
    if number != FIRST.timeline and wanted.timeline is not None:
        there = ", ".join(str(wal.timeline_of(each)) for each in sorted(every))
        raise RefusedError(
            f"there is no timeline {number} in the archive", f"there is 1{', ' if there else ''}{there}: TIMELINE=1"
        )
    return replace(FIRST, timeline=number)


def _read_history(holding: Holding, stanza: str, name: str) -> Branch:
    for archive_id in reversed(holding.ids):
        answer = throttled.capture(pgbackrest.read_history_file(stanza, holding.repo, archive_id, name), HISTORY_SECONDS)
        if answer.exit_code == 0:
            return timelines.parse_history(name, answer.stdout.decode("ascii", "replace"))
    meaning = pgbackrest.meaning(answer.exit_code)
    raise jobs.RepositoryError(f"the archive's history cannot be read ({meaning.name})", hint=meaning.hint)


def _ask(argv: pgbackrest.Argv, what: str, timeout_seconds: float) -> bytes:
    answer = throttled.capture(argv, timeout_seconds)
    if answer.exit_code != 0:
        meaning = pgbackrest.meaning(answer.exit_code)
        raise jobs.RepositoryError(f"the archive {what} ({meaning.name})", hint=meaning.hint)
    return answer.stdout


def _grows(deployment: Deployment, system_id: int | None, branch: Branch) -> bool:
    """Tell whether a running database will archive its last WAL on this branch before it is restored."""
    try:
        server = deployment.postgres.server()
        if server.system_id != system_id or server.in_recovery or server.archive_mode == "off":
            return False
        pulled = lever.read(deployment.postgres.archive_command())
        return pulled is None and deployment.postgres.written_timeline() == branch.timeline
    except DatabaseError:
        return False


def _is_down(deployment: Deployment) -> bool:
    try:
        deployment.postgres.server()
    except DatabaseError:
        return True
    return False


def _waiting(deployment: Deployment, system_id: int | None) -> tuple[tuple[int, int], ...]:
    """Return the segments on the database's disk that never reached the archive: (timeline, number)."""
    directory = deployment.volumes.pgdata / "pg_wal"
    if not directory.is_dir() or system_id is None:
        return ()
    try:
        found = tail.unarchived(directory)
        if found and control(deployment.volumes.pgdata).get("Database cluster state") == "shut down":
            found = tail.unarchived(directory, stopped_cleanly=True)  # its last act was to archive all that was committed
        return tuple(
            (wal.timeline_of(file.name), wal.segment_number(file.name, file.stat().st_size) or 0)
            for file in found
            if tail.is_of(file, system_id)
        )
    except OSError:  # a segment that a running server has just removed
        return ()


def _at_hand(directory: Path, holes: Iterable[Hole], system_id: int | None) -> frozenset[str]:
    """Return the names of missing segments that still lie in a pg_wal."""
    if not directory.is_dir() or system_id is None:
        return frozenset()
    names = [file for file in directory.iterdir() if wal.SEGMENT.fullmatch(file.name)]
    missing = [file for file in names if any(hole.first <= file.name <= hole.last for hole in holes)]
    try:
        return frozenset(file.name for file in missing if tail.is_of(file, system_id) and tail.holds_own_wal(file))
    except OSError:
        return frozenset()
