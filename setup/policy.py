"""What every kind of repository has: encryption, the way files are packed, how many backups are kept, how TLS is done."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from contract import paths
from contract.supervisor import RetentionType

Option = tuple[str, str]
"""A pgBackRest option without `repoN-`, and its value."""

YES_NO = {True: "y", False: "n"}


@dataclass(frozen=True)
class Policy:
    """`passphrase` is the one that the operator supplied, if any; without it one is created and kept.

    `retention_full` counts backups, or days with the type `time`.
    """

    encrypted: bool
    bundle: bool
    block: bool
    retention_full: int
    retention_diff: int
    retention_full_type: RetentionType = "count"
    passphrase: SecretStr | None = None

    def options(self, passphrase: str | None) -> tuple[Option, ...]:
        """Return pgBackRest's options. Raises ValueError when the passphrase does not fit the encryption."""
        if self.encrypted != (passphrase is not None):
            raise ValueError("a passphrase belongs to an encrypted repository and to no other")
        cipher: tuple[Option, ...] = (
            (("cipher-type", "none"),)
            if passphrase is None
            else (("cipher-type", "aes-256-cbc"), ("cipher-pass", passphrase))
        )
        return (
            *cipher,
            ("bundle", YES_NO[self.bundle]),
            # pgBackRest knows block only together with bundle.
            *((("block", YES_NO[self.block]),) if self.bundle else ()),
            *self._retention(),
        )

    def _retention(self) -> tuple[Option, ...]:
        kept = ("retention-full", str(self.retention_full)), ("retention-diff", str(self.retention_diff))
        if self.retention_full_type == "time":
            # WAL goes with the full backups here; retention-archive would count backups, not days.
            return ("retention-full-type", "time"), *kept
        return *kept, ("retention-archive-type", "full"), ("retention-archive", str(self.retention_full))


@dataclass(frozen=True)
class Connection:
    """How an object store is reached. `authorities` are certificates in PEM; `host` and `port` where it really listens."""

    verify_tls: bool = True
    authorities: str | None = None
    host: str | None = None
    port: str | None = None
    chunk_size: str | None = None

    def options(self, key: int) -> tuple[Option, ...]:
        """Return pgBackRest's options for the repository with this number."""
        authorities = str(paths.CONFIG / authorities_file(key)) if self.authorities else None
        given = {
            "storage-verify-tls": YES_NO[self.verify_tls],
            "storage-ca-file": authorities,
            "storage-host": self.host,
            "storage-port": self.port,
            "storage-upload-chunk-size": self.chunk_size,
        }
        return present(given)


def present(options: dict[str, str | None]) -> tuple[Option, ...]:
    """Return the options that have a value, in the same order."""
    return tuple((name, value) for name, value in options.items() if value is not None)


def authorities_file(key: int) -> str:
    """Return where the certificates of a repository are published, below the configuration directory."""
    return f"{paths.KEYS}/repo{key}-ca.pem"


def revealed(secret: SecretStr | None) -> str | None:
    """Return a secret's text, for the file that it belongs into."""
    return secret.get_secret_value() if secret else None
