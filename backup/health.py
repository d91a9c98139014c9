"""The health of the backup container, from local state alone: asks neither database nor repository.

Docker runs this every half minute. Asked of an object store it would be a bill, and with the libraries of the other
commands a tenth of a processor core; so it reads one SQLite file and imports nothing but the standard library.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Final

from backup.state.history import History, Run
from backup.state.store import Store
from contract import paths
from contract.exits import Exit

SIGN_OF_LIFE: Final = timedelta(seconds=60)
"""The supervisor leaves one every five seconds; a minute without is a supervisor that hangs or is gone."""


def problems(history: History, now: datetime) -> list[str]:
    """Return what makes the container unhealthy, a sentence each."""
    found = supervisor_problems(history, now) + run_problems(history.last("backup"))
    if history.last("backup", state="succeeded") is None:
        heartbeat = history.heartbeat()
        found.append(f"no backup yet ({heartbeat.phase if heartbeat else 'starting'})")
    return found


def supervisor_problems(history: History, now: datetime) -> list[str]:
    """Return what is wrong with the supervisor itself, by its sign of life."""
    heartbeat = history.heartbeat()
    if heartbeat is None or now - heartbeat.at > SIGN_OF_LIFE:
        return ["the supervisor gives no sign of life; see `docker logs salespider-backup`"]
    return []


def run_problems(last_run: Run | None) -> list[str]:
    """Return what is wrong with the last backup run."""
    if last_run is None or last_run.state != "failed":
        return []
    return [f"the last backup run failed: {last_run.message}"]


def main() -> Exit:
    """Print the problems; return Exit.UNEXPECTED (what Docker takes for unhealthy) when there are any."""
    store = Store(paths.HISTORY)
    found = problems(History(store), datetime.now(UTC))
    store.close()
    for problem in found:
        print(problem)  # noqa: T201 Docker keeps it as the reason
    return Exit.UNEXPECTED if found else Exit.OK


if __name__ == "__main__":
    sys.exit(main())
