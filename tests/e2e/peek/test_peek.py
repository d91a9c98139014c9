"""A look at the database as it was before a mistake, and the lost rows back from it, while the live one goes on serving."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack, wait_until

PEEK = 27
REFUSED = 16


@dataclass(frozen=True)
class Shop:
    """A shop, the moment before its mistake, what its sales were then, and what the volume and the repository held."""

    stack: Stack
    before: str
    sales: str
    volume: list[str]
    served_since: str


@pytest.fixture(scope="module")
def shop(stacks: Stacks) -> Shop:
    """1000 sales, some of them by partition and with numbers of their own; then a DELETE without its WHERE, and new ones."""
    stack = stacks.running(TZ="Europe/Berlin")
    stack.sql(
        """
        CREATE TABLE sale (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
        INSERT INTO sale (note) SELECT 'sale ' || i FROM generate_series(1, 1000) i;
        CREATE TABLE visit (at date) PARTITION BY RANGE (at);
        CREATE TABLE visit_2024 PARTITION OF visit FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE "Odd.Name" (id int);
        INSERT INTO visit SELECT '2024-01-01'::date + i FROM generate_series(0, 99) i;
        INSERT INTO "Odd.Name" VALUES (1);
        """
    )
    sales, before = fingerprint(stack, "sale"), stack.sql("SELECT clock_timestamp()")
    stack.sql("DELETE FROM sale")
    stack.sql("DROP TABLE visit")
    stack.sql("INSERT INTO sale (note) VALUES ('after the mistake')")
    served_since = stack.sql("SELECT pg_postmaster_start_time()")
    return Shop(stack, before, sales, volume(stack), served_since)


@pytest.fixture(autouse=True)
def closed(shop: Shop) -> Iterator[None]:
    """No test leaves a peek open, whatever becomes of it."""
    yield
    shop.stack.run("docker", "rm", "--force", f"{shop.stack.project}-peek", check=False)
    shop.stack.make("peek-close")


def fingerprint(stack: Stack, table: str) -> str:
    return stack.sql(f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {table} t WHERE note <> 'after the mistake'")


def volume(stack: Stack) -> list[str]:
    """The names in the database's volume, hidden ones too."""
    return sorted(stack.exec("backup", "ls", "-A", "/var/lib/postgresql").stdout.split())


def repository(stack: Stack) -> list[str]:
    return sorted(stack.in_repository("find . -type f").split())


def looked(stack: Stack, statement: str) -> str:
    """What a statement says in the peek."""
    result = stack.make("peek-psql", SQL=statement)
    assert result.code == 0, result.output
    return result.stdout


def opened(shop: Shop, **variables: str) -> Result:
    result = shop.stack.make("peek", **(variables or {"TARGET": shop.before}))
    assert result.code == 0, result.output
    return result


def commands(result: Result) -> list[str]:
    """The commands that an export has printed, in their order."""
    return [line.strip() for line in result.stdout.splitlines() if line.startswith("  docker exec")]


def test_the_deleted_rows_come_back_while_the_database_serves(shop: Shop) -> None:
    """Open, count, export, load, close: same server, same timeline, nothing in the repository but its own WAL."""
    stack = shop.stack
    result = opened(shop)
    assert re.search(r"^PEEK: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(.* CES?T\)$", result.stdout, re.MULTILINE), result.output
    assert re.search(r"^  public\.sale +[\d.]+ \wB +1 000 +1 +-999$", result.stdout, re.MULTILINE), result.output
    assert re.search(r"^  public\.visit_2024 .* 100 +no table$", result.stdout, re.MULTILINE), result.output
    assert "make peek-close" in result.stdout
    assert "1000" in looked(stack, "SELECT count(*) FROM sale")

    file = stack.directory / "sale.dump"
    export = stack.make("peek-export", TABLE="public.sale", FILE=str(file))
    assert export.code == 0, export.output
    into_place, make_other, fill_other, _ = commands(export)
    stack.run("bash", "-c", f"{make_other} && {fill_other}")
    assert fingerprint(stack, "sale_peek") == shop.sales
    stack.run("bash", "-c", into_place)
    assert fingerprint(stack, "sale") == shop.sales
    assert stack.sql("INSERT INTO sale (note) VALUES ('after the mistake') RETURNING id") == "1002", "the live sequence"
    assert stack.sql("SELECT pg_postmaster_start_time()") == shop.served_since

    again = stack.make("peek-export", TABLE="public.sale", FILE=str(file))
    assert again.code == PEEK
    assert "is not overwritten" in again.output

    assert stack.make("peek-close").code == 0
    assert volume(stack) == shop.volume
    assert not stack.run("docker", "ps", "--all", "--quiet", "--filter", f"name={stack.project}-peek").stdout
    assert stack.sql("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)") == "00000001"
    archive = [name.rpartition("/")[2] for name in repository(stack) if name.startswith("./archive/")]
    assert [name for name in archive if not name.startswith(("00000001", "archive.info"))] == []
    assert stack.sql("SELECT failed_count, left(last_archived_wal, 8) FROM pg_stat_archiver") == "0|00000001"


def test_a_dropped_table_comes_back_from_a_peek(shop: Shop) -> None:
    stack = shop.stack
    opened(shop)
    file = stack.directory / "visit.dump"
    export = stack.make("peek-export", TABLE="visit", FILE=str(file))
    assert export.code == 0, export.output
    stack.run("bash", "-c", commands(export)[-1])
    assert stack.sql("SELECT count(*) FROM visit_2024") == "100"
    assert stack.make("peek-export", TABLE='"Odd.Name"', FILE=str(stack.directory / "odd.dump")).code == 0
    stack.sql("DROP TABLE visit")


def test_it_cannot_be_written_to_nor_ended_by_sql(shop: Shop) -> None:
    """It is read-only, and what ends recovery is not allowed: it would show no moment any more."""
    stack = shop.stack
    opened(shop)
    for statement in (
        "DELETE FROM sale",
        "SELECT pg_promote()",
        "SELECT pg_wal_replay_resume()",
        "COPY sale TO PROGRAM 'id'",
    ):
        assert stack.make("peek-psql", SQL=statement).code != 0, statement
    assert "t" in looked(stack, "SELECT pg_is_in_recovery()").split()
    assert "off" in looked(stack, "SHOW archive_mode").split()
    assert not stack.inspect("peek")["NetworkSettings"]["Ports"]
    assert looked(stack, "SHOW listen_addresses").split()[:3] == ["listen_addresses", "------------------", "(1"]
    assert stack.inspect("peek")["HostConfig"]["Memory"] > 0


def test_there_is_one_at_a_time_and_a_restore_waits_for_its_end(shop: Shop) -> None:
    stack = shop.stack
    opened(shop)
    second = stack.make("peek", TARGET=shop.before)
    assert second.code == PEEK, second.output
    assert "HINT: make peek-psql looks into it, make peek-close ends it" in second.output
    restore = stack.make("restore-latest", CONFIRM="yes")
    assert restore.code == REFUSED, restore.output
    assert "`make peek-close` ends it" in restore.output
    assert stack.sql("SELECT pg_postmaster_start_time()") == shop.served_since
    assert stack.make("backup-incr").code == 0, "a backup does not wait for it"


def test_the_end_of_a_backup_and_of_the_archive(shop: Shop) -> None:
    """Without a target it shows the end of the archive, and stays there."""
    stack = shop.stack
    label = stack.backups()[0]["label"]
    result = opened(shop, BACKUP_SET=label)
    assert f"PEEK: the end of backup {label}, " in result.stdout
    assert stack.make("peek-psql", SQL="SELECT count(*) FROM sale").code != 0, "there was no table yet"
    assert stack.make("peek-close").code == 0

    stack.sql("CREATE TABLE mark AS SELECT 1 AS id")
    segment = stack.sql("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: stack.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= segment, 60, "the segment")
    result = opened(shop, TARGET="")
    assert "PEEK: the end of the archive, " in result.stdout
    stack.sql("INSERT INTO mark VALUES (2)")
    segment = stack.sql("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: stack.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= segment, 60, "the segment")
    assert "1 row" in looked(stack, "SELECT id FROM mark")


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"TARGET": "2999-01-01 00:00:00"}, REFUSED),
        ({"TARGET": "2001-01-01 00:00:00"}, REFUSED),
        ({"BACKUP_SET": "20240101-120000F"}, REFUSED),
        ({"TARGET": "2024-01-01 12:00:00", "BACKUP_SET": "20240101-120000F"}, 2),
    ],
    ids=["future", "before-the-first-backup", "no-such-backup", "both"],
)
def test_what_cannot_be_shown_is_refused(shop: Shop, variables: dict[str, str], code: int) -> None:
    result = shop.stack.make("peek", **variables)
    assert result.code == code, result.output
    assert "HINT:" in result.output
    assert volume(shop.stack) == shop.volume


