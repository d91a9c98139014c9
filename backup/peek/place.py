"""Where a peek lies in the database's volume, who keeps it, and what is left of one that was killed.

One lock tells whether a peek is open: the kernel drops it with the container, however that died. It is not the operation
lock, which backups and restores take, so that none of those waits for it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from backup import oplock
from backup.deployment import Deployment, Volumes
from backup.restore.swap import journal_file
from contract.errors import ProductError
from contract.exits import Exit

SCRATCH: Final = Path("/tmp/salespider-peek")  # noqa: S108 a file system in the memory of a container that is ours alone
SERVER: Final = "server"
"""Below the scratch directory: the server's configuration and its socket."""

READY: Final = "ready"
"""There once the peek is open; it holds the moment that it shows, in words."""

PATIENCE_SECONDS: Final = 2.0
"""Whoever looks whether a peek is open holds the lock for a moment."""

_OURS: Final = re.compile(r"peek-\d{8}-\d{6}")
_RESTORES: Final = ("restore", "the removal of replaced databases")


class PeekError(ProductError):
    """There is no peek, or none that could be used; the live database was not touched."""

    exit_code = Exit.PEEK

    def __init__(self, message: str, hint: str) -> None:
        """Take what is the matter, and the way on."""
        super().__init__(f"peek: {message}", hint=hint)


@dataclass(frozen=True)
class Place:
    """The directory of one peek; all that it writes lies below it."""

    root: Path

    @property
    def data(self) -> Path:
        """The data directory of its server."""
        return self.root / "data"

    @property
    def tablespaces(self) -> Path:
        """Where its tablespaces are."""
        return self.root / "tablespaces"

    def make(self) -> None:
        """Make the directories, empty. Raises OSError."""
        for directory in (self.root, self.data, self.tablespaces):
            directory.mkdir(mode=0o700)

    def remove(self) -> None:
        """Remove all of it. What is left of a removal that was cut off is a leftover as well. Raises OSError."""
        remove(self.root)


def at(volume: Path, now: datetime) -> Place:
    """Return the place of a peek that begins now."""
    return Place(volume / f"peek-{now:%Y%m%d-%H%M%S}")


def leftovers(volume: Path) -> tuple[Path, ...]:
    """Return the directories of peeks in a volume; of killed ones, unless one is open. Raises OSError."""
    return tuple(sorted(path for path in volume.iterdir() if _OURS.fullmatch(path.name)))


def remove(directory: Path) -> None:
    """Remove the directory of a peek; first what makes it a cluster. Raises OSError."""
    (directory / "data" / "global" / "pg_control").unlink(missing_ok=True)
    shutil.rmtree(directory)


def tidy(volume: Path) -> tuple[str, ...]:
    """Remove what killed peeks have left; return its names. The caller holds the lock. Raises OSError."""
    found = leftovers(volume)
    for directory in found:
        remove(directory)
    return tuple(directory.name for directory in found)


def lock_path(volumes: Volumes) -> Path:
    """Return the file whose lock an open peek holds."""
    return volumes.operation_lock.with_name("peek.lock")


@contextmanager
def hold(deployment: Deployment) -> Iterator[None]:
    """Hold the one place that there is for a peek. Raises PeekError when one is open."""
    try:
        with oplock.hold(
            lock_path(deployment.volumes),
            "a peek",
            patience_seconds=PATIENCE_SECONDS,
            stop=deployment.stop,
            on_wait=lambda _holder: None,
        ):
            yield
    except oplock.BusyError as error:
        hint = "`make peek-psql` looks into it, `make peek-close` ends it"
        raise PeekError("one is open already, and there is room for one", hint) from error


def is_open(volumes: Volumes) -> bool:
    """Tell whether a peek is open or being opened. Raises OSError."""
    return _is_held(lock_path(volumes))


def require_no_restore(deployment: Deployment) -> None:
    """Do nothing while no restore is under way or half-done. Raises PeekError, JournalError.

    A restore that begins looks for a peek after it has taken its own lock, and a peek for a restore: one of them sees the
    other.
    """
    lock = deployment.volumes.operation_lock
    holder = oplock.holder(lock)
    if holder.startswith(_RESTORES) and _is_held(lock):
        raise PeekError(f"a restore is under way: {holder}", "wait for it to end (`make status` shows it), then try again")
    if journal_file.load(deployment.volumes.database).swap is not None:
        raise PeekError("a restore was cut off and is half-done", "`make restore-status` says how to go on with it")


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
