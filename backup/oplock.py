"""One backup or restore at a time, across containers: a lock file on the volume that all of them share.

pgBackRest's own locks do not cover a restore, so ours does. The kernel drops it when its holder dies, however it dies. A
restore goes ahead of a backup: one may take hours, or wait for a repository that is gone, while a database is down.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contract.errors import ProductError
from contract.exits import Exit

POLL_SECONDS: Final = 0.5


class End(threading.Event):
    """Set when an operation is to end: with `stop`, or because somebody goes ahead of it; from then on it stays set."""

    def __init__(self, lock: Path, stop: threading.Event) -> None:
        """Take the lock's file and the flag of everything."""
        super().__init__()
        self._lock, self._stop = lock, stop

    @property
    def gave_way(self) -> bool:
        """Tell whether it is set for somebody who went ahead."""
        return super().is_set() and not self._stop.is_set()

    def is_set(self) -> bool:
        """Look, and tell."""
        if not super().is_set() and (self._stop.is_set() or _is_claimed(self._lock)):
            self.set()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Look again and again, for `timeout` seconds at most; tell whether it is set."""
        left = threading.TIMEOUT_MAX if timeout is None else timeout
        while not self.is_set() and left > 0:
            self._stop.wait(min(left, POLL_SECONDS))
            left -= POLL_SECONDS
        return self.is_set()


class BusyError(ProductError):
    """Somebody else holds the lock and the patience is over."""

    hint = "wait for it to end (`make status` shows it), then try again"
    exit_code = Exit.BUSY

    def __init__(self, holder: str) -> None:
        """Take the description that the holder left in the file."""
        super().__init__(f"operation lock: held by {holder}")


def holder(path: Path) -> str:
    """Return what the file says of the present or last holder, for people to read."""
    try:
        entry = json.loads(path.read_text("utf-8"))
        return f"{entry['what']} (since {entry['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another operation"


def gives_way(path: Path) -> bool:
    """Tell whether the present holder ends when somebody goes `ahead`."""
    try:
        return bool(json.loads(path.read_text("utf-8"))["gives_way"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def hold(
    path: Path, what: str, *, patience_seconds: float, stop: threading.Event, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Hold the lock for the length of a `with` block.

    Waits up to `patience_seconds` and calls `on_wait` once, with the holder's description, when it has to wait at all.
    Raises BusyError when the patience is over or `stop` is set before the lock could be had.
    """
    with _acquired(path, patience_seconds, stop, on_wait) as descriptor:
        _describe(descriptor, what, gives_way=False)
        yield


@contextmanager
def hold_giving_way(
    path: Path, what: str, *, patience_seconds: float, stop: threading.Event, on_wait: Callable[[str], None]
) -> Iterator[End]:
    """Hold the lock as `hold` does, until somebody goes `ahead`: what it yields is set then, or when `stop` is."""
    with _acquired(path, patience_seconds, stop, on_wait) as descriptor:
        _describe(descriptor, what, gives_way=True)
        yield End(path, stop)


@contextmanager
def ahead(path: Path) -> Iterator[None]:
    """For the length of a `with` block, ask whoever holds the lock and gives way to end."""
    descriptor = os.open(_claims(path), os.O_RDWR | os.O_CREAT, 0o660)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def hold_now(path: Path, what: str) -> Iterator[None]:
    """Hold the lock if it is free this moment, as `hold` does. Raises BusyError."""
    with hold(path, what, patience_seconds=0, stop=threading.Event(), on_wait=lambda _holder: None):
        yield


@contextmanager
def _acquired(path: Path, patience_seconds: float, stop: threading.Event, on_wait: Callable[[str], None]) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o660)
    try:
        _acquire(descriptor, path, time.monotonic() + patience_seconds, stop, on_wait)
        yield descriptor
    finally:
        os.close(descriptor)


def _describe(descriptor: int, what: str, *, gives_way: bool) -> None:
    entry = json.dumps({"what": what, "since": time.strftime("%Y-%m-%d %H:%M:%S %Z"), "gives_way": gives_way})
    with contextlib.suppress(OSError):  # on a full disk it is held all the same, and only its description is lost
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, entry.encode(), 0)


def _acquire(descriptor: int, path: Path, deadline: float, stop: threading.Event, on_wait: Callable[[str], None]) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if stop.is_set() or time.monotonic() >= deadline:
                raise BusyError(holder(path)) from None
            if not told:
                on_wait(holder(path))
                told = True
            stop.wait(POLL_SECONDS)
        else:
            return


def _claims(path: Path) -> Path:
    return path.with_suffix(".ahead")


def _is_claimed(path: Path) -> bool:
    descriptor = os.open(_claims(path), os.O_RDWR | os.O_CREAT, 0o660)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
