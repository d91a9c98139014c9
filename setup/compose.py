"""What docker-compose.yml knows about the variables: it reads some of them itself, before setup runs."""

from __future__ import annotations

from typing import Final

from contract import paths

GCS_KEY: Final = "GCS_KEY"
"""Names a file of the host, which Compose mounts: so it is read apart from the others."""

SHARED_WITH_COMPOSE: Final = frozenset(
    {
        *(f"PGBACKREST_REPO{key}_PATH" for key in range(1, paths.MOST_REPOSITORIES + 1)),
        "TZ",
        "POSTGRES_USER",
        "POSTGRES_DB",
        "POSTGRES_ALLOW_NEW_CLUSTER",
        "POSTGRES_INITDB_ARGS",
        "POSTGRES_INIT_SCRIPTS",
        "POSTGRES_PORT",
        "POSTGRES_MEMORY_LIMIT",
        "POSTGRES_CPU_LIMIT",
        "BACKUP_MEMORY_LIMIT",
        "BACKUP_CPU_LIMIT",
        "BACKUP_MEMORY_RESERVATION",
        "BACKUP_CPU_RESERVATION",
        "PEEK_HOURS",
        "PEEK_MEMORY_LIMIT",
        "PEEK_CPU_LIMIT",
        "BACKUP_HTTP_PORT",
        "BACKUP_CLOUD_CLI",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_DIRECTORY",
        "BASE_IMAGE",
        GCS_KEY,
    }
)
"""What docker-compose.yml reads as well. None of them can be given as a file: Compose cannot look into one."""
