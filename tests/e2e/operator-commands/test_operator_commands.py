"""The commands that the guide prints work as printed, and the make targets say what they promise."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Result, Stack, wait_until

BACKREST = "docker exec salespider-backup pgbackrest --stanza=salespider"


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.running()
    stack.sql("CREATE TABLE sale (id bigint PRIMARY KEY)")
    return stack


def typed(stack: Stack, line: str) -> Result:
    """Run a line of the guide with this stack's names in it, without the terminal that `-it` asks for."""
    for service in ("postgres", "backup"):
        line = line.replace(f"salespider-{service}", stack.container(service))
    return stack.run(*shlex.split(line.replace("exec -it", "exec -i")))


# --- looking and backing up -------------------------------------------------------------------------------------------


def test_info(stack: Stack) -> None:
    """`info` lists the backups, for people and as JSON, and the JSON begins with the first byte."""
    label = stack.backups()[0]["label"]
    assert label in typed(stack, f"{BACKREST} info").stdout
    assert json.loads(typed(stack, f"{BACKREST} info --output=json").stdout)[0]["name"] == "salespider"


def test_check_and_differential_backup(stack: Stack) -> None:
    """`check` finds archiving in order, and a differential backup by hand is listed."""
    typed(stack, f"{BACKREST} check")
    before = len(stack.backups("diff"))
    typed(stack, f"{BACKREST} --repo=1 --type=diff --no-expire-auto backup")
    assert len(stack.backups("diff")) == before + 1


@pytest.mark.parametrize(
    "line",
    [
        "docker logs salespider-backup",
        "docker exec salespider-backup cat /etc/pgbackrest/pgbackrest.conf",
        "docker exec salespider-backup cat /var/log/pgbackrest/backup-full.log",
        "docker exec salespider-postgres df -h /var/lib/postgresql/data/pg_wal",
        "docker exec salespider-postgres df -h /var/lib/postgresql/data",
        "docker exec salespider-postgres du -sh /var/lib/postgresql/data/pg_wal",
        "docker exec salespider-postgres ls -lh /var/lib/postgresql/data/pg_wal",
        "docker exec salespider-postgres ls -1 /var/lib/postgresql/data/pg_wal",
        "docker exec salespider-postgres psql -U postgres -d salespider -c 'SELECT pg_current_wal_lsn();'",
        "docker exec -it salespider-postgres psql -U postgres -d salespider -c 'SELECT 1'",
        "docker exec salespider-postgres pg_dump -U postgres salespider",
        "docker compose logs setup",
    ],
)
def test_line_of_the_guide(stack: Stack, line: str) -> None:
    """It ends with 0 and shows something."""
    assert typed(stack, line).output.strip()


# --- make -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["diff", "incr"])
def test_make_backup_of_another_type(stack: Stack, kind: str) -> None:
    """A new backup of that type, recorded as asked for by hand, with its log file."""
    before = len(stack.backups(kind))
    result = stack.make(f"backup-{kind}")
    assert result.code == 0, result.output
    assert len(stack.backups(kind)) == before + 1
    label, run = stack.backups(kind)[-1]["label"], stack.runs()[-1]
    assert (run["what"], run["origin"], run["label"]) == (kind, "manual", label)
    assert label in typed(stack, f"docker exec salespider-backup cat /var/log/pgbackrest/backup-{kind}.log").stdout


def test_make_backup_info_and_history(stack: Stack) -> None:
    """One lists every backup with its type and state, the other every run."""
    table, runs = stack.make("backup-info"), stack.make("backup-history")
    assert (table.code, runs.code) == (0, 0)
    for backup in stack.backups():
        (row,) = [line for line in table.stdout.splitlines() if f"{backup['label']} " in line]
        assert backup["type"] in row
        assert "good" in row
    assert "holds no full backup yet" in runs.stdout, "the reason of the first one"


def test_make_status(stack: Stack) -> None:
    """The containers, the database, the window and the schedule on one screen; 0 means that all is well."""
    result = stack.make("status")
    assert result.code == 0, result.output
    for word in (stack.container("postgres"), "PostgreSQL 17", "window", "full backup", "encrypted"):
        assert word in result.stdout


def test_without_a_container_that_is_said(stack: Stack) -> None:
    """Some versions of Docker print an empty line where there is no such container."""
    result = stack.run("scripts/in-backup", "status", check=False, PROJECT=f"{stack.project}-none")
    assert result.code == 1
    assert result.stderr.startswith(f"there is no container {stack.project}-none-backup\nHINT: ")


def test_make_help(stack: Stack) -> None:
    """Every target of the guide is in the list, and `make` alone prints the same."""
    listed = stack.make("help").stdout
    targets = "deploy backup backup-info backup-check restore-latest restore-backup restore-pitr status password"
    assert set(targets.split()) <= set(listed.split())
    assert stack.run("make").stdout == listed


