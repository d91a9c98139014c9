"""The only reader of the environment: it becomes one frozen, fully checked `Settings`, or a list of all that is wrong.

Each variable is declared once, in `Variables`. Any of them may be given as NAME_FILE instead, the name of a file
with the value in it; except where docker-compose.yml reads the variable too, because Compose cannot look into a file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from contract.errors import InvalidConfigurationError, Problem
from contract.supervisor import Database, Mode, Schedule
from setup import files, values
from setup.repositories import ANNOUNCED, SUPPORTED, VOLUME, Disabled, Policy, Posix, Repository
from setup.values import Rejected

COMPOSE_VARIABLES = {
    "BACKUP_MEMORY_LIMIT": "512M",
    "BACKUP_CPU_LIMIT": "0.5",
    "BACKUP_MEMORY_RESERVATION": "256M",
    "BACKUP_CPU_RESERVATION": "0.25",
    "POSTGRES_INITDB_ARGS": "",
    "POSTGRES_INIT_SCRIPTS": "./config/postgres/initdb.d",
    "BASE_IMAGE": "debian:trixie-slim",
}
"""Variables that docker-compose.yml alone reads, with its defaults: known here, checked by Compose."""

SHARED_WITH_COMPOSE = frozenset(
    {"PGBACKREST_REPO1_PATH", "TZ", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_ALLOW_NEW_CLUSTER", *COMPOSE_VARIABLES}
)
"""What docker-compose.yml reads, alone or as well as setup."""

_OWN_PREFIXES = ("BACKUP_", "PGBACKREST_")
_ANNOUNCED_VARIABLES = {"BACKUP_WEBHOOK_URL": "notifications"}
"""Variables that the documentation names and this version refuses: ignored, they would promise what nobody keeps."""

_DEFAULT_PROCESS_MAX = 4
# pgBackRest's own defaults, except for lz4, where the best-practices document asks for 1 (which is also its default).
_DEFAULT_LEVELS = {"none": 0, "bz2": 9, "gz": 6, "lz4": 1, "zst": 3}
_LEVEL_RANGES = {"none": (0, 0), "bz2": (1, 9), "gz": (-1, 9), "lz4": (-5, 12), "zst": (-7, 22)}
_ANY_LEVEL = (-7, 22)
# Three connections are kept for superusers and one must be left; the most is PostgreSQL's limit less its own processes.
_CONNECTIONS = (4, 262_000)


@dataclass(frozen=True)
class Compression:
    """pgBackRest's compression: its type and a level that the type accepts."""

    type: str
    level: int


@dataclass(frozen=True)
class Server:
    """PostgreSQL's own settings that an operator may choose; amounts of memory in PostgreSQL's notation."""

    max_connections: int
    shared_buffers: str
    effective_cache_size: str
    work_mem: str
    maintenance_work_mem: str


@dataclass(frozen=True)
class Settings:
    """What the operator asked for, checked. `warnings` is what is allowed and still worth a second thought."""

    repositories: tuple[Repository, ...]
    schedule: Schedule
    time_zone: str
    database: Database
    superuser_password: SecretStr | None
    passphrases: Mapping[int, SecretStr]
    """Those that the operator has given, by the number of the repository."""
    process_max: int
    compression: Compression
    server: Server
    warnings: tuple[Problem, ...]

    @property
    def mode(self) -> Mode:
        """Return `backups` as soon as there is a repository to put them in."""
        return "off" if all(isinstance(repository, Disabled) for repository in self.repositories) else "backups"

    @property
    def reason(self) -> str:
        """Return in a sentence why backups are on or off."""
        first = self.repositories[0]
        return first.reason if isinstance(first, Disabled) else f"PGBACKREST_REPO{first.key}_TYPE is {first.type}"


