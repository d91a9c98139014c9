"""What tablespaces forbid to a restore in place: their files lie outside the data directory, and it goes over them there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backup.deployment import Deployment
from backup.keeping import inventory
from backup.pgbackrest import Backup
from backup.restore.aftercare import kept_clusters
from backup.restore.planning.refusal import RefusedError
from backup.taking import evidence

ASK_SECONDS: Final = 60.0


def require_restorable(deployment: Deployment, backup: Backup) -> None:
    """Do nothing when a restore in place goes over no files that it must not.

    Raises RefusedError, RepositoryError, UnreadableAnswerError, JournalError, OSError.
    """
    _require_none_kept(deployment.volumes.database)
    live = _links(deployment.volumes.pgdata)
    if live:
        argv = evidence.backup_details(deployment.config.stanza, backup.repo, backup.label)
        _require_none_younger(live, evidence.tablespaces(inventory.ask(argv, "info", ASK_SECONDS)), backup)


def _require_none_kept(volume: Path) -> None:
    """Refuse because an older backup may name the very places of a kept cluster."""
    for kept in kept_clusters(volume):
        if _links(volume / kept.name):
            raise RefusedError(
                f"{kept.name}, which an earlier restore has kept, has tablespaces; a restore in place may overwrite them",
                "restore without IN_PLACE=yes; or remove what is kept: make restore-cleanup CONFIRM=yes",
            )


def _require_none_younger(live: frozenset[str], in_backup: frozenset[str], backup: Backup) -> None:
    """Refuse because recovery makes a younger one again over its present files, and passes over pages newer than its WAL.

    After a restore to an earlier moment such a page would show what was written later.
    """
    if younger := sorted(live - in_backup):
        raise RefusedError(
            f"tablespace {', '.join(younger)} was made after backup {backup.label}, and recovery in place would leave newer "
            "pages in it",
            "restore without IN_PLACE=yes, or from a backup that was taken after it was made (`make backup` takes one now)",
        )


def _links(pgdata: Path) -> frozenset[str]:
    """Return the tablespaces of a cluster by their object ids."""
    return frozenset(link.name for link in (pgdata / "pg_tblspc").glob("*") if link.is_symlink())
