"""How restores stand: one that was cut off, the databases that are kept, the last one of the record. Changes nothing."""

from __future__ import annotations

from backup.deployment import Deployment
from backup.restore import aftercare
from backup.restore.swap import journal_file, orphan
from backup.units import human_duration


def lines(deployment: Deployment) -> list[str]:
    """Return it in words, a line each. Raises JournalError, OSError, StoreError."""
    swap = journal_file.load(deployment.volumes.database).swap
    said = []
    if swap is None:
        said.append("no restore is under way")
    elif orphan.is_carried_out(deployment):
        said.append(f"restore {swap.id} ({swap.verb}) is under way: {swap.step}")
    else:
        said += [orphan.in_words(swap), f"HINT: {orphan.HINT}"]
    for verdict in aftercare.verdicts(deployment):
        until = verdict.reason or "its time is over; `make restore-cleanup` or the supervisor removes it"
        said.append(f"kept: {verdict.kept.name}, replaced by {verdict.kept.replaced_by} ({until})")
    last = deployment.history.last("restore")
    if last is not None:
        took = f", took {human_duration(last.finished - last.started)}" if last.finished else ""
        down = f", downtime {last.downtime_seconds:.1f} s" if last.downtime_seconds is not None else ""
        to = f" to {last.restored_to}" if last.restored_to else ""
        said.append(f"last restore: {last.what}{to}, {last.state} at {deployment.local(last.started)}{took}{down}")
    return said
