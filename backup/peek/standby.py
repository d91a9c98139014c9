"""The standby of a peek: pgBackRest fills its directory, and PostgreSQL replays to the moment and waits there.

Nothing in it can reach the archive or end recovery by itself: archiving is off by pgBackRest's own option and on the
server's command line, it is a standby, and it listens on a socket in the memory of its container.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from backup import pgbackrest, process, throttled
from backup.deployment import Deployment
from backup.peek import words
from backup.peek.ending import Ending
from backup.peek.moment import Chosen
from backup.peek.place import SERVER, PeekError, Place
from backup.postgres import Postgres
from backup.restore import settings
from backup.restore.beside import tablespaces
from backup.restore.beside.build import Meter
from backup.restore.beside.engine import Beside, Source, restore_beside, restore_command
from backup.restore.beside.proof import Case, Proof, UnprovenError, Visit
from backup.taking import jobs
from contract.supervisor import Database

DEADLINE_SECONDS: Final = 7 * 24 * 3600.0


def database(deployment: Deployment, scratch: Path) -> Postgres:
    """Return the door to the server of a peek; `scratch` is its container's."""
    live = deployment.config.database
    return Postgres(Database(user=live.user, name=live.name, port=settings.PROOF_PORT), scratch / SERVER)


class Standby:
    """One standby, from its first file to its stop."""

    def __init__(self, deployment: Deployment, ending: Ending, scratch: Path, log: Callable[[str], None]) -> None:
        """Take the doors; `ending` ends whatever it does, `scratch` is in memory, `log` takes the lines of the programs."""
        self._deployment = replace(deployment, stop=ending)
        self._ending = ending
        self._scratch = scratch
        self._log = log

    def restore(self, chosen: Chosen, place: Place) -> None:
        """Fill the data directory. Raises PeekError."""
        made = chosen.plan
        is_beside = tablespaces.are_in(self._deployment.volumes.database)
        command = restore_command(made.repositories, beside_tablespaces=is_beside)
        source = Source(made.backup.repo, made.backup.label, made.target, command)
        where = Beside(str(place.data), str(place.tablespaces), str(self._scratch / "pgbackrest"))
        argv = restore_beside(self._deployment.config.stanza, source, where)
        meter = Meter(made.backup.database_bytes, self._log)
        limits = process.Limits(self._ending, DEADLINE_SECONDS, jobs.GRACE_SECONDS)
        finished = throttled.run(argv, meter.line, limits)
        self.require_going_on()
        if not finished.ok:
            meaning = pgbackrest.meaning(finished.exit_code)
            code = f"pgbackrest exit code {finished.exit_code} ({meaning.name})"
            raise PeekError(f"the copy failed: {code}{jobs.error_line(finished.tail)}", meaning.hint)

    def stand(self, chosen: Chosen, place: Place, visit: Visit) -> None:
        """Let it replay to its moment, and keep it there until `visit` returns. Raises PeekError."""
        visited = False

        def once(*given: object) -> None:
            nonlocal visited
            visited = True
            visit(*given)  # type: ignore[arg-type]  # handed on as it came

        proof = Proof(self._deployment, self._scratch / SERVER, self._log, self._log)
        try:
            proof.prove(Case(place.data, chosen.system_id, chosen.has_target), once)
        except UnprovenError as error:
            if visited:  # how it stops is of no interest: its directory is removed
                return
            self.require_going_on()
            raise PeekError(error.message.removeprefix("proof: "), _hint(error)) from error

    def require_going_on(self) -> None:
        """Do nothing unless something has ended the peek. Raises PeekError."""
        if self._ending.is_set():
            hint = "free some space on the database's volume" if self._ending.reason == "space" else "run it again"
            raise PeekError(f"not opened: {words.ended(self._ending.reason)}", hint)


def _hint(error: UnprovenError) -> str:
    """Return the way on in terms of a peek: what a restore is told would replace the live database."""
    if "archive ends before the target" in error.message:
        return "leave TARGET out: the end of the archive is the same data; or wait until the live WAL is archived"
    if tablespaces.MADE in error.message:
        return "choose a moment some minutes before the tablespace was made, or a backup that was taken after it"
    return error.hint if "restore" not in error.hint and "IN_PLACE" not in error.hint else "choose another moment or backup"
