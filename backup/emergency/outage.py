"""The WAL emergency while the database is down, because its disk is full: it ends in a PANIC, and again at every start.

Nobody can be asked then, so the lever is written into the server's own settings, and the WAL that waits for its archiving
and for nothing else is removed the way the server's own checkpoint would: what lies before the checkpoint that a crash
recovery begins with. The server, which Docker starts again and again, then comes up by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from backup import process
from backup.deployment import Deployment
from backup.emergency import begin, in_place
from backup.emergency.begin import Freed
from backup.emergency.lever import Lever
from backup.emergency.plan import RefusedError, Rows
from backup.emergency.situation import data_volume, free_bytes
from backup.postgres import DatabaseError
from backup.state.store import StoreError
from backup.units import human_bytes
from backup.watch.look import volumes
from backup.watch.samples import Samples
from contract.errors import ProductError
from contract.exits import Exit

FULL_PERCENT: Final = 95.0
START_PATIENCE_SECONDS: Final = 240.0
POLL_SECONDS: Final = 1.0
ASK_SECONDS: Final = 30.0
_REDO: Final = "Latest checkpoint's REDO WAL file:"


def planned(deployment: Deployment, reason: DatabaseError) -> Rows:
    """Return the plan in words. Raises RefusedError when a full disk is not what keeps the database down."""
    _require_full(deployment, reason)
    known = _last_archived(deployment)
    since = f"{deployment.local(known[1])}, WAL segment {known[0]}" if known else "the last backup"
    redo = _redo_segment(deployment)
    return (
        ("now", f"the database is down ({reason.message}) and its disk is full"),
        ("is lost", f"every moment after {since}, until the first backup after `make wal-resume`"),
        ("", "the database loses nothing; but until then, losing its disk loses all that was written since"),
        ("is freed", f"the WAL before {redo}, where the recovery from the crash begins; then the database starts"),
        ("local dump", "not possible while the database is down; `make emergency-dump` makes one afterwards"),
        ("then", "no backups, and an alarm every day, until `make wal-resume`: a full backup at once"),
    )


def give_up(deployment: Deployment, reason: DatabaseError, say: Callable[[str], None]) -> Freed:
    """Write the lever, remove WAL, wait for the database. Raises RefusedError, NotFreedError, ProductError."""
    _require_full(deployment, reason)
    before, redo = free_bytes(deployment), _redo_segment(deployment)
    known = _last_archived(deployment)
    lever = Lever(deployment.now(), known[0][:24] if known else None, known[1] if known else None)
    in_place.write(deployment.volumes.pgdata, lever)
    say("the lever is written into postgresql.auto.conf")
    removed = process.capture(("pg_archivecleanup", str(deployment.volumes.pgdata / "pg_wal"), redo), ASK_SECONDS)
    if removed.exit_code != 0:
        message = f"the WAL before {redo} cannot be removed: {removed.stderr.strip()}"
        raise ProductError(message, hint="see the message; then run it again", exit_code=Exit.EMERGENCY)
    say(f"{human_bytes(free_bytes(deployment) - before)} freed; waiting for the database, which Docker starts by itself")
    _wait_until_open(deployment)
    freed = begin.free(deployment, say)
    begin.record(deployment, lever)
    return Freed(before, freed.after)


def _require_full(deployment: Deployment, reason: DatabaseError) -> None:
    volume = data_volume(volumes(deployment))
    if volume.used_percent is not None and volume.used_percent >= FULL_PERCENT:
        return
    room = f"{human_bytes(volume.free_bytes or 0)} are free on its disk, so WAL is not what keeps it down"
    raise RefusedError(f"the database does not answer ({reason.message}), and {room}", reason.hint)


def _redo_segment(deployment: Deployment) -> str:
    said = process.capture(("pg_controldata", str(deployment.volumes.pgdata)), ASK_SECONDS).stdout.decode("utf-8", "replace")
    found = [line.split(":", 1)[1].strip() for line in said.splitlines() if line.startswith(_REDO)]
    if not found:
        raise ProductError(
            "the database's control file cannot be read, so nothing is removed",
            hint="see `docker logs salespider-postgres`; `make restore-latest` brings the database back",
            exit_code=Exit.EMERGENCY,
        )
    return found[0]


def _last_archived(deployment: Deployment) -> tuple[str, datetime] | None:
    with contextlib.suppress(StoreError):
        return Samples(deployment.store).last_archived(deployment.now())
    return None


def _wait_until_open(deployment: Deployment) -> None:
    waited = 0.0
    while waited < START_PATIENCE_SECONDS:
        with contextlib.suppress(DatabaseError):
            if not deployment.postgres.server().in_recovery:
                return
        if deployment.stop.wait(POLL_SECONDS):
            break
        waited += POLL_SECONDS
    raise begin.NotFreedError(
        "the lever is pulled and WAL was removed, but the database does not come up",
        hint="`docker logs salespider-postgres` says why; once it runs, `make wal-emergency` does the rest",
    )
