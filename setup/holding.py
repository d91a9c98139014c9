"""What a posix repository holds already: enough of it to know which passphrase it was made with.

Reads the beginnings of pgBackRest's two info files and of the copies that it keeps of them, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.errors import ProductError
from contract.exits import Exit
from setup import cipher, files
from setup.cipher import Kind

_INFO_FILES: Final = ("archive/{stanza}/archive.info", "backup/{stanza}/backup.info")


@dataclass(frozen=True)
class Holding:
    """The beginnings of each info file that is there and of its copy, in this order; and whether there is anything."""

    info_files: tuple[tuple[bytes, ...], ...]
    has_data: bool

    @property
    def kinds(self) -> frozenset[Kind]:
        """Return what the info files are; one that is damaged counts as what its copy is."""
        return frozenset(_kind(heads) for heads in self.info_files)

    def opens_with(self, passphrase: str) -> bool:
        """Tell whether the passphrase opens every info file there is; at least one must be there."""
        opened = [any(cipher.opens(head, passphrase) for head in heads) for heads in self.info_files]
        return bool(opened) and all(opened)


NOTHING: Final = Holding((), has_data=False)


def look(directory: Path, location: str, stanza: str) -> Holding:
    """Return what the repository in `directory` holds of the stanza; `location` is what the operator calls it.

    Raises ProductError when it cannot be read.
    """
    try:
        info_files = tuple(heads for name in _INFO_FILES if (heads := _heads(directory / name.format(stanza=stanza))))
        has_data = bool(info_files) or any(_entries(directory, stanza))
    except OSError as error:
        raise ProductError(
            f"the repository in {location} cannot be read: {files.reason(error)}",
            hint=f"give it to user and group 999, readable for the group: sudo chown -R 999:999 {location}",
            exit_code=Exit.REPOSITORY,
        ) from error
    return Holding(info_files, has_data)


def _heads(file: Path) -> tuple[bytes, ...]:
    return tuple(head for place in (file, file.with_name(f"{file.name}.copy")) if (head := _head(place)) is not None)


def _head(file: Path) -> bytes | None:
    try:
        with file.open("rb") as stream:
            return stream.read(cipher.HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _entries(directory: Path, stanza: str) -> Iterator[Path]:
    for folder in (directory / "archive" / stanza, directory / "backup" / stanza):
        if folder.is_dir():
            yield from folder.iterdir()


def _kind(heads: tuple[bytes, ...]) -> Kind:
    found = [cipher.kind(head) for head in heads]
    return next((kind for kind in found if kind is not Kind.DAMAGED), Kind.DAMAGED)