def test_make_backup_check_proves_what_it_says(stack: Stack) -> None:
    """It ends with 0, names a WAL segment that was archived, and that segment is in the repository."""
    result = stack.make("backup-check")
    assert result.code == 0, result.output
    for finding in ("versions", "repository", "stanza", "archiving", "last full"):
        assert f"ok   {finding}" in result.stdout
    (segment,) = re.findall(r"WAL segment ([0-9A-F]{24})", result.stdout)
    assert segment in stack.in_repository("find archive -type f")


def test_make_storage_check_tries_a_directory(stack: Stack) -> None:
    """List, write, read back and delete in the repository itself, of which nothing stays."""
    result = stack.make("storage-check")
    assert result.code == 0, result.output
    seen = [line.split()[0] for line in result.stdout.splitlines() if " ok " in line]
    assert {"directory", "credentials", "list", "write", "throughput", "delete"} <= set(seen), result.output
    assert "on the database's own file system" in result.stdout
    assert stack.in_repository("find . -name 'storage-check*'") == ""
    stack.exec("backup", "chmod", "u-w", "/var/lib/pgbackrest")
    refused = stack.make("storage-check", REPO="1")
    stack.exec("backup", "chmod", "u+w", "/var/lib/pgbackrest")
    assert refused.code == 14, refused.output
    assert "repository 1 (docker volume backup-repo): write failed" in refused.stderr


def test_make_backup_check_names_what_is_wrong(stack: Stack) -> None:
    """A repository that cannot be written makes it end with 20 and a hint."""
    stack.in_repository("chmod 0550 .")
    try:
        result = stack.make("backup-check")
    finally:
        stack.in_repository("chmod 0750 .")
    assert result.code == 20, result.output
    assert "FAIL  repository" in result.output
    assert "HINT:" in result.output


# --- restoring by hand ------------------------------------------------------------------------------------------------


def restore_by_hand(stack: Stack, options: str) -> None:
    """Stop the database, run the guide's line, start it again."""
    typed(stack, "docker stop salespider-postgres")
    typed(stack, f"{BACKREST} {options} restore")
    typed(stack, "docker start salespider-postgres")


def sales(stack: Stack) -> str:
    return stack.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM sale")


def full_second_after(stack: Stack) -> str:
    """Wait for the next full second of the database's clock, and for the one after it; return the former."""
    second = stack.sql("SELECT date_trunc('second', clock_timestamp())::timestamp + interval '1 second'")
    wait_until(lambda: stack.sql(f"SELECT clock_timestamp() > '{second}'::timestamp + interval '0.1 s'") == "t", 5, second)
    return second


def test_restore_forms_of_the_guide(stack: Stack) -> None:
    """All five, one after the other, each followed by new sales that the next one brings back or leaves out."""
    stack.sql("TRUNCATE sale")
    stack.sql("INSERT INTO sale VALUES (1)")
    label = stack.backups("full")[0]["label"]

    restore_by_hand(stack, "")
    wait_until(stack.is_open, 60, "the latest state")
    assert sales(stack) == "1"

    stack.sql("INSERT INTO sale VALUES (2)")
    restore_by_hand(stack, f"--set={label}")
    wait_until(stack.is_open, 60, "the latest state, from a named backup")
    assert sales(stack) == "1 2"

    target = full_second_after(stack)
    stack.sql("INSERT INTO sale VALUES (3)")
    restore_by_hand(stack, f'--type=time --target="{target}" --target-action=promote')
    wait_until(stack.is_open, 60, "a moment")
    assert sales(stack) == "1 2"

    stack.sql("INSERT INTO sale VALUES (4)")
    xid = stack.sql("INSERT INTO sale VALUES (5) RETURNING pg_current_xact_id()")
    stack.sql("INSERT INTO sale VALUES (6)")
    restore_by_hand(stack, f'--type=xid --target="{xid}" --target-action=promote')
    wait_until(stack.is_open, 60, "a transaction")
    assert sales(stack) == "1 2 4 5"

    target = full_second_after(stack)
    stack.sql("INSERT INTO sale VALUES (7)")
    restore_by_hand(stack, f'--type=time --target="{target}"')
    paused = "SELECT pg_get_wal_replay_pause_state()"
    wait_until(lambda: answer(stack, paused) == "paused", 60, "a database that is paused at the target")
    assert sales(stack) == "1 2 4 5", "it can be looked at before it is opened"
    stack.sql("SELECT pg_wal_replay_resume()")
    wait_until(stack.is_open, 60, "the end of the pause")
    stack.sql("INSERT INTO sale VALUES (8)")


def answer(stack: Stack, query: str) -> str:
    """Return what the database answers, or nothing while it does not."""
    try:
        return stack.sql(query)
    except AssertionError:
        return ""


def test_log_of_a_restore(stack: Stack) -> None:
    """`make restore-latest` writes the log file that the guide names."""
    assert stack.make("restore-latest", CONFIRM="yes").code == 0
    log = typed(stack, "docker exec salespider-backup cat /var/log/pgbackrest/restore.log").stdout
    assert "restore command end: completed successfully" in log
