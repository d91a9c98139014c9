"""What a run of ours costs beside plain `pgbackrest backup` with the same configuration: full backups, in pairs.

`python3 benchmarks/run_overhead.py [PAIRS] [GIGABYTES]`, with built images. Makes a stack of its own with so much random
data, and takes two full backups a pair, the order alternating. Both commands go through `docker exec`; ours is what `make
backup` runs, from Python's start to the last word: questions before, pgbackrest, proof, expire, record. Plain pgbackrest
expires, too. The third row is a command of ours that does nothing: what Python and its libraries take to load.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "salespider-bench-run"
BACKUP = f"{PROJECT}-backup"
SETTINGS = (
    "PGBACKREST_REPO1_TYPE=posix\nBACKUP_CPU_LIMIT=2\nPOSTGRES_CPU_LIMIT=2\nBACKUP_RETENTION_FULL=1\n"
    "BACKUP_SCHEDULE_FULL='0 0 29 2 *'\nBACKUP_SCHEDULE_DIFF=off\n"
)
PATIENCE_SECONDS = 180
BYTES_PER_ROW = 93
"""Of a table with four random UUIDs a row, measured."""

OURS = ("salespider-backup", "backup", "--type=full")
PLAIN = ("pgbackrest", "--stanza=salespider", "--repo=1", "--type=full", "backup")
NOTHING = ("salespider-backup", "backup", "--help")


def environment(settings: Path) -> dict[str, str]:
    return os.environ | {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "CONFIG_VOLUME": f"{PROJECT}-pgbackrest-config",
        "ENV_FILE": str(settings),
        "COMPOSE_ENV_FILES": str(settings),
    }


def compose(settings: Path, *arguments: str) -> None:
    subprocess.run(["docker", "compose", *arguments], cwd=ROOT, env=environment(settings), check=True, capture_output=True)


def sql(query: str) -> str:
    psql = ("psql", "-XAtq", "-U", "postgres", "-d", "salespider", "-c", query)
    done = subprocess.run(["docker", "exec", f"{PROJECT}-postgres", *psql], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def wait_for_first_backup() -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    waiting = ["docker", "exec", BACKUP, "salespider-backup", "wait-for-backup"]
    while subprocess.run(waiting, check=False, capture_output=True).returncode:
        if time.monotonic() > deadline:
            raise SystemExit("the stack never took its first backup")
        time.sleep(1)


def fill(gigabytes: float) -> int:
    """Make the table, wait until its WAL is archived, and return the bytes of all databases."""
    rows = round(gigabytes * 1e9 / BYTES_PER_ROW)
    columns = ", ".join(f"gen_random_uuid() AS u{number}" for number in range(4))
    sql(f"CREATE TABLE ballast AS SELECT {columns} FROM generate_series(1, {rows})")
    sql("CHECKPOINT")
    sql("SELECT pg_switch_wal()")
    while sql("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") != "0":
        time.sleep(1)
    return int(sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))


def seconds(command: tuple[str, ...]) -> float:
    began = time.monotonic()
    subprocess.run(["docker", "exec", BACKUP, *command], check=True, capture_output=True)
    return time.monotonic() - began


def measure(pairs: int) -> list[tuple[float, float, float]]:
    for command in (PLAIN, OURS):  # once to warm up
        seconds(command)
    measured = []
    for pair in range(pairs):
        if pair % 2:
            ours, plain = seconds(OURS), seconds(PLAIN)
        else:
            plain, ours = seconds(PLAIN), seconds(OURS)
        measured.append((ours, plain, seconds(NOTHING)))
    return measured


def main() -> None:
    pairs = int(next(iter(sys.argv[1:]), "8"))
    gigabytes = float(next(iter(sys.argv[2:]), "1.1"))
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "env"
        settings.write_text(SETTINGS, "utf-8")
        compose(settings, "up", "-d")
        try:
            wait_for_first_backup()
            size = fill(gigabytes)
            measured = measure(pairs)
        finally:
            compose(settings, "down", "--volumes", "--timeout", "5")
    ratios = [ours / plain for ours, plain, _ in measured]
    print(f"Full backups of {size / 1e9:.2f} GB, {pairs} pairs:\n")
    print("| seconds | median | min - max |\n| --- | --- | --- |")
    for index, name in enumerate(("`salespider-backup backup`", "`pgbackrest backup`", "`salespider-backup backup --help`")):
        values = [row[index] for row in measured]
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} - {max(values):.2f} |")
    print(f"| ratio of the first two, by pair | {statistics.median(ratios):.3f} | {min(ratios):.3f} - {max(ratios):.3f} |")


if __name__ == "__main__":
    main()
