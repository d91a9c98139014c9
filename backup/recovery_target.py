"""Where recovery ends, as options of pgBackRest's restore. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class RestoreTarget:
    """Where recovery ends: `kind` is pgBackRest's --type (default, immediate, time, lsn, xid, name).

    `at` goes with time, `value` with the last three. `is_exclusive`: just before it. `timeline`: the one to follow, when it
    is not the newest in the archive.
    """

    kind: str
    at: datetime | None = None
    value: str | None = None
    is_exclusive: bool = False
    timeline: int | None = None

    def options(self) -> tuple[str, ...]:
        """Return the options; the time always in UTC with an offset, since without one it would be local time."""
        followed = (f"--target-timeline={self.timeline}",) if self.timeline is not None else ()
        if self.kind == "default":
            return ("--type=default", *followed)
        target = self.value if self.at is None else self.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        return (
            f"--type={self.kind}",
            *((f"--target={target}",) if target is not None else ()),
            *(("--target-exclusive",) if self.is_exclusive else ()),
            "--target-action=promote",
            *followed,
        )
