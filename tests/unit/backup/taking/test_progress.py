"""Progress: pgbackrest's thousand lines about files become one sentence every few seconds."""

from __future__ import annotations

import pytest

from backup.taking.progress import Progress, shorten

STAMP = "2026-03-01 02:00:01.123"
BUNDLED = f"{STAMP} P01 DETAIL: backup file /data/base/5/1255 (bundle 1/2048, 784KB, 25.00%) checksum 01ab"
PLAIN = f"{STAMP} P02 DETAIL: backup file /data/base/5/1255 (784KB, 50.00%) checksum 01ab"
RESTORED = f"{STAMP} P01 DETAIL: restore file /data/base/5/1255 (bundle 1/2048, 784KB, 100.00%) checksum 01ab"


@pytest.mark.parametrize(
    ("line", "at", "shown"),
    [
        ("P00   INFO: new backup label = 20260301-020000F", 100.5, "P00   INFO: new backup label = 20260301-020000F"),
        (f"{STAMP} P00  ERROR: [050]: unable to acquire lock", 100.5, f"{STAMP} P00  ERROR: [050]: unable to acquire lock"),
        (BUNDLED, 104.0, "    backup:  25% after 4 s, about 12 s left"),
        (PLAIN, 110.0, "    backup:  50% after 10 s, about 10 s left"),
        (RESTORED, 110.0, "    restore: 100% after 10 s, about 0 s left"),
        (BUNDLED.replace("25.00%", "0.00%"), 110.0, "    backup:   0% after 10 s"),
        (BUNDLED, 102.9, None),
        (f"{STAMP} P00 DETAIL: remap data directory to '/var/lib/postgresql/data'", 110.0, None),
        (f"{STAMP} P01 DETAIL: match file from prior backup /data/base/5/1255 (8KB, 3.10%) checksum 01ab", 110.0, None),
        ("", 110.0, ""),
    ],
)
def test_what_is_shown_of_a_line(line: str, at: float, shown: str | None) -> None:
    assert Progress(3.0, started=100.0).show(line, at) == shown


def test_progress_is_told_again_only_after_the_interval() -> None:
    progress = Progress(3.0, started=100.0)
    shown = [progress.show(PLAIN, 100.0 + second) is not None for second in range(1, 10)]
    assert shown == [False, False, True, False, False, True, False, False, True]


def test_the_clock_starts_with_the_command() -> None:
    """What came before it was the operator's time to answer a question."""
    progress = Progress(3.0, started=100.0)
    progress.show(f"{STAMP} P00   INFO: restore command begin 2.55.1: --repo=1", 160.0)
    assert progress.show(PLAIN, 162.0) is None
    assert progress.show(PLAIN, 164.0) == "    backup:  50% after 4 s, about 4 s left"


@pytest.mark.parametrize(
    ("line", "short"),
    [
        (
            f"{STAMP} P00   INFO: backup command begin 2.55.1: --repo=1 --x",
            f"{STAMP} P00   INFO: backup command begin 2.55.1",
        ),
        (
            f"{STAMP} P00   INFO: backup command end: completed (1ms)",
            f"{STAMP} P00   INFO: backup command end: completed (1ms)",
        ),
    ],
)
def test_only_the_options_of_a_command_are_cut(line: str, short: str) -> None:
    assert shorten(line) == short
