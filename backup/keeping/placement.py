"""Where the backups lie: on the database's own file system they are lost together with it."""

from __future__ import annotations

from pathlib import Path

from backup.deployment import Deployment
from backup.storage.place import Place
from contract import paths
from contract.supervisor import Repository


def place_of(repository: Repository) -> Place:
    """Return a repository as the messages about it need it."""
    return Place(repository.key, repository.type, repository.location)


def of(deployment: Deployment, repo: int) -> Place:
    """Return the repository with a number, as the messages about it need it."""
    found = next((each for each in deployment.config.repositories if each.key == repo), None)
    return Place(repo) if found is None else place_of(found)


def on_the_databases_disk(deployment: Deployment) -> str | None:
    """Return a warning when every repository lies on the file system of the database, or None.

    A repository in an object store lies elsewhere. What cannot be looked at is somebody else's error to report.
    """
    repositories = deployment.config.repositories
    if any(repository.type != "posix" for repository in repositories):
        return None
    try:
        database = deployment.volumes.database.stat().st_dev
        places = [Path(repository.directory or paths.repository(repository.key)) for repository in repositories]
        if any(place.stat().st_dev != database for place in places):
            return None
    except OSError:
        return None
    return "every repository is on the database's own file system: one failed disk takes both"
