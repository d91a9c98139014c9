"""What a plan is made from, asked of the repositories, the database and its disk. Changes nothing and waits for no lock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from backup.deployment import Deployment
from backup.emergency import lever
from backup.ledger import archive as archives
from backup.ledger import wal
from backup.ledger.intervals import Hole
from backup.ledger.timelines import Branch
from backup.pgbackrest import Info
from backup.postgres import DatabaseError
from backup.restore import tail
from backup.restore.beside.proof import control
from backup.restore.planning import holdings, plan, seeking
from backup.restore.planning.plan import Wanted
from backup.restore.planning.window import Known, windows


def gather(deployment: Deployment, wanted: Wanted, info: Info, *, settled: bool = False) -> Known:
    """Return what is known for what is wanted. `settled`: the database's last WAL is archived by now, if it can be.

    A repository whose archive cannot be read is left out, and marked in the answer's `info`. Raises RefusedError, and
    RepositoryError when none can be read.
    """
    plan.require_readable(wanted, info)
    backup = plan.backup_for(wanted, info, deployment.zone)
    branch, read = holdings.follow(wanted, holdings.read(info, wanted.repo, backup), info.stanza, backup)
    left = read.usable(replace(info, backups=tuple(b for b in info.backups if b.system_id == backup.system_id)))
    plan.require_left(wanted, left, backup)
    known = {holding.repo: holding.archive for holding in read.holdings}
    good = left.good(wanted.repo)
    usable = [b for b in good if b.repo in known]
    found, holes = windows(known, branch, usable)
    waiting = _waiting(deployment, backup.system_id) if known else ()
    latest = windows(known, branch, usable, waiting) if waiting else (found, holes)
    made = Known(
        info=left,
        branch=branch,
        windows=found,
        latest=latest[0],
        holes=latest[1] if wanted.verb == "latest" else holes,
        grows=not settled and _grows(deployment, backup.system_id, branch),
        is_down=_is_down(deployment),
        segment_bytes=archives.segment_bytes_of(good),
        at_hand=_at_hand(deployment.volumes.pgdata / "pg_wal", holes, backup.system_id),
    )
    return seeking.seen(deployment, wanted, made, backup.system_id)


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
