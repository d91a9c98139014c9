"""The proof of a restored cluster, beside the live one: a hot standby that replays to the target and pauses.

It is a standby, so it is never promoted and makes no timeline; it archives nothing, listens on a private socket only, and
its configuration is not the published one. What it has replayed to is what the swapped cluster must reach at least.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from backup import process
from backup.deployment import Deployment
from backup.postgres import DatabaseError, Postgres, Replay
from backup.restore import settings
from backup.restore.beside import room, tablespaces
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import Database

POLL_SECONDS: Final = 0.2
PROGRESS_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 300.0
"""A standby that can not yet be asked and has fetched no WAL for so long will not become consistent any more."""

DEADLINE_SECONDS: Final = 7 * 24 * 3600.0
STOP_SECONDS: Final = 120.0
CONTROL_SECONDS: Final = 10.0
CHECK_DEADLINE_SECONDS: Final = 24 * 3600.0
MOST_STARTS: Final = 5
_TOO_LITTLE: Final = "insufficient parameter settings"
_NOT_TOLD: Final = (
    "restored log file",
    "the database system is starting up",
    "not yet accepting connections",
    "Execute pg_wal_replay_resume() to promote",
)
"""What of the server's lines is noise, and PostgreSQL's hint for one that is paused: nobody must follow it here."""

_STOPPED_AT_TARGET: Final = "recovery stopping"
_FOUND_CORRUPTION: Final = 2


class UnprovenError(ProductError):
    """The restored cluster is not what was asked for; it was beside, and nothing else was touched."""

    exit_code = Exit.RESTORE_UNDONE

    def __init__(self, message: str, hint: str) -> None:
        """Take what the proof has shown."""
        super().__init__(f"proof: {message}", hint=hint)


@dataclass(frozen=True)
class Proven:
    """What was seen: the LSN that was replayed to, the time of the last transaction, and how many databases opened."""

    lsn: int
    last_commit: datetime | None
    databases: int


Visit = Callable[[Proven, Callable[[], bool]], None]
"""What is done with a standby while it stands at its target; the second one tells whether it still runs."""


@dataclass(frozen=True)
class Case:
    """What is to be proven: the cluster in `pgdata`, of this system identifier; `has_target`: it ends before the archive."""

    pgdata: Path
    system_id: int | None
    has_target: bool
    check_indexes: bool = False


def control(pgdata: Path) -> dict[str, str]:
    """Return what the control file says, by the names that pg_controldata uses; nothing when there is none."""
    answer = process.capture(("pg_controldata", str(pgdata)), CONTROL_SECONDS)
    return settings.parse_control(answer.stdout.decode("utf-8", "replace")) if answer.exit_code == 0 else {}


class Proof:
    """One proof. `scratch` is an empty directory of its own, outside the data directory; `postgres` asks the standby."""

    def __init__(
        self, deployment: Deployment, scratch: Path, say: Callable[[str], None], log: Callable[[str], None]
    ) -> None:
        """Take the doors, `say` for the operator's lines and `log` for the server's."""
        self._deployment = deployment
        self._scratch = scratch
        self._say = say
        self._log = log
        database = deployment.config.database
        self.postgres = Postgres(Database(user=database.user, name=database.name, port=settings.PROOF_PORT), scratch)

    def prove(self, case: Case, visit: Visit = lambda _proven, _runs: None) -> Proven:
        """Start the standby, wait for its target, look at it, let `visit` use it, stop it. Raises UnprovenError."""
        self._configure()
        (case.pgdata / "standby.signal").touch()
        (case.pgdata / "recovery.signal").unlink(missing_ok=True)
        for _ in range(MOST_STARTS):
            server = _Server(self._words(case), self._log)
            try:
                found = self._wait(server, case)
                if found is not None:
                    proven = self._looked_at(found, case)
                    visit(proven, lambda running=server: running.ended() is None)  # type: ignore[misc]  # a default, not a parameter
                    break
            finally:
                server.end(case.pgdata)
        else:
            raise UnprovenError("the standby's settings are never enough", "use IN_PLACE=yes, and report this with the log")
        state = control(case.pgdata).get("Database cluster state")
        if state != "shut down in recovery":
            raise UnprovenError(f"the standby did not stop in order ({state})", "see /var/log/pgbackrest/restore.log")
        return proven

    def _configure(self) -> None:
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._scratch / "postgresql.conf").write_text("# nothing: the command line has it all\n", "utf-8")
        (self._scratch / "pg_hba.conf").write_text("local all all trust\n", "utf-8")
        (self._scratch / "pg_ident.conf").write_text("", "utf-8")

    def _words(self, case: Case) -> tuple[str, ...]:
        directory = str(self._scratch)
        words = settings.of_proof(control(case.pgdata), directory, directory)
        guarded = tablespaces.are_in(self._deployment.volumes.database)
        return ("postgres", "-D", str(case.pgdata), *words, *(tablespaces.NOT_AHEAD if guarded else ()))

    def _wait(self, server: _Server, case: Case) -> Replay | None:
        """Return the standby at its target; None when it needs bigger settings, which its control file names by now."""
        told_at, was_asked = time.monotonic(), False
        while not self._deployment.stop.wait(POLL_SECONDS):
            if server.wants_more:
                return None
            if (lines := server.ended()) is not None:
                raise UnprovenError(*_diagnosis(lines))
            if room.is_endangered(shutil.disk_usage(case.pgdata).free):
                raise UnprovenError("the database's volume runs full", "free some space, or give IN_PLACE=yes")
            replay = self._asked()
            was_asked = was_asked or replay is not None
            if replay is None and not was_asked and time.monotonic() - server.heard_at > IDLE_SECONDS:
                raise UnprovenError(
                    "the cluster does not become consistent: the archive lacks WAL of the backup itself",
                    "choose another backup: `make backup-info`",
                )
            if replay is not None and self._is_there(replay, server, case):
                return replay
            if time.monotonic() - told_at > PROGRESS_SECONDS:
                told_at = time.monotonic()
                until = self._deployment.local(replay.last_commit) if replay and replay.last_commit else "the backup's end"
                self._say(f"still replaying WAL beside; it has reached {until}")
        raise UnprovenError("stopped on request", "run it again when it suits")

    def _asked(self) -> Replay | None:
        try:
            return self.postgres.replay()
        except DatabaseError:  # not yet: it answers once it is consistent
            return None

    def _is_there(self, replay: Replay, server: _Server, case: Case) -> bool:
        if not replay.in_recovery:
            raise UnprovenError(
                "the standby has left recovery by itself", "report this with /var/log/pgbackrest/restore.log"
            )
        if replay.is_paused and server.reached_target:
            return True
        if replay.has_all and case.has_target:
            raise UnprovenError(
                "the archive ends before the target: there is no transaction after it",
                "bring back the latest state, which is the same data: make restore-latest",
            )
        return replay.has_all

    def _looked_at(self, found: Replay, case: Case) -> Proven:
        if Path(found.data_directory) != case.pgdata:
            raise UnprovenError(f"another server answers, of {found.data_directory}", "report this: it must not happen")
        if case.system_id is not None and found.system_id != case.system_id:
            raise UnprovenError(
                f"the restored cluster has the system identifier {found.system_id}, its backup {case.system_id}",
                "choose another backup: `make backup-info`",
            )
        try:
            databases = self.postgres.open_every_database()
        except DatabaseError as error:
            raise UnprovenError(f"a restored database does not open ({error.message})", "choose another target") from error
        if case.check_indexes:
            self._check_indexes()
        return Proven(found.lsn, found.last_commit, databases)

    def _check_indexes(self) -> None:
        """Let pg_amcheck look through tables and B-trees; databases without the extension amcheck are left out by it."""
        self._say("pg_amcheck looks through the restored tables and indexes")
        argv = ("pg_amcheck", "--all", "--no-password", f"--host={self._scratch}", f"--port={settings.PROOF_PORT}",
                f"--username={self._deployment.config.database.user}")  # fmt: skip
        done = process.run(argv, self._log, process.Limits(self._deployment.stop, CHECK_DEADLINE_SECONDS))
        if done.exit_code == _FOUND_CORRUPTION:
            raise UnprovenError("pg_amcheck has found damage; see the lines above", "choose another backup or target")
        if not done.ok:
            last = done.tail[-1] if done.tail else f"exit code {done.exit_code}"
            self._say(f"pg_amcheck could not check everything: {last}")


class _Server:
    """The standby's process, in a thread; what it prints is looked through for what tells."""

    def __init__(self, argv: tuple[str, ...], log: Callable[[str], None]) -> None:
        self.heard_at = time.monotonic()
        self.wants_more = False
        self.reached_target = False
        self._log = log
        self._lines: deque[str] = deque(maxlen=process.TAIL_LINES)
        # Not the deployment's stop flag: a server is ended by pg_ctl, in order; this one is for when that does not help.
        self._halt = threading.Event()
        limits = process.Limits(self._halt, DEADLINE_SECONDS, CONTROL_SECONDS)
        self._thread = threading.Thread(target=process.run, args=(argv, self._hear, limits), name="proof", daemon=True)
        self._thread.start()

    def _hear(self, line: str) -> None:
        self.heard_at = time.monotonic()
        self._lines.append(line)
        self.wants_more = self.wants_more or _TOO_LITTLE in line
        self.reached_target = self.reached_target or _STOPPED_AT_TARGET in line
        if not any(each in line for each in _NOT_TOLD):
            self._log(f"proof: {line}")

    def ended(self) -> tuple[str, ...] | None:
        """Return its last lines when it has ended by itself."""
        return None if self._thread.is_alive() else tuple(self._lines)

    def end(self, pgdata: Path) -> None:
        """Stop it in order, with a restartpoint, so that little is left to replay; by force if it must be."""
        for mode in ("fast", "immediate"):
            if not self._thread.is_alive():
                return
            argv = ("pg_ctl", "-D", str(pgdata), "--wait", f"--timeout={STOP_SECONDS:.0f}", f"--mode={mode}", "stop")
            process.capture(argv, STOP_SECONDS + CONTROL_SECONDS)
            self._thread.join(CONTROL_SECONDS)
        self._halt.set()
        self._thread.join(2 * CONTROL_SECONDS)


def _diagnosis(lines: tuple[str, ...]) -> tuple[str, str]:
    text = "\n".join(lines)
    if tablespaces.MADE in text:
        return (
            f"{tablespaces.MADE} between this backup and the target, and to replay that would write into the live files",
            "restore a backup taken after it was made (`make backup` takes one now), or a moment some minutes before it",
        )
    if "the archive cannot be read" in text:
        return "the repository could not be read", "make the repository reachable and run the same restore again"
    fatal = next((line for line in reversed(lines) if "FATAL" in line or "PANIC" in line), "no reason in its log")
    return f"PostgreSQL ended ({fatal.strip()})", "the backups are untouched; choose another target or backup set"
