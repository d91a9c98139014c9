"""The thread that holds what was promised against what is there, once a minute.

Promised are backups of the right cluster, in time, in repositories that are not lost, and a recovery kit. It is apart from
the loop because it may have to ask a repository, and apart from the watcher because that must not wait for one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from backup import logs
from backup.deployment import Deployment
from backup.due import lateness
from backup.keeping import losses
from backup.ownership import identity, protection
from backup.postgres import DatabaseError
from backup.state.store import StoreError
from contract import events

INTERVAL_SECONDS: Final = 60.0


class Promises:
    """A thread. `deployment` returns the one that is in force at each look. Dies loudly: `is_alive` turns false."""

    def __init__(self, deployment: Callable[[], Deployment], stop: threading.Event) -> None:
        """Make the thread; `start` starts it, `stop` ends it."""
        self._deployment = deployment
        self._stop = stop
        self._thread = threading.Thread(target=self._work, name="promises", daemon=True)

    def start(self) -> None:
        """Start the thread; the first look is a minute later, when the supervisor has had time to look round."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the thread still looks."""
        return self._thread.is_alive()

    def finish(self, timeout_seconds: float) -> None:
        """Wait until the thread has ended; the stop event is what ends it."""
        self._thread.join(timeout_seconds)

    def _work(self) -> None:
        try:
            while not self._stop.wait(INTERVAL_SECONDS):
                look(self._deployment())
        except Exception:  # noqa: BLE001 the thread boundary: whatever it was, the process must learn of it
            logs.logger().exception(events.SUPERVISOR_THREAD_DIED, thread="promises")


def look(deployment: Deployment) -> None:
    """Raise and end the alarms once; a state that cannot be read or written is told, and looked at the next time."""
    try:
        _look_at_the_cluster(deployment)
        lateness.judge(deployment)
        losses.judge(deployment)
        protection.judge(deployment)
    except StoreError as error:
        hint = "see the free space of the volume backup-state"
        logs.logger().error(events.STATE_UNREADABLE, message=str(error), hint=hint)


def _look_at_the_cluster(deployment: Deployment) -> None:
    """Raise the alarm when the cluster was replaced since the last backup; a run that finds it right again ends it."""
    try:
        server = deployment.postgres.server()
    except DatabaseError:
        return  # the watcher tells that
    if (objection := identity.glance(deployment, server)) is not None:
        identity.alarm(deployment, objection)
