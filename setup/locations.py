"""The record of where each repository was at the last deployment. It lies beside the passphrases and lives as long."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from contract.errors import ProductError
from contract.exits import Exit
from setup import files
from setup.relocation import KnownPlaces

KNOWN_PLACES: Final = "repository-places.json"


def read(secrets: Path) -> KnownPlaces:
    """Return the record; an empty one when there is none. Raises ProductError when it cannot be read or understood."""
    file = secrets / KNOWN_PLACES
    try:
        return KnownPlaces.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return KnownPlaces(places={})
    except (OSError, ValidationError) as error:
        why = files.reason(error) if isinstance(error, OSError) else "not understood"
        raise ProductError(
            f"the record {file} cannot be read: {why}",
            hint="check the volume pgbackrest-secrets; without this file, setup does not notice that a repository has moved",
            exit_code=Exit.CONFIGURATION,
        ) from error


def record(secrets: Path, known: KnownPlaces) -> None:
    """Write the record, unless it says this already. Raises ProductError when it cannot be written."""
    file = secrets / KNOWN_PLACES
    text = known.model_dump_json(indent=2) + "\n"
    try:
        if known.places and not (file.exists() and file.read_text(encoding="utf-8") == text):
            files.replace(file, text, 0o600)
    except OSError as error:
        raise ProductError(
            f"the record {file} cannot be written: {files.reason(error)}",
            hint="check the volume pgbackrest-secrets and the free space on the disk it is on",
            exit_code=Exit.CONFIGURATION,
        ) from error
