"""A control file that says which cluster is meant, and no more: for `archive-get` without a data directory. Pure.

pgbackrest asks the control file at `pg1-path` for the system identifier and the version, by which it finds the archive. On a
blank host there is none, and the segments of the archive could not be looked into before something is restored. No server
could start with this one: it is in no state and has no checkpoint.
"""

from __future__ import annotations

import struct
from typing import Final

_CONTROL_VERSION: Final = 1700
_CATALOG_VERSION: Final = 202406281
"""Those of PostgreSQL 17, the version in the image (pg_control.h, catversion.h)."""

_SIZE: Final = 8192
_CRC_AT: Final = 288
_SIZES_AT: Final = 216
"""Offsets in ControlFileData of PostgreSQL 17 on 64 bits."""

_PAGE_BYTES: Final = 8192
_PAGES_IN_A_FILE: Final = 131072
_POLYNOMIAL: Final = 0x82F63B78
"""Of CRC-32C, with its bits reversed."""


def control_file(system_id: int, segment_bytes: int) -> bytes:
    """Return the control file of a cluster with this system identifier, whose WAL segments have so many bytes."""
    content = bytearray(_SIZE)
    struct.pack_into("<QII", content, 0, system_id, _CONTROL_VERSION, _CATALOG_VERSION)
    struct.pack_into("<IIII", content, _SIZES_AT, _PAGE_BYTES, _PAGES_IN_A_FILE, _PAGE_BYTES, segment_bytes)
    struct.pack_into("<I", content, _CRC_AT, crc32c(bytes(content[:_CRC_AT])))
    return bytes(content)


def crc32c(content: bytes) -> int:
    """Return the checksum that PostgreSQL uses; slow, for some hundred bytes."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value ^ 0xFFFFFFFF
