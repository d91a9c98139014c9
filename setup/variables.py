"""Every variable that setup evaluates, declared once: its name in lower case, how it is read, its default.

`.env.example` is the reference for people; a test compares the two in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, SecretStr

from contract import paths, supervisor
from contract.errors import Problem
from setup import container_values, notification_values, server_values, storage_values, values
from setup.compose import GCS_KEY, SHARED_WITH_COMPOSE
from setup.environment import FromEnvironment, given, read_by
from setup.presets import PRESETS

KINDS: Final = ("none", "posix", "s3", "azure", "gcs")
LEVEL_RANGES: Final = {"none": (0, 0), "bz2": (1, 9), "gz": (-1, 9), "lz4": (-5, 12), "zst": (-7, 22)}
_LOG_LEVELS = ("off", "error", "warn", "info", "detail", "debug", "trace")
# Three connections are kept for superusers and one must be left; the most is PostgreSQL's limit less its own processes.
_CONNECTIONS = (4, 262_000)
_KEPT = (1, 9_999_999)
_DAY_SECONDS = 86_400
_DAY_MINUTES = 1440
_MONTH_MINUTES = 43_200
_ALARMS = supervisor.Thresholds()

SHORT_NAMES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "s3": {
            "s3_bucket": "AWS_S3_BUCKET",
            "s3_region": "AWS_REGION",
            "s3_endpoint": "AWS_S3_ENDPOINT",
            "s3_key": "AWS_ACCESS_KEY_ID",
            "s3_key_secret": "AWS_SECRET_ACCESS_KEY",
            "s3_token": "AWS_SESSION_TOKEN",
        },
        "azure": {
            "azure_account": "AZURE_STORAGE_ACCOUNT",
            "azure_container": "AZURE_STORAGE_CONTAINER",
            "azure_key": "AZURE_STORAGE_KEY",
        },
        "gcs": {"gcs_bucket": "GCS_BUCKET", "gcs_key": "GCS_KEY_JSON"},
    }
)
"""The guide's names of the variables of the first repository of each kind, by field of `RepositoryVariables`."""

SAS_TOKEN: Final = "AZURE_STORAGE_SAS_TOKEN"  # noqa: S105 - the name of a variable
OWN_PREFIXES: Final = ("BACKUP_", "PGBACKREST_")
_OLD_NAMES = {
    f"{old}_{option}": f"STORAGE_{new}"
    for old in ("S3", "AZURE", "GCS")
    for option, new in {
        "VERIFY_TLS": "VERIFY_TLS", "VERIFY_SSL": "VERIFY_TLS", "CA_FILE": "CA_FILE", "HOST": "HOST", "PORT": "PORT"
    }.items()
}  # fmt: skip
"""pgBackRest's former names, which it takes silently and which would stand beside the new ones."""


def _number(least: int, most: int) -> BeforeValidator:
    return read_by(values.whole_number(least, most))


def _memory(least_bytes: int) -> BeforeValidator:
    return read_by(server_values.memory(least_bytes))


def _as(reader: Callable[[str], Any]) -> BeforeValidator:
    return read_by(reader)


_Truth = Annotated[bool, _as(values.truth)]
_Cron = Annotated[str | None, _as(values.cron_or_off)]
_Name = Annotated[str, _as(server_values.postgres_name)]
_Secret = Annotated[SecretStr | None, _as(values.secret)]
_WebAddress = Annotated[SecretStr | None, _as(notification_values.web_address)]
_Host = Annotated[str | None, _as(storage_values.host)]
_Endpoint = Annotated[str | None, _as(storage_values.endpoint)]
_UriStyle = Annotated[str | None, _as(values.one_of("host", "path"))]
_RetentionType = values.one_of("count", "time")


