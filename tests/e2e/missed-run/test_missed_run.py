"""The container was down when backups were due: they are caught up once, as one run, and not again."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack, wait_until

A_DAY_AND_TWO_HOURS = 26 * 3600
BACKDATE = f"""
import json, sqlite3
state = sqlite3.connect("/state/history.sqlite")
(text,) = state.execute("SELECT value FROM mark WHERE name = 'agenda'").fetchone()
agenda = json.loads(text)
agenda["considered_until"] -= {A_DAY_AND_TWO_HOURS}
state.execute("UPDATE mark SET value = ? WHERE name = 'agenda'", (json.dumps(agenda),))
state.commit()
"""


def be_down_for_a_day(stack: Stack) -> None:
    """Stop the container, and let its state say that it last looked at the schedule more than a day ago."""
    stack.docker("stop", "backup")
    stack.in_helper(f"python3 - <<'PROGRAM'\n{BACKDATE}\nPROGRAM", {"/state": stack.volume("backup-state")})
    stack.docker("start", "backup")
    wait_until(lambda: stack.doing().startswith(("idle", "taking")), 60, "a supervisor at work")


def scheduled(stack: Stack) -> list[tuple[str, str]]:
    return [(run["what"], run["state"]) for run in stack.runs() if run["origin"] == "schedule"]


def test_what_was_missed_is_caught_up_once(stacks: Stacks) -> None:
    """A differential backup was due every hour, an incremental one every quarter: one differential backup is all of it."""
    minute = datetime.now(UTC).minute
    stack = stacks.running(
        BACKUP_SCHEDULE_FULL="0 0 31 12 *",
        BACKUP_SCHEDULE_DIFF=f"{(minute + 30) % 60} * * * *",
        BACKUP_SCHEDULE_INCR=f"{(minute + 8) % 15}-59/15 * * * *",  # not in the next minutes
        BACKUP_CATCH_UP_JITTER="2",
    )
    be_down_for_a_day(stack)
    wait_until(lambda: ("diff", "succeeded") in scheduled(stack), 60, "the backup that was missed")
    assert scheduled(stack) == [("diff", "succeeded")]
    assert "missed" in stack.runs()[-1]["reason"]
    stack.docker("restart", "backup")
    wait_until(lambda: stack.doing().startswith("idle"), 60, "an idle supervisor")
    assert len([kind for kind, _ in scheduled(stack) if kind == "diff"]) == 1
