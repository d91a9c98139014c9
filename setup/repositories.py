"""The kinds of repository, each with what it means for pgBackRest and for the supervisor.

A union: what differs between the kinds is said in its class and nowhere else. The classes hold secrets as SecretStr, so
that no representation shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import SecretStr

from contract import paths, supervisor
from contract.supervisor import RepositoryType
from setup.policy import Connection, Option, Policy, authorities_file, present, revealed

__all__ = ["S3", "Azure", "Gcs", "Option", "Posix", "Repository", "entry", "is_encrypted", "options", "volume"]

AZURE_ENDPOINT = "blob.core.windows.net"
GCS_ENDPOINT = "storage.googleapis.com"


@dataclass(frozen=True)
class Posix:
    """A directory. `key` is pgBackRest's number of the repository, `host_path` where it lies on the host, if known."""

    type: ClassVar[RepositoryType] = "posix"
    key: int
    host_path: str | None
    policy: Policy

    @property
    def directory(self) -> str:
        """Return where it is mounted."""
        return str(paths.repository(self.key))

    @property
    def location(self) -> str:
        """Return where the backups lie, for people to read."""
        return self.host_path or f"docker volume {volume(self.key)}"

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what no two repositories may have in common."""
        return ("posix", self.location)

    def place(self) -> tuple[Option, ...]:
        """Return pgBackRest's options for where it is."""
        return ("type", self.type), ("path", self.directory)

    def files(self) -> dict[str, str]:
        """Return the files that the options name, by path below the configuration directory."""
        return {}


@dataclass(frozen=True)
class S3:
    """A bucket of Amazon S3 or a compatible service. `endpoint` is a host; its port is in the connection."""

    type: ClassVar[RepositoryType] = "s3"
    key: int
    prefix: str
    bucket: str
    endpoint: str
    region: str
    uri_style: str
    key_type: str
    policy: Policy
    connection: Connection
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    token: SecretStr | None = None
    role: str | None = None
    kms_key_id: str | None = None
    customer_key: SecretStr | None = None

    @property
    def location(self) -> str:
        """Return where the backups lie, for people to read."""
        port = f":{self.connection.port}" if self.connection.port else ""
        return f"s3://{self.bucket}{self.prefix} at {self.endpoint}{port}"

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what no two repositories may have in common."""
        return ("s3", self.endpoint, self.connection.port or "", self.bucket, self.prefix)

    def place(self) -> tuple[Option, ...]:
        """Return pgBackRest's options for where it is and who may use it."""
        return present(
            {
                "type": self.type,
                "path": self.prefix,
                "s3-bucket": self.bucket,
                "s3-endpoint": self.endpoint,
                "s3-region": self.region,
                "s3-uri-style": self.uri_style,
                "s3-key-type": self.key_type,
                "s3-key": revealed(self.access_key),
                "s3-key-secret": revealed(self.secret_key),
                "s3-token": revealed(self.token),
                "s3-role": self.role,
                "s3-kms-key-id": self.kms_key_id,
                "s3-sse-customer-key": revealed(self.customer_key),
            }
        ) + self.connection.options(self.key)

    def files(self) -> dict[str, str]:
        """Return the files that the options name, by path below the configuration directory."""
        return _authorities(self.key, self.connection)


@dataclass(frozen=True)
class Azure:
    """A blob container. `secret` is the account's key, or a SAS token, as the key type says."""

    type: ClassVar[RepositoryType] = "azure"
    key: int
    prefix: str
    account: str
    container: str
    endpoint: str
    uri_style: str
    key_type: str
    secret: SecretStr
    policy: Policy
    connection: Connection

    @property
    def location(self) -> str:
        """Return where the backups lie, for people to read."""
        port = f":{self.connection.port}" if self.connection.port else ""
        return f"azure://{self.container}{self.prefix} in account {self.account} at {self.endpoint}{port}"

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what no two repositories may have in common."""
        return ("azure", self.endpoint, self.connection.port or "", self.account, self.container, self.prefix)

    def place(self) -> tuple[Option, ...]:
        """Return pgBackRest's options for where it is and who may use it."""
        return (
            ("type", self.type),
            ("path", self.prefix),
            ("azure-account", self.account),
            ("azure-container", self.container),
            ("azure-endpoint", self.endpoint),
            ("azure-uri-style", self.uri_style),
            ("azure-key-type", self.key_type),
            ("azure-key", self.secret.get_secret_value()),
            *self.connection.options(self.key),
        )

    def files(self) -> dict[str, str]:
        """Return the files that the options name, by path below the configuration directory."""
        return _authorities(self.key, self.connection)


@dataclass(frozen=True)
class Gcs:
    """A bucket of Google Cloud Storage. `secret` is a service account's JSON, or a token, as the key type says."""

    type: ClassVar[RepositoryType] = "gcs"
    key: int
    prefix: str
    bucket: str
    endpoint: str
    key_type: str
    secret: SecretStr | None
    policy: Policy
    connection: Connection = field(default_factory=Connection)

    @property
    def location(self) -> str:
        """Return where the backups lie, for people to read."""
        return f"gs://{self.bucket}{self.prefix} at {self.endpoint}"

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what no two repositories may have in common."""
        return ("gcs", self.endpoint, self.bucket, self.prefix)

    def place(self) -> tuple[Option, ...]:
        """Return pgBackRest's options for where it is and who may use it."""
        key = str(paths.CONFIG / self._key_file) if self.key_type == "service" else revealed(self.secret)
        return present(
            {
                "type": self.type,
                "path": self.prefix,
                "gcs-bucket": self.bucket,
                "gcs-endpoint": self.endpoint,
                "gcs-key-type": self.key_type,
                "gcs-key": key,
            }
        ) + self.connection.options(self.key)

    def files(self) -> dict[str, str]:
        """Return the files that the options name, by path below the configuration directory."""
        service = self.key_type == "service" and self.secret
        return _authorities(self.key, self.connection) | (
            {self._key_file: self.secret.get_secret_value()} if service and self.secret else {}
        )

    @property
    def _key_file(self) -> str:
        return f"{paths.KEYS}/repo{self.key}-gcs.json"


Repository = Posix | S3 | Azure | Gcs


def volume(key: int) -> str:
    """Return the Docker volume of a posix repository for which no directory of the host is named."""
    return "backup-repo" if key == 1 else f"backup-repo{key}"


def options(repository: Repository, passphrase: str | None) -> tuple[Option, ...]:
    """Return pgBackRest's options of the repository in the order of the file, each key once.

    Raises ValueError when the repository is encrypted and there is no passphrase, or the other way round.
    """
    every = (*repository.place(), *repository.policy.options(passphrase))
    return tuple((f"repo{repository.key}-{name}", value) for name, value in every)


def is_encrypted(repository: Repository) -> bool:
    """Tell whether the repository needs a passphrase."""
    return repository.policy.encrypted


def entry(repository: Repository, window: str | None = None, window_seconds: int | None = None) -> supervisor.Repository:
    """Return what the supervisor knows about the repository."""
    policy = repository.policy
    return supervisor.Repository(
        key=repository.key,
        type=repository.type,
        location=repository.location,
        encrypted=policy.encrypted,
        retention_full=policy.retention_full,
        retention_diff=policy.retention_diff,
        retention_full_type=policy.retention_full_type,
        directory=repository.directory if isinstance(repository, Posix) else None,
        window=window,
        window_seconds=window_seconds,
    )


def _authorities(key: int, connection: Connection) -> dict[str, str]:
    return {authorities_file(key): connection.authorities} if connection.authorities else {}