def test_without_a_peek_there_is_nothing_to_look_into(shop: Shop) -> None:
    for verb in ("peek-psql", "peek-export"):
        result = shop.stack.make(verb, TABLE="sale", FILE=str(shop.stack.directory / "none.dump"))
        assert result.code == PEEK
        assert "HINT: make peek" in result.output
    assert not (shop.stack.directory / "none.dump").exists()
    closing = shop.stack.make("peek-close")
    assert closing.code == 0
    assert "no peek is open" in closing.stdout


def test_its_hours_end_it(shop: Shop) -> None:
    stack = shop.stack
    opened(shop, TARGET=shop.before, PEEK_HOURS="0.0005")
    wait_until(lambda: stack.state("peek")["Status"] == "exited", 60, "its end")
    assert stack.state("peek")["ExitCode"] == 0
    assert volume(stack) == shop.volume


def test_a_killed_one_is_an_alarm_and_cleaned_up(shop: Shop) -> None:
    """Its container dies at once: the live database goes on, the supervisor says what is left, the next peek removes it."""
    stack = shop.stack
    opened(shop)
    stack.docker("kill", "peek")
    assert [name for name in volume(stack) if name.startswith("peek-")]
    stack.docker("restart", "backup", "--time", "5")  # it looks at once
    wait_until(lambda: "peek" in [alarm["key"] for alarm in stack.alarms()], 60, "the alarm")
    result = opened(shop)
    assert "is removed: a peek that was killed has left it" in result.stdout
    assert len([name for name in volume(stack) if name.startswith("peek-")]) == 1
    stack.docker("kill", "peek")
    assert stack.make("peek-close").code == 0
    assert volume(stack) == shop.volume
    stack.docker("restart", "backup", "--time", "5")
    wait_until(lambda: "peek" not in [alarm["key"] for alarm in stack.alarms()], 60, "the end of the alarm")
    assert stack.sql("SELECT pg_postmaster_start_time()") == shop.served_since


