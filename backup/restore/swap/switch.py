"""The swap: stop, move out, move in, start, accept; and the way back from every point of it.

What is to be done comes from `journal`, each effect is a method here. The database is down from `stop` to `accept`, whatever
its size. A new cluster is accepted when it has opened for writes at or after the LSN that was proven beside; otherwise the
old one is put back. Nothing is deleted on the way: the old cluster stays under another name.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from backup.ledger import timelines, wal
from backup.postgres import DatabaseError, Server
from backup.restore import aftercare, settings, tail
from backup.restore.beside.engine import restore_command
from backup.restore.beside.proof import control
from backup.restore.container import STOP_TIMEOUT_SECONDS, Condition, ContainerError
from backup.restore.in_place import DEAD_STOP_SECONDS, POLL_SECONDS, PROGRESS_SECONDS, IncompleteError, diagnosis
from backup.restore.scene import Scene
from backup.restore.swap import journal, journal_file
from backup.restore.swap.journal import Effect, Kept, Place, Swap, Way
from backup.restore.swap.outcome import GO_ON, Accepted, FailedError, LeftError, PutBackError
from backup.state.store import StoreError
from contract.errors import ProductError

_FETCH_FAILED: Final = "trying again in"
"""What the restore_command says while it is patient with a repository."""


class Switch:
    """One swap, begun or taken up again."""

    def __init__(self, scene: Scene) -> None:
        """Take the doors."""
        self._scene = scene
        self._volume = scene.deployment.volumes.database
        self._pause = scene.deployment.stop
        self._started: Condition | None = None
        self._since = time.time()
        self._fed = 0
        self._accepted: Accepted | None = None
        self._is_resumed = False
        self._stays = False
        self._is_reverting = False

    # --- the ways -----------------------------------------------------------------------------------------------------

    def finish(self, swap: Swap) -> Accepted:
        """Go all the way, or put the old cluster back. Raises PutBackError, LeftError or IncompleteError."""
        try:
            self._go(swap, "finish")
        except (ProductError, OSError) as error:
            hint = error.hint if isinstance(error, ProductError) else "check the database's volume"
            message = str(getattr(error, "message", error))
            if self._stays:
                raise LeftError(message, hint) from error
            self._put_back_after(swap, message, hint)
        if self._accepted is None:
            raise IncompleteError("the journal of the swap and the names in the volume contradict each other", GO_ON)
        return self._accepted

    def revert(self, swap: Swap) -> None:
        """Go all the way back. Raises IncompleteError."""
        self._is_reverting = True
        self._pause = threading.Event()  # a stop that was asked for is no reason to leave it half-way
        try:
            self._go(self._present(swap), "revert")
        except (ProductError, OSError) as error:
            raise IncompleteError(
                f"the old database cannot be put back ({getattr(error, 'message', error)})", GO_ON
            ) from error

    def resume(self, *, same_request: bool, gives_up: bool = False) -> tuple[Swap, Accepted | None] | None:
        """Finish or revert the swap that the journal tells of; None when it tells of none, no Accepted when reverted.

        `gives_up`: the old cluster is wanted if the new one, open for writes before, does not open any more.
        Raises PutBackError, LeftError, IncompleteError, JournalError, ContainerError.
        """
        swap = journal_file.load(self._volume).swap
        if swap is None:
            return None
        self._is_resumed = True
        where = journal.place(swap, journal_file.look(self._volume, swap))
        if where is None and swap.step != "building":
            names = f"data, {swap.incoming} and {swap.outgoing}"
            raise IncompleteError(f"a swap was cut off, and {names} are not where it has put them", GO_ON)
        way = self._way(swap, where, same_request=same_request)
        has_opened = swap.step == "starting" and self._is_promoted(swap, self._volume / "data")
        self._stays = has_opened and not gives_up
        end = "finished" if way == "finish" else "reverted"
        self._scene.say(f"restore {swap.id} ({swap.verb}) was cut off; it is {end} now")
        if way == "finish":
            return swap, self.finish(swap)
        self.revert(swap)
        return swap, None

    def _way(self, swap: Swap, where: Place | None, *, same_request: bool) -> Way:
        pgdata = self._volume / "data"
        way = journal.way(swap, where, same_request=same_request, promoted=self._is_promoted(swap, pgdata))
        if way == "finish" or swap.step != "starting":
            return way
        self._scene.container.stop(DEAD_STOP_SECONDS)  # until it is down, the new cluster may open at any moment
        return journal.way(swap, where, same_request=same_request, promoted=self._is_promoted(swap, pgdata))

    def _go(self, swap: Swap, way: Way) -> None:
        where = journal.place(swap, journal_file.look(self._volume, swap))
        for effect in journal.remaining(swap, where, way):
            swap = self._do(effect, swap)

    def _present(self, swap: Swap) -> Swap:
        """Return the swap as the journal has it: its step is what counts."""
        return journal_file.load(self._volume).swap or swap

    def _put_back_after(self, swap: Swap, message: str, hint: str) -> None:
        self._scene.say(f"{message}; the old database is put back")
        self.revert(swap)
        runs = "runs again" if swap.was_running else "is as it was, stopped"
        what = f"the old database {runs}" if swap.had_data else "there is no database, as before"
        raise PutBackError(f"{message}; {what}", hint=hint)

    def _do(self, effect: Effect, swap: Swap) -> Swap:
        if effect.startswith("mark "):
            step: journal.Step = effect.removeprefix("mark ")  # type: ignore[assignment]  # the effects are named after the steps
            swap = swap.at(step)
            if step == "swapping":
                swap = replace(swap, stopped=time.time())
            journal_file.update(self._volume, swap)
            return swap
        actions: dict[str, Callable[[Swap], None]] = {
            "stop": self._stop, "prepare": self._prepare, "move out": self._move_out, "move in": self._move_in,
            "start": self._start, "accept": self._accept, "move back": self._move_back, "put back": self._put_back,
            "start old": self._start_old, "discard": self._discard, "close": self._close,
        }  # fmt: skip
        actions[effect](swap)
        return swap

    # --- the effects --------------------------------------------------------------------------------------------------

    def _stop(self, swap: Swap) -> None:
        forwards = swap.step == "swapping"
        if forwards and swap.was_running:
            try:
                self._scene.deployment.postgres.checkpoint()  # so that little is left to write while it is down
            except DatabaseError as error:
                self._scene.say(f"no checkpoint before the stop ({error.message})")
            self._scene.say(f"stopping {self._scene.container.name}")
        # The server's last act is to wait for its archiver, which waits for a dead repository.
        is_whole = not swap.repositories or len(swap.repositories) >= len(self._scene.deployment.config.repositories)
        self._scene.container.stop(STOP_TIMEOUT_SECONDS if is_whole and forwards else DEAD_STOP_SECONDS)

    def _prepare(self, swap: Swap) -> None:
        """Give the incoming cluster what only the old one has, and the settings of its life in its place."""
        incoming, pgdata = self._volume / swap.incoming, self._volume / "data"
        if swap.is_restore:
            if swap.keeps_tail:
                self._fed = self._feed(incoming, pgdata)
            auto_conf = settings.in_its_place((incoming / settings.AUTO_CONF).read_text("utf-8"))
            self._recover(incoming, auto_conf)
        else:
            self._recover_again(incoming, swap)

    def _feed(self, incoming: Path, pgdata: Path) -> int:
        identifier = control(incoming).get("Database system identifier")
        system_id = int(identifier) if identifier else None
        fed = tail.feed(tail.kept_directories(self._volume), incoming, system_id)
        if (pgdata / "pg_wal").is_dir():
            fed += tail.feed((pgdata / "pg_wal",), incoming, system_id, stopped_cleanly=_stopped_cleanly(pgdata))
        journal_file.sync_directory(incoming / "pg_wal")
        if fed:
            self._scene.say(f"{fed} WAL segments that never reached the archive are given to recovery")
        return fed

    def _recover_again(self, directory: Path, swap: Swap) -> None:
        """Let a cluster that was in use before begin a timeline of its own at its end, when it starts."""
        auto_conf = (directory / settings.AUTO_CONF).read_text("utf-8")
        self._recover(directory, settings.back_again(auto_conf, restore_command(swap.repositories)))

    def _recover(self, directory: Path, auto_conf: str) -> None:
        file = directory / settings.AUTO_CONF
        unfinished = file.with_suffix(".new")
        unfinished.write_text(auto_conf, "utf-8")
        unfinished.chmod(0o600)
        _sync(unfinished)
        unfinished.rename(file)
        (directory / "standby.signal").unlink(missing_ok=True)
        (directory / "postmaster.pid").unlink(missing_ok=True)  # Docker has proven that the container is down
        (directory / "recovery.signal").touch(mode=0o600)
        _sync(directory / "recovery.signal")
        journal_file.sync_directory(directory)

    def _move_out(self, swap: Swap) -> None:
        self._rename("data", swap.outgoing)

    def _move_in(self, swap: Swap) -> None:
        self._rename(swap.incoming, "data")

    def _move_back(self, swap: Swap) -> None:
        self._rename("data", swap.incoming)

    def _put_back(self, swap: Swap) -> None:
        outgoing = self._volume / swap.outgoing
        if self._is_promoted(swap, self._volume / swap.incoming) and _is_cluster(outgoing):
            self._scene.say("the new cluster has begun a timeline, so the old one begins another one")
            self._recover_again(outgoing, swap)
        else:
            (outgoing / "postmaster.pid").unlink(missing_ok=True)
        self._rename(swap.outgoing, "data")

    def _rename(self, name: str, to: str) -> None:
        (self._volume / name).rename(self._volume / to)
        journal_file.sync_directory(self._volume)

    def _start(self, swap: Swap) -> None:
        self._since = time.time()
        self._scene.say(
            f"starting {self._scene.container.name} with the {'restored' if swap.is_restore else 'kept'} cluster"
        )
        self._started = self._scene.container.start()

    def _start_old(self, swap: Swap) -> None:
        if not swap.was_running:
            return
        if swap.stopped is None and self._scene.container.condition().running:
            return  # it never stopped
        self._since = time.time()
        self._scene.say(f"starting {self._scene.container.name} with the old database")
        self._started = self._scene.container.start()
        if swap.had_data and _is_cluster(self._volume / "data"):
            self._wait_until_open()

    def _discard(self, swap: Swap) -> None:
        incoming = self._volume / swap.incoming
        # Before the stop it was a standby at most; histories in it came out of the archive.
        if swap.stopped is not None and self._is_promoted(swap, incoming):
            present = journal_file.load(self._volume)
            kept = Kept(swap.incoming, time.time(), f"the rejected cluster of restore {swap.id}")
            journal_file.save(self._volume, present.keeping(kept))
            return
        for path in (incoming, self._volume / journal.tablespaces_name(swap.id)):
            if path.exists():
                shutil.rmtree(path)

    def _close(self, _swap: Swap) -> None:
        journal_file.update(self._volume, None)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _accept(self, swap: Swap) -> None:
        server = self._wait_until_open()
        opened = time.time()
        pgdata = self._volume / "data"
        name = f"{server.timeline:08X}.history"
        try:
            branch = timelines.parse_history(name, (pgdata / "pg_wal" / name).read_text("ascii"))
            if self._is_resumed:
                opened = (pgdata / "pg_wal" / name).stat().st_mtime
        except (OSError, ValueError) as error:
            raise FailedError(f"the new cluster has begun no timeline ({error})", hint=GO_ON) from error
        forked_at = max(branch.left_at.values(), default=0)
        if forked_at < swap.proven_lsn:
            ended, proven = wal.format_lsn(forked_at), wal.format_lsn(swap.proven_lsn)
            message = f"recovery ended at {ended}, before {proven}, which was reached in the proof"
            raise FailedError(message, hint="the archive could not be read as before: see `make backup-check`")
        downtime = max(opened - (swap.stopped or opened), 0.0)
        self._settle(swap, branch, server, downtime)

    def _settle(self, swap: Swap, branch: timelines.Branch, server: Server, downtime: float) -> None:
        """Do what is left once the new cluster is accepted. Nothing of it may take the cluster away again."""
        handed_over = self._hand_over(swap, branch, server)
        kept: tuple[Path, ...] = ()
        last: str | None = None
        try:
            last = _last_transaction(self._scene.container.last_lines(self._since, 2000))
            kept = tail.drop(tail.kept_directories(self._volume), replayed=swap.keeps_all)
            aftercare.ask_for_backup(self._scene.deployment)
        except (ContainerError, OSError, StoreError) as error:
            self._scene.say(f"the swap is done, but not all that comes after it ({error}): take a backup, make backup")
        self._accepted = Accepted(server, downtime, self._fed, handed_over, last, tuple(str(path) for path in kept))
        try:
            present = replace(journal_file.load(self._volume), swap=None)
            if not swap.is_restore:
                present = present.without(swap.incoming)
            if swap.had_data:
                present = present.keeping(Kept(swap.outgoing, time.time(), swap.verb))
            journal_file.save(self._volume, present)
        except journal_file.JournalError as error:
            self._scene.say(f"the swap is done, but its journal cannot be closed ({error.message}): {GO_ON}")

    def _hand_over(self, swap: Swap, branch: timelines.Branch, server: Server) -> int:
        """Let the database archive what recovery has replayed and no repository has: the way to the new timeline."""
        outgoing = self._volume / swap.outgoing
        if not swap.keeps_tail:
            return 0
        try:
            segments = [each for kept in tail.kept_directories(self._volume) for each in tail.unarchived(kept)]
            if (outgoing / "pg_wal").is_dir():
                segments += tail.unarchived(outgoing / "pg_wal", stopped_cleanly=_stopped_cleanly(outgoing))
            count = tail.hand_over(segments, self._volume / "data", branch, server.system_id)
        except OSError as error:
            self._scene.say(
                f"the replayed WAL cannot be given to the archive ({error}); only a new full backup leads past it"
            )
            return 0
        if count:
            self._scene.say(f"{count} WAL segments that only the old database had are given to the archive now")
        return count

    def _wait_until_open(self) -> Server:
        told_at = time.monotonic()
        started = self._started or self._scene.container.condition()
        while not self._pause.wait(POLL_SECONDS):
            condition = self._scene.container.condition()
            if not condition.running or condition.life != started.life:
                self._give_up()
            try:
                server = self._scene.deployment.postgres.server()
                if not server.in_recovery:
                    return server
            except DatabaseError:
                pass
            if time.monotonic() - told_at > PROGRESS_SECONDS:
                told_at = time.monotonic()
                self._scene.say("still recovering")
                self._require_archive()
        raise FailedError("stopped on request", hint="run it again when it suits")

    def _require_archive(self) -> None:
        """Do not wait as long as the restore_command does while there is an old database that could serve."""
        if self._is_reverting or not any(_FETCH_FAILED in line for line in self._scene.container.last_lines(self._since)):
            return
        raise FailedError(
            "recovery: the repository, which could be read for the proof, cannot be read now",
            hint="make it reachable and run the same restore again",
        )

    def _give_up(self) -> None:
        lines = self._scene.container.last_lines(self._since)
        for line in lines[-15:]:
            self._scene.log(f"postgres: {line}")
        message, hint = diagnosis(lines, self._scene.container.name)
        raise FailedError(message, hint=hint)

    def _is_promoted(self, swap: Swap, directory: Path) -> bool:
        return newest_history(directory) > swap.newest_timeline


def newest_history(directory: Path) -> int:
    """Return the highest timeline that has a history file in a cluster's pg_wal; 0 for none."""
    return max((wal.timeline_of(file.name) for file in (directory / "pg_wal").glob("*.history")), default=0)


def _is_cluster(directory: Path) -> bool:
    return (directory / "global" / "pg_control").exists()


def _stopped_cleanly(directory: Path) -> bool:
    """Ask the control file, which a killed server leaves "in production"."""
    return control(directory).get("Database cluster state") == "shut down"


def _last_transaction(lines: tuple[str, ...]) -> str | None:
    marker = "last completed transaction was at log time "
    return next((line.split(marker, 1)[1] for line in reversed(lines) if marker in line), None)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
