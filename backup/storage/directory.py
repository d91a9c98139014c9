"""A repository that is a directory: whose it is, how much room it has, and whether it lies beside the database."""

from __future__ import annotations

import shutil
from pathlib import Path

from backup.storage.step import Step
from backup.units import human_bytes
from contract import paths

NAMES = ("directory", "free space")


def look(directory: Path, database: Path) -> list[Step]:
    """Look at a directory, without writing into it; `database` is where the database's files are mounted."""
    try:
        found = directory.stat()
        free = shutil.disk_usage(directory)
    except OSError as error:
        hint = "check the mount and the disk under it, then `make deploy`"
        return [Step("directory", "failed", f"{directory}: {error.strerror}", None, hint)]
    seen = f"{directory}, owner {found.st_uid}:{found.st_gid}, mode {found.st_mode & 0o7777:04o}"
    if found.st_uid != paths.UID:
        hint = f"give it to the database's user: chown -R {paths.UID}:{paths.GID} on the host, then `make storage-check`"
        owner = Step("directory", "warning", seen, None, hint)
    else:
        owner = Step("directory", "ok", seen)
    room = f"{human_bytes(free.free)} of {human_bytes(free.total)}"
    if _same_disk(found.st_dev, database):
        hint = "one failed disk takes both: name another disk in PGBACKREST_REPO1_PATH, or add a repository elsewhere"
        return [owner, Step("free space", "warning", f"{room}, on the database's own file system", None, hint)]
    return [owner, Step("free space", "ok", room)]


def _same_disk(device: int, database: Path) -> bool:
    try:
        return database.stat().st_dev == device
    except OSError:
        return False
