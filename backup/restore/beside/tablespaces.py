"""Tablespaces that are made between a backup and its target: what a cluster beside would share with the live one.

pgBackRest maps the tablespaces that a backup has. One that was made later is made again by its WAL, which names the
directory of the live cluster: the standby would write into the live files. `pgbackrest-restore-command` looks for that and
stops, before the whole segment: a moment in the same one is not reached either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

MADE: Final = "a tablespace is made"
"""What `pgbackrest-restore-command` says, and whoever explains it."""

NOT_AHEAD: Final = ("-c", "recovery_prefetch=off")
"""Otherwise recovery reads half a megabyte ahead, and would stop that much before the segment."""


def are_in(volume: Path) -> bool:
    """Tell whether any cluster in the database's volume has a tablespace: the live one, or one that is kept."""
    return any(volume.glob("*/pg_tblspc/*"))
