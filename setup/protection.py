"""The records around passphrases: which ones the backup service has used, and which ones a verified recovery kit holds.

The second lies in the secrets volume, where it lives as long as the passphrases it speaks of; what is published in the
configuration volume for the other containers is a copy, written anew whenever it is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from contract.protection import UsedPassphrases, VerifiedKit
from setup import files
from setup.places import Places

VERIFIED_KIT: Final = "verified-kit.json"
_PUBLISHED_MODE: Final = 0o640


def read_used(state: Path) -> UsedPassphrases | None:
    """Return what the backup service has used; nothing when there is no record, None when it cannot be understood.

    Raises ProductError when it cannot be read.
    """
    file = state / paths.USED_PASSPHRASES.name
    try:
        return UsedPassphrases.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return UsedPassphrases(used={})
    except ValidationError:
        return None
    except OSError as error:
        raise ProductError(
            f"the record {file} cannot be read: {files.reason(error)}",
            hint="check owner and mode of the volume backup-state: it belongs to user and group 999, mode 0750",
            exit_code=Exit.CONFIGURATION,
        ) from error


def read_kit(secrets: Path) -> VerifiedKit | None:
    """Return the record of the last verified recovery kit; None when there is none, or none that can be understood."""
    try:
        return VerifiedKit.model_validate_json((secrets / VERIFIED_KIT).read_bytes())
    except (OSError, ValidationError):
        return None


def record_kit(places: Places, fingerprints: Mapping[int, str | None], now: datetime) -> None:
    """Write down that a recovery kit with these passphrases has been verified, and publish it.

    Raises ProductError when it cannot be written.
    """
    kit = VerifiedKit(verified_at=now, fingerprints=dict(sorted(fingerprints.items())))
    try:
        files.replace(places.secrets / VERIFIED_KIT, kit.model_dump_json(indent=2) + "\n", 0o600, None)
    except OSError as error:
        raise _unwritable(places.secrets, error) from error
    publish_kit(places)


def publish_kit(places: Places) -> None:
    """Bring the published copy in line with the record. Raises ProductError when it cannot be written."""
    published = places.configuration / paths.PROTECTION_JSON
    try:
        text = (places.secrets / VERIFIED_KIT).read_text(encoding="utf-8")
    except FileNotFoundError:
        published.unlink(missing_ok=True)
        return
    try:
        if not published.exists() or published.read_text(encoding="utf-8") != text:
            files.replace(published, text, _PUBLISHED_MODE, places.publisher)
    except OSError as error:
        raise _unwritable(places.configuration, error) from error


def _unwritable(directory: Path, error: OSError) -> ProductError:
    return ProductError(
        f"the record of the verified recovery kit cannot be written to {directory}: {files.reason(error)}",
        hint="check that the volume is mounted writable and that its disk has free space",
        exit_code=Exit.CONFIGURATION,
    )
