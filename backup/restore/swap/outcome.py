"""How a swap ends: with an accepted cluster, or with one of these errors, which say which cluster is in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from backup.postgres import Server
from contract.errors import ProductError
from contract.exits import Exit

GO_ON: Final = (
    "see `make restore-status`; every restore command goes on from here: the same one finishes, another one reverts"
)


class PutBackError(ProductError):
    """It failed, and the old cluster is in its place again, or was never moved."""

    exit_code = Exit.RESTORE_UNDONE


class LeftError(ProductError):
    """The new cluster, which has been open for writes before, does not open as it must; it stays in its place."""

    exit_code = Exit.RESTORE_INCOMPLETE

    def __init__(self, message: str, hint: str) -> None:
        """Take what failed."""
        super().__init__(
            f"{message}; the new database has taken writes already, so it is left in its place",
            hint=f"{hint}; the same command goes on then, `make restore-undo` puts the old database back and keeps this one",
        )


class FailedError(ProductError):
    """The new cluster does not open as it must. Whoever sees this puts the old one back."""

    exit_code = Exit.RESTORE_UNDONE


@dataclass(frozen=True)
class Accepted:
    """How it ended: the open server, the seconds without a database, the WAL segments that only the old cluster had."""

    server: Server
    downtime_seconds: float
    segments_fed: int
    handed_over: int
    last_transaction: str | None
    kept: tuple[str, ...]
