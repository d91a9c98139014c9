"""A stack whose database lies on a small disk, and what its scenarios do with it: rows, WAL, and a look at the alarms."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

MEGABYTES: Final = 400
SEGMENT_MEGABYTES: Final = 16


def small(stacks: Stacks) -> Stack:
    """A stack whose database will lie in a small file system in memory; nothing of it runs yet."""
    stack = stacks.new()
    labels = (f"com.docker.compose.project={stack.project}", "com.docker.compose.volume=postgres-data")
    stack.run(
        *("docker", "volume", "create", "--driver", "local", "--opt", "type=tmpfs", "--opt", "device=tmpfs"),
        *("--opt", f"o=size={MEGABYTES}m,uid=999,gid=999,mode=0750"),
        *(part for label in labels for part in ("--label", label)),
        stack.volume("postgres-data"),
    )
    return stack


def configure(stack: Stack, **variables: str) -> None:
    """Write an env file that is impatient where the scenarios would wait."""
    impatient = {"PGBACKREST_ARCHIVE_TIMEOUT": "10", "POSTGRES_MAX_WAL_SIZE": "80MB", "BACKUP_CPU_LIMIT": "2"}
    stack.configure(SETUP_BACKUP="true", **impatient, **variables)


def start(stack: Stack, **variables: str) -> None:
    """Start the stack, with a table to note rows in."""
    configure(stack, **variables)
    stack.start()
    stack.sql("CREATE TABLE ledger (id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())")


def note(stack: Stack, number: int) -> datetime:
    """Commit a row; return when, by the database's clock."""
    told = stack.sql(f"INSERT INTO ledger (id) VALUES ({number}) RETURNING extract(epoch FROM at)")
    return datetime.fromtimestamp(float(told), UTC)


def noted(stack: Stack) -> list[int]:
    return [int(line) for line in stack.sql("SELECT id FROM ledger ORDER BY id").split()]


def fill(stack: Stack, segments: int) -> None:
    for _ in range(segments):
        stack.sql("SELECT pg_current_xact_id()")
        stack.sql("SELECT pg_switch_wal()")


def free_megabytes(stack: Stack) -> int:
    told = stack.exec("postgres", "df", "--output=avail", "--block-size=1M", "/var/lib/postgresql").stdout
    return int(told.split()[-1])


def wal_status(stack: Stack) -> dict[str, Any]:
    told = stack.exec("backup", "salespider-backup", "wal-status", "--output=json", check=False).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def status(stack: Stack) -> dict[str, Any]:
    told = stack.exec("backup", "salespider-backup", "status", "--output=json", check=False).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def alarms(stack: Stack) -> list[str]:
    return [alarm["key"] for alarm in stack.alarms()]


def archived(stack: Stack) -> bool:
    return bool(wal_status(stack)["waiting_segments"] == 0)


def switched(stack: Stack) -> None:
    stack.sql("SELECT pg_switch_wal()")
    wait_until(lambda: archived(stack), 60, "an archive that has all")


def look_now(stack: Stack) -> None:
    """Have the watcher look at once, which it does when it starts."""
    since = time.time()
    stack.docker("restart", "backup", "--time", "5")
    wait_until(lambda: stack.doing(since), 60, "the supervisor")
