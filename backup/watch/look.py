"""One look at the database and at the disks. What cannot be looked at is part of the answer, not an exception."""

from __future__ import annotations

import os
from pathlib import Path

from backup.deployment import Deployment
from backup.postgres import DatabaseError
from backup.watch import spool
from backup.watch.readings import Sample, Volume
from contract import paths


def look(deployment: Deployment) -> Sample:
    """Look once: two queries, one `statvfs` for each volume, the spool's error files. The rates are not known yet."""
    at, seen, refusals = deployment.now(), volumes(deployment), spool.look(deployment)
    try:
        return Sample(at, deployment.postgres.wal_reading(), seen, refusals=refusals)
    except DatabaseError as error:
        return Sample(at, None, seen, error.message.removeprefix("database: "), refusals=refusals)


def volumes(deployment: Deployment) -> tuple[Volume, ...]:
    """Return the space of every file system that the product fills, each once, the database's first."""
    named: dict[int, Volume] = {}
    unseen: list[Volume] = []
    for name, directory in _places(deployment).items():
        try:
            device, found = directory.stat().st_dev, os.statvfs(directory)
        except OSError:
            unseen.append(Volume(name))
            continue
        first = named.get(device)
        also = (*first.also, name) if first else ()
        free, used = found.f_bavail * found.f_frsize, (found.f_blocks - found.f_bfree) * found.f_frsize
        named[device] = Volume(first.name if first else name, also, free, free + used)
    return (*named.values(), *unseen)


def _places(deployment: Deployment) -> dict[str, Path]:
    """Return the directories by the volume's name, the weightiest first."""
    where = deployment.volumes
    repositories = {
        f"repository{repository.key}": Path(repository.directory or paths.repository(repository.key))
        for repository in deployment.config.repositories
        if repository.type == "posix"
    }
    return {"data": where.database, **repositories, "log": where.log, "state": where.history.parent}