class _Files(PydanticBaseSettingsSource):
    """Reads NAME_FILE. What goes wrong travels on as the value, to be reported beside all other problems."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:  # noqa: ARG002 - inherited
        """Return the text of the file that NAME_FILE names, None without that variable, or a `Rejected`."""
        name, given = field_name.upper(), _environment()
        path = given.get(f"{name}_FILE")
        if path is None or name in SHARED_WITH_COMPOSE:
            return None, field_name, False
        if name in given:
            clash = Rejected(f"is set, and {name}_FILE is too", f"set {name} or {name}_FILE, not both")
            return clash, field_name, False
        try:
            return _content(name, path), field_name, False
        except Rejected as rejected:
            return rejected, field_name, False

    def __call__(self) -> dict[str, object]:
        """Return the values of all variables that are given as a file."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


_Truth = Annotated[bool, BeforeValidator(values.truth)]
_Cron = Annotated[str | None, BeforeValidator(values.cron_or_off)]
_Name = Annotated[str, BeforeValidator(values.postgres_name)]


def _number(least: int, most: int) -> BeforeValidator:
    return BeforeValidator(values.whole_number(least, most))


def _memory(least_bytes: int) -> BeforeValidator:
    return BeforeValidator(values.memory(least_bytes))


class Variables(BaseSettings):
    """Every variable that setup evaluates, spelled in lower case, with its default. An empty one counts as unset."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=False
    )

    setup_backup: _Truth | None = None
    pgbackrest_repo1_type: str = Field(default="none", validate_default=True)
    pgbackrest_repo1_path: Annotated[str | None, BeforeValidator(values.host_path)] = None
    pgbackrest_repo1_cipher_type: Annotated[str, BeforeValidator(values.one_of("aes-256-cbc", "none"))] = "aes-256-cbc"
    pgbackrest_repo1_cipher_pass: Annotated[SecretStr | None, BeforeValidator(values.secret)] = None
    pgbackrest_repo1_bundle: _Truth = True
    pgbackrest_repo1_block: _Truth | None = None
    """Unset, it follows `pgbackrest_repo1_bundle`, without which it cannot be."""

    backup_schedule_full: Annotated[str, BeforeValidator(values.cron_never_off)] = "0 2 * * 0"
    backup_schedule_diff: _Cron = "0 2 * * 1-6"
    backup_schedule_incr: _Cron = None
    backup_retention_full: Annotated[int, _number(1, 9_999_999)] = 7
    backup_retention_diff: Annotated[int, _number(1, 9_999_999)] = 4

    pgbackrest_process_max: Annotated[int | None, _number(1, 999)] = None
    pgbackrest_compress_type: Annotated[str, BeforeValidator(values.one_of(*_LEVEL_RANGES))] = "lz4"
    pgbackrest_compress_level: int | None = None

    tz: Annotated[str, BeforeValidator(values.time_zone)] = "UTC"
    postgres_user: _Name = "postgres"
    postgres_db: _Name = "salespider"
    postgres_password: Annotated[SecretStr | None, BeforeValidator(values.secret)] = None
    postgres_allow_new_cluster: Annotated[str, BeforeValidator(values.one_of("yes", "no"))] = "no"
    postgres_max_connections: Annotated[int, _number(*_CONNECTIONS)] = 100
    postgres_shared_buffers: Annotated[str, _memory(128 << 10)] = "128MB"
    postgres_effective_cache_size: Annotated[str, _memory(8 << 10)] = "512MB"
    postgres_work_mem: Annotated[str, _memory(64 << 10)] = "4MB"
    postgres_maintenance_work_mem: Annotated[str, _memory(64 << 10)] = "64MB"

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read files first: they carry the complaint when a variable is given both ways."""
        return _Files(settings_cls), sources["env_settings"]

    @field_validator("*", mode="before")
    @classmethod
    def _pass_on_what_files_had_wrong(cls, value: object) -> object:
        if isinstance(value, Rejected):
            raise value
        return value

    @field_validator("pgbackrest_repo1_type")
    @classmethod
    def _supported(cls, kind: str, others: ValidationInfo) -> str:
        if "setup_backup" in others.data and others.data["setup_backup"] is False:
            return "none"
        if kind in ANNOUNCED:
            raise Rejected(f"the repository type {kind} is not supported yet", f"use {values.listed(SUPPORTED)}")
        if kind == "none" and others.data.get("setup_backup"):
            raise Rejected(
                "is none or not set, but SETUP_BACKUP is true: there is no place to put backups",
                "set PGBACKREST_REPO1_TYPE=posix, or remove SETUP_BACKUP",
            )
        return values.one_of(*SUPPORTED)(kind)

    @field_validator("pgbackrest_repo1_block")
    @classmethod
    def _block_needs_bundle(cls, block: bool | None, others: ValidationInfo) -> bool | None:  # noqa: FBT001 - pydantic's
        if block and others.data.get("pgbackrest_repo1_bundle") is False:
            raise Rejected(
                "is true, but PGBACKREST_REPO1_BUNDLE is false: block increments are kept in bundles",
                "set PGBACKREST_REPO1_BUNDLE=true, or remove PGBACKREST_REPO1_BLOCK",
            )
        return block

    @field_validator("pgbackrest_compress_level", mode="before")
    @classmethod
    def _level_fits_type(cls, level: object, others: ValidationInfo) -> object:
        kind = others.data.get("pgbackrest_compress_type")
        if kind is None:  # there is a complaint about the type already
            return values.whole_number(*_ANY_LEVEL)(str(level))
        try:
            return values.whole_number(*_LEVEL_RANGES[kind])(str(level))
        except Rejected as rejected:
            raise Rejected(f"{rejected.what}, the range of {kind}", rejected.hint) from None


