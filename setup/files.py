"""The things that everything here which touches the disk needs to say alike."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from setup.places import Owner


def sync(directory: Path) -> None:
    """Make sure that what was created, renamed or removed in the directory survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(file: Path, text: str, mode: int, owner: Owner | None = None) -> None:
    """Put a whole file with this mode and owner in the place of another. Raises OSError; the old one is there then."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(descriptor, mode)
            if owner is not None:
                os.fchown(descriptor, owner.uid, owner.gid)
            os.fsync(descriptor)
        Path(temporary).replace(file)
        sync(file.parent)
    finally:
        Path(temporary).unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Return why the operating system refused, in the lower case of our messages."""
    return (error.strerror or type(error).__name__).lower()
