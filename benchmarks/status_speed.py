"""How long `status`, `history` and `healthcheck` take with 1,000 backups in `info` and a million runs in the record.

Runs a stack of its own with the default half processor core, fills the supervisor's state, and puts a stand-in for
pgbackrest, which prints what `info` would for so many backups, before the real one. Each time is that of a whole
`docker exec`, Python's start included. `python3 benchmarks/status_speed.py [ROUNDS]`
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
PROJECT = "salespider-bench"
BACKUP = f"{PROJECT}-backup"
SETTINGS = "PGBACKREST_REPO1_TYPE=posix\n"
PATIENCE_SECONDS = 120
STAND_IN = "/var/lib/salespider/state/bench"

FILL = r"""
import json, os, random, sqlite3, time
from backup.state.history import History
from backup.state.store import Store
from backup.watch.samples import Samples
from contract import paths

chance, now = random.Random(1), time.time()
store = Store(paths.HISTORY)
History(store), Samples(store)
INSERT = (
    "INSERT INTO run (kind, what, repo, origin, reason, started_at, finished_at, state, exit_code, label, message, tail, "
    "requested, database_bytes, copied_bytes, stored_bytes) "
    "VALUES ('backup', ?, 1, 'schedule', 'scheduled', ?, ?, ?, 0, 'label', 'a message', ?, ?, 1000000, 900000, 300000)"
)
SAMPLE = "INSERT OR IGNORE INTO sample (at, problem, volumes, wal_rate, wal_rate_smoothed) VALUES (?, '', '[]', ?, ?)"

def run(n):
    what, at = chance.choice(["full", "diff", "diff", "incr"]), now - 3600 - n * 60
    state = chance.choice(["succeeded"] * 9 + ["failed"])
    return what, at, at + chance.uniform(50, 70), state, "a line\n" * 25, what

for start in range(0, 1_000_000, 20_000):  # others wait for a transaction, the supervisor too
    with store.transaction() as connection:
        connection.executemany(INSERT, (run(n) for n in range(start, start + 20_000)))
with store.transaction() as connection:
    connection.executemany(SAMPLE, ((int(now) - n * 60, 1000.0 + n, 1000.0) for n in range(8 * 24 * 60)))
store.close()

def backup(n):
    begun = int(now) - 1800 - n * 3600
    label = time.strftime("%Y%m%d-%H%M%SF", time.gmtime(begun))
    return {
        "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000002"},
        "backrest": {"format": 5, "version": "2.55.1"},
        "database": {"id": 1, "repo-key": 1},
        "error": False,
        "info": {"delta": 900000, "repository": {"delta": 300000, "delta-map": 14}, "size": 1000000},
        "label": label,
        "lsn": {"start": "0/2000028", "stop": "0/2000120"},
        "prior": None,
        "reference": None,
        "timestamp": {"start": begun, "stop": begun + 60},
        "type": "full",
    }

stanza = {
    "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "17-1", "max": "0" * 24, "min": "0" * 24}],
    "backup": [backup(n) for n in range(1000)][::-1],
    "cipher": "aes-256-cbc",
    "db": [{"id": 1, "repo-key": 1, "system-id": 1, "version": "17"}],
    "name": "salespider",
    "repo": [{"cipher": "aes-256-cbc", "key": 1, "status": {"code": 0, "message": "ok"}}],
    "status": {"code": 0, "lock": {"backup": {"held": False}}, "message": "ok"},
}
folder = "/var/lib/salespider/state/bench"
os.makedirs(folder, exist_ok=True)
with open(f"{folder}/info.json", "w") as file:
    json.dump([stanza], file)
with open(f"{folder}/pgbackrest", "w") as file:
    file.write(f"#!/bin/sh\nexec cat {folder}/info.json\n")
os.chmod(f"{folder}/pgbackrest", 0o755)
"""

MEASURED = {
    "docker exec of a program that does nothing": ("true",),
    "healthcheck": ("salespider-backup", "healthcheck"),
    "status": ("salespider-backup", "status"),
    "status --output=json": ("salespider-backup", "status", "--output=json"),
    "history": ("salespider-backup", "history"),
    "history --limit=1000 --output=json": ("salespider-backup", "history", "--limit=1000", "--output=json"),
    "history --trend": ("salespider-backup", "history", "--trend"),
}


def compose(settings: Path, *arguments: str) -> None:
    environment = os.environ | {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "CONFIG_VOLUME": f"{PROJECT}-pgbackrest-config",
        "ENV_FILE": str(settings),
        "COMPOSE_ENV_FILES": str(settings),
    }
    subprocess.run(["docker", "compose", *arguments], cwd=ROOT, env=environment, check=True, capture_output=True)


def inside(*arguments: str, text: str | None = None, path: str = "") -> subprocess.CompletedProcess[str]:
    options = ["--env", f"PATH={path}:/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin"] if path else []
    command = ["docker", "exec", "--interactive", *options, BACKUP, *arguments]
    return subprocess.run(command, input=text or "", capture_output=True, text=True, check=False)


def wait_for_backup() -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while inside("salespider-backup", "healthcheck").returncode not in {0, 1}:
        if time.monotonic() > deadline:
            raise SystemExit("the stack has taken no backup")
        time.sleep(0.5)


def seconds(arguments: tuple[str, ...]) -> float:
    began = time.perf_counter()
    done = inside(*arguments, path=STAND_IN)
    taken = time.perf_counter() - began
    if "Traceback" in done.stderr or done.returncode not in {0, 1}:
        raise SystemExit(f"{arguments}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return taken


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "env"
        settings.write_text(SETTINGS, "utf-8")
        try:
            compose(settings, "up", "-d")
            wait_for_backup()
            subprocess.run(["docker", "update", "--cpus=2", BACKUP], check=True, capture_output=True)
            filled = inside("python3", "-", text=FILL)
            subprocess.run(["docker", "update", "--cpus=0.5", BACKUP], check=True, capture_output=True)
            if filled.returncode:
                raise SystemExit(filled.stderr)
            measured = {name: [seconds(arguments) for _ in range(rounds)] for name, arguments in MEASURED.items()}
        finally:
            compose(settings, "down", "--volumes", "--timeout", "5")
    print(f"| command | median of {rounds}, s | min - max |\n| --- | --- | --- |")
    for name, values in measured.items():
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} - {max(values):.2f} |")


if __name__ == "__main__":
    main()
