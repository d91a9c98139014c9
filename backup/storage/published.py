"""The repositories as pgbackrest reads them: the options in the published `conf.d/repo.conf`, secrets included.

Read so that our own questions to a store go the way that the backups go. Nothing here is ever printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from contract import paths
from contract.errors import ProductError
from contract.exits import Exit

_OPTION: Final = re.compile(r"^repo([1-9])-([a-z0-9-]+)=(.*)$")
_TLS_PORT: Final = 443


@dataclass(frozen=True)
class Endpoint:
    """Where a store listens: the host that is connected to, and whose name its certificate must bear.

    `authorities` is a file of certificates in PEM; None means those of the system.
    """

    host: str
    port: int
    authorities: str | None = None
    verified: bool = True


@dataclass(frozen=True)
class Options:
    """The options of one repository by their names without `repoN-`. They hold secrets and have no representation."""

    key: int
    values: Mapping[str, str] = field(repr=False)

    def __getitem__(self, name: str) -> str:
        """Return an option's value. Raises KeyError."""
        return self.values[name]

    def get(self, name: str, otherwise: str = "") -> str:
        """Return an option's value, or another where it is not set."""
        return self.values.get(name, otherwise)

    @property
    def type(self) -> str:
        """Return the kind of repository; pgbackrest's own default is posix."""
        return self.get("type", "posix")

    @property
    def bucket(self) -> str:
        """Return the bucket or container."""
        return self.get("azure-container") or self.get(f"{self.type}-bucket")

    @property
    def endpoint(self) -> Endpoint:
        """Return where an object store listens, by pgBackRest's rules."""
        named, _, port = self.get(f"{self.type}-endpoint").partition(":")
        if self.get(f"{self.type}-uri-style") == "host":
            named = f"{self.bucket if self.type == 's3' else self.get('azure-account')}.{named}"
        return Endpoint(
            self.get("storage-host") or named,
            int(self.get("storage-port") or port or _TLS_PORT),
            self.get("storage-ca-file") or None,
            self.get("storage-verify-tls", "y") == "y",
        )


def read(directory: Path) -> dict[int, Options]:
    """Return the options of every repository that is published below `directory`, by number. Raises ProductError."""
    file = directory / paths.REPO_CONF
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ProductError(
            f"{file}: {error.strerror}", hint="run setup again: `docker compose up setup`", exit_code=Exit.CONFIGURATION
        ) from error
    found: dict[int, dict[str, str]] = {}
    for match in filter(None, map(_OPTION.match, lines)):
        found.setdefault(int(match[1]), {})[match[2]] = match[3].strip()
    return {key: Options(key, values) for key, values in found.items()}
