"""The journal of swaps on the disk: one JSON file in the database's volume, whole or not there, through a loss of power."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from backup.restore.swap import journal
from backup.restore.swap.journal import Journal, Seen, Swap
from contract.errors import ProductError
from contract.exits import Exit

NAME: Final = "restore-journal.json"
"""The entrypoint of the postgres container reads it, too."""


class JournalError(ProductError):
    """The journal cannot be read or written; the message names the file."""

    hint = "it lies beside the data directory: look at it, and at the directories there, before anything else is done"
    exit_code = Exit.RESTORE_REFUSED


def load(volume: Path) -> Journal:
    """Return what the journal says; an empty one when there is no file. Raises JournalError."""
    file = volume / NAME
    try:
        return journal.from_json(json.loads(file.read_bytes()))
    except FileNotFoundError:
        return Journal()
    except (OSError, ValueError) as error:  # the latter covers what is no JSON, or not ours
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise JournalError(f"{file}: {reason}") from error


def save(volume: Path, content: Journal) -> None:
    """Write the journal; nothing is left of it when there is nothing to say. Raises JournalError."""
    file = volume / NAME
    unfinished = file.with_suffix(".new")
    try:
        if content == Journal():
            file.unlink(missing_ok=True)
        else:
            with unfinished.open("w", encoding="utf-8") as stream:
                json.dump(journal.to_json(content), stream, indent=2)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.rename(file)
        sync_directory(volume)
    except OSError as error:
        raise JournalError(f"{file}: {error.strerror}", hint="check the free space of the database's volume") from error


def update(volume: Path, swap: Swap | None) -> None:
    """Write another swap, or none, beside the kept clusters that the journal names. Raises JournalError."""
    save(volume, Journal(swap, load(volume).kept))


def look(volume: Path, swap: Swap) -> Seen:
    """See which of the names of a swap exist. Raises OSError."""
    return Seen(*(has_entries(volume / name) for name in ("data", swap.incoming, swap.outgoing)))


def has_entries(directory: Path) -> bool:
    """Tell whether a directory exists and is not empty. Raises OSError."""
    try:
        return next(directory.iterdir(), None) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a loss of power. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
