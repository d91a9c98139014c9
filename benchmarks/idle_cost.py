"""What the backup container costs while nothing is due: processor time, memory, queries, and other programs it starts.

Runs a stack of its own with built images, waits until it is idle, and measures. `python3 -m benchmarks.idle_cost [MINUTES]`
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.first_backup import PROJECT, compose, docker, wait_for

BACKUP, POSTGRES = f"{PROJECT}-backup", f"{PROJECT}-postgres"
SETTINGS = "PGBACKREST_REPO1_TYPE=posix\n"
SETTLE_SECONDS = 90

# One line a process: its proportional share of memory and its resident memory in KiB, then its command.
PROCESSES = (
    "for p in /proc/[0-9]*; do "
    "echo $(awk '/^Pss:/ {print $2}' $p/smaps_rollup) $(awk '/^VmRSS:/ {print $2}' $p/status) "
    "$(tr '\\0' ' ' < $p/cmdline); done 2>/dev/null"
)
# Version 2 of the control groups, or version 1.
PROCESSOR = (
    "awk '/^usage_usec/ {print $2 / 1e6; exit}' /sys/fs/cgroup/cpu.stat 2>/dev/null | grep . || "
    "awk '{print $1 / 1e9}' /sys/fs/cgroup/cpuacct/cpuacct.usage"
)
QUERY = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database"


def processor_seconds() -> float:
    """Return what the container has used since its start."""
    return float(docker("exec", BACKUP, "sh", "-c", PROCESSOR))


def transactions() -> int:
    return int(docker("exec", POSTGRES, "psql", "-U", "postgres", "-Atc", QUERY))


def supervisor_memory() -> tuple[float, float]:
    """Proportional and resident memory of the supervisor, in MiB."""
    for line in docker("exec", BACKUP, "sh", "-c", PROCESSES).splitlines():
        proportional, resident, *command = line.split()
        if "supervise" in command and "tini" not in command[0]:
            return int(proportional) / 1024, int(resident) / 1024
    raise SystemExit("no supervisor in the container")


def pgbackrest_runs(since: float) -> int:
    """How often the backup container has run pgbackrest since then, by the log files that each run appends to."""
    return int(docker("exec", BACKUP, "sh", "-c", f"find /var/log/pgbackrest -newermt @{since:.0f} | wc -l"))


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "env"
        settings.write_text(SETTINGS, "utf-8")
        compose(settings, "up", "-d")
        try:
            wait_for(BACKUP, "backup.succeeded")
            time.sleep(SETTLE_SECONDS)
            cpu, queries, began = processor_seconds(), transactions(), time.time()
            time.sleep(minutes * 60)
            cpu, queries = processor_seconds() - cpu, transactions() - queries
            proportional, resident = supervisor_memory()
            print(f"| in {minutes:g} idle minutes | |\n| --- | --- |")
            print(f"| processor time of the container, s | {cpu:.1f} |")
            print(f"| supervisor: resident memory, MiB | {resident:.1f} |")
            print(f"| supervisor: its share of memory (PSS), MiB | {proportional:.1f} |")
            print(f"| transactions in the database, all causes | {queries} |")
            print(f"| log files of pgbackrest written to | {pgbackrest_runs(began)} |")
        finally:
            compose(settings, "down", "--volumes", "--timeout", "5")


if __name__ == "__main__":
    main()
