"""What Docker and Compose take for memory, processors and ports: refused here first, with a reason. Pure."""

from __future__ import annotations

import re

from setup.values import Rejected, listed, quoted

_MEMORY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([kmgt])(?:i?b)?", re.IGNORECASE)
_UNIT_BYTES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LEAST_BYTES = 6 << 20
"""Docker starts no container with less."""

NO_LIMIT = "0"

CLOUD_PROGRAMS = ("aws", "az", "gsutil")


def memory_limit(text: str) -> str:
    """Read an amount of memory with a unit, at least Docker's minimum."""
    if re.fullmatch(r"[0-9]+", text):
        what = f"{quoted(text)} has no unit, so Docker would take it for {text} bytes"
        raise Rejected(what, f"write for example {text if int(text) >= 6 else 512}M; the units are K, M and G")  # noqa: PLR2004 Docker's least
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise Rejected(
            f"{quoted(text)} is not an amount of memory", "write for example 512M or 2G; the units are K, M and G"
        )
    if memory_bytes(text) < _LEAST_BYTES:
        raise Rejected(f"{quoted(text)} is less than the 6M that Docker needs for a container", "write for example 512M")
    return text


def memory_limit_or_none(text: str) -> str:
    """Read an amount of memory, or 0 for no limit."""
    return text if text == NO_LIMIT else memory_limit(text)


def memory_bytes(text: str) -> int:
    """Return how many bytes an accepted amount is; 0 is no limit."""
    match = _MEMORY.fullmatch(text)
    return int(float(match[1]) * _UNIT_BYTES[match[2].lower()]) if match else 0


def processors(text: str) -> str:
    """Read a number of processor cores, fractions included."""
    if re.fullmatch(r"[0-9]{1,4}(?:\.[0-9]{1,3})?", text) and float(text) >= 0.01:  # noqa: PLR2004 Docker's least
        return text
    raise Rejected(f"{quoted(text)} is not a number of processor cores", "write for example 0.5 for half a core, or 2")


def processors_or_none(text: str) -> str:
    """Read a number of processor cores, or 0 for no limit."""
    return text if text == NO_LIMIT else processors(text)


def port(text: str) -> str:
    """Read a TCP port."""
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65_535:  # noqa: PLR2004 the last port
        return str(int(text))
    raise Rejected(f"{quoted(text)} is not a port", "write a number from 1 to 65535, for example 5432")


def cloud_programs(text: str) -> str:
    """Read which programs of cloud services are put into the image: none, or some of them with commas between."""
    names = [name.strip() for name in text.lower().split(",")]
    if names == ["none"]:
        return "none"
    for name in names:
        if name not in CLOUD_PROGRAMS:
            raise Rejected(f"{quoted(name)} is not among the programs there are", f"use none, or {listed(CLOUD_PROGRAMS)}")
    if text != ",".join(names):  # Compose hands over what was written
        raise Rejected(f"{quoted(text)} is not in the form that Compose hands on", f"write {','.join(names)}")
    return text
