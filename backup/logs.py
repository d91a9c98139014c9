"""The log: one line a decision on standard output, and the guide's log files beside it."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog

from backup.progress import Progress, shorten

ROTATE_BYTES: Final = 10_000_000
ROTATED_FILES: Final = 5


def configure() -> None:
    """Set up structlog: local time, level, event, then the facts as key=value."""
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), pad_event=0),
        ],
        cache_logger_on_first_use=True,
    )


def logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


@contextlib.contextmanager
def job_log(directory: Path, name: str, progress_seconds: float) -> Iterator[Callable[[str], None]]:
    """Yield a function that writes a line to standard output and to the log file `name` (rotated at 10 MB).

    Lines about single files become a sentence on progress, at most every `progress_seconds`.
    """
    progress = Progress(progress_seconds, time.monotonic())
    handler = logging.handlers.RotatingFileHandler(
        directory / name, maxBytes=ROTATE_BYTES, backupCount=ROTATED_FILES, encoding="utf-8", errors="replace"
    )
    handler.setFormatter(logging.Formatter("%(message)s"))

    def write(line: str) -> None:
        shown = progress.show(line, time.monotonic())
        if shown is None:
            return
        handler.emit(logging.LogRecord(name, logging.INFO, "", 0, shown, (), None))
        with contextlib.suppress(OSError):  # the operator's terminal may be gone; the work goes on without it
            print(shorten(shown), flush=True)  # noqa: T201 pgbackrest's own lines

    try:
        yield write
    finally:
        handler.close()
