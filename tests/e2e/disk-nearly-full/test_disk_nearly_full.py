"""The repository is dead and the database's disk fills up: alarm, emergency, resume, and what can be restored then."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import CommandFailedError, Stack, wait_until
from tests.stores.store import ObjectStore

MEGABYTES = 400
SEGMENT_MEGABYTES = 16
PG_WAL = "/var/lib/postgresql/data/pg_wal"


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


def start(stack: Stack, **variables: str) -> None:
    impatient = {"PGBACKREST_ARCHIVE_TIMEOUT": "10", "POSTGRES_MAX_WAL_SIZE": "80MB", "BACKUP_CPU_LIMIT": "2"}
    stack.configure(SETUP_BACKUP="true", **impatient, **variables)
    stack.start()
    stack.sql("CREATE TABLE ledger (id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())")


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    return small(stacks)


@pytest.fixture(scope="module")
def store(stacks: Stacks, stack: Stack) -> ObjectStore:
    """The only repository of the first stack, which it is started with."""
    store: ObjectStore = stacks.store("s3", stack)
    start(stack, **store.variables())
    return store


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
    return wal_status(stack)["waiting_segments"] == 0


def switched(stack: Stack) -> None:
    stack.sql("SELECT pg_switch_wal()")
    wait_until(lambda: archived(stack), 60, "an archive that has all")


def look_now(stack: Stack) -> None:
    """Have the watcher look at once, which it does when it starts."""
    since = time.time()
    stack.docker("restart", "backup", "--time", "5")
    wait_until(lambda: stack.doing(since), 60, "the supervisor")


def test_while_archiving_works_nothing_is_given_up(stack: Stack, store: ObjectStore) -> None:
    note(stack, 1)
    switched(stack)
    result = stack.make("wal-emergency", CONFIRM="yes", DUMP="no")
    assert result.code == 26, result.output
    assert "archiving works" in result.stderr
    assert "pgbackrest" in stack.sql("SHOW archive_command")


def test_without_a_terminal_and_a_confirmation_nothing_is_given_up(stack: Stack, store: ObjectStore) -> None:
    note(stack, 2)
    switched(stack)
    store.cut()
    note(stack, 3)
    fill(stack, 14)
    wait_until(lambda: wal_status(stack)["archiver"] in {"failing", "stalled"}, 90, "a failed attempt")
    result = stack.make("wal-emergency", DUMP="no")
    assert result.code == 19, result.output
    assert "repository 1 cannot be reached" in result.stdout
    assert "is lost" in result.stdout
    assert "pgbackrest" in stack.sql("SHOW archive_command")


def test_the_emergency_makes_a_dump_and_frees_the_disk(stack: Stack) -> None:
    before = free_megabytes(stack)
    result = stack.make("wal-emergency", CONFIRM="yes", DIR=str(stack.directory / "dumps"))
    assert result.code == 0, result.output
    assert free_megabytes(stack) >= before + 8 * SEGMENT_MEGABYTES, result.output
    dumps = list((stack.directory / "dumps").iterdir())
    assert [oct(dump.stat().st_mode & 0o777) for dump in dumps] == ["0o600"], result.output
    with dumps[0].open():
        stack.run("docker", "exec", "-i", stack.container("backup"), "pg_restore", "--list", stdin=None, check=False)
    assert noted(stack) == [1, 2, 3]


def test_it_is_told_as_what_it_is(stack: Stack) -> None:
    assert wal_status(stack)["archiver"] == "emergency"
    assert "wal-emergency" in alarms(stack)
    result = stack.make("status")
    assert result.code == 20
    assert "WAL EMERGENCY since" in result.stdout
    assert "`make wal-resume`" in result.stdout
    wait_until(lambda: "make wal-resume" in stack.doing(), 60, "a supervisor that waits")


def test_it_outlives_restarts_and_containers(stack: Stack) -> None:
    stack.docker("restart", "postgres")
    wait_until(stack.is_open, 60, "the database")
    assert wal_status(stack)["archiver"] == "emergency"
    stack.compose("up", "--detach", "--force-recreate", "--no-deps", "postgres")
    wait_until(stack.is_open, 60, "the database")
    assert wal_status(stack)["archiver"] == "emergency"
    look_now(stack)
    assert "wal-emergency" in alarms(stack)


def test_while_the_repository_is_dead_it_stays(stack: Stack) -> None:
    result = stack.make("wal-resume")
    assert result.code == 26, result.output
    assert "the WAL emergency goes on" in result.stderr
    assert wal_status(stack)["archiver"] == "emergency"
    assert stack.make("backup").code == 26


def test_the_way_back_ends_with_a_full_backup(stack: Stack, store: ObjectStore) -> None:
    note(stack, 4)
    fill(stack, 3)
    store.mend()
    fulls = len(stack.backups("full"))
    result = stack.make("wal-resume")
    assert result.code == 0, result.output
    assert len(stack.backups("full")) == fulls + 1
    assert wal_status(stack)["archiver"] == "working"
    assert "wal-emergency" not in alarms(stack)
    gap = status(stack)["recovery_gaps"][-1]
    assert gap["backup"] == stack.backups("full")[-1]["label"]
    assert "No point-in-time recovery" in stack.make("backup-info").stdout
    assert "no recovery" in stack.make("status").stdout
    assert stack.backups("full")[-1]["annotation"]["wal-gap-since"] == gap["since"]


def test_a_moment_in_the_gap_is_refused(stack: Stack) -> None:
    gap = status(stack)["recovery_gaps"][-1]
    since, until = (datetime.fromisoformat(gap[name]) for name in ("since", "until"))
    inside = since + (until - since) / 2
    result = stack.make("restore-pitr", TARGET=f"{inside:%Y-%m-%d %H:%M:%S}", CONFIRM="yes")
    assert result.code == 16, result.output
    assert "interval without point-in-time recovery" in result.output
    assert f"{until + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}" in result.output
    assert noted(stack) == [1, 2, 3, 4]


def test_the_latest_state_is_complete(stack: Stack) -> None:
    note(stack, 5)
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert stack.backups("full")[-1]["label"] in result.output
    assert noted(stack) == [1, 2, 3, 4, 5]


def test_the_last_moment_before_the_gap_is_still_there(stack: Stack) -> None:
    """The commit of row 3 came after it; that of row 2 is the last one in the archive, and recovery ends before it."""
    since = datetime.fromisoformat(status(stack)["recovery_gaps"][-1]["since"])
    target = since - timedelta(microseconds=1)
    result = stack.make("restore-pitr", TARGET=f"{target:%Y-%m-%d %H:%M:%S.%f}+00", CONFIRM="yes")
    assert result.code == 0, result.output
    assert noted(stack) in ([1], [1, 2])


# --- the valve --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def valve(stacks: Stacks) -> Stack:
    """A stack that gives up by itself when less than half of the disk is free, and whose repository nobody can enter."""
    valve = small(stacks)
    start(valve, PGBACKREST_REPO1_TYPE="posix", BACKUP_WAL_EMERGENCY_FREE_PERCENT="50")
    note(valve, 1)
    valve.in_repository("chmod 0 archive backup")
    fill(valve, 2)
    wait_until(lambda: wal_status(valve)["archiver"] in {"failing", "stalled"}, 90, "a failed attempt")
    return valve


def test_the_valve_warns_before_it_opens(valve: Stack) -> None:
    while free_megabytes(valve) > MEGABYTES * 0.7:
        fill(valve, 1)
    look_now(valve)
    wait_until(lambda: "wal-valve" in alarms(valve), 30, "the warning")
    assert wal_status(valve)["archiver"] != "emergency"


def test_the_valve_opens_by_itself_and_stays_open(valve: Stack) -> None:
    while free_megabytes(valve) > MEGABYTES * 0.4:
        fill(valve, 1)
    before = free_megabytes(valve)
    look_now(valve)
    wait_until(lambda: wal_status(valve)["archiver"] == "emergency", 60, "the valve")
    wait_until(lambda: free_megabytes(valve) > before + 2 * SEGMENT_MEGABYTES, 60, "room")
    wait_until(lambda: "wal-emergency" in alarms(valve), 30, "the alarm")
    valve.in_repository("chmod 750 archive backup")
    look_now(valve)
    assert wal_status(valve)["archiver"] == "emergency"


def test_the_valve_is_closed_by_an_operator(valve: Stack) -> None:
    result = valve.make("wal-resume")
    assert result.code == 0, result.output
    assert wal_status(valve)["archiver"] == "working"
    assert "wal-emergency" not in alarms(valve)


# --- the disk that is full ----------------------------------------------------------------------------------------------


def test_a_database_that_has_died_of_it_comes_back(valve: Stack) -> None:
    """Without the valve, and with nobody who looked in time."""
    start_again = {"PGBACKREST_ARCHIVE_TIMEOUT": "10", "POSTGRES_MAX_WAL_SIZE": "80MB", "PGBACKREST_REPO1_TYPE": "posix"}
    valve.configure(SETUP_BACKUP="true", BACKUP_CPU_LIMIT="2", **start_again)
    valve.up()
    wait_until(valve.is_open, 60, "the database")
    note(valve, 2)
    valve.in_repository("chmod 0 archive backup")
    with pytest.raises(CommandFailedError):
        fill(valve, MEGABYTES // SEGMENT_MEGABYTES)
    wait_until(lambda: not valve.is_open(), 60, "a dead database")
    result = valve.make("wal-emergency", CONFIRM="yes", DIR=str(valve.directory / "dumps"))
    assert result.code == 0, result.output
    wait_until(valve.is_open, 60, "the database")
    assert noted(valve) == [1, 2]
    assert free_megabytes(valve) > 4 * SEGMENT_MEGABYTES
    valve.in_repository("chmod 750 archive backup")
    result = valve.make("wal-resume")
    assert result.code == 0, result.output
    assert len(status(valve)["recovery_gaps"]) == 2
