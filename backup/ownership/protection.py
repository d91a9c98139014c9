"""The records around passphrases: which have been used, written here, and which a recovery kit holds, read here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from backup.deployment import Deployment
from backup.state.alarms import Alarm
from contract import events, paths, protection
from contract.protection import UsedPassphrases, VerifiedKit

_ALARM: Final = "protection"


def present(deployment: Deployment) -> dict[int, str | None]:
    """Return the fingerprint of each repository's passphrase as it is configured."""
    return {repository.key: repository.passphrase_fingerprint for repository in deployment.config.repositories}


def remember(deployment: Deployment, keys: Collection[int]) -> None:
    """Write down that these repositories' passphrases have been used, so that setup never replaces them. Raises OSError.

    A record that cannot be understood is left as it is: setup takes every passphrase for a used one then.
    """
    file = deployment.volumes.used_passphrases
    try:
        before = UsedPassphrases.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        before = UsedPassphrases(used={})
    except ValidationError:
        return
    now = before.adding({key: fingerprint for key, fingerprint in present(deployment).items() if key in keys})
    if now != before:
        _replace(file, now.model_dump_json(indent=2) + "\n")


def unprotected(deployment: Deployment) -> str | None:
    """Return why the loss of this host would be the loss of the backups, or None when a verified kit is there to help."""
    return protection.unprotected(present(deployment), _verified_kit(deployment.volumes.config))


def judge(deployment: Deployment) -> None:
    """Keep the alarm open while the loss of this host would be the loss of the backups. Raises StoreError."""
    reason = unprotected(deployment)
    if reason is None:
        summary = "a verified recovery kit holds the present passphrases"
        deployment.teller.over(_ALARM, events.PROTECTION_PRESENT, summary)
    else:
        deployment.teller.alarm(Alarm(_ALARM, events.PROTECTION_MISSING, "warning", reason, protection.HINT))


def _verified_kit(config: Path) -> VerifiedKit | None:
    try:
        return VerifiedKit.model_validate_json((config / paths.PROTECTION_JSON).read_bytes())
    except (OSError, ValidationError):
        return None


def _replace(file: Path, text: str) -> None:
    """Put the file there whole, readable for setup, which shares the group and nothing else."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(descriptor, 0o640)
            os.fsync(descriptor)
        Path(temporary).replace(file)
    finally:
        Path(temporary).unlink(missing_ok=True)