class Variables(FromEnvironment):
    """What concerns the whole deployment."""

    setup_backup: _Truth | None = None
    database_url: Annotated[SecretStr | None, _as(values.secret)] = None

    backup_schedule_full: _Cron = "0 2 * * 0"
    backup_schedule_diff: _Cron = "0 2 * * 1-6"
    backup_schedule_incr: _Cron = None
    backup_retention_full: Annotated[int, _number(*_KEPT)] = 7
    backup_retention_full_type: Annotated[str, _as(_RetentionType)] = "count"
    backup_retention_diff: Annotated[int, _number(*_KEPT)] = 4
    backup_give_up: Annotated[str | None, _as(values.one_line("the old place as the message names it"))] = None
    backup_full_after: Annotated[int, _number(1, 100)] = supervisor.FULL_AFTER
    backup_catch_up_jitter: Annotated[int, _number(0, 3600)] = 30
    restore_keep_previous: Annotated[int, _number(0, 365)] = supervisor.RESTORE_KEEP_PREVIOUS_DAYS

    backup_webhook_url: _WebAddress = None
    backup_webhook_secret: _Secret = None
    backup_webhook_token: Annotated[SecretStr | None, _as(notification_values.bearer_token)] = None
    backup_notify_urls: Annotated[SecretStr | None, _as(notification_values.service_addresses)] = None
    """The addresses with single blanks between them."""

    backup_notify_level: Annotated[str, _as(values.one_of("all", "info", "warning", "critical"))] = "info"
    backup_heartbeat_url: _WebAddress = None
    backup_late_after: Annotated[int, _number(1, _MONTH_MINUTES)] = _ALARMS.late_minutes
    backup_archive_late_after: Annotated[int, _number(1, _DAY_MINUTES)] = _ALARMS.archive_late_minutes
    backup_disk_alarm_percent: Annotated[int, _number(1, 99)] = _ALARMS.disk_percent
    backup_disk_alarm_hours: Annotated[str, _as(notification_values.hours)] = ",".join(map(str, _ALARMS.disk_hours))
    backup_disk_reserve_percent: Annotated[int, _number(0, 50)] = _ALARMS.disk_reserve_percent
    backup_wal_emergency_free_percent: Annotated[int | None, _number(1, 50)] = None
    backup_log_format: Annotated[str, _as(values.one_of("auto", "text", "json"))] = "auto"
    backup_http_port: Annotated[str | None, _as(container_values.port)] = None

    pgbackrest_process_max: Annotated[int | None, _number(1, 999)] = None
    pgbackrest_compress_type: Annotated[str, _as(values.one_of(*LEVEL_RANGES))] = "lz4"
    pgbackrest_compress_level: str | None = None
    """Its range depends on the type: see `setup.limits`."""

    pgbackrest_archive_timeout: Annotated[int, _number(1, _DAY_SECONDS)] = 60
    pgbackrest_log_level_console: Annotated[str, _as(values.one_of(*_LOG_LEVELS))] = "info"

    backup_memory_limit: Annotated[str, _as(container_values.memory_limit)] = "512M"
    backup_cpu_limit: Annotated[str, _as(container_values.processors)] = "0.5"
    backup_memory_reservation: Annotated[str, _as(container_values.memory_limit)] = "256M"
    backup_cpu_reservation: Annotated[str, _as(container_values.processors)] = "0.25"

    peek_hours: Annotated[int, _number(1, 168)] = 4
    peek_memory_limit: Annotated[str, _as(container_values.memory_limit)] = "512M"
    peek_cpu_limit: Annotated[str, _as(container_values.processors)] = "1"

    backup_cloud_cli: Annotated[str, _as(container_values.cloud_programs)] = "none"

    aws_role_arn: Annotated[str | None, _as(storage_values.role_arn)] = None
    aws_web_identity_directory: Annotated[str, _as(values.host_path)] = "./config/web-identity"

    tz: Annotated[str, _as(values.time_zone)] = "UTC"
    postgres_user: _Name = "postgres"
    postgres_db: _Name = "salespider"
    postgres_password: _Secret = None
    postgres_initdb_args: str = ""
    postgres_init_scripts: Annotated[str, _as(values.host_path)] = "./config/postgres/initdb.d"
    postgres_allow_new_cluster: Annotated[str, _as(values.one_of("yes", "no"))] = "no"
    postgres_port: Annotated[str | None, _as(container_values.port)] = None
    postgres_memory_limit: Annotated[str, _as(container_values.memory_limit_or_none)] = "0"
    postgres_cpu_limit: Annotated[str, _as(container_values.processors_or_none)] = "0"
    postgres_max_connections: Annotated[int, _number(*_CONNECTIONS)] = 100
    postgres_shared_buffers: Annotated[str, _memory(128 << 10)] = "128MB"
    postgres_effective_cache_size: Annotated[str, _memory(8 << 10)] = "512MB"
    postgres_work_mem: Annotated[str, _memory(64 << 10)] = "4MB"
    postgres_maintenance_work_mem: Annotated[str, _memory(64 << 10)] = "64MB"
    postgres_max_wal_size: Annotated[str, _memory(80 << 20)] = "1GB"
    postgres_wal_keep_size: Annotated[str, _memory(0)] = "0MB"
    postgres_archive_timeout: Annotated[int, _number(1, _DAY_SECONDS)] = 60
    postgres_log_min_duration_statement: Annotated[str, _as(server_values.duration_or_off)] = "-1"
    postgres_statistics: _Truth = False
    postgres_extra_config: Annotated[str | None, _as(values.own_file)] = None

    base_image: Annotated[str, _as(values.plain("the name of an image"))] = "debian:trixie-slim"


