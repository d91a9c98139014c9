"""How PostgreSQL writes amounts, times and names: the readers of the POSTGRES_* variables. Pure, like `setup.values`."""

from __future__ import annotations

import re
from collections.abc import Callable

from setup.values import Rejected, quoted

_UNIT_BYTES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_UNIT_MILLISECONDS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
_MOST_MILLISECONDS = 2_147_483_647
_POSTGRES_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_AMOUNT = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,3})?) ?(B|kB|MB|GB|TB)")


def memory(least_bytes: int) -> Callable[[str], str]:
    """Return a reader of an amount of memory in PostgreSQL's notation, of at least so many bytes.

    A bare number is refused although PostgreSQL takes it: its unit differs from setting to setting (8 kB or 1 kB).
    """

    def read(text: str) -> str:
        match = _AMOUNT.fullmatch(text)
        if match is None:
            raise Rejected(
                f"{quoted(text)} is not an amount of memory with a unit",
                "write for example 256MB; the units are B, kB, MB, GB and TB, spelled like this",
            )
        if not least_bytes <= memory_bytes(text) <= _UNIT_BYTES["TB"]:
            bounds = f"{_shortest(least_bytes)} to 1TB"
            raise Rejected(f"{quoted(text)} is not within {bounds}", f"write an amount from {bounds}")
        return text

    return read


def postgres_name(text: str) -> str:
    """Read the name of a role or database: one that needs no quoting rules to be safe in every generated file."""
    if not _POSTGRES_NAME.fullmatch(text):
        raise Rejected(
            f"{quoted(text)} cannot be used as a name",
            "use up to 63 letters, digits, _ and -, beginning with a letter or _",
        )
    if text.lower().startswith("pg_"):
        raise Rejected(f"{quoted(text)} begins with pg_, which PostgreSQL keeps for itself", "choose another name")
    return text


def memory_bytes(text: str) -> int:
    """Return how many bytes an accepted amount is."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"not an amount of memory: {text}")
    return int(float(match[1]) * _UNIT_BYTES[match[2]])


def duration_or_off(text: str) -> str:
    """Read a time with its unit in PostgreSQL's notation, or `off` as -1."""
    if text.lower() in ("off", "-1"):
        return "-1"
    match = re.fullmatch(r"([0-9]{1,10}) ?(ms|s|min|h)", text)
    if match is None:
        raise Rejected(
            f"{quoted(text)} is not a time with a unit", "write for example 250ms; the units are ms, s, min and h; or off"
        )
    if int(match[1]) * _UNIT_MILLISECONDS[match[2]] > _MOST_MILLISECONDS:
        raise Rejected(f"{quoted(text)} is longer than 24 days", "write a shorter time, or off")
    return text


def _shortest(size_bytes: int) -> str:
    unit = "MB" if size_bytes % _UNIT_BYTES["MB"] == 0 else "kB"
    return f"{size_bytes // _UNIT_BYTES[unit]}{unit}"
