"""One backup or restore at a time, across containers: a lock file on the volume that all of them share.

pgBackRest's own locks do not cover a restore, so ours does. The kernel drops it when its holder dies, however it dies.
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


@contextmanager
def hold(
    path: Path, what: str, *, patience_seconds: float, stop: threading.Event, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Hold the lock for the length of a `with` block.

    Waits up to `patience_seconds` and calls `on_wait` once, with the holder's description, when it has to wait at all.
    Raises BusyError when the patience is over or `stop` is set before the lock could be had.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o660)
    try:
        _acquire(descriptor, path, time.monotonic() + patience_seconds, stop, on_wait)
        entry = json.dumps({"what": what, "since": time.strftime("%Y-%m-%d %H:%M:%S %Z")})
        with contextlib.suppress(OSError):  # on a full disk it is held all the same, and only its description is lost
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, entry.encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def hold_now(path: Path, what: str) -> Iterator[None]:
    """Hold the lock if it is free this moment, as `hold` does. Raises BusyError."""
    with hold(path, what, patience_seconds=0, stop=threading.Event(), on_wait=lambda _holder: None):
        yield


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