def known_variables() -> tuple[str, ...]:
    """Return the name of every variable that means something, in upper case and in alphabetic order."""
    return tuple(sorted({name.upper() for name in Variables.model_fields} | set(COMPOSE_VARIABLES)))


def read_settings(cpu_count: int) -> Settings:
    """Read the environment; `cpu_count` is the number of processor cores of this machine.

    Raises InvalidConfigurationError with every problem there is.
    """
    problems = [*_unknown_variables(), *_files_that_compose_cannot_read()]
    try:
        variables = Variables()
    except ValidationError as error:
        problems = [*_problems_of(error), *problems]
    if problems:
        # Not chained: a ValidationError knows the values, and some of them are secret.
        raise InvalidConfigurationError(problems) from None
    return _settings(variables, cpu_count)


def effective_environment() -> dict[str, str]:
    """Return every variable of ours that is set, by name; one given as NAME_FILE by its value.

    Call it only after `read_settings` has found nothing wrong. Raises Rejected when a file cannot be read all the same.
    """
    given = _environment()
    found = {}
    for name in known_variables():
        if name in given:
            found[name] = given[name]
        elif f"{name}_FILE" in given:
            found[name] = _content(name, given[f"{name}_FILE"])
    return found


def _settings(variables: Variables, cpu_count: int) -> Settings:
    kind, level = variables.pgbackrest_compress_type, variables.pgbackrest_compress_level
    repository = _repository(variables)
    return Settings(
        repositories=(repository,),
        schedule=Schedule(
            full=variables.backup_schedule_full,
            diff=variables.backup_schedule_diff,
            incr=variables.backup_schedule_incr,
        ),
        time_zone=variables.tz,
        database=Database(user=variables.postgres_user, name=variables.postgres_db),
        superuser_password=variables.postgres_password,
        passphrases={1: variables.pgbackrest_repo1_cipher_pass} if variables.pgbackrest_repo1_cipher_pass else {},
        process_max=variables.pgbackrest_process_max or min(_DEFAULT_PROCESS_MAX, cpu_count),
        compression=Compression(kind, _DEFAULT_LEVELS[kind] if level is None else level),
        server=Server(
            max_connections=variables.postgres_max_connections,
            shared_buffers=variables.postgres_shared_buffers,
            effective_cache_size=variables.postgres_effective_cache_size,
            work_mem=variables.postgres_work_mem,
            maintenance_work_mem=variables.postgres_maintenance_work_mem,
        ),
        warnings=tuple(_warnings(variables, repository, cpu_count)),
    )


