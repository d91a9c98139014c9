"""The supervisor's process: the loop and the threads beside it, from the start to an ordered end.

A thread that dies ends the process, with a code that makes Docker start it again: half a supervisor is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final, Protocol

from backup import logs, oplock
from backup.deployment import BackupsOffError, ConfigurationError, Deployment
from backup.keeping import placement
from backup.notify.courier import Courier
from backup.state.store import StoreError
from backup.supervision.health_server import HealthServer
from backup.supervision.promises import Promises
from backup.supervision.runner import Runner
from backup.supervision.supervisor import FOREVER_SECONDS, TICK_SECONDS, Supervisor
from backup.taking import jobs
from backup.watch.watcher import Watcher
from contract import events
from contract.exits import Exit

END_SECONDS: Final = 10.0


class Part(Protocol):
    """A thread beside the loop."""

    def start(self) -> None:
        """Start it."""

    def is_alive(self) -> bool:
        """Tell whether it still works."""

    def finish(self, timeout_seconds: float) -> None:
        """Let it end its work, and wait for that."""


def supervise(deployment: Deployment) -> Exit:
    """Run until asked to stop; return the exit code. A part that died ends it with Exit.UNEXPECTED."""
    log = logs.logger()
    try:
        with oplock.hold(
            deployment.volumes.supervisor_lock,
            "the supervisor",
            patience_seconds=FOREVER_SECONDS,
            stop=deployment.stop,
            on_wait=lambda holder: log.warning(events.SUPERVISOR_WAITING, holder=holder),
        ):
            return _work(deployment)
    except oplock.BusyError:  # asked to stop while it waited
        return Exit.TERMINATED


def _work(deployment: Deployment) -> Exit:
    _close_dead_runs(deployment)
    runner = Runner()
    supervisor = Supervisor(deployment, runner)
    parts: dict[str, Part] = {"runner": runner, **parts_beside(supervisor)}
    for part in parts.values():
        part.start()
    _say_hello(deployment)
    try:
        return _loop(supervisor, parts)
    finally:
        deployment.stop.set()  # whatever ended the loop, a backup that runs is ended in order
        for part in parts.values():
            part.finish(jobs.GRACE_SECONDS + END_SECONDS if part is runner else END_SECONDS)
        deployment.store.close()


def _close_dead_runs(deployment: Deployment) -> None:
    """Close the runs that an earlier process left behind, unless one of another container is under way."""
    with contextlib.suppress(oplock.BusyError), oplock.hold_now(deployment.volumes.operation_lock, "start"):
        for kind in ("backup", "restore"):
            if killed := deployment.history.mark_interrupted(kind, deployment.now()):
                logs.logger().warning(events.RUNS_INTERRUPTED, kind=kind, count=killed)


def parts_beside(supervisor: Supervisor) -> dict[str, Part]:
    """Return the threads beside loop and runner, not yet started."""
    deployment = supervisor.deployment
    return {
        "watcher": Watcher(lambda: supervisor.deployment, deployment.stop),
        "courier": Courier(lambda: supervisor.deployment, deployment.stop),
        "promises": Promises(lambda: supervisor.deployment, deployment.stop),
        "health": HealthServer(deployment),
    }


def _say_hello(deployment: Deployment) -> None:
    log, config = logs.logger(), deployment.config
    log.info(events.SUPERVISOR_STARTED, stanza=config.stanza, zone=config.time_zone, **config.schedule.expressions())
    if warning := placement.on_the_databases_disk(deployment):
        hint = "name a directory on another disk (PGBACKREST_REPO1_PATH), or add a second repository"
        log.warning(events.REPOSITORY_ON_DATABASE_DISK, message=warning, hint=hint)


def _loop(supervisor: Supervisor, parts: Mapping[str, Part]) -> Exit:
    log, said = logs.logger(), ""
    while not supervisor.deployment.stop.wait(TICK_SECONDS):
        if dead := [name for name, part in parts.items() if not part.is_alive()]:
            log.error(events.SUPERVISOR_STOPPED, while_doing=said, dead=", ".join(dead))
            return Exit.UNEXPECTED
        said = _tick(supervisor, said)
    log.info(events.SUPERVISOR_STOPPED, while_doing=said)
    return Exit.TERMINATED


def _tick(supervisor: Supervisor, said: str) -> str:
    log = logs.logger()
    try:
        now_doing = supervisor.tick()
    except (BackupsOffError, ConfigurationError):
        raise
    except StoreError as error:
        now_doing = f"waiting: the state cannot be written ({error})"  # a line when it begins, not one a second
        if now_doing != said:
            logs.logger().error(
                events.STATE_UNREADABLE, message=str(error), hint="see the free space of the volume backup-state"
            )
        return now_doing
    except Exception:
        log.exception(events.SUPERVISOR_TICK_FAILED)
        return said
    if now_doing != said:
        log.info(events.SUPERVISOR_DOING, what=now_doing)
    return now_doing
