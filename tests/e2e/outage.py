"""What the outage scenarios ask: how archiving stands, who is told, and whether the store alone brings all of it back."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any, Final

from tests.e2e.ledger import Ledger
from tests.e2e.stack import Stack, wait_until
from tests.stores.kinds import Seaweed

PATIENCE: Final = {"SETUP_BACKUP": "true", "BACKUP_CPU_LIMIT": "2", "BACKUP_ARCHIVE_LATE_AFTER": "1"}
"""The guide's way to switch backups on; an alarm after one minute instead of ten."""

SEGMENT_NAME: Final = 24


def wal_status(stack: Stack) -> dict[str, Any]:
    """Return what `wal-status` says, as JSON."""
    told = stack.exec("backup", "salespider-backup", "wal-status", "--output=json", check=False).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def archiver_alarm(stack: Stack) -> dict[str, Any] | None:
    """Return the alarm of the archiver, if it stands."""
    return next((alarm for alarm in stack.alarms() if alarm["key"] == "archiver"), None)


def alarmed(stack: Stack, seconds: float, words: str = "") -> dict[str, Any]:
    """Wait for the alarm of the archiver, with these words in it, and return it."""

    def found() -> dict[str, Any] | None:
        alarm = archiver_alarm(stack)
        return alarm if alarm and words in alarm["message"] else None

    alarm = wait_until(found, seconds, f"the alarm: {words}")
    assert alarm is not None
    return alarm


def refuse(store: Seaweed) -> None:
    """Let the store answer 403 to everything from now on. One that knows nobody at all would let everybody in."""
    store.allow("somebody", "AKSOMEBODY", "somebody's secret")
    store.forbid()


def told(stack: Stack, event: str) -> list[dict[str, Any]]:
    """Return what the receivers were told under this event, the oldest first, with the facts."""
    return [message for message in stack.messages() if message["event"] == event]


def be_heard(stack: Stack) -> None:
    """Let what the supervisor tells from now on be kept for a receiver that is never there."""
    stack.listen()
    look_now(stack)
    wait_until(lambda: stack.doing().startswith("idle"), 60, "an idle supervisor")


def look_now(stack: Stack) -> None:
    """Let the supervisor look at once, as it does when it starts: otherwise it does once a minute."""
    since = time.time()
    stack.docker("restart", "backup")
    wait_until(lambda: stack.doing(since), 60, "the supervisor")


def waiting_segments(stack: Stack) -> int:
    """Return how many finished WAL segments wait for the archive, as the server says."""
    return int(stack.sql(r"SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}\.ready$'"))


def drain(stack: Stack, seconds: float) -> tuple[float, list[str]]:
    """Wait until nothing waits; return how long that took, and the segments that PostgreSQL told as archived meanwhile."""
    began, seen = time.monotonic(), list[str]()

    def is_drained() -> bool:
        query = r"SELECT last_archived_wal, (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready')"
        last, waiting = stack.sql(f"{query} FROM pg_stat_archiver").split("|")
        if not seen or seen[-1] != last:
            seen.append(last)
        return waiting == "0"

    wait_until(is_drained, seconds, "an archive that has caught up")
    return time.monotonic() - began, seen


def archived(stack: Stack, repo: int = 1) -> list[str]:
    """Return the names of the segments in a repository's archive, sorted."""
    argv = ("pgbackrest", "--stanza=salespider", f"--repo={repo}", "repo-ls", "--recurse", "--output=json")
    listed = json.loads(stack.exec("backup", *argv, "archive/salespider").stdout)
    names = {path.rpartition("/")[2][:SEGMENT_NAME] for path, entry in listed.items() if entry["type"] == "file"}
    return sorted(name for name in names if len(name) == SEGMENT_NAME and not set(name) - set("0123456789ABCDEF"))


def gaps(names: list[str]) -> list[str]:
    """Return the segments after which the next one of the same timeline is not there."""
    numbers = [(name[:8], int(name[8:16], 16) * 256 + int(name[16:], 16), name) for name in names]
    pairs = pairwise(numbers)
    return [
        name for (timeline, number, name), (later, following, _) in pairs if timeline == later and following != number + 1
    ]


def restored_from_the_store_alone(stack: Stack, ledger: Ledger) -> list[int]:
    """Archive the last segment, destroy the database's volume, restore; return the acknowledged numbers that are missing."""
    check = stack.make("backup-check")
    assert check.code == 0, check.output
    stack.docker("stop", "postgres")
    stack.in_helper("find /database -mindepth 1 -delete", {"/database": stack.volume("postgres-data")})
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    return ledger.missing(stack)
