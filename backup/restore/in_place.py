"""The restore over the stopped database: keep, restore, feed, start, wait.

What failure leaves behind depends on one question: was the first byte overwritten? Before it, the old database is
started again. After it, only a restore can go on, and the message says which command does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from backup import pgbackrest, process, throttled
from backup.emergency import lever, words
from backup.ledger import timelines
from backup.pgbackrest import Cluster
from backup.postgres import DatabaseError, Server
from backup.restore import tail
from backup.restore.container import STOP_TIMEOUT_SECONDS, Condition, ContainerError
from backup.restore.planning.plan import Plan
from backup.restore.scene import Scene
from backup.taking import jobs
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit

IsStored = Callable[[str], bool]
"""Tells of a WAL segment whether it lies in the archive that recovery will read."""

ARCHIVE_PATIENCE_SECONDS = 90.0
DEAD_PATIENCE_SECONDS = 300.0
"""For a segment in one repository while another is dead: asynchronous archiving tries that one for 90 seconds first."""

DEAD_STOP_SECONDS = 20
LOOK_SECONDS = 5.0
CONTROL_FILE_TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.5
PROGRESS_SECONDS = 10.0
RESTORE_DEADLINE_SECONDS = 7 * 24 * 3600.0


class UndoneError(ProductError):
    """It failed early enough: the old database runs again, untouched."""

    exit_code = Exit.RESTORE_UNDONE

    def __init__(self, message: str, hint: str) -> None:
        """Take what failed."""
        super().__init__(f"{message}; nothing was overwritten and the old database runs again", hint=hint)


class IncompleteError(ProductError):
    """It failed with files overwritten: the database is down until a restore succeeds."""

    exit_code = Exit.RESTORE_INCOMPLETE

    def __init__(self, message: str, hint: str) -> None:
        """Take what failed and the command that goes on."""
        super().__init__(f"{message}; THE DATABASE IS DOWN", hint=hint)


@dataclass(frozen=True)
class Restored:
    """How it ended: the open server, the last replayed transaction if the log tells it, and the downtime."""

    server: Server
    last_transaction: str | None
    segments_fed: int
    kept: tuple[str, ...]
    downtime_seconds: float


class InPlaceRestore:
    """One restore. The methods are its steps, in their order; `run` calls them."""

    def __init__(self, scene: Scene) -> None:
        """Take the doors."""
        self._scene = scene

    def settle(self, cluster: Cluster | None, *, waits_for_archive: bool, is_stored: IsStored | None = None) -> None:
        """Bring the running database's last WAL into the archive, so that as little as possible depends on the old disk.

        A restore to a moment may need it, because recovery must find a commit after its target: `waits_for_archive`. What
        is not there by then the next plan does without, or refuses. When another cluster runs than the one of the backup,
        its WAL belongs neither into the archive nor into the restore. `is_stored` looks for a segment where recovery will
        read it; it is given when a repository is dead, because the server calls nothing archived then that has not reached
        all of them.
        """
        if not self._scene.container.condition().running:
            self._scene.say("the database is not running; what its WAL holds is kept and used as it is")
            return
        try:
            running = self._scene.deployment.postgres.server().system_id
            if cluster is not None and running != cluster.system_id:
                self._scene.say(f"the running database is another one (system identifier {running}) than the backup is of")
                return
            pulled = lever.read(self._scene.deployment.postgres.archive_command())
            if pulled is not None:  # whatever it says to be archived is in no archive
                self._scene.say(f"a WAL emergency is on since {words.utc(pulled.since)}: the last WAL is NOT archived")
                return
            # Recovery begins at a checkpoint: without a late one, all that the proof replays is replayed again while the
            # database is away.
            self._scene.deployment.postgres.checkpoint()
            segment = self._scene.deployment.postgres.switch_wal()
            arrived = self._wait_until_archived(segment, is_stored, must=waits_for_archive)
        except DatabaseError as error:
            self._scene.say(f"the database cannot be asked to archive its last WAL ({error.message})")
            return
        without = "the plan is made without it" if waits_for_archive else "it is kept and used"
        how = "archived" if arrived else f"NOT archived; {without}"
        self._scene.say(f"the last WAL segment {segment} is {how}")

    def _wait_until_archived(self, segment: str, is_stored: IsStored | None, *, must: bool) -> bool:
        """Wait for a segment; with a dead repository only as long as it must be: it is on the database's disk anyway."""
        with_a_dead_one = DEAD_PATIENCE_SECONDS if must else 0.0
        deadline = time.monotonic() + (ARCHIVE_PATIENCE_SECONDS if is_stored is None else with_a_dead_one)
        while True:
            last = self._scene.deployment.postgres.archiver().last_archived_wal
            if (last and last[:24] >= segment) or (is_stored is not None and is_stored(segment)):
                return True
            if time.monotonic() >= deadline or self._scene.deployment.stop.wait(
                POLL_SECONDS if is_stored is None else LOOK_SECONDS
            ):
                return False

    def run(self, plan: Plan, restore_id: str) -> Restored:
        """Stop the database, restore it, start it, wait until it is open."""
        self._scene.say(f"stopping {self._scene.container.name}")
        began = time.monotonic()
        # The server's last act is to wait for its archiver, which waits for a dead repository; its WAL is kept below.
        is_whole = not plan.repositories or len(plan.repositories) >= len(self._scene.deployment.config.repositories)
        self._scene.container.stop(STOP_TIMEOUT_SECONDS if is_whole else DEAD_STOP_SECONDS)
        try:
            self._keep_old_wal(restore_id)
            self._restore_files(plan, restore_id)
            fed = self._feed_tail(plan)
            since = time.time()
            self._scene.say(f"starting {self._scene.container.name}; it recovers now")
            server = self._wait_until_open(self._scene.container.start(), since)
        except ContainerError as error:
            raise IncompleteError(error.message, f"start it by hand: docker start {self._scene.container.name}") from error
        downtime = time.monotonic() - began
        if fed:
            self._hand_over(server)
        kept = tail.drop(tail.kept_directories(self._scene.deployment.volumes.database), replayed=plan.keeps_tail)
        return Restored(server, self._last_transaction(since), fed, tuple(str(path) for path in kept), downtime)

    def _keep_old_wal(self, restore_id: str) -> None:
        volumes = self._scene.deployment.volumes
        try:
            tail.keep(volumes.database, volumes.pgdata, restore_id, stopped_cleanly=self._stopped_cleanly())
        except OSError as error:
            self._start_old_again(
                restore_id, f"the old pg_wal cannot be kept ({error.strerror})", "check the database volume's disk"
            )

    def _stopped_cleanly(self) -> bool:
        """Ask the control file, which a killed server leaves "in production"."""
        return self._control("Database cluster state") == "shut down"

    def _control(self, what: str) -> str:
        """Return a line of the control file, or nothing when there is none."""
        answer = process.capture(
            ("pg_controldata", str(self._scene.deployment.volumes.pgdata)), CONTROL_FILE_TIMEOUT_SECONDS
        )
        lines = answer.stdout.decode("utf-8", "replace").splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{what}:")), "")

    def _restore_files(self, plan: Plan, restore_id: str) -> None:
        pgdata = self._scene.deployment.volumes.pgdata
        pgdata.mkdir(mode=0o700, exist_ok=True)
        # Docker has just proven that the container is down, so a pid file is a leftover of a killed server; pgbackrest
        # only looks whether it exists.
        (pgdata / "postmaster.pid").unlink(missing_ok=True)
        before = tail.fingerprint(pgdata)
        self._scene.say(f"restoring backup {plan.backup.label}")
        limits = process.Limits(self._scene.deployment.stop, RESTORE_DEADLINE_SECONDS, jobs.GRACE_SECONDS)
        finished = throttled.run(self._restore_argv(plan), self._scene.log, limits)
        if finished.ok:
            self._scene.say(f"files restored in {finished.seconds:.1f} s")
            return
        meaning = pgbackrest.meaning(finished.exit_code)
        message = f"restore: pgbackrest exit code {finished.exit_code} ({meaning.name}){jobs.error_line(finished.tail)}"
        if before.entries and tail.fingerprint(pgdata) == before:
            self._start_old_again(restore_id, message, meaning.hint)
        raise IncompleteError(message, f"{meaning.hint}; then run the same restore again, it goes on where this one stopped")

    def _restore_argv(self, plan: Plan) -> pgbackrest.Argv:
        return pgbackrest.restore_in_place(
            self._scene.deployment.config.stanza,
            plan.backup.repo,
            plan.backup.label,
            plan.target,
            " ".join((f'{paths.RESTORE_COMMAND} %f "%p"', *(str(repo) for repo in plan.repositories))),
        )

    def _start_old_again(self, restore_id: str, message: str, hint: str) -> NoReturn:
        tail.forget(self._scene.deployment.volumes.database, restore_id)
        self._scene.say(f"starting {self._scene.container.name} with the old data")
        self._wait_until_open(self._scene.container.start(), time.time())
        raise UndoneError(message, hint)

    def _feed_tail(self, plan: Plan) -> int:
        if not plan.keeps_tail:
            return 0
        volumes, system_id = self._scene.deployment.volumes, self._control("Database system identifier")
        fed = tail.feed(tail.kept_directories(volumes.database), volumes.pgdata, int(system_id) if system_id else None)
        if fed:
            self._scene.say(f"{fed} WAL segments that never reached the archive are given to recovery")
        return fed

    def _hand_over(self, server: Server) -> None:
        """Let the database archive what recovery has replayed and no repository has: the way to the new timeline."""
        volumes, name = self._scene.deployment.volumes, f"{server.timeline:08X}.history"
        try:
            branch = timelines.parse_history(name, (volumes.pgdata / "pg_wal" / name).read_text("ascii"))
            segments = [each for kept in tail.kept_directories(volumes.database) for each in tail.unarchived(kept)]
            count = tail.hand_over(segments, volumes.pgdata, branch, server.system_id)
        except FileNotFoundError:  # no fork: the timeline goes on
            return
        except (OSError, ValueError) as error:
            self._scene.say(
                f"the replayed WAL cannot be given to the archive ({error}); only a new full backup leads past it"
            )
            return
        if count:
            self._scene.say(f"{count} of them are given to the archive now")

    def _wait_until_open(self, started: Condition, since: float) -> Server:
        told_at = time.monotonic()
        while not self._scene.deployment.stop.wait(POLL_SECONDS):
            condition = self._scene.container.condition()
            if not condition.running or condition.life != started.life:
                self._give_up(since)
            server = self._server()
            if server is not None and not server.in_recovery:
                return server
            if time.monotonic() - told_at > PROGRESS_SECONDS:
                told_at = time.monotonic()
                self._scene.say("still recovering")
        raise IncompleteError(
            "stopped waiting for the end of recovery, which goes on by itself",
            "watch it with `make status` and `make logs`",
        )

    def _server(self) -> Server | None:
        try:
            return self._scene.deployment.postgres.server()
        except DatabaseError:
            return None

    def _give_up(self, since: float) -> None:
        lines = self._scene.container.last_lines(since)
        try:
            self._scene.container.stop()
        except ContainerError as error:
            self._scene.say(str(error))
        for line in lines[-15:]:
            self._scene.log(f"postgres: {line}")
        raise IncompleteError(*diagnosis(lines, self._scene.container.name))

    def _last_transaction(self, since: float) -> str | None:
        marker = "last completed transaction was at log time "
        return next(
            (line.split(marker, 1)[1] for line in reversed(self._scene.container.last_lines(since, 2000)) if marker in line),
            None,
        )


