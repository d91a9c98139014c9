"""The restore beside, from its first directory to the accepted cluster: build, prove, swap. And the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn
from zoneinfo import ZoneInfo

from backup.deployment import Deployment
from backup.ledger.wal import parse_lsn
from backup.restore.beside.build import NotRestoredError, Order, SideRestore
from backup.restore.beside.proof import UnprovenError, control
from backup.restore.container import DatabaseContainer
from backup.restore.in_place import Restored
from backup.restore.planning.plan import Plan, RefusedError
from backup.restore.scene import Scene
from backup.restore.swap import journal, journal_file
from backup.restore.swap.journal import Kept, Swap
from backup.restore.swap.outcome import Accepted, PutBackError
from backup.restore.swap.switch import Switch, newest_history
from contract.errors import ProductError


@dataclass(frozen=True)
class Wish:
    """What is asked for: the plan, the cluster it is of, the archive's newest timeline, and whether to check indexes."""

    plan: Plan
    system_id: int | None
    newest_timeline: int
    check_indexes: bool = False


class BesideRestore:
    """One restore beside; `run` is all of it."""

    def __init__(self, scene: Scene) -> None:
        """Take the doors."""
        self._scene = scene
        self._volume = scene.deployment.volumes.database
        self._switch = Switch(scene)
        self._side = SideRestore(scene.deployment, scene.say, scene.log)

    def run(self, wish: Wish, restore_id: str, restored_to: str) -> Restored:
        """Build, prove, swap. Raises PutBackError when the old database stays or is back, IncompleteError otherwise."""
        plan = wish.plan
        order = Order(plan, restore_id, wish.system_id, wish.check_indexes)
        was_running = self._scene.container.condition().running
        swap = Swap(
            id=restore_id,
            verb=plan.wanted.verb,
            request=request(plan.wanted),
            step="building",
            incoming=journal.restored_name(restore_id),
            outgoing=journal.previous_name(restore_id),
            had_data=journal_file.has_entries(self._volume / "data"),
            was_running=was_running,
            began=self._scene.deployment.now().timestamp(),
            keeps_tail=order.takes_tail,
            keeps_all=plan.keeps_tail,
            repositories=plan.repositories,
            label=plan.backup.label,
            restored_to=restored_to,
        )
        journal_file.update(self._volume, swap)
        try:
            proven = self._side.run(order, old_is_down=not was_running)
        except (ProductError, OSError) as error:
            self._undo(swap, error)
        timelines = (newest_history(self._volume / name) for name in ("data", swap.incoming))
        ready = replace(swap, proven_lsn=proven.lsn, newest_timeline=max(wish.newest_timeline, *timelines))
        return restored(self._switch.finish(ready))

    def _undo(self, swap: Swap, error: ProductError | OSError) -> NoReturn:
        self._scene.say("removing what was restored beside")
        self._switch.revert(swap)
        message = getattr(error, "message", "") or f"restore: {error}"
        hint = error.hint if isinstance(error, ProductError) else "check the database's volume"
        if not isinstance(error, NotRestoredError | UnprovenError | OSError):
            raise error
        raise PutBackError(f"{message}; the old database was not touched", hint=hint) from error


@dataclass(frozen=True)
class Back:
    """What an undo brings back: the kept cluster, the newest timeline of the archive, the repositories that can be read."""

    kept: Kept
    newest_timeline: int
    repositories: tuple[int, ...]
    zone: ZoneInfo

    @property
    def restored_to(self) -> str:
        """Return the state that comes back, in words."""
        return f"the state of {datetime.fromtimestamp(self.kept.since, self.zone):%Y-%m-%d %H:%M:%S %Z}"

    def described(self, keep_days: int) -> tuple[tuple[str, str], ...]:
        """Return the plan in words, as (name, text) pairs."""
        return (
            ("restore to", f"{self.restored_to}, when a restore ({self.kept.replaced_by}) replaced that database"),
            ("from", f"{self.kept.name}, beside the present database"),
            ("is lost", "nothing; what was written since is in the present database, which is kept in its place"),
            ("timeline", f"a new one after {self.newest_timeline} begins when the database opens"),
            ("how", "the databases are swapped, which takes seconds"),
            ("is kept", f"the present database for {keep_days} days (another `make restore-undo` brings it back)"),
        )


def way_back(deployment: Deployment, way: Back, restore_id: str, container: DatabaseContainer) -> Swap:
    """Return the swap that brings a kept cluster back on to a timeline of its own, written into the journal.

    Raises JournalError, ContainerError.
    """
    volume = deployment.volumes.database
    name = way.kept.name
    swap = Swap(
        id=restore_id,
        verb="undo",
        request="undo",
        step="building",
        incoming=name,
        outgoing=journal.previous_name(restore_id),
        had_data=journal_file.has_entries(volume / "data"),
        was_running=container.condition().running,
        began=deployment.now().timestamp(),
        proven_lsn=parse_lsn(control(volume / name).get("Latest checkpoint location", "0/0")),
        newest_timeline=max(way.newest_timeline, newest_history(volume / "data"), newest_history(volume / name)),
        repositories=way.repositories,
        restored_to=way.restored_to,
    )
    journal_file.update(volume, swap)
    return swap


def undoable(deployment: Deployment, kept: tuple[Kept, ...]) -> Kept:
    """Return the kept cluster that was replaced last and is whole, not one that was rejected. Raises RefusedError."""
    volume = deployment.volumes.database
    replaced = (each for each in kept if each.name.startswith(journal.previous_name("")))
    whole = [each for each in replaced if (volume / each.name / "global" / "pg_control").exists()]
    if not whole:
        raise RefusedError(
            "there is nothing to undo: no restore has left the database that it replaced",
            "a restore with IN_PLACE=yes leaves none; `make restore-pitr` can still bring back any moment in the window",
        )
    return whole[-1]


def request(wanted: object) -> str:
    """Return what was asked for, as one text by which the same request is known again."""
    return repr(wanted)


def restored(accepted: Accepted) -> Restored:
    """Return how a swap ended in the words of every restore."""
    return Restored(
        accepted.server, accepted.last_transaction, accepted.segments_fed, accepted.kept, accepted.downtime_seconds
    )
