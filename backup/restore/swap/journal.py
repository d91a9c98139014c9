"""The swap of two clusters as a state machine: what the journal says and what lies on the disk decide what comes next. Pure.

Three names in the database's volume: `data`, the incoming cluster (a restored one, or a kept one that comes back) and the
outgoing one (the name under which the present cluster is kept). Two renames make the swap, so that there are three places:

    before    data, incoming               nothing was moved
    between         incoming, outgoing     no cluster is in its place
    after     data,           outgoing     the new cluster is in its place

The journal says which way it goes, the names say how far it has come. Whatever moment it is killed at, `remaining` names the
effects that lead to the old cluster in its place or to the new one, and each of them may be repeated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

Step = Literal["building", "swapping", "starting", "reverting"]
"""`building`: a cluster is made beside; nothing else was touched. `swapping`: the database is stopped and the names change;
the postgres container does not start. `starting`: the new cluster is in its place. `reverting`: all the way back."""

Place = Literal["before", "between", "after"]
Effect = Literal[
    "mark swapping", "stop", "prepare", "move out", "move in", "mark starting", "start", "accept",
    "mark reverting", "move back", "put back", "mark building", "start old", "discard", "close",
]  # fmt: skip
"""What is done in one go. All are idempotent; a kill before, in the middle of or after any of them is survived."""

Way = Literal["finish", "revert"]

HOLDING: Final = frozenset({"swapping", "reverting"})
"""While the journal says one of these, the postgres container does not start a server; its entrypoint looks for them."""

SCHEMA_VERSION: Final = 1


class UnreadableJournalError(ValueError):
    """The journal is not one that this version has written."""


@dataclass(frozen=True)
class Swap:
    """One swap under way.

    `verb` is for people; `request` tells exactly what was asked for, so that the same command can be told from another one.
    `incoming` and `outgoing` are names in the volume; `had_data`: there was a cluster, or what is left of one, in its place.
    `was_running`: the postgres container ran. `proven_lsn` is where recovery must end at least, `newest_timeline` the
    highest timeline known before the new cluster was started. `keeps_tail`: WAL that only the old cluster has belongs into
    the new one, `keeps_all`: and to its very end. `began` and `stopped` are seconds since the epoch; `restored_to` is for
    people to read.
    """

    id: str
    verb: str
    request: str
    step: Step
    incoming: str
    outgoing: str
    had_data: bool
    was_running: bool
    began: float
    proven_lsn: int = 0
    newest_timeline: int = 1
    keeps_tail: bool = False
    keeps_all: bool = False
    repositories: tuple[int, ...] = ()
    label: str | None = None
    restored_to: str = ""
    stopped: float | None = None

    @property
    def is_restore(self) -> bool:
        """Tell a restore, whose incoming cluster was made for it, from one that brings a kept cluster back."""
        return self.incoming == restored_name(self.id)

    def at(self, step: Step) -> Swap:
        """Return the same swap at another step."""
        return replace(self, step=step)


@dataclass(frozen=True)
class Kept:
    """A cluster that was taken out of its place: its name in the volume, since when, and what replaced it."""

    name: str
    since: float
    replaced_by: str


@dataclass(frozen=True)
class Journal:
    """What the file holds: the swap that is under way, if one is, and the clusters that are kept, oldest first."""

    swap: Swap | None = None
    kept: tuple[Kept, ...] = ()

    def keeping(self, kept: Kept) -> Journal:
        """Return it with one more kept cluster, under a name that occurs once."""
        return replace(self, kept=(*(k for k in self.kept if k.name != kept.name), kept))

    def without(self, name: str) -> Journal:
        """Return it without a kept cluster."""
        return replace(self, kept=tuple(kept for kept in self.kept if kept.name != name))


@dataclass(frozen=True)
class Seen:
    """Which of the three names exist. An empty `data` directory counts as none."""

    data: bool
    incoming: bool
    outgoing: bool


def restored_name(restore_id: str) -> str:
    """Return the name of a cluster that is restored beside."""
    return f"restore-{restore_id}"


def previous_name(restore_id: str) -> str:
    """Return the name under which the cluster is kept that a restore replaces."""
    return f"previous-{restore_id}"


def tablespaces_name(restore_id: str) -> str:
    """Return the name of the directory with the tablespaces of a restored cluster."""
    return f"tablespaces-{restore_id}"


def place(swap: Swap, seen: Seen) -> Place | None:
    """Return how far the renames have come; None when the names fit none of the places: somebody has moved them."""
    if not swap.had_data:
        return {(False, True): "before", (True, False): "after"}.get((seen.data, seen.incoming))  # type: ignore[return-value]  # the literals are Places
    places: dict[tuple[bool, bool, bool], Place] = {
        (True, True, False): "before",
        (False, True, True): "between",
        (True, False, True): "after",
    }
    return places.get((seen.data, seen.incoming, seen.outgoing))


def way(swap: Swap, where: Place | None, *, same_request: bool, promoted: bool) -> Way:
    """Decide about a swap that was cut off.

    A new cluster that has opened for writes is never taken away again: somebody may have written. Otherwise the command that
    was cut off goes on when it is given again, and any other one puts the old cluster back.
    """
    if swap.step in ("building", "reverting") or where == "before":
        return "revert"
    if swap.step == "starting" and promoted:
        return "finish"
    return "finish" if same_request else "revert"


def remaining(swap: Swap, where: Place | None, direction: Way) -> tuple[Effect, ...]:
    """Return the effects that are left, in their order; none when the names contradict the journal."""
    if swap.step == "building" and direction == "revert":
        return ("start old", *_end(swap))
    if where is None:
        return ()
    if direction == "finish":
        return _forwards(swap, where)
    return (*_backwards(swap, where), "mark building", "start old", *_end(swap))


def _backwards(swap: Swap, where: Place) -> tuple[Effect, ...]:
    """Return what puts the names back. When none was changed a database that still runs is left alone."""
    if where == "before":
        return ()
    if where == "between":
        return ("mark reverting", "stop", "put back")
    last: tuple[Effect, ...] = ("put back",) if swap.had_data else ()
    return ("mark reverting", "stop", "move back", *last)


def _end(swap: Swap) -> tuple[Effect, ...]:
    return ("discard", "close") if swap.is_restore else ("close",)


def _forwards(swap: Swap, where: Place) -> tuple[Effect, ...]:
    start: tuple[Effect, ...] = ("mark starting", "start", "accept")
    if where == "before":
        out: tuple[Effect, ...] = ("move out",) if swap.had_data else ()
        return ("mark swapping", "stop", "prepare", *out, "move in", *start)
    if where == "between":
        return ("move in", *start)
    return start if swap.step == "swapping" else ("start", "accept")


def to_json(journal: Journal) -> dict[str, Any]:
    """Return what is written into the file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "swap": asdict(journal.swap) if journal.swap else None,
        "kept": [asdict(kept) for kept in journal.kept],
    }


def from_json(value: Any) -> Journal:
    """Return what the file says. Raises UnreadableJournalError."""
    try:
        if value["schema_version"] != SCHEMA_VERSION:
            raise UnreadableJournalError(f"it has the version {value['schema_version']}")
        swap = value["swap"]
        return Journal(
            Swap(**{**swap, "repositories": tuple(swap["repositories"])}) if swap else None,
            tuple(Kept(**kept) for kept in value["kept"]),
        )
    except (KeyError, TypeError) as error:
        raise UnreadableJournalError(f"it is not understood ({error})") from error
