"""Was a recovery cut off in its very last step? Then it begins again, before the server would open the database wrongly.

PostgreSQL removes `recovery.signal` and writes the history of the new timeline *before* its last checkpoint of recovery,
which takes as long as there are dirty pages. Killed between the two, it knows nothing of a recovery when it starts again: it
replays whatever lies in `pg_wal`, past the target of a restore to a moment, and opens on the timeline that was to be left,
whose segments the archive has already. Seen with PostgreSQL 17.12.

The postgres entrypoint asks this before every start; without a library beyond the standard one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backup import process
from backup.ledger import wal
from backup.restore.settings import parse_control

CONTROL_SECONDS: Final = 10.0
_SIGNALS: Final = ("recovery.signal", "standby.signal")


def is_cut_off(control: Mapping[str, str], begun: int) -> bool:
    """Tell whether a cluster without a signal file is in the middle of a recovery. Pure.

    `control` is what pg_controldata says; `begun` is the timeline that the cluster has begun and not archived, 0 for none.
    When the last checkpoint is on that one recovery has ended, and only the word for it is missing in the control file.
    """
    if control.get("Database cluster state") != "in archive recovery":
        return False
    return begun == 0 or begun != _checkpoint_timeline(control)


def _checkpoint_timeline(control: Mapping[str, str]) -> int:
    return int(control.get("Latest checkpoint's TimeLineID", "0"))


def begun_timeline(pg_wal: Path) -> int:
    """Return the highest timeline with a history file, if the archive does not have that; otherwise 0.

    Every history that came out of the archive has a `.done` mark, and nothing is archived before recovery has ended.
    """
    newest = max((file.name for file in pg_wal.glob("*.history")), default="")
    if not newest or (pg_wal / "archive_status" / f"{newest}.done").exists():
        return 0
    return wal.timeline_of(newest)


def begin_again(pgdata: Path) -> bool:
    """Let recovery begin again if it was cut off at its end; tell whether it was. Raises OSError.

    The timeline that was about to be born is forgotten: nobody has written on it, and recovery must not follow it. A kill in
    the middle of this is made up for by the next call.
    """
    if any((pgdata / name).exists() for name in _SIGNALS):
        return False
    answer = process.capture(("pg_controldata", str(pgdata)), CONTROL_SECONDS)
    control = parse_control(answer.stdout.decode("utf-8", "replace"))
    pg_wal = pgdata / "pg_wal"
    begun = begun_timeline(pg_wal)
    if not is_cut_off(control, begun):
        return False
    if begun > _checkpoint_timeline(control):
        name = f"{begun:08X}.history"
        (pg_wal / "archive_status" / f"{name}.ready").unlink(missing_ok=True)
        (pg_wal / name).unlink()
        _sync(pg_wal)
    signal = pgdata / _SIGNALS[0]
    signal.touch(mode=0o600)
    _sync(signal)
    _sync(pgdata)
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> int:
    """Say it when recovery begins again; return 0, or 1 when that cannot be."""
    parser = argparse.ArgumentParser(prog="python3 -m backup.recovery_again", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pgdata", type=Path)
    pgdata = parser.parse_args().pgdata
    try:
        if begin_again(pgdata):
            print("recovery was cut off at its end; it begins again")  # noqa: T201 the entrypoint's log
    except OSError as error:
        print(f"recovery was cut off at its end and cannot begin again: {error}")  # noqa: T201 the entrypoint's log
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
