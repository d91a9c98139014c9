"""The data volume is replaced by a fresh cluster: the backups outlive it, people hear of it, and there are two ways out."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

ANOTHER_CLUSTER = 21
NOT_CONFIRMED = 19
TOLD = "the running database is another cluster than the one the backups are of"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A shop that is backed up every minute and keeps two full backups: a third one would cost the first."""
    stack = stacks.running(POSTGRES_ALLOW_NEW_CLUSTER="yes", BACKUP_SCHEDULE_INCR="* * * * *", BACKUP_RETENTION_FULL="2")
    stack.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 100) id")
    assert stack.make("backup").code == 0
    return stack


def replace_data(stack: Stack) -> None:
    """Put a fresh cluster in the place of the data, while the supervisor goes on."""
    stack.compose("stop", "postgres")
    wait_until(lambda: stack.runs()[-1]["state"] != "running", 60, "the end of a running backup")
    stack.in_helper("rm -rf /volume/data", {"/volume": stack.volume("postgres-data")})
    stack.compose("start", "postgres")
    wait_until(stack.is_open, 60, "the fresh database")
    stack.sql("CREATE TABLE stranger (); SELECT pg_switch_wal()")


def repository(stack: Stack) -> str:
    """Return every file of the repository with its checksum."""
    return stack.in_repository("find backup archive -type f -exec sha256sum '{}' + | sort -k 2")


def labels(stack: Stack) -> list[str]:
    return [backup["label"] for backup in stack.backups()]


def refused(stack: Stack, origin: str) -> list[str]:
    """Return how the latest runs of an origin have failed because of the cluster."""
    return [run["message"] for run in stack.runs() if run["origin"] == origin and run["exit_code"] == ANOTHER_CLUSTER]


def test_twenty_runs_touch_nothing_and_it_is_told(stack: Stack) -> None:
    """By hand, on schedule, and after a restart of the supervisor."""
    stack.compose("stop", "postgres")
    before = repository(stack)
    listed = labels(stack)
    replace_data(stack)
    runs = [stack.exec("backup", "salespider-backup", "backup", check=False) for _ in range(20)]
    assert {run.code for run in runs} == {ANOTHER_CLUSTER}
    wait_until(lambda: refused(stack, "schedule"), 90, "a scheduled run")
    stack.compose("restart", "backup")
    wait_until(lambda: stack.doing().startswith(f"waiting: {TOLD}"), 60, "a supervisor that waits")
    assert len(refused(stack, "manual")) == 20
    assert labels(stack) == listed
    assert repository(stack) == before

    assert [alarm["key"] for alarm in stack.alarms()].count("identity") == 1
    said = "".join(run.output for run in runs) + stack.logs("backup")
    assert said.count("identity.alarm") == 1, "told once, not at every run"
    status = stack.make("status")
    assert status.code != 0
    assert TOLD in status.stdout
    health = stack.exec("backup", "salespider-backup", "healthcheck", check=False)
    assert health.code != 0
    assert TOLD in health.output


def test_restoring_the_latest_state_is_one_way_out(stack: Stack) -> None:
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert "WAL segments that never reached the archive" not in result.output
    assert stack.sql("SELECT count(*) FROM sale") == "100"
    assert "identity" not in [alarm["key"] for alarm in stack.alarms()]
    assert stack.make("backup-incr").code == 0


def test_adopting_is_the_other(stack: Stack) -> None:
    """It asks to be sure, takes a full backup, and lets nothing go."""
    replace_data(stack)
    listed = labels(stack)
    asked = stack.make("adopt")
    assert asked.code == NOT_CONFIRMED
    assert "nothing was changed" in asked.output
    assert asked.output.count("system identifier") >= 2
    adopted = stack.make("adopt", CONFIRM="yes")
    assert adopted.code == 0, adopted.output
    now = labels(stack)
    assert now[: len(listed)] == listed, "the backups of the old database are still there"
    assert stack.backups()[len(listed)]["type"] == "full"
    assert "identity" not in [alarm["key"] for alarm in stack.alarms()]
    assert stack.make("stanza-upgrade").code == ANOTHER_CLUSTER, "there is no upgrade to follow"
    shown = stack.make("retention")
    assert shown.code == 0
    assert "keeps 2 full backups" in shown.stdout
