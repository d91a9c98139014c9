"""After a restore: a backup at once, and the replaced clusters, kept until it is good and their days are over.

Loaded by the supervisor, too: nothing here knows Docker.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from backup.deployment import Deployment
from backup.restore.swap import journal_file
from backup.restore.swap.journal import Journal, Kept
from contract.supervisor import FORCED_FULL_AT_MOST_EVERY, BackupType

MARK: Final = "backup after a restore"
REASON: Final = "the database was restored"
_OURS: Final = re.compile(r"(previous|restore)-\d{8}-\d{6}")
_TABLESPACES: Final = "tablespaces-*"
RUNS_CONSIDERED: Final = 100


def ask_for_backup(deployment: Deployment) -> None:
    """Have the supervisor take a backup into every repository, at once. Raises StoreError."""
    deployment.marks.put_moment(MARK, deployment.now())


def wanted_backup(deployment: Deployment, repo: int) -> BackupType | None:
    """Return the type of the backup that a repository still lacks since the last restore, or None. Raises StoreError.

    A full one, unless there is one of the last day: where a number of them is kept, an afternoon of restores would push out
    the old ones, and with them the moments that somebody is looking for. A differential one is as good a beginning.
    """
    since = deployment.marks.moment(MARK)
    if since is None or _has_backup_since(deployment, repo, since):
        return None
    a_day_ago = deployment.now() - FORCED_FULL_AT_MOST_EVERY
    return "diff" if _has_backup_since(deployment, repo, a_day_ago, "full") else "full"


def _has_backup_since(deployment: Deployment, repo: int | None, since: datetime, kind: BackupType | None = None) -> bool:
    runs = deployment.history.recent("backup", what=kind, repo=repo, state="succeeded", limit=RUNS_CONSIDERED)
    return any(run.started >= since for run in runs)


@dataclass(frozen=True)
class Verdict:
    """What is to become of a kept cluster: `reason` says why it stays, and is empty when it may go."""

    kept: Kept
    reason: str = ""


def kept_clusters(volume: Path) -> tuple[Kept, ...]:
    """Return what the journal names and what only its directory tells of, oldest first. Raises JournalError, OSError."""
    journal = journal_file.load(volume)
    busy = {journal.swap.incoming, journal.swap.outgoing} if journal.swap else set[str]()
    named = {kept.name: kept for kept in journal.kept}
    found = [
        named.get(path.name) or Kept(path.name, path.stat().st_ctime, "a restore that the journal does not name")
        for path in volume.iterdir()
        if _OURS.fullmatch(path.name) and path.is_dir() and path.name not in busy
    ]
    return tuple(sorted(found, key=lambda kept: (kept.since, kept.name)))


def verdicts(deployment: Deployment, *, before_their_time: bool = False) -> tuple[Verdict, ...]:
    """Judge every kept cluster: it goes when a backup since has succeeded and its days are over, or are not asked for.

    Raises JournalError, OSError, StoreError.
    """
    days = timedelta(days=deployment.config.restore_keep_previous_days)
    judged = []
    for kept in kept_clusters(deployment.volumes.database):
        since = datetime.fromtimestamp(kept.since, UTC)
        until = since + days
        reason = ""
        if not _has_backup_since(deployment, None, since):
            reason = "no backup has succeeded since; `make backup` takes one"
        elif not before_their_time and deployment.now() < until:
            reason = f"until {deployment.local(until)}"
        judged.append(Verdict(kept, reason))
    return tuple(judged)


def remove(deployment: Deployment, kept: Kept) -> None:
    """Remove a kept cluster and the tablespaces that no cluster uses any more; survives a kill in the middle of it.

    To be called under the operation lock. Raises JournalError, OSError.
    """
    volume = deployment.volumes.database
    directory = volume / kept.name
    if directory.exists():
        (directory / "global" / "pg_control").unlink(missing_ok=True)  # whatever is left of it is no cluster any more
        shutil.rmtree(directory)
    present = journal_file.load(volume)
    if present.without(kept.name) != present:
        journal_file.save(volume, present.without(kept.name))
    remove_tablespaces(volume, present)


def remove_tablespaces(volume: Path, journal: Journal) -> None:
    """Remove the directories of tablespaces to which no cluster in the volume points. Raises OSError."""
    if journal.swap is not None:  # one may be under way to its links
        return
    used = {link.resolve() for link in volume.glob("*/pg_tblspc/*") if link.is_symlink()}
    for directory in volume.glob(_TABLESPACES):
        if not any(place.is_relative_to(directory.resolve()) for place in used):
            shutil.rmtree(directory)
