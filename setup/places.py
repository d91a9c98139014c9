"""Where setup finds and puts things, and to whom they shall belong.

The values of the container are the defaults; they are parameters, so that everything can be tried out as any user.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract import paths


@dataclass(frozen=True)
class Owner:
    """A user id and a group id."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Places:
    """The directories that setup works on, with the owners of the published files and of the repositories.

    `repositories` are where posix repositories are mounted, the first one first. `state` is the backup service's, read only.
    """

    configuration: Path = paths.CONFIG_IN_SETUP
    secrets: Path = paths.SECRETS
    repositories: tuple[Path, ...] = tuple(paths.repository(key) for key in range(1, paths.MOST_REPOSITORIES + 1))
    state: Path = paths.STATE
    publisher: Owner = Owner(0, paths.GID)
    database: Owner = Owner(paths.UID, paths.GID)

    @property
    def repository(self) -> Path:
        """Return where the first repository is mounted."""
        return self.repositories[0]

    def directory(self, key: int) -> Path:
        """Return where the repository with this number is mounted, if it is a directory."""
        return self.repositories[key - 1]


@dataclass(frozen=True)
class Mounts:
    """Where the operator's own files are mounted. `complete` is False outside Compose, where GCS_KEY is not mounted."""

    secrets: Path = Path("/run/secrets")
    config: Path = Path("/run/config")
    gcs_key: Path = Path("/run/gcs-key")
    complete: bool = True