def diagnosis(lines: tuple[str, ...], container: str) -> tuple[str, str]:
    """Return why a server ended in recovery, by its last lines, and what to do next."""
    text = "\n".join(lines)
    if "recovery ended before configured recovery target was reached" in text:
        return (
            "recovery: no transaction after the target was found in the archive",
            "bring back the latest state, which is the same data: make restore-latest",
        )
    if "the archive cannot be read" in text:
        return (
            "recovery: the repository could not be read",
            f"make the repository reachable, then `docker start {container}`: recovery goes on where it stopped",
        )
    if "recovery aborted because of insufficient parameter settings" in text:
        detail = next((line.split("DETAIL:", 1)[1].strip() for line in lines if "is a lower setting than" in line), "")
        return (
            f"recovery: a setting is lower than when this WAL was written ({detail.removesuffix('.')})",
            "raise it (POSTGRES_MAX_CONNECTIONS, or the file of POSTGRES_EXTRA_CONFIG), `make deploy`, and restore again",
        )
    fatal = next((line for line in reversed(lines) if "FATAL" in line or "PANIC" in line), "no reason in its log")
    return (
        f"recovery: PostgreSQL ended ({fatal.strip()})",
        "the backups are untouched; choose another target or backup set: make backup-info",
    )


def restore_id(now: datetime) -> str:
    """Return a name for one restore, by its time."""
    return f"{now:%Y%m%d-%H%M%S}"
