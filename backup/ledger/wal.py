"""Names of WAL segments and positions in the write-ahead log (LSN) as numbers. Pure, and without a library.

A segment's name is three numbers of eight hexadecimal digits: timeline, log, and the segment within the log; a log is
4 GiB of WAL whatever the size of a segment (`XLogFileName` in PostgreSQL's access/xlog_internal.h). A segment's number
counts from the beginning of the WAL and does not depend on the timeline.
"""

from __future__ import annotations

import re
from typing import Final

SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
DEFAULT_SEGMENT_BYTES: Final = 16 << 20
"""What initdb makes unless it is told otherwise."""

SEGMENT_SIZES: Final = tuple(1 << power for power in range(20, 31))
"""What initdb accepts: the powers of two from 1 MiB to 1 GiB."""

_LOG_BYTES: Final = 1 << 32


def parse_lsn(text: str) -> int:
    """Turn an LSN such as "16/B374D848" into a number. Raises ValueError."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def format_lsn(lsn: int) -> str:
    """Turn a number into an LSN as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def timeline_of(name: str) -> int:
    """Return the timeline of a WAL segment or history file by its name."""
    return int(name[:8], 16)


def segment_number(name: str | None, segment_bytes: int) -> int | None:
    """Return the number of a WAL segment by its file's name; None for a timeline's history, or no name."""
    if name is None or not SEGMENT.match(name):
        return None
    return int(name[8:16], 16) * (_LOG_BYTES // segment_bytes) + int(name[16:24], 16)


def segment_name(timeline: int, number: int, segment_bytes: int) -> str:
    """Return the name of the segment with this number on a timeline."""
    per_log = _LOG_BYTES // segment_bytes
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"


def before(segment: str, segment_bytes: int) -> str:
    """Return the name of the WAL segment before one, on the same timeline."""
    number = segment_number(segment, segment_bytes) or 0
    return segment_name(timeline_of(segment), number - 1, segment_bytes)


def begin_of(segment: str, segment_bytes: int) -> int:
    """Return the position at which a segment begins."""
    return (segment_number(segment, segment_bytes) or 0) * segment_bytes


def end_of(segment: str, segment_bytes: int) -> int:
    """Return the position behind the last one of a segment."""
    return begin_of(segment, segment_bytes) + segment_bytes
