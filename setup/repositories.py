"""The kinds of repository, each with what it means for pgBackRest and for the supervisor.

A tagged union: what differs between the kinds is said here and nowhere else. A new kind is a class beside `Posix` and a
case in the two functions below; mypy points at whatever was forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from contract import paths, supervisor

SUPPORTED = ("none", "posix")
ANNOUNCED = ("s3", "azure", "gcs")
"""Kinds that the documentation names and this version refuses."""

VOLUME = "docker volume backup-repo"
"""Where a posix repository lies unless a directory of the host is named."""

Option = tuple[str, str]

_YES_NO = {True: "y", False: "n"}


@dataclass(frozen=True)
class Policy:
    """What every kind of repository has: encryption, the way files are packed, and how many backups are kept."""

    encrypted: bool
    bundle: bool
    block: bool
    retention_full: int
    retention_diff: int


@dataclass(frozen=True)
class Disabled:
    """No repository, so no backups; `reason` is a sentence for people."""

    reason: str
    type: Literal["none"] = "none"


@dataclass(frozen=True)
class Posix:
    """A directory. `key` is pgBackRest's number of the repository, `host_path` where it lies on the host, if known."""

    key: int
    host_path: str | None
    policy: Policy
    type: Literal["posix"] = "posix"

    @property
    def location(self) -> str:
        """Return where the backups lie, for people to read."""
        return self.host_path or VOLUME


Repository = Disabled | Posix


def options(repository: Repository, passphrase: str | None) -> tuple[Option, ...]:
    """Return pgBackRest's options of the repository in the order of the file, each key once.

    Raises ValueError when the repository is encrypted and there is no passphrase, or the other way round.
    """
    match repository:
        case Disabled():
            return ()
        case Posix(key=key, policy=policy):
            place: tuple[Option, ...] = (("type", "posix"), ("path", str(paths.REPOSITORY)))
        case _:
            assert_never(repository)
    return tuple((f"repo{key}-{name}", value) for name, value in (*place, *_policy_options(policy, passphrase)))


def entry(repository: Repository) -> supervisor.Repository | None:
    """Return what the supervisor knows about the repository; nothing for a disabled one."""
    match repository:
        case Disabled():
            return None
        case Posix(key=key, policy=policy):
            return supervisor.Repository(
                key=key,
                type=repository.type,
                location=repository.location,
                encrypted=policy.encrypted,
                retention_full=policy.retention_full,
                retention_diff=policy.retention_diff,
            )
        case _:
            assert_never(repository)


def key(repository: Repository) -> int:
    """Return pgBackRest's number of the repository; 0 for a disabled one, which has none."""
    return 0 if isinstance(repository, Disabled) else repository.key


def is_encrypted(repository: Repository) -> bool:
    """Tell whether the repository needs a passphrase."""
    return not isinstance(repository, Disabled) and repository.policy.encrypted


def _policy_options(policy: Policy, passphrase: str | None) -> tuple[Option, ...]:
    if policy.encrypted != (passphrase is not None):
        raise ValueError("a passphrase belongs to an encrypted repository and to no other")
    cipher: tuple[Option, ...] = (
        (("cipher-type", "none"),) if passphrase is None else (("cipher-type", "aes-256-cbc"), ("cipher-pass", passphrase))
    )
    return (
        *cipher,
        ("bundle", _YES_NO[policy.bundle]),
        # pgBackRest knows block only together with bundle.
        *((("block", _YES_NO[policy.block]),) if policy.bundle else ()),
        ("retention-full", str(policy.retention_full)),
        ("retention-diff", str(policy.retention_diff)),
        ("retention-archive-type", "full"),
        ("retention-archive", str(policy.retention_full)),
    )
