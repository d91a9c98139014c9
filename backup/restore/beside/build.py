"""The restore beside the live cluster: pgBackRest fills a directory of its own, and a standby proves what is in it.

The live database goes on meanwhile, on the same disk: so the space is watched, and the restore ends before the live one
could not write any more.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backup import pgbackrest, process, throttled
from backup.deployment import Deployment
from backup.postgres import DatabaseError
from backup.restore import tail
from backup.restore.beside import room, tablespaces
from backup.restore.beside.catching_up import CatchUp
from backup.restore.beside.engine import Beside, Source, restore_beside, restore_command
from backup.restore.beside.proof import Case, Proof, Proven, Visit, control
from backup.restore.planning.plan import Plan
from backup.restore.swap import journal, journal_file
from backup.taking import jobs
from backup.taking.transfer import Transfer, pace
from contract.errors import ProductError
from contract.exits import Exit

DEADLINE_SECONDS: Final = 7 * 24 * 3600.0
LOOK_SECONDS: Final = 1.0
PROGRESS_SECONDS: Final = 3.0
_RESTORED: Final = re.compile(r" P\d\d DETAIL: restore file .* \((?:.*, )?(?P<share>\d+(?:\.\d+)?)%\)")


class NotRestoredError(ProductError):
    """Nothing could be restored beside; nothing else was touched."""

    exit_code = Exit.RESTORE_UNDONE

    def __init__(self, message: str, hint: str) -> None:
        """Take what failed."""
        super().__init__(message, hint=hint)


@dataclass(frozen=True)
class Order:
    """What is restored: the plan, the name of this restore, and the system identifier of the backup's cluster."""

    plan: Plan
    id: str
    system_id: int | None
    check_indexes: bool = False

    @property
    def takes_tail(self) -> bool:
        """Tell whether recovery goes beyond the backup, and so may need WAL that only the old cluster has."""
        return self.plan.target.kind != "immediate"


