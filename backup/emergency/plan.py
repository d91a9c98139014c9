"""The plan of a WAL emergency: what it frees, what it costs, and whether there is a better way. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from backup.emergency.dumps import Room
from backup.ledger.wal import segment_number
from backup.units import human_bytes
from backup.watch.disks import left
from backup.watch.readings import Volume, WalReading
from contract.errors import ProductError
from contract.exits import Exit

CURRENT_WITHIN: Final = 2
"""A repository whose archive is so many segments behind what is finished is current: these are on their way."""

Local = Callable[[datetime], str]
Rows = tuple[tuple[str, str], ...]


class RefusedError(ProductError):
    """Nothing was given up."""

    exit_code = Exit.EMERGENCY

    def __init__(self, message: str, hint: str) -> None:
        """Take the reason and the better way."""
        super().__init__(f"WAL emergency refused: {message}", hint=hint)


@dataclass(frozen=True)
class Standing:
    """A repository: why it cannot be used (empty when it can), and the newest WAL segment in its archive."""

    key: int
    problem: str
    archived: str | None


@dataclass(frozen=True)
class Situation:
    """What is known: the server's WAL, the database's volume, how long it lasts, the repositories."""

    wal: WalReading
    data: Volume
    hours_left: float | None
    repositories: tuple[Standing, ...]
    newest_waiting: str | None

    @property
    def current(self) -> tuple[int, ...]:
        """The repositories that receive all WAL although it waits: only another one is dead."""
        return tuple(each.key for each in self.repositories if self._is_current(each))

    @property
    def dead(self) -> tuple[int, ...]:
        """The repositories that WAL waits for."""
        return tuple(each.key for each in self.repositories if not self._is_current(each))

    @property
    def archiving_works(self) -> bool:
        """Tell whether nothing waits, or is on its way. After a crash the server has forgotten that attempts failed."""
        if self.wal.ready_segments == 0:
            return True
        return not self.wal.is_failing and not any(each.problem for each in self.repositories)

    def _is_current(self, repository: Standing) -> bool:
        newest = segment_number(self.newest_waiting, self.wal.segment_bytes)
        archived = segment_number(repository.archived, self.wal.segment_bytes)
        if repository.problem or newest is None or archived is None or self.newest_waiting is None:
            return False
        same_timeline = (repository.archived or "")[:8] == self.newest_waiting[:8]
        return same_timeline and archived + CURRENT_WITHIN >= newest


def require(situation: Situation, *, override: bool) -> None:
    """Do nothing when giving up WAL is the way. Raises RefusedError when it is not, or not without the override."""
    wal = situation.wal
    if wal.in_recovery:
        raise RefusedError("the database is in recovery, and archives nothing", "wait for its end: `make status`")
    if wal.archive_mode == "off":
        raise RefusedError("archiving is off, so no WAL waits for it", "`make status` shows what fills the disk")
    if wal.emergency is not None:
        return
    if situation.archiving_works or not situation.dead:
        waiting = f"{wal.ready_segments} segments wait and are on their way" if wal.ready_segments else "nothing waits"
        raise RefusedError(f"archiving works; {waiting}", "make room or enlarge the disk; `make wal-status` shows its use")
    if situation.current and not override:
        raise RefusedError(_better_way(situation), _retire(situation.dead) + "; or, to lose it, OVERRIDE=yes")


def _better_way(situation: Situation) -> str:
    receive = f"receive{'' if len(situation.current) > 1 else 's'} all WAL"
    return f"{_named(situation.current)} {receive}; it waits for {_named(situation.dead)} only"


def _retire(dead: tuple[int, ...]) -> str:
    variables = " and ".join(f"PGBACKREST_REPO{key}_…" for key in dead)
    return f"take the dead one out of .env ({variables}), then `make deploy`: that frees as much and loses nothing"


def _named(keys: tuple[int, ...]) -> str:
    return f"repositor{'ies' if len(keys) > 1 else 'y'} {' and '.join(map(str, keys))}"


def describe(situation: Situation, dump: Room | None, local: Local) -> Rows:
    """Return the plan in words, as (name, text) pairs; the better way comes first when there is one."""
    wal, free = situation.wal, situation.data.free_bytes
    rows = []
    if situation.current and situation.dead:
        rows.append(("BETTER", f"{_better_way(situation)}: {_retire(situation.dead)}"))
    rows.append(("why", _why(situation)))
    since = "the last backup; nothing was archived since"
    if wal.last_archived_at is not None:
        since = f"{local(wal.last_archived_at)} (WAL segment {wal.last_archived_wal})"
    rows.append(("is lost", f"every moment after {since}, until the first backup after `make wal-resume`"))
    rows.append(("", "the database loses nothing; but until then, losing its disk loses all that was written since"))
    freed = f"about {human_bytes(wal.ready_bytes)} of WAL in {wal.ready_segments} segments"
    rows.append(("is freed", f"{freed}; PostgreSQL keeps some files to use them again"))
    if free is not None:
        rows.append(("free space", f"{human_bytes(free)} now, about {human_bytes(free + wal.ready_bytes)} after it"))
    if situation.hours_left is not None:
        rows.append(("without it", f"the disk is full in {left(situation.hours_left)} at the present rate"))
    if dump is not None:
        rows.append(("local dump", dump.words))
    rows.append(("then", "no backups, and an alarm every day, until `make wal-resume`: a full backup at once"))
    return tuple(rows)


def _why(situation: Situation) -> str:
    dead = [each for each in situation.repositories if each.problem]
    if dead:
        return "; ".join(f"repository {each.key} cannot be reached: {' '.join(each.problem.split())[:160]}" for each in dead)
    return f"archiving fails: the latest attempt was {situation.wal.last_failed_wal}"