class RepositoryVariables(FromEnvironment):
    """What concerns one repository: PGBACKREST_REPO1_TYPE … PGBACKREST_REPO4_TYPE and so on, in pgBackRest's words."""

    type: Annotated[str, _as(values.one_of(*KINDS))] = "none"
    path: Annotated[str | None, _as(values.host_path)] = None
    """A directory of the host, or the path in the bucket: the type decides, but Compose mounts it in any case."""

    cipher_type: Annotated[str, _as(values.one_of("aes-256-cbc", "none"))] = "aes-256-cbc"
    cipher_pass: _Secret = None
    bundle: _Truth = True
    block: _Truth | None = None
    """Unset, it follows `bundle`, without which it cannot be."""

    retention_full: Annotated[int | None, _number(*_KEPT)] = None
    retention_full_type: Annotated[str | None, _as(_RetentionType)] = None
    retention_diff: Annotated[int | None, _number(*_KEPT)] = None

    s3_preset: Annotated[str | None, _as(values.one_of(*PRESETS))] = None
    s3_bucket: Annotated[str | None, _as(storage_values.s3_bucket)] = None
    s3_endpoint: _Endpoint = None
    s3_region: Annotated[str | None, _as(storage_values.region)] = None
    s3_uri_style: _UriStyle = None
    s3_key_type: Annotated[str, _as(values.one_of("shared", "auto", "web-id"))] = "shared"
    s3_key: _Secret = None
    s3_key_secret: _Secret = None
    s3_token: _Secret = None
    s3_role: Annotated[str | None, _as(storage_values.role)] = None
    s3_kms_key_id: Annotated[str | None, _as(values.plain("the key's id or ARN"))] = None
    s3_sse_customer_key: Annotated[SecretStr | None, _as(storage_values.customer_key)] = None

    azure_account: Annotated[str | None, _as(storage_values.azure_account)] = None
    azure_container: Annotated[str | None, _as(storage_values.azure_container)] = None
    azure_key: _Secret = None
    azure_key_type: Annotated[str | None, _as(values.one_of("shared", "sas"))] = None
    azure_endpoint: _Endpoint = None
    azure_uri_style: _UriStyle = None

    gcs_bucket: Annotated[str | None, _as(storage_values.gcs_bucket)] = None
    gcs_key: Annotated[SecretStr | None, _as(str)] = None
    gcs_key_type: Annotated[str, _as(values.one_of("service", "auto", "token"))] = "service"
    gcs_endpoint: _Endpoint = None

    storage_verify_tls: _Truth = True
    storage_ca: Annotated[str | None, _as(storage_values.certificates)] = None
    """With _FILE behind it this is pgBackRest's own storage-ca-file."""

    storage_host: _Host = None
    storage_port: Annotated[str | None, _as(container_values.port)] = None
    storage_upload_chunk_size: Annotated[str | None, _as(storage_values.chunk_size)] = None


def repository_prefix(key: int) -> str:
    """Return how the names of the variables of a repository begin."""
    return f"PGBACKREST_REPO{key}_"


def known_variables() -> tuple[str, ...]:
    """Return the name of every variable that means something, in upper case and in alphabetic order."""
    shared = {name.upper() for name in Variables.model_fields}
    short = {name for names in SHORT_NAMES.values() for name in names.values()} | {SAS_TOKEN, GCS_KEY}
    own = {
        repository_prefix(key) + name.upper()
        for key in range(1, paths.MOST_REPOSITORIES + 1)
        for name in RepositoryVariables.model_fields
    }
    return tuple(sorted(shared | short | own))


def secret_variables() -> frozenset[str]:
    """Return the names of the variables whose values are never shown."""
    shared = {name.upper() for name, field in Variables.model_fields.items() if _is_secret(field.annotation)}
    own = {name for name, field in RepositoryVariables.model_fields.items() if _is_secret(field.annotation)}
    short = {name for names in SHORT_NAMES.values() for field, name in names.items() if field in own}
    keys = range(1, paths.MOST_REPOSITORIES + 1)
    return frozenset(shared | short | {SAS_TOKEN} | {repository_prefix(key) + name.upper() for key in keys for name in own})


def misplaced() -> list[Problem]:
    """Return what is wrong with the names of the variables that are set: unknown ones, and files Compose cannot read."""
    known = known_variables()
    names = [*known, *(f"{name}_FILE" for name in known)]
    problems = []
    for name in sorted(given()):
        if name.removesuffix("_FILE") in SHARED_WITH_COMPOSE and name.endswith("_FILE"):
            what = "docker-compose.yml reads this variable too and cannot look into a file"
            problems.append(Problem(name, what, f"set {name.removesuffix('_FILE')}"))
        elif name.startswith(OWN_PREFIXES) and name not in names:
            problems.append(_unknown(name, names))
    return problems


def _unknown(name: str, names: list[str]) -> Problem:
    head, _, option = name.removeprefix("PGBACKREST_REPO").partition("_")
    if name.startswith("PGBACKREST_REPO") and head.isdigit():
        if not 1 <= int(head) <= paths.MOST_REPOSITORIES:
            return Problem(
                name, f"there is no repository {head}", f"number the repositories from 1 to {paths.MOST_REPOSITORIES}"
            )
        if option in _OLD_NAMES:
            return Problem(name, "is an old name", f"write {repository_prefix(int(head))}{_OLD_NAMES[option]}")
        if option.startswith("RETENTION_ARCHIVE"):
            hint = "remove it: WAL is kept as long as the oldest full backup, so that every moment since can be restored"
            return Problem(name, "cannot be chosen", hint)
    meant = values.nearest(name, names)
    hint = f"did you mean {meant}?" if meant else "see .env.example for the variables that there are"
    return Problem(name, "there is no such variable", hint)


def _is_secret(annotation: object) -> bool:
    return "SecretStr" in str(annotation)
