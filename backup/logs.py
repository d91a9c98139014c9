"""The log: one line a decision on standard output, and the guide's log files beside it.

Two forms with the same content: text for people, one JSON object a line for programs. Never raises because nobody reads
any more: the operator's terminal may be gone, and the work goes on without it.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, WrappedLogger

from backup.taking.progress import Progress, shorten
from contract import events
from contract.supervisor import LogFormat

ROTATE_BYTES: Final = 10_000_000
ROTATED_FILES: Final = 5

_COMPLAINT: Final = re.compile(r" P\d\d\s+(?P<level>WARN|ERROR): ")
_LEVELS: Final = {"WARN": "warning", "ERROR": "error"}


def configure(log_format: LogFormat = "text") -> None:
    """Choose the form; `auto` is text on a terminal and JSON elsewhere, such as in what `docker logs` shows."""
    is_text = log_format == "text" or (log_format == "auto" and sys.stdout.isatty())
    structlog.configure(
        processors=[structlog.processors.add_log_level, *(_text() if is_text else _json())],
        logger_factory=_StandardOutput,
        cache_logger_on_first_use=False,  # a changed configuration may ask for the other form
    )


def logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


def foreign_line(line: str) -> None:
    """Pass on a line that pgbackrest printed: as it is in text, as an event of its own in JSON."""
    complaint = _COMPLAINT.search(line)
    level = _LEVELS[complaint["level"]] if complaint else "info"
    getattr(logger(), level)(events.PGBACKREST_LINE, line=line)


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
        foreign_line(shorten(shown))

    try:
        yield write
    finally:
        handler.close()


# --- the two forms ----------------------------------------------------------------------------------------------------


def _text() -> tuple[structlog.typing.Processor, ...]:
    """Local time, level, event, then the facts as key=value; a traceback below it, without the values of variables."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), pad_event=0, exception_formatter=structlog.dev.plain_traceback
    )

    def render(log: WrappedLogger, name: str, entry: EventDict) -> str:
        if entry["event"] == events.PGBACKREST_LINE:
            return str(entry["line"])
        return str(renderer(log, name, entry))

    return structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False), render


def _json() -> tuple[structlog.typing.Processor, ...]:
    """Time (ISO 8601 with the local offset), level, event, then the facts; an exception as a list of its causes."""
    in_one_line = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=20))
    return in_one_line, _headed, structlog.processors.JSONRenderer()


def _headed(_log: WrappedLogger, _name: str, entry: EventDict) -> EventDict:
    time_now = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return {"time": time_now, "level": entry.pop("level"), "event": entry.pop("event"), **entry}


class _StandardOutput:
    """Writes whole lines, one thread at a time."""

    _turn = threading.Lock()

    def __init__(self, *_names: Any) -> None:
        """Take the logger's name, which is of no interest here."""

    def msg(self, line: str) -> None:
        """Write a line, unless nobody reads any more."""
        with self._turn, contextlib.suppress(OSError):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    debug = info = warning = error = critical = exception = msg
