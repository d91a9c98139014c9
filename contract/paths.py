"""Where things lie in the containers. Every path is the same in each container that mounts the volume.

pgBackRest compares its `pg1-path` with the server's own `data_directory` as a string and refuses a difference (exit code
58), so one constant serves them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

MOST_REPOSITORIES: Final = 4

CONFIG: Final = Path("/etc/pgbackrest")
"""The published configuration, as the postgres, backup and restore containers see it (read-only)."""

CONFIG_IN_SETUP: Final = Path("/pgbackrest-config")
"""The same volume in the setup container, the only one that may write to it."""

SECRETS: Final = Path("/var/lib/salespider/secrets")
"""The passphrase and the generated superuser password; mounted in setup only, deleted by no documented command."""

DATABASE_VOLUME: Final = Path("/var/lib/postgresql")
PGDATA: Final = DATABASE_VOLUME / "data"
SOCKET: Final = Path("/var/run/postgresql")
REPOSITORY: Final = Path("/var/lib/pgbackrest")
"""The first repository, if it is a directory; see `repository` for the others."""

LOCK: Final = Path("/var/lib/salespider/lock")
"""pgBackRest's lock files and ours: local files, so all containers must share them."""

SPOOL: Final = Path("/var/spool/pgbackrest")
SPOOL_OF_POSTGRES: Final = Path("/var/spool/pgbackrest-of-postgres")
"""The spool of the postgres container, read-only, as the backup container sees it beside its own."""

LOG: Final = Path("/var/log/pgbackrest")
STATE: Final = Path("/var/lib/salespider/state")

SUPERVISOR_JSON: Final = "supervisor.json"
RECEIVERS_JSON: Final = "receivers.json"
"""Who is told, with the secrets that takes; there only when somebody is."""

MANIFEST_JSON: Final = "manifest.json"
PROTECTION_JSON: Final = "protection.json"
"""Beside the manifest and not in it: it is a record, and a new one is no new configuration."""

PGBACKREST_CONF: Final = "pgbackrest.conf"
REPO_CONF: Final = "conf.d/repo.conf"
POSTGRESQL_CONF: Final = "postgresql/postgresql.conf"
PG_HBA_CONF: Final = "postgresql/pg_hba.conf"
PG_IDENT_CONF: Final = "postgresql/pg_ident.conf"
EXTRA_CONF: Final = "postgresql/extra.conf"
"""The operator's own settings of the server, read last; there only when POSTGRES_EXTRA_CONFIG names a file."""

SUPERUSER_PASSWORD: Final = "postgresql/superuser-password"  # noqa: S105 a file name

KEYS: Final = "keys"
"""Folder of the files that pgBackRest's options name: a service account's key, a storage's certificate authority."""

OPERATION_LOCK: Final = LOCK / "operation.lock"
HISTORY: Final = STATE / "history.sqlite"
USED_PASSPHRASES: Final = STATE / "passphrases.json"
"""The fingerprints of the passphrases that a stanza was created with; written by the supervisor, read by setup."""

RESTORE_COMMAND: Final = "/usr/local/bin/pgbackrest-restore-command"
"""The wrapper around `archive-get` that tells the end of the archive from a failure to read it."""

HEALTH_PORT: Final = 8080
"""Where the supervisor answers /healthz and /readyz, inside its container."""

UID: Final = 999
GID: Final = 999


def repository(key: int) -> Path:
    """Return where the posix repository with this number is mounted: /var/lib/pgbackrest, /var/lib/pgbackrest2 and so on."""
    return REPOSITORY if key == 1 else REPOSITORY.with_name(f"{REPOSITORY.name}{key}")
