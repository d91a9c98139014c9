"""The supervisor's look at the journal: a swap that nobody carries out any more is an alarm, and its end is told."""

from __future__ import annotations

from typing import Final

from backup import oplock
from backup.deployment import Deployment
from backup.restore.swap import journal_file
from backup.restore.swap.journal import HOLDING, Swap
from backup.state.alarms import Alarm
from contract import events

ALARM_KEY: Final = "restore"
HINT: Final = (
    "`make restore-status` tells more; the same restore command finishes it, any other one puts the old database back"
)


def look(deployment: Deployment) -> None:
    """Raise or end the alarm of a restore that was cut off, or whose journal cannot be read. Raises StoreError."""
    try:
        swap = journal_file.load(deployment.volumes.database).swap
    except journal_file.JournalError as error:
        deployment.teller.alarm(Alarm(ALARM_KEY, events.RESTORE_CUT_OFF, "critical", error.message, error.hint))
        return
    if swap is None:
        deployment.teller.over(ALARM_KEY, events.RESTORE_TAKEN_UP, "no restore is left half-done")
    elif not is_carried_out(deployment):
        severity = "warning" if swap.step == "building" and not is_half_reverted(swap) else "critical"
        alarm = Alarm(ALARM_KEY, events.RESTORE_CUT_OFF, severity, in_words(swap), HINT)  # type: ignore[arg-type]  # mypy widens the two words
        deployment.teller.alarm(alarm, {"restore": swap.id, "step": swap.step})


def in_words(swap: Swap) -> str:
    """Return what a swap that was cut off means for the database."""
    what = f"restore {swap.id} ({swap.verb}) was cut off"
    if is_half_reverted(swap):
        return f"{what}; the old database is in its place again, but may be down until a restore command goes on"
    if swap.step == "building":
        return f"{what} before it changed anything; what it has restored takes space"
    if swap.step in HOLDING:
        return f"{what} in the middle of the swap; THE DATABASE IS DOWN until a restore command goes on"
    return f"{what} before the new database was accepted; it may run already"


def is_half_reverted(swap: Swap) -> bool:
    """Tell a swap whose names were put back, or never changed, and whose old database was stopped and not started yet."""
    return swap.step == "building" and swap.stopped is not None


def is_carried_out(deployment: Deployment) -> bool:
    """Tell whether somebody holds the operation lock: the restore itself, or a backup after which the next look tells."""
    try:
        with oplock.hold_now(deployment.volumes.operation_lock, "a look at the journal of restores"):
            return False
    except oplock.BusyError:
        return True
