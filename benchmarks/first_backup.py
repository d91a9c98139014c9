"""From `docker compose up -d` with built images to the first full backup of an empty database: where the time goes.

Runs a stack of its own several times and prints the median of each phase. `python3 benchmarks/first_backup.py [RUNS]`
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "salespider-bench"
SETTINGS = "PGBACKREST_REPO1_TYPE=posix\nBACKUP_CPU_LIMIT=2\n"
PATIENCE_SECONDS = 120


def environment(settings: Path) -> dict[str, str]:
    return os.environ | {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "CONFIG_VOLUME": f"{PROJECT}-pgbackrest-config",
        "ENV_FILE": str(settings),
        "COMPOSE_ENV_FILES": str(settings),
    }


def compose(settings: Path, *arguments: str) -> None:
    subprocess.run(["docker", "compose", *arguments], cwd=ROOT, env=environment(settings), check=True, capture_output=True)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def moment(text: str) -> float:
    """Seconds since the epoch of Docker's nanosecond timestamps."""
    return datetime.fromisoformat(text[:26].rstrip("Z")).replace(tzinfo=UTC).timestamp()


def first_line(container: str, marker: str, occurrence: int = 0) -> float | None:
    output = subprocess.run(["docker", "logs", "-t", container], check=True, capture_output=True, text=True)
    lines = sorted(line for line in (output.stdout + output.stderr).splitlines() if marker in line)
    return moment(lines[occurrence].split(" ", 1)[0]) if len(lines) > occurrence else None


def wait_for(container: str, marker: str) -> float:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (found := first_line(container, marker)) is not None:
            return found
        time.sleep(0.1)
    raise SystemExit(f"{container} never said {marker!r}")


def one_run(settings: Path) -> dict[str, float]:
    began = time.time()
    compose(settings, "up", "-d")
    done = wait_for(f"{PROJECT}-backup", "backup.succeeded")
    setup = json.loads(docker("inspect", f"{PROJECT}-setup"))[0]["State"]
    started = moment(json.loads(docker("inspect", f"{PROJECT}-postgres"))[0]["State"]["StartedAt"])
    ready = first_line(f"{PROJECT}-postgres", "ready to accept connections", 1) or done
    stanza = wait_for(f"{PROJECT}-backup", "stanza.ready")
    taking = wait_for(f"{PROJECT}-backup", "backup.started")
    compose(settings, "down", "--volumes", "--timeout", "5")
    return {
        "compose creates networks, volumes, containers": moment(setup["StartedAt"]) - began,
        "setup renders and publishes": moment(setup["FinishedAt"]) - moment(setup["StartedAt"]),
        "compose starts postgres": started - moment(setup["FinishedAt"]),
        "postgres: initdb, database, restart": ready - started,
        "supervisor notices, stanza-create": stanza - ready,
        "supervisor starts the first backup": taking - stanza,
        "the backup itself": done - taking,
        "from `docker compose up -d` to the first full backup": done - began,
    }


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "env"
        settings.write_text(SETTINGS, "utf-8")
        measured = [one_run(settings) for _ in range(runs)]
    print(f"| phase | median of {runs}, s | min - max |\n| --- | --- | --- |")
    for phase in measured[0]:
        values = [run[phase] for run in measured]
        print(f"| {phase} | {statistics.median(values):.2f} | {min(values):.2f} - {max(values):.2f} |")


if __name__ == "__main__":
    main()
