"""What may go wrong in a restore: the old database serves all the time, and the message says how to go on."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.small_disk import note, small, start
from tests.e2e.stack import Result, Stack, wait_until

MEGABYTES = 150
REFUSED, UNDONE = 16, 17
DATA_VOLUME = "/var/lib/postgresql"
REPO_CONF = "/config/conf.d/repo.conf"
# Fills the volume of the database, but for so many bytes, when the restore comes to a step; loaded by Python at its start.
FILLER = """
import os, pathlib, shutil, subprocess
from backup.restore.beside import build, proof

def filling(cls, name):
    original = getattr(cls, name)
    def wrapped(self, *given, **named):
        volume = pathlib.Path("/var/lib/postgresql")
        size = shutil.disk_usage(volume).free - int(os.environ["LEFT_BYTES"])
        subprocess.run(("fallocate", "-l", str(size), volume / "somebody-elses"), check=True)
        return original(self, *given, **named)
    setattr(cls, name, wrapped)

filling(*{"copying": (build.SideRestore, "_restore"), "proving": (proof.Proof, "prove")}[os.environ["FILL_AT"]])
"""


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """A shop with so much data that a restore with one process takes some seconds."""
    stack = stacks.running(PGBACKREST_PROCESS_MAX="1", BACKUP_RETENTION_FULL="20", TZ="Europe/Berlin")
    rows = MEGABYTES * 1_000_000 // 2_000
    stack.sql(f"CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) AS text FROM generate_series(1, {rows}) id")
    stack.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 1000) id")
    taken = stack.make("backup")
    assert taken.code == 0, taken.output
    return stack


def in_volume(stack: Stack) -> list[str]:
    """Return what lies beside the data directory."""
    return sorted(stack.in_helper("ls /v", {"/v": stack.volume("postgres-data")}).split())


@contextmanager
def untouched(stack: Stack) -> Iterator[None]:
    """See that the database was not stopped, serves all its rows and archives, and that nothing is left beside it."""
    life, sales, beside = stack.state("postgres")["StartedAt"], stack.sql("SELECT count(*) FROM sale"), in_volume(stack)
    yield
    assert stack.state("postgres")["StartedAt"] == life, "it was not even stopped"
    assert stack.sql("SELECT count(*) FROM sale") == sales
    assert [name for name in in_volume(stack) if name not in beside and name != "restore-journal.json"] == []
    checked = stack.make("backup-check")
    assert "no restore is under way" in stack.make("restore-status").output
    assert checked.code in (0, 20), checked.output  # 20: the last run failed, which is what this is about
    stack.sql("INSERT INTO sale SELECT max(id) + 1 FROM sale")


def said(result: Result, code: int, words: str) -> None:
    """See that a restore ended with this code, gave this reason, and said what to do."""
    assert result.code == code, result.output
    assert words in result.output
    assert "HINT:" in result.output


@contextmanager
def under_way(stack: Stack) -> Iterator[subprocess.Popen[bytes]]:
    """Begin a restore of the latest state; yields when files are being copied, and waits for its end."""
    argv = ("make", "restore-latest", f"PROJECT={stack.project}", f"ENV_FILE={stack.env_file}", "CONFIRM=yes")
    with (stack.directory / "restore.out").open("w") as out, stack.in_background(*argv, stdout=out) as process:
        wait_until(lambda: copied_megabytes(stack) >= MEGABYTES // 5, 60, "some copied files")
        yield process


def output(stack: Stack) -> str:
    return (stack.directory / "restore.out").read_text() + stack.exec(
        "backup", "tail", "-40", "/var/log/pgbackrest/restore.log"
    ).stdout


def copied_megabytes(stack: Stack) -> int:
    told = stack.exec("postgres", "sh", "-c", f"du -sm {DATA_VOLUME}/restore-2* 2>/dev/null || echo 0").stdout
    return int(told.split()[0])


def test_another_passphrase(stack: Stack) -> None:
    with untouched(stack):
        kept = stack.in_helper(f"cat {REPO_CONF}", {"/config": stack.config_volume})
        try:
            stack.in_helper(
                f"sed -i 's/^repo1-cipher-pass=.*/repo1-cipher-pass=another/' {REPO_CONF}", {"/config": stack.config_volume}
            )
            said(stack.make("restore-latest", CONFIRM="yes"), REFUSED, "the repository cannot be read")
        finally:
            stack.in_helper(f"cat > {REPO_CONF}", {"/config": stack.config_volume}, kept)


def test_a_backup_with_a_damaged_file(stack: Stack) -> None:
    label = stack.backups("full")[-1]["label"]
    largest = f"find backup/salespider/{label}/pg_data -type f -size +500k | sort | head -1"
    file = stack.in_repository(largest).strip()
    damage = f"dd if=/dev/urandom of={file} bs=4096 seek=8 count=16 conv=notrunc status=none"
    stack.in_repository(f"cp -p {file} {file}.whole; {damage}")
    try:
        with untouched(stack):
            said(stack.make("restore-backup", BACKUP_SET=label, CONFIRM="yes"), UNDONE, "old database was not touched")
    finally:
        stack.in_repository(f"mv {file}.whole {file}")


def test_the_repository_goes_away_in_the_middle(stack: Stack) -> None:
    with untouched(stack):
        try:
            with under_way(stack) as process:
                stack.in_repository("mv backup backup.away")
                process.wait(120)
        finally:
            stack.in_repository("mv backup.away backup")
        assert process.returncode == 2, "as make ends"
        assert "old database was not touched" in output(stack)


@pytest.fixture(scope="module")
def tight(stacks: Stacks) -> Stack:
    """A shop on a small disk, and what fills it."""
    tight = small(stacks)
    start(tight, PGBACKREST_REPO1_TYPE="posix")
    tight.sql("CREATE TABLE ballast AS SELECT id, repeat(md5(id::text), 60) AS text FROM generate_series(1, 10000) id")
    tight.sql("CREATE TABLE sale AS SELECT id FROM generate_series(1, 1000) id")
    taken = tight.make("backup")
    assert taken.code == 0, taken.output
    hook = tight.directory / "filler"
    hook.mkdir(mode=0o755)
    (hook / "sitecustomize.py").write_text(FILLER)
    return tight


@pytest.mark.parametrize(
    ("step", "left", "words"), [("copying", 40_000_000, "volume ran full"), ("proving", 30_000_000, "volume runs full")]
)
def test_the_disk_runs_full_in_the_middle(tight: Stack, step: str, left: int, words: str) -> None:
    """Somebody else fills it: the restore ends before the live database could not write any more."""
    volume = ("--volume", f"{tight.directory}/filler:/opt/filler:ro", "--env", "PYTHONPATH=/opt/filler:/opt/salespider")
    options = (*volume, "--env", f"FILL_AT={step}", "--env", f"LEFT_BYTES={left}")
    with untouched(tight):
        try:
            run = ("--profile", "ops", "run", "--rm", "--no-deps", "-T", *options)
            said(tight.compose(*run, "restore", "--yes", "latest", check=False), UNDONE, words)
            note(tight, left)
        finally:
            tight.exec("postgres", "rm", "-f", f"{DATA_VOLUME}/somebody-elses")


def test_the_client_is_killed_and_the_restore_goes_on(stack: Stack) -> None:
    """Whoever typed it loses the connection: the container does not. It ends as if nothing had happened."""
    before = stack.sql("SELECT count(*) FROM sale")
    with under_way(stack) as process:
        process.kill()
        stack.run("pkill", "--signal", "KILL", "--full", f"compose.*{stack.project}.*restore", check=False)
    wait_until(lambda: stack.runs()[-1]["state"] == "succeeded", 120, "the end of the restore")
    assert stack.sql("SELECT count(*) FROM sale") == before


def test_two_at_once_come_one_after_the_other(stack: Stack) -> None:
    before = stack.sql("SELECT count(*) FROM sale")
    wait_until(lambda: stack.doing().startswith("idle"), 90, "an idle supervisor")
    began = time.time()
    with under_way(stack) as process:
        second = stack.make("restore-latest", CONFIRM="yes")
        process.wait(120)
    assert process.returncode == 0, output(stack)
    assert second.code == 0, second.output
    assert "waiting for the restore" in second.output
    assert [run["state"] for run in stack.runs() if run["kind"] == "restore" and run["started_at"] >= began] == [
        "succeeded"
    ] * 2
    assert stack.sql("SELECT count(*) FROM sale") == before


def test_without_the_postgres_container(stack: Stack) -> None:
    """Somebody removed it; its volume is there. The restore says how to make it anew, and then it restores."""
    before, beside = stack.sql("SELECT count(*) FROM sale"), in_volume(stack)
    stack.docker("rm", "postgres", "--force")
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code not in (0, 18), result.output
    assert "HINT: " in result.output
    assert "docker compose up --no-start postgres" in result.output
    assert in_volume(stack) == beside
    stack.compose("up", "--no-start", "postgres")
    result = stack.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    wait_until(stack.is_open, 60, "an open database")
    assert stack.sql("SELECT count(*) FROM sale") == before
