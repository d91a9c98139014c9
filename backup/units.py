"""Sizes and durations in words. Pure, and without a library: threads and the health check use it, too."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_UNITS: Final = ("B", "KB", "MB", "GB", "TB")


def human_bytes(count: int) -> str:
    """Return a size with one decimal: 1234567 is "1.2 MB"."""
    size = float(count)
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 decimal units
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError(count)


def human_duration(duration: timedelta) -> str:
    """Return a duration in its two largest units: "2 d 3 h", "4 min 5 s", "3.2 s"."""
    seconds = duration.total_seconds()
    if seconds < 60:  # noqa: PLR2004 a minute
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 one decimal where it tells
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"
