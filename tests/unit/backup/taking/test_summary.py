"""The summary of a backup for the person who waited for it."""

from __future__ import annotations

import pytest

from backup.state.history import Sizes
from backup.taking import summary
from backup.taking.outcome import Outcome

DONE = "full backup 20260304-120000F"


@pytest.mark.parametrize(
    ("outcome", "lines"),
    [
        (
            Outcome("succeeded", 0, DONE, seconds=10.0, sizes=Sizes(1_200_000_000, 1_000_000_000, 250_000_000)),
            (f"Done: {DONE}, 10 s.", "  database 1.2 GB, copied 1.0 GB, stored 250.0 MB (ratio 4.0), 100.0 MB/s"),
        ),
        (
            Outcome("succeeded", 0, DONE, seconds=125.0, attempts=2, sizes=Sizes(1_000_000, 0, 0)),
            (f"Done: {DONE}, 2 min 5 s in 2 attempts.", "  database 1.0 MB, copied 0 B, stored 0 B, 0 B/s"),
        ),
        (
            Outcome("succeeded", 0, DONE, sizes=Sizes(1000, 1000, 100)),
            (f"Done: {DONE}, 0.0 s.", "  database 1.0 KB, copied 1.0 KB, stored 100 B (ratio 10.0)"),
        ),
        (Outcome("succeeded", 0, DONE, seconds=1.5), (f"Done: {DONE}, 1.5 s.",)),
    ],
)
def test_a_backup_in_two_lines(outcome: Outcome, lines: tuple[str, ...]) -> None:
    assert summary.of_backup(outcome) == lines