def test_a_killed_client_leaves_a_peek_that_can_be_used(shop: Shop) -> None:
    """Whoever waits for it is killed while it is being opened: it opens all the same, and can be closed."""
    stack = shop.stack
    with stack.in_background("scripts/peek", "open", shop.before, "") as client:
        wait_until(lambda: stack.docker("inspect", "peek", check=False).code == 0, 60, "its container")
        client.kill()
    began = time.monotonic()
    wait_until(lambda: stack.make("peek-psql", SQL="SELECT count(*) FROM sale").code == 0, 60, "an open peek")
    assert time.monotonic() - began < 60
    assert stack.make("peek-close").code == 0
    assert volume(stack) == shop.volume


def test_tablespaces_of_the_live_database_stay_untouched(shop: Shop) -> None:
    """One that a backup has is copied beside; one that was made after it is not replayed into the live one's files."""
    stack, place = shop.stack, "/var/lib/postgresql/fast"
    sums = f"find {place} -type f -name '*[0-9]' -exec sha256sum '{{}}' + | sort"
    stack.exec("postgres", "mkdir", place)
    stack.sql(f"CREATE TABLESPACE fast LOCATION '{place}'")
    stack.sql("CREATE TABLE quick TABLESPACE fast AS SELECT generate_series(1, 100) AS id")
    stack.sql("ALTER TABLE quick SET (autovacuum_enabled = off)")  # which changes the files when it likes
    stack.sql("CHECKPOINT")  # whoever replays it writes its buffers into the files
    made = stack.sql("SELECT clock_timestamp()")
    stack.sql("UPDATE quick SET id = id + 1000")
    stack.sql("VACUUM (FREEZE) quick")  # so that no reader has hints to add
    stack.sql("CHECKPOINT")
    before = stack.exec("postgres", "sh", "-c", sums).stdout
    result = stack.make("peek", TARGET=made)
    assert result.code == PEEK, result.output
    assert "a tablespace is made between this backup and the target" in result.output
    assert "HINT: choose a moment some minutes before the tablespace was made" in result.output
    opened(shop)
    assert stack.make("peek-close").code == 0

    assert stack.make("backup-incr").code == 0
    opened(shop, BACKUP_SET=stack.backups()[-1]["label"])
    assert "1100" in looked(stack, "SELECT max(id) FROM quick").split()
    assert "/peek-" in looked(stack, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'")
    assert stack.make("peek-close").code == 0
    assert stack.exec("postgres", "sh", "-c", sums).stdout == before
    assert stack.sql("SELECT min(id), max(id) FROM quick") == "1001|1100"
    assert volume(stack) == sorted([*shop.volume, "fast"])


def test_without_a_live_database_it_opens_and_compares_nothing(shop: Shop) -> None:
    """The last test: it stops the database."""
    stack = shop.stack
    label = stack.backups()[-1]["label"]
    stack.docker("stop", "postgres")
    for variables in ({"TARGET": shop.before}, {"BACKUP_SET": label}, {"TARGET": ""}):
        result = opened(shop, **variables)
        assert "  the live database does not answer, so there is nothing to compare with" in result.stdout.splitlines()
        assert re.search(r"^  table +size +peek$", result.stdout, re.MULTILINE), result.output
        assert "live" not in result.stdout.split("PEEK: ")[1].split("the live database")[0]
        assert looked(stack, "SELECT 1")
        assert stack.make("peek-close").code == 0
    stack.docker("start", "postgres")
    wait_until(stack.is_open, 60, "the live database")
