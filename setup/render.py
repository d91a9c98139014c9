"""Settings and secrets become the text of every published file. Pure: the same input gives the same bytes.

Each template says in the rendered file what it is and why a setting is there; a variable that a template misspells is
an error, never an empty string.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contract import paths, supervisor
from contract.supervisor import SupervisorConfig
from setup import repositories
from setup.passphrase import Secrets
from setup.repositories import Repository
from setup.settings import Settings

STANZA: Final = "salespider"
MANIFEST_SCHEMA_VERSION: Final = 1

_TEMPLATES = {
    paths.PGBACKREST_CONF: "pgbackrest/pgbackrest.conf.j2",
    paths.POSTGRESQL_CONF: "postgres/postgresql.conf.j2",
    paths.PG_HBA_CONF: "postgres/pg_hba.conf.j2",
    paths.PG_IDENT_CONF: "postgres/pg_ident.conf.j2",
}
_REPOSITORY_TEMPLATE = "pgbackrest/repo.conf.j2"

_jinja = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "config"),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - configuration files, not HTML
    keep_trailing_newline=True,
    trim_blocks=True,
)
_jinja.globals.update(paths=paths, stanza=STANZA)


def render(settings: Settings, secrets: Secrets) -> dict[str, str]:
    """Return the text of every file by its path below the configuration directory, the manifest last."""
    files = {path: _jinja.get_template(template).render(settings=settings) for path, template in _TEMPLATES.items()}
    if settings.repositories:
        blocks = [_block(repository, secrets) for repository in settings.repositories]
        files[paths.REPO_CONF] = _jinja.get_template(_REPOSITORY_TEMPLATE).render(blocks=blocks)
    for repository in settings.repositories:
        files |= repository.files()
    if settings.server.extra is not None:
        files[paths.EXTRA_CONF] = settings.server.extra
    files[paths.SUPERUSER_PASSWORD] = secrets.superuser_password.get_secret_value() + "\n"
    receivers = settings.notification.receivers() if settings.mode == "backups" else None
    if receivers is not None:
        files[paths.RECEIVERS_JSON] = _json(receivers.model_dump(mode="json"))
    files[paths.SUPERVISOR_JSON] = _json(_supervisor(settings, secrets).model_dump(mode="json"))
    files[paths.MANIFEST_JSON] = _manifest(files)
    return files


def _block(repository: Repository, secrets: Secrets) -> dict[str, object]:
    """Return what the template shows of one repository."""
    passphrase = secrets.passphrases[repository.key] if repositories.is_encrypted(repository) else None
    return {
        "key": repository.key,
        "location": repository.location,
        "encrypted": passphrase is not None,
        "options": repositories.options(repository, passphrase.get_secret_value() if passphrase else None),
    }


def _supervisor(settings: Settings, secrets: Secrets) -> SupervisorConfig:
    return SupervisorConfig(
        mode=settings.mode,
        reason=settings.reason,
        stanza=STANZA,
        time_zone=settings.time_zone,
        database=settings.database,
        schedule=settings.schedule,
        repositories=tuple(_entry(settings, secrets, repository) for repository in settings.repositories),
        full_after=settings.full_after,
        catch_up_jitter_seconds=settings.catch_up_jitter_seconds,
        restore_keep_previous_days=settings.restore_keep_previous_days,
        log_format=settings.log_format,
        thresholds=settings.thresholds,
    )


def _entry(settings: Settings, secrets: Secrets, repository: Repository) -> supervisor.Repository:
    reach = settings.window(repository)
    entry = repositories.entry(repository, str(reach), int(reach.least.total_seconds()))
    variables = settings.repository_variables.get(repository.key, ())
    return entry.model_copy(update={"passphrase_fingerprint": secrets.fingerprint(repository.key), "variables": variables})


def _manifest(files: Mapping[str, str]) -> str:
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}
    return _json({"schema_version": MANIFEST_SCHEMA_VERSION, "files": digests})


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