class SpaceWatch(threading.Event):
    """A stop flag that is also set when the volume gets too full: whoever waits for it looks."""

    def __init__(self, volume: Path, stop: threading.Event) -> None:
        """Watch the file system of `volume`; `stop` is the flag that somebody else may set."""
        super().__init__()
        self._volume = volume
        self._stop = stop
        self._looked_at = 0.0
        self.is_full = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as any event does, and look at the space at most once a second."""
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = time.monotonic()
            if room.is_endangered(shutil.disk_usage(self._volume).free):
                self.is_full = True
                self.set()
        if self._stop.wait(timeout):
            self.set()
        return self.is_set()


class SideRestore:
    """One restore beside. It leaves a proven cluster, or raises; whoever calls it removes what is left then."""

    def __init__(self, deployment: Deployment, say: Callable[[str], None], log: Callable[[str], None]) -> None:
        """Take the doors, `say` for the operator's lines and `log` for those of the programs."""
        self._deployment = deployment
        self._say = say
        self._log = log

    def run(self, order: Order, *, old_is_down: bool) -> Proven:
        """Restore and prove. With the old database down its unarchived WAL is part of it. Raises ProductError, OSError."""
        directory = self._deployment.volumes.database / journal.restored_name(order.id)
        with tempfile.TemporaryDirectory(prefix="restore-") as scratch:
            self._restore(order, directory, Path(scratch) / "pgbackrest")
            if order.takes_tail:
                fed = self.feed(directory, order.system_id, old_is_down=old_is_down)
                if fed:
                    self._say(f"{fed} WAL segments that never reached the archive are given to recovery")
            self._say("proving it: a standby of its own replays to the target")
            has_target = order.plan.target.kind != "default"
            case = Case(directory, order.system_id, has_target, order.check_indexes)
            standing = Proof(self._deployment, Path(scratch) / "proof", self._say, self._log)
            proven = standing.prove(case, self._visit(order, standing, old_is_down=old_is_down))
        end = f", last transaction {self._deployment.local(proven.last_commit)}" if proven.last_commit else ""
        self._say(f"proven: it is consistent, {proven.databases} databases open{end}")
        return proven

    def _visit(self, order: Order, standing: Proof, *, old_is_down: bool) -> Visit:
        """Return what is done at the target: for the latest state of the running database, to catch up with it."""
        if order.plan.target.kind != "default" or old_is_down or not self._is_live(order):
            return lambda _proven, _runs: None
        return CatchUp(self._deployment, standing.postgres, self._say)

    def _is_live(self, order: Order) -> bool:
        """Tell whether the running database is the one that is restored, and all that it archives can be read."""
        if len(order.plan.repositories) < len(self._deployment.config.repositories):
            return False
        try:
            return self._deployment.postgres.server().system_id == order.system_id
        except DatabaseError:
            return False

    def _restore(self, order: Order, directory: Path, scratch: Path) -> None:
        mapped = directory.with_name(journal.tablespaces_name(order.id))
        for path in (directory, mapped, scratch):
            path.mkdir(mode=0o700, parents=True)
        made = order.plan
        command = restore_command(made.repositories, beside_tablespaces=tablespaces.are_in(directory.parent))
        source = Source(made.backup.repo, made.backup.label, made.target, command)
        where = Beside(str(directory), str(mapped), str(scratch))
        argv, again = (
            restore_beside(self._deployment.config.stanza, source, where, goes_on=goes_on) for goes_on in (False, True)
        )
        self._say(f"restoring backup {order.plan.backup.label} beside the live database")
        watch = SpaceWatch(directory.parent, self._deployment.stop)
        meter = Meter(order.plan.backup.database_bytes, self._log)
        limits = process.Limits(watch, DEADLINE_SECONDS, jobs.GRACE_SECONDS)
        finished = throttled.run(argv, meter.line, limits, again)
        self._require_success(finished, watch)
        if not journal_file.has_entries(mapped):
            mapped.rmdir()
        self._say(f"files restored in {finished.seconds:.1f} s")

    def _require_success(self, finished: process.Finished, watch: SpaceWatch) -> None:
        if watch.is_full:
            raise NotRestoredError(
                "restore: the database's volume ran full, so it was ended before the live database could not write any more",
                "free some space, or give IN_PLACE=yes, which overwrites the old database",
            )
        if self._deployment.stop.is_set():
            raise NotRestoredError("restore: stopped on request", "run it again when it suits")
        if not finished.ok:
            meaning = pgbackrest.meaning(finished.exit_code)
            code = f"pgbackrest exit code {finished.exit_code} ({meaning.name})"
            raise NotRestoredError(f"restore: {code}{jobs.error_line(finished.tail)}", meaning.hint)

    def feed(self, directory: Path, system_id: int | None, *, old_is_down: bool) -> int:
        """Copy what the archive never saw into a cluster: of the old one when it is down, and of failed restores."""
        volumes = self._deployment.volumes
        fed = tail.feed(tail.kept_directories(volumes.database), directory, system_id)
        if old_is_down and (volumes.pgdata / "pg_wal").is_dir():
            clean = control(volumes.pgdata).get("Database cluster state") == "shut down"
            fed += tail.feed((volumes.pgdata / "pg_wal",), directory, system_id, stopped_cleanly=clean)
        return fed


class Meter:
    """Turns pgbackrest's line about each file into one sentence every few seconds; the other lines pass."""

    def __init__(self, total_bytes: int, log: Callable[[str], None]) -> None:
        """Begin now; `total_bytes` is the size of the database."""
        self._total = total_bytes
        self._log = log
        self._began = self._told = time.monotonic()

    def line(self, line: str) -> None:
        """Take a line of pgbackrest."""
        found = _RESTORED.search(line)
        if found is None:
            self._log(line)
            return
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            done = Transfer(round(float(found["share"]) / 100 * self._total), self._total)
            self._log(f"    restore: {pace(done, now - self._began)}")
