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
    """The directories that setup works on, with the owners of the published files and of the repository.

    `state` is the backup service's, read only.
    """

    configuration: Path = paths.CONFIG_IN_SETUP
    secrets: Path = paths.SECRETS
    repository: Path = paths.REPOSITORY
    state: Path = paths.STATE
    publisher: Owner = Owner(0, paths.GID)
    database: Owner = Owner(paths.UID, paths.GID)
