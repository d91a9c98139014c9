"""Giving up WAL: the lever, what it frees, and the record of it. Every step may be repeated, and finds what is done.

The lever comes first and the record second: when the disk is full, the record may not be writable before space is free.
The watcher writes down what it sees and was not recorded, so that a command that is killed between the two harms nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backup.deployment import Deployment
from backup.emergency import in_place, words
from backup.emergency.lever import By, Lever
from backup.emergency.situation import free_bytes
from backup.postgres import DatabaseError
from backup.state.alarms import Alarm
from backup.state.gaps import Gaps
from backup.state.store import StoreError
from backup.watch.readings import WalReading
from backup.watch.samples import Samples
from contract.errors import ProductError
from contract.exits import Exit

ARCHIVER_PATIENCE_SECONDS: Final = 300.0
"""The archiver ends the command that it runs before it reads the new one: pgbackrest's archive-timeout, and a retry."""

POLL_SECONDS: Final = 1.0
TELL_SECONDS: Final = 15.0
_SEGMENT: Final = re.compile(r"^[0-9A-F]{24}")


class NotFreedError(ProductError):
    """The lever is pulled, and the server has not let go of the WAL yet."""

    exit_code = Exit.EMERGENCY
    hint = "run the same command again; `docker logs salespider-postgres` shows what the server does"


@dataclass(frozen=True)
class Freed:
    """The free space of the database's volume in bytes, before and after."""

    before: int
    after: int


def pull(deployment: Deployment, by: By, wal: WalReading) -> Lever:
    """Make the server archive to nowhere from now on; return the lever, which may have been pulled before.

    Raises DatabaseError.
    """
    lever = wal.emergency or _new(deployment, by, wal)
    if wal.emergency is None:
        try:
            deployment.postgres.set_archive_command(lever.command())
        except DatabaseError as error:
            if not in_place.is_for_want_of_space(error):
                raise
            in_place.write(deployment.volumes.pgdata, lever)
            deployment.postgres.reload()
    with contextlib.suppress(StoreError):  # `record` is called again once there is space
        record(deployment, lever)
    return lever


def _new(deployment: Deployment, by: By, wal: WalReading) -> Lever:
    name, at = wal.last_archived_wal, wal.last_archived_at
    if at is None and (remembered := Samples(deployment.store).last_archived(deployment.now())) is not None:
        name, at = remembered
    segment = _SEGMENT.match(name or "")
    return Lever(deployment.now(), segment.group() if segment else None, at, by)


def record(deployment: Deployment, lever: Lever) -> None:
    """Write the gap down and raise the alarm; both are left as they are when they are there. Raises StoreError."""
    Gaps(deployment.store).begin(lever)
    standing = words.standing(lever)
    alarm = Alarm(standing.key, standing.event, standing.severity, standing.message, standing.hint)
    deployment.teller.alarm(alarm, standing.facts)


def free(deployment: Deployment, say: Callable[[str], None], patience_seconds: float = ARCHIVER_PATIENCE_SECONDS) -> Freed:
    """Wait until the server has let go of the WAL, and have it removed. Raises DatabaseError, NotFreedError."""
    before = free_bytes(deployment)
    waited = 0.0
    while (waiting := deployment.postgres.waiting_segments()) > 1:  # one may just have been finished
        if waited >= patience_seconds or deployment.stop.wait(POLL_SECONDS):
            raise NotFreedError(f"the lever is pulled, but {waiting} WAL segments are still held by the archiver")
        waited += POLL_SECONDS
        if waited % TELL_SECONDS == 0:
            say(f"{waiting} segments wait; the archiver ends its last attempt first")
    deployment.postgres.checkpoint()
    return Freed(before, free_bytes(deployment))
