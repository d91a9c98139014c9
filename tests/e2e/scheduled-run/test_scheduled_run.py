"""A backup is due at a time of day in the operator's time zone, and is taken then."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.e2e.conftest import Stacks
from tests.e2e.stack import wait_until

BERLIN = ZoneInfo("Europe/Berlin")
TIME_TO_START = timedelta(seconds=50)


def test_a_differential_backup_is_taken_on_schedule(stacks: Stacks) -> None:
    """The cron line names an hour and a minute in Berlin, which in UTC would be an hour or two away."""
    due = (datetime.now(BERLIN) + TIME_TO_START + timedelta(minutes=1)).replace(second=0, microsecond=0)
    stack = stacks.running(TZ="Europe/Berlin", BACKUP_SCHEDULE_DIFF=f"{due.minute} {due.hour} * * *")
    stack.sql("CREATE TABLE sale AS SELECT 1 AS id")
    assert not stack.backups("diff")
    wait_until(lambda: stack.backups("diff"), 150, "the scheduled backup")
    (backup,) = stack.backups("diff")
    assert timedelta(0) <= datetime.fromtimestamp(backup["timestamp"]["start"], BERLIN) - due < timedelta(seconds=15)
    wait_until(lambda: stack.runs()[-1]["state"] == "succeeded", 10, "its record")
    first, scheduled = stack.runs()
    assert first["origin"] == "first"
    assert (scheduled["origin"], scheduled["what"], scheduled["label"]) == ("schedule", "diff", backup["label"])