def _repository(variables: Variables) -> Repository:
    if variables.setup_backup is False:
        return Disabled("SETUP_BACKUP is false")
    if variables.pgbackrest_repo1_type == "none":
        return Disabled("PGBACKREST_REPO1_TYPE is none or not set")
    bundle, block = variables.pgbackrest_repo1_bundle, variables.pgbackrest_repo1_block
    policy = Policy(
        encrypted=variables.pgbackrest_repo1_cipher_type != "none",
        bundle=bundle,
        block=bundle if block is None else block,
        retention_full=variables.backup_retention_full,
        retention_diff=variables.backup_retention_diff,
    )
    return Posix(key=1, host_path=variables.pgbackrest_repo1_path, policy=policy)


def _warnings(variables: Variables, repository: Repository, cpu_count: int) -> list[Problem]:
    warnings = []
    process_max = variables.pgbackrest_process_max
    if process_max is not None and process_max > cpu_count:
        what = f"is {process_max}, but this machine has {cpu_count} processor cores"
        warnings.append(Problem("PGBACKREST_PROCESS_MAX", what, "backups may slow the database down; lower it"))
    if isinstance(repository, Posix) and repository.host_path is None:
        what = f"is not set: backups go to the {VOLUME}, on the same disk as the database"
        hint = "name a directory on another disk; `docker compose down -v` deletes that volume and every backup in it"
        warnings.append(Problem("PGBACKREST_REPO1_PATH", what, hint))
    return warnings


def _environment() -> dict[str, str]:
    """Return the variables that are set and not empty, by upper-case name."""
    return {name.upper(): value for name, value in os.environ.items() if value}


def _content(name: str, path: str) -> str:
    """Return the text of a file without one line break at its end."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except PermissionError:
        what = f"the file that {name}_FILE names may not be read: {path}"
        hint = "setup has no more rights than user 0 and group 999: give the file to root or to group 999"
        raise Rejected(what, hint) from None
    except OSError as error:
        what = f"the file that {name}_FILE names cannot be read: {path} ({files.reason(error)})"
        raise Rejected(what, "put it into ./secrets and name it as /run/secrets/…") from None
    except ValueError:
        what = f"the file that {name}_FILE names is not UTF-8 text: {path}"
        raise Rejected(what, "write the value as plain text") from None
    if text in ("", "\n"):
        raise Rejected(f"the file that {name}_FILE names is empty: {path}", "write the value into it")
    return text.removesuffix("\n")


def _unknown_variables() -> list[Problem]:
    known = known_variables()
    names = [*known, *(f"{name}_FILE" for name in known)]
    problems = []
    for name in sorted(_environment()):
        if name in _ANNOUNCED_VARIABLES:
            hint = "remove it; `make status` and the health of the backup container tell of failures"
            problems.append(Problem(name, f"{_ANNOUNCED_VARIABLES[name]} are not supported yet", hint))
        elif name.startswith(_OWN_PREFIXES) and name not in names:
            meant = values.nearest(name, names)
            hint = f"did you mean {meant}?" if meant else "see .env.example for the variables that there are"
            problems.append(Problem(name, "there is no such variable", hint))
    return problems


def _files_that_compose_cannot_read() -> list[Problem]:
    return [
        Problem(f"{name}_FILE", "docker-compose.yml reads this variable too and cannot look into a file", f"set {name}")
        for name in sorted(SHARED_WITH_COMPOSE)
        if f"{name}_FILE" in _environment()
    ]


def _problems_of(error: ValidationError) -> list[Problem]:
    """Return our own wording of every refusal; pydantic's never gets out, it may quote a secret."""
    problems = []
    for found in error.errors(include_url=False, include_input=False):
        where = str(found["loc"][0]).upper()
        reason = found.get("ctx", {}).get("error")
        if isinstance(reason, Rejected):
            problems.append(Problem(where, reason.what, reason.hint))
        else:
            problems.append(Problem(where, "is not valid", "see .env.example for what is allowed"))
    return problems
