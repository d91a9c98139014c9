"""How far a backup has come: bytes done and in all, the rate, the time left. Pure: time is a parameter.

pgbackrest writes both numbers into its lock file, `<stanza>-backup-<repo>.lock` in the lock path, as JSON of the form
{"execId":"253-8cb33bd2","pctCplt":373,"pid":253,"sz":561382221,"szCplt":20964173}; `info` reads them from there (seen with
2.55.1, and in upstream's src/common/lock.c). It does so whenever another thousandth of the bytes is done, at the end of
a file: PostgreSQL's files have at most 1 GB, so a large table moves in such steps. The file is on this host, so reading it
asks no repository, which `info` would.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from backup.units import human_bytes, human_duration

_MINUTE: Final = 60.0


@dataclass(frozen=True)
class Transfer:
    """Bytes of the database that are done, and those to do in all."""

    done: int
    total: int

    @property
    def share(self) -> float:
        """The part that is done, 0 to 1. An incremental backup may have nothing to copy."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0


@dataclass(frozen=True)
class Pace:
    """A moment of a transfer. `rate` is bytes a second since its beginning; None while nothing is done."""

    transfer: Transfer
    elapsed_seconds: float
    rate: float | None
    left_seconds: float | None

    def __str__(self) -> str:
        """Return it in one line: "45 %, 253.1 MB of 561.4 MB, 84.4 MB/s, about 4 s left"."""
        parts = [f"{self.transfer.share:.0%}", f"{human_bytes(self.transfer.done)} of {human_bytes(self.transfer.total)}"]
        if self.rate:
            parts.append(f"{human_bytes(round(self.rate))}/s")
        if self.left_seconds is not None and self.left_seconds < _MINUTE:
            parts.append(f"about {self.left_seconds:.0f} s left")
        elif self.left_seconds is not None:
            parts.append(f"about {human_duration(timedelta(seconds=self.left_seconds))} left")
        return ", ".join(parts)


def parse_lock_file(text: str) -> Transfer | None:
    """Return what the lock file says, or None while pgbackrest has not begun to copy or is writing it at this moment."""
    try:
        entry = json.loads(text)
        return Transfer(int(entry["szCplt"]), int(entry["sz"]))
    except (ValueError, KeyError, TypeError):
        return None


def pace(transfer: Transfer, elapsed_seconds: float) -> Pace:
    """Return rate and time left; `elapsed_seconds` since the copying began."""
    if transfer.done <= 0 or elapsed_seconds <= 0:
        return Pace(transfer, elapsed_seconds, None, None)
    rate = transfer.done / elapsed_seconds
    return Pace(transfer, elapsed_seconds, rate, max(transfer.total - transfer.done, 0) / rate)
