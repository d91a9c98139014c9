"""The two things that everything here which touches the disk needs to say alike."""

from __future__ import annotations

import os
from pathlib import Path


def sync(directory: Path) -> None:
    """Make sure that what was created, renamed or removed in the directory survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reason(error: OSError) -> str:
    """Return why the operating system refused, in the lower case of our messages."""
    return (error.strerror or type(error).__name__).lower()
