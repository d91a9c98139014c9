"""The life of a peek: what killed ones have left, the plan, the copy, the standby, the waiting; and then nothing is left."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from backup.deployment import Deployment
from backup.notice import Notice
from backup.peek import choosing, counting, moment, place, space, words
from backup.peek.ending import Ending
from backup.peek.moment import Chosen
from backup.peek.place import PeekError, Place
from backup.peek.standby import Standby, database
from backup.postgres import DatabaseError
from backup.restore.beside import room
from backup.restore.beside.proof import Proven
from backup.restore.planning.plan import Wanted
from contract import events

POLL_SECONDS: Final = 1.0
LOOKS: Final = 5
"""The server is asked whether it is still a standby at every fifth look."""


@dataclass(frozen=True)
class Wish:
    """What is to be shown, and for how many hours."""

    wanted: Wanted
    hours: float


class Keeper:
    """One peek. `run` is all of it; its caller holds the lock of the peek."""

    def __init__(self, deployment: Deployment, write: Callable[[str], None], scratch: Path = place.SCRATCH) -> None:
        """Take the doors; `write` takes the lines for the operator and for the log file."""
        self._deployment = deployment
        self._write = write
        self._scratch = scratch
        self._postgres = database(deployment, scratch)

    def run(self, wish: Wish) -> None:
        """Open a peek and keep it until something ends it. Raises ProductError, OSError, StoreError."""
        deployment = self._deployment
        for name in place.tidy(deployment.volumes.database):
            self._write(f"{name} is removed: a peek that was killed has left it")
        place.require_no_restore(deployment)
        chosen = choosing.choose(deployment, wish.wanted)
        ending = self._planned(chosen, wish.hours)
        where = place.at(deployment.volumes.database, deployment.now())
        shutil.rmtree(self._scratch, ignore_errors=True)
        try:
            self._scratch.mkdir(mode=0o700, parents=True)
            where.make()
            self._open(chosen, ending, where, wish.hours)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
            where.remove()

    def _planned(self, chosen: Chosen, hours: float) -> Ending:
        """Show the plan; return what ends the peek. Raises PeekError when there is no room for it."""
        deployment = self._deployment
        usage = shutil.disk_usage(deployment.volumes.database)
        volume = space.Volume(usage.total, usage.free, deployment.config.thresholds.emergency_free_percent)
        found = room.room(chosen.plan.backup.database_bytes, usage.free)
        lines = words.plan_lines(chosen, deployment.now(), deployment.zone, space.described(found, volume), hours)
        for line in lines:
            self._write(line)
        if reason := space.lacking(found, volume):
            raise PeekError(reason, "free some space: `make restore-cleanup` removes databases that restores have replaced")
        return Ending(deployment.stop, deployment.volumes.database, volume.reserve_bytes)

    def _open(self, chosen: Chosen, ending: Ending, where: Place, hours: float) -> None:
        if said := choosing.complete_archive(self._deployment, chosen):
            self._write(f"==> {said}")
        standby = Standby(self._deployment, ending, self._scratch, self._write)
        self._write(f"==> copying backup {chosen.plan.backup.label} beside the live database")
        standby.restore(chosen, where)
        self._write("==> a standby of its own replays to the moment")

        def visit(proven: Proven, runs: Callable[[], bool]) -> None:
            self._show(chosen, proven, ending, hours)
            self._stay(ending, runs)

        standby.stand(chosen, where, visit)

    def _show(self, chosen: Chosen, proven: Proven, ending: Ending, hours: float) -> None:
        """Count, and tell that it is open."""
        deployment = self._deployment
        last = proven.last_commit
        if not chosen.has_target:  # it would go on with what is archived from now on
            self._postgres.pause_replay()
            last = self._postgres.replay().last_commit
        comparison = counting.compared(self._postgres, deployment.postgres)
        shows = moment.shown(chosen, last, deployment.zone)
        ending.in_hours(hours)
        (self._scratch / place.READY).write_text(shows, "utf-8")
        until = moment.both(deployment.now() + timedelta(hours=hours), deployment.zone)
        deployment.teller.tell(Notice(events.PEEK_OPENED, "info", f"a peek shows {shows}", facts={"hours": hours}))
        for line in words.ready_lines(shows, chosen, comparison, until):
            self._write(line)

    def _stay(self, ending: Ending, runs: Callable[[], bool]) -> None:
        """Wait for the end, and say which it was."""
        why, looks = "", 0
        while not ending.wait(POLL_SECONDS) and not why:
            looks += 1
            if not runs():
                why = "its server has ended by itself"
            elif looks % LOOKS == 0 and self._is_promoted():
                why = "it has left recovery, so it shows no moment any more"
        why = why or words.ended(ending.reason)
        severity = "info" if ending.reason in ("request", "hours") else "warning"
        self._deployment.teller.tell(Notice(events.PEEK_ENDED, severity, f"the peek has ended: {why}; all of it is removed"))  # type: ignore[arg-type]  # mypy widens the two words

    def _is_promoted(self) -> bool:
        try:
            return not self._postgres.replay().in_recovery
        except DatabaseError:  # it may be restarting after one of its processes was killed; its end is seen elsewhere
            return False
