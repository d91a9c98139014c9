"""Tablespaces that are made between a backup and its target: what a cluster beside would share with the live one.

pgBackRest maps the tablespaces that a backup has. One that was made later is made again by its WAL, which names the
directory of the live cluster: the standby would write into the live files. `pgbackrest-restore-command` looks for that and
stops. Recovery reads half a megabyte of WAL ahead, so that a moment shortly before the making is not reached either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

MADE: Final = "a tablespace is made"
"""What `pgbackrest-restore-command` says, and whoever explains it."""


def are_in(volume: Path) -> bool:
    """Tell whether any cluster in the database's volume has a tablespace: the live one, or one that is kept."""
    return any(volume.glob("*/pg_tblspc/*"))
