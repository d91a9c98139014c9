"""What a backup was, in two lines for the person who waited for it. Pure."""

from __future__ import annotations

from datetime import timedelta

from backup.taking.outcome import Outcome
from backup.units import human_bytes, human_duration


def of_backup(outcome: Outcome) -> tuple[str, ...]:
    """Return a line on what was proven and how long it took, and one on sizes, ratio and throughput if they are known.

    The ratio is between what was copied of the database and what that takes in the repository, after compression and
    the saving of unchanged blocks; an increment of nothing has none.
    """
    again = f" in {outcome.attempts} attempts" if outcome.attempts > 1 else ""
    first = f"Done: {outcome.message}, {human_duration(timedelta(seconds=outcome.seconds))}{again}."
    if (sizes := outcome.sizes) is None:
        return (first,)
    parts = [f"database {human_bytes(sizes.database)}", f"copied {human_bytes(sizes.copied)}"]
    ratio = f" (ratio {sizes.copied / sizes.stored:.1f})" if sizes.stored > 0 else ""
    parts.append(f"stored {human_bytes(sizes.stored)}{ratio}")
    if outcome.seconds > 0:
        parts.append(f"{human_bytes(round(sizes.copied / outcome.seconds))}/s")
    return first, "  " + ", ".join(parts)
