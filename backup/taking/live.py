"""Progress while a backup runs: an event a minute in the log, or live for the operator who waits for it.

A thread of its own looks at pgbackrest's lock file; it asks neither database nor repository.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from backup import logs
from backup.deployment import Deployment
from backup.taking import transfer
from backup.taking.outcome import BackupRequest
from backup.taking.transfer import Pace, Transfer
from contract import events

LOG_SECONDS: Final = 60.0
LINE_SECONDS: Final = 5.0
REWRITE_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 1.0
_ERASE: Final = "\r\x1b[K"


class Display(Protocol):
    """Where progress is shown: `every_seconds`, and off the screen before anything else is printed."""

    every_seconds: float

    def show(self, pace: Pace) -> None:
        """Show how far it is."""

    def clear(self) -> None:
        """Take away what would stand in the way of the next line."""


@dataclass
class Log:
    """An event every so often: once a minute for the schedule, every few seconds for an operator without a terminal."""

    repo: int
    every_seconds: float = LOG_SECONDS

    def show(self, pace: Pace) -> None:
        """Log it."""
        logs.logger().info(
            events.BACKUP_PROGRESS,
            message=str(pace),
            repo=self.repo,
            bytes_done=pace.transfer.done,
            bytes_total=pace.transfer.total,
            bytes_per_second=round(pace.rate) if pace.rate else None,
            seconds_left=round(pace.left_seconds) if pace.left_seconds is not None else None,
        )

    def clear(self) -> None:
        """Nothing stands in the way."""


@dataclass
class Lines:
    """A line every few seconds."""

    write: Callable[[str], None]
    every_seconds: float = LINE_SECONDS

    def show(self, pace: Pace) -> None:
        """Write it."""
        self.write(f"    backup: {pace}")

    def clear(self) -> None:
        """Nothing stands in the way."""


@dataclass
class Terminal:
    """One line that is written again and again."""

    write: Callable[[str], None]
    every_seconds: float = REWRITE_SECONDS
    _shown: bool = field(default=False, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    def show(self, pace: Pace) -> None:
        """Write it over the last one."""
        with self._turn:
            self.write(f"{_ERASE}    backup: {pace}")
            self._shown = True

    def clear(self) -> None:
        """Erase the line."""
        with self._turn:
            if self._shown:
                self.write(_ERASE)
                self._shown = False


def display(request: BackupRequest) -> Display:
    """Return the display for whoever waits: nobody for a scheduled run, else a terminal or something that reads lines."""
    if request.origin != "manual":
        return Log(request.repo)
    if sys.stdout.isatty():
        return Terminal(_on_screen)
    return Lines(lambda line: _on_screen(f"{line}\n"))


def _on_screen(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:  # the operator's terminal may be gone; the work goes on without it
        return


def lock_file(deployment: Deployment, repo: int) -> Path:
    """Return pgbackrest's lock file for backups into a repository; all lock files are on one volume."""
    return deployment.volumes.operation_lock.with_name(f"{deployment.config.stanza}-backup-{repo}.lock")


@contextmanager
def watched(lock: Path, shown_on: Display) -> Iterator[None]:
    """Show progress for the length of a `with` block."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(lock, shown_on, ended), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        shown_on.clear()


def _watch(lock: Path, shown_on: Display, ended: threading.Event) -> None:
    started, began, told = time.time(), 0.0, time.monotonic()
    while not ended.wait(min(LOOK_SECONDS, shown_on.every_seconds)):
        now, seen = time.monotonic(), _seen(lock, started)
        if seen is None:
            continue
        began = began or now
        if now - told >= shown_on.every_seconds:
            told = now
            shown_on.show(transfer.pace(seen, now - began))


def _seen(lock: Path, since: float) -> Transfer | None:
    """Return what the file says, unless a backup that was killed has left it there."""
    try:
        if lock.stat().st_mtime < since:
            return None
        return transfer.parse_lock_file(lock.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
