"""The supervisor's look at what killed peeks have left: it takes the space of the live database, so it is an alarm."""

from __future__ import annotations

from typing import Final

from backup import logs
from backup.deployment import Deployment
from backup.peek import place
from backup.state.alarms import Alarm
from contract import events

ALARM_KEY: Final = "peek"
HINT: Final = "`make peek-close` removes it, and so does the next `make peek`"


def look(deployment: Deployment) -> None:
    """Raise the alarm, or end it. Raises StoreError."""
    try:
        left = place.leftovers(deployment.volumes.database)
        if left and place.is_open(deployment.volumes):
            return
    except OSError as error:
        logs.logger().warning(events.PEEK_LEFT, message=f"the database's volume cannot be looked through: {error}")
        return
    if not left:
        deployment.teller.over(ALARM_KEY, events.PEEK_TIDIED, "nothing is left of the peek that was killed")
        return
    names = ", ".join(directory.name for directory in left)
    message = f"a peek was killed, and what it has left takes space on the database's volume: {names}"
    deployment.teller.alarm(Alarm(ALARM_KEY, events.PEEK_LEFT, "warning", message, HINT), {"directories": names})
