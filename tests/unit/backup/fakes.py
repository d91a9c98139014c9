"""What stands in for the outside: a clock, a database, a container, pgbackrest. Each keeps the promises of the real one."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from backup import pgbackrest, process
from backup.deployment import Deployment, Volumes
from backup.postgres import Archiver, DatabaseError, Postgres, Server
from backup.restore.container import Condition, ContainerError, DatabaseContainer
from backup.state.history import History
from backup.watch.readings import WalReading
from contract import paths
from contract.supervisor import Database, Repository, Schedule, SupervisorConfig

STANZA = "salespider"
SYSTEM_ID = 7710425701430951955
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday."""


class Clock:
    """A time that only moves when told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class ImpatientEvent(threading.Event):
    """A stop flag whose waits end at once; `waits` tells how long they would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


# --- configuration ----------------------------------------------------------------------------------------------------


def make_config(
    *,
    mode: Literal["backups", "off"] = "backups",
    full: str | None = "0 2 * * 0",
    diff: str | None = "0 2 * * 1-6",
    incr: str | None = None,
    zone: str = "UTC",
    repositories: int = 1,
) -> SupervisorConfig:
    return SupervisorConfig(
        mode=mode,
        reason="PGBACKREST_REPO1_TYPE is none" if mode == "off" else "",
        stanza=STANZA,
        time_zone=zone,
        database=Database(user="postgres", name="salespider"),
        schedule=Schedule(full=full, diff=diff, incr=incr),
        repositories=tuple(
            Repository(
                key=key,
                type="posix",
                location=f"/var/lib/pgbackrest{key}",
                encrypted=True,
                retention_full=7,
                retention_diff=3,
            )
            for key in range(1, repositories + 1)
            if mode == "backups"
        ),
    )


def publish(directory: Path, config: SupervisorConfig, manifest: str = "1") -> None:
    directory.mkdir(exist_ok=True)
    (directory / paths.SUPERVISOR_JSON).write_text(config.model_dump_json(), "utf-8")
    (directory / paths.MANIFEST_JSON).write_text(manifest, "utf-8")
    repositories = "".join(f"repo{repository.key}-path={repository.location}\n" for repository in config.repositories)
    (directory / paths.REPO_CONF).parent.mkdir(exist_ok=True)
    (directory / paths.REPO_CONF).write_text(f"[global]\n{repositories}", "utf-8")


def make_volumes(root: Path) -> Volumes:
    volumes = Volumes(
        config=root / "config",
        log=root / "log",
        history=root / "history.sqlite",
        operation_lock=root / "operation.lock",
        database=root / "database",
        pgdata=root / "database" / "data",
        archive_spool=root / "spool",
    )
    for directory in (volumes.config, volumes.log, volumes.database):
        directory.mkdir()
    return volumes


@dataclass
class World:
    """A deployment and what stands behind its doors."""

    deployment: Deployment
    clock: Clock
    postgres: FakePostgres
    stop: ImpatientEvent

    @property
    def volumes(self) -> Volumes:
        return self.deployment.volumes

    def reconfigure(self, config: SupervisorConfig) -> None:
        """Give the deployment another configuration, as if it had been opened with it."""
        self.deployment = replace(self.deployment, config=config)

    def republish(self, config: SupervisorConfig, manifest: str) -> None:
        publish(self.volumes.config, config, manifest)


def make_world(root: Path, config: SupervisorConfig | None = None) -> World:
    volumes = make_volumes(root)
    publish(volumes.config, config or make_config())
    clock, postgres, stop = Clock(), FakePostgres(), ImpatientEvent()
    opened = Deployment.open(volumes)
    deployment = Deployment(
        opened.config, opened.digest, postgres, opened.store, opened.receivers, stop=stop, now=clock, volumes=volumes
    )
    return World(deployment, clock, postgres, stop)


# --- watching ---------------------------------------------------------------------------------------------------------

MEBIBYTE = 1 << 20
SEGMENT = 16 * MEBIBYTE


def make_wal(**given: Any) -> WalReading:
    """What a server says that archives and has nothing to do, unless told otherwise."""
    values: dict[str, Any] = {
        "in_recovery": False,
        "system_id": 7710425701430951955,
        "timeline": 1,
        "wal_position": 6 * SEGMENT,
        "segment_bytes": SEGMENT,
        "archive_mode": "on",
        "archive_library": "",
        "archive_command": "pgbackrest --stanza=salespider archive-push %p",
        "archived_count": 5,
        "last_archived_wal": "000000010000000000000005",
        "last_archived_at": NOON - timedelta(minutes=1),
        "failed_count": 0,
        "last_failed_wal": None,
        "last_failed_at": None,
        "ready_segments": 0,
        "oldest_ready_seconds": None,
        "pg_wal_bytes": 4 * SEGMENT,
    }
    return WalReading(**{**values, **given})


# --- the database -----------------------------------------------------------------------------------------------------


class FakePostgres(Postgres):
    """A server whose answers are attributes. `down` is what the driver would say, or nothing."""

    def __init__(self) -> None:
        super().__init__(Database(user="postgres", name="salespider"))
        self.down = ""
        self.in_recovery = False
        self.recovery_paused = False
        self.timeline = 1
        self.archive_mode = "on"
        self.archived: str | None = "000000010000000000000005"
        self.archived_at: datetime | None = NOON - timedelta(minutes=1)
        self.failed_at: datetime | None = None
        self.waiting = 0
        self.reloads = 0
        self.pending_restart: tuple[str, ...] = ()
        self.version_beside = "pgBackRest 2.55.1"
        self.switched = "000000010000000000000005"
        self.switches = 0
        self.version = "17.6"
        self.system_id = SYSTEM_ID
        self.size = 30_000_000
        self.wal = make_wal()
        self.newest = "00000001000000000000001A"
        self.checkpoints = 0
        self.checkpoints_before_switch = 0
        self.tables = 3

    def _answer(self) -> None:
        if self.down:
            raise DatabaseError(f"database: {self.down}")

    def server(self) -> Server:
        self._answer()
        return Server(
            self.version,
            self.system_id,
            self.timeline,
            self.in_recovery,
            self.recovery_paused,
            self.archive_mode,
            NOON,
        )

    def database_bytes(self) -> int:
        self._answer()
        return self.size

    def written_timeline(self) -> int:
        self._answer()
        return self.timeline

    def restore_point(self, name: str) -> tuple[int, str, int, datetime]:
        self._answer()
        return self.system_id, "0/5000148", self.timeline, NOON

    def archiver(self) -> Archiver:
        self._answer()
        failed = "000000010000000000000006" if self.failed_at else None
        return Archiver(5, self.archived, self.archived_at, int(bool(failed)), failed, self.failed_at)

    def waiting_segments(self) -> int:
        self._answer()
        return self.waiting

    def wal_reading(self) -> WalReading:
        self._answer()
        return self.wal

    def switch_wal(self) -> str:
        self._answer()
        self.switches += 1
        self.checkpoints_before_switch = self.checkpoints
        return self.switched

    def newest_waiting(self) -> str | None:
        self._answer()
        return self.newest if self.wal.ready_segments else None

    def archive_command(self) -> str:
        self._answer()
        return self.wal.archive_command

    def set_archive_command(self, command: str) -> None:
        """Put it in force; a lever lets go of all that waits, as the real archiver does within moments."""
        self._answer()
        self.wal = replace(self.wal, archive_command=command)
        if command.startswith("true"):
            self.waiting = 0
            self.wal = replace(self.wal, ready_segments=0, oldest_ready_seconds=None)

    def reset_archive_command(self) -> None:
        self._answer()
        self.wal = replace(self.wal, archive_command=make_wal().archive_command)

    def checkpoint(self) -> None:
        self._answer()
        self.checkpoints += 1

    def dumped(self) -> tuple[int, int]:
        self._answer()
        return self.size, self.tables

    def pgbackrest_version(self) -> str:
        self._answer()
        return self.version_beside

    def reload(self) -> None:
        self._answer()
        self.reloads += 1

    def settings_waiting_for_restart(self) -> tuple[str, ...]:
        self._answer()
        return self.pending_restart


def wal_segment(name: str, content: bytes = b"", *, of: str | None = None, system_id: int = SYSTEM_ID) -> bytes:
    """A segment of 4 KiB with the header of its first page; `of` names the segment it was before it was recycled."""
    size, told = 4096, of or name
    address = (int(told[8:16], 16) << 32) + int(told[16:], 16) * size
    header = struct.pack("=HHIQIIQ", 0xD116, 2, int(told[:8], 16), address, 0, 0, system_id)
    return (header + content).ljust(size, b"\0")


# --- the postgres container -------------------------------------------------------------------------------------------


class FakeContainer(DatabaseContainer):
    """A container that starts and stops when told to, unless `refuses_to_stop` or `dies_after_start` says otherwise."""

    def __init__(self, name: str = "salespider-postgres", *, running: bool = True) -> None:
        self.name = name
        self.running = running
        self.calls: list[str] = []
        self.lines: tuple[str, ...] = ()
        self.refuses_to_stop = False
        self.dies_after_start = False
        self.starts = 0
        self.on_stop: Callable[[], None] = lambda: None
        self.on_start: Callable[[], None] = lambda: None

    def condition(self) -> Condition:
        return Condition(self.running, 0, (f"start {self.starts}", 0))

    def stop(self, timeout_seconds: int = 120) -> None:
        self.calls.append("stop" if timeout_seconds >= 120 else "stop soon")
        if self.refuses_to_stop:
            raise ContainerError(f"container {self.name} does not stop")
        self.running = False
        self.on_stop()

    def start(self) -> Condition:
        self.calls.append("start")
        self.starts += 1
        self.running = True
        condition = self.condition()
        self.on_start()
        if self.dies_after_start:
            self.running = False
        return condition

    def last_lines(self, since: float, count: int = 200) -> tuple[str, ...]:
        return self.lines[-count:]


# --- pgbackrest -------------------------------------------------------------------------------------------------------


def make_backup(label: str = "20260301-020000F", **given: Any) -> pgbackrest.Backup:
    """A good full backup that ended at the time in its label, unless told otherwise."""
    stopped = datetime.strptime(label[-16:-1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    kinds = {"F": "full", "D": "diff", "I": "incr"}
    values: dict[str, Any] = {
        "label": label,
        "kind": kinds[label[-1]],
        "repo": 1,
        "started": stopped - timedelta(seconds=1),
        "stopped": stopped,
        "wal_start": "000000010000000000000002",
        "wal_stop": "000000010000000000000002",
        "lsn_start": "0/2000028",
        "lsn_stop": "0/2000100",
        "database_bytes": 30_000_000,
        "copied_bytes": 30_000_000,
        "repository_bytes": 4_000_000,
        "has_errors": False,
        "prior": None,
        "system_id": 7710425701430951955,
        "version": "17",
    }
    return pgbackrest.Backup(**{**values, **given})


def make_info(*backups: pgbackrest.Backup, **given: Any) -> pgbackrest.Info:
    """What good, encrypted repositories say that hold these backups: the first one, and each that has a backup."""
    keys = sorted({1, *(backup.repo for backup in backups)})
    values: dict[str, Any] = {
        "stanza": STANZA,
        "repositories": tuple(pgbackrest.RepositoryStatus(key, "aes-256-cbc", 0, "ok") for key in keys),
        "backups": tuple(sorted(backups, key=lambda b: (b.stopped, b.label))),
        "system_ids": (SYSTEM_ID,),
        **given,
    }
    clusters = given.get("clusters") or tuple(
        pgbackrest.Cluster(repository.key, number, system_id, 17)
        for repository in values["repositories"]
        for number, system_id in enumerate(values["system_ids"], start=1)
    )
    archive = tuple(
        pgbackrest.ArchiveRange(c.repo, f"{c.version}-{c.id}", "000000010000000000000001", "000000010000000000000005")
        for c in clusters
    )
    return pgbackrest.Info(**{"clusters": clusters, "archive": archive, **values})


def info_json(info: pgbackrest.Info) -> bytes:
    """The answer of `pgbackrest info` that `info` was made from."""
    code = max((r.code for r in info.repositories), default=1)
    entry = {
        "name": info.stanza,
        "archive": [
            {"database": {"id": 1, "repo-key": a.repo}, "id": a.id, "min": a.first, "max": a.last} for a in info.archive
        ],
        "backup": [_backup_json(backup) for backup in info.backups],
        "cipher": "mixed",
        "db": [{"id": c.id, "repo-key": c.repo, "system-id": c.system_id, "version": str(c.version)} for c in info.clusters],
        "repo": [
            {"cipher": r.cipher, "key": r.key, "status": {"code": r.code, "message": r.message}} for r in info.repositories
        ],
        "status": {"code": code, "lock": {"backup": {"held": False}}, "message": "ok"},
    }
    return json.dumps([entry]).encode()


def _asked_for(info: pgbackrest.Info, argv: tuple[str, ...]) -> pgbackrest.Info:
    """What `info` tells when it is asked for one repository, or for all."""
    only = next((int(word.removeprefix("--repo=")) for word in argv if word.startswith("--repo=")), None)
    if only is None:
        return info
    return replace(
        info,
        repositories=tuple(r for r in info.repositories if r.key == only),
        backups=tuple(b for b in info.backups if b.repo == only),
        archive=tuple(a for a in info.archive if a.repo == only),
        clusters=tuple(c for c in info.clusters if c.repo == only),
    )


def _backup_json(backup: pgbackrest.Backup) -> dict[str, Any]:
    return {
        "label": backup.label,
        "type": backup.kind,
        "database": {"id": backup.cluster_id, "repo-key": backup.repo},
        "timestamp": {"start": int(backup.started.timestamp()), "stop": int(backup.stopped.timestamp())},
        "archive": {"start": backup.wal_start, "stop": backup.wal_stop},
        "lsn": {"start": backup.lsn_start, "stop": backup.lsn_stop},
        "info": {
            "size": backup.database_bytes,
            "delta": backup.copied_bytes,
            "repository": {"delta": backup.repository_bytes},
        },
        "error": backup.has_errors,
        "prior": backup.prior,
        **({"annotation": dict(backup.annotations)} if backup.annotations else {}),
    }


@dataclass
class Reply:
    """How one invocation of the program ends, what it prints, and what it does to the world meanwhile."""

    exit_code: int = 0
    lines: tuple[str, ...] = ()
    stopped_by: process.StoppedBy = ""
    seconds: float = 1.5
    does: Callable[[], None] = lambda: None


STORED = json.dumps(
    {"000000010000000000000002-3aaa6ab7f7fa24d981f6f2a785273180f6da1b0c.lz4": {"type": "file", "size": 69376}}
).encode()
"""The answer of `repo-ls` when the segment that was asked for is in the archive."""

UNBROKEN = tuple(f"0000000100000000000000{number:02X}" for number in range(1, 33))
"""The segments of an archive in which nothing is missing."""


def archive_json(*names: str) -> bytes:
    """The answer of `repo-ls --recurse` for an archive that holds these segments and history files."""
    files = {
        name if name.endswith(".history") else f"{name[:16]}/{name}-3aaa6ab7f7fa24d981f6f2a785273180f6da1b0c.lz4": {
            "type": "file",
            "size": 69376,
        }
        for name in names
    }
    return json.dumps({".": {"type": "path"}, **files}).encode()


OPENS = process.Captured(0, b"[backrest]\nbackrest-format=5\n", "")
"""The answer for an info file that the configured passphrase opens."""


@dataclass
class FakePgbackrest:
    """A repository behind the two functions of `process`: `run` follows the script, `capture` answers for it."""

    info: pgbackrest.Info = field(default_factory=make_info)
    info_answer: process.Captured | None = None
    stopped_cleanly: bool = False
    control_system_id: int = SYSTEM_ID
    replies: Iterator[Reply] = field(default_factory=lambda: iter(()))
    info_files: dict[str, process.Captured] = field(default_factory=dict)
    captured: dict[str, process.Captured] = field(default_factory=dict)
    segment_answer: process.Captured = field(default_factory=lambda: process.Captured(0, STORED, ""))
    archive: tuple[str, ...] = UNBROKEN
    wal_dump: bytes = b"rmgr: XLOG desc: SWITCH\n"
    ran: list[tuple[str, ...]] = field(default_factory=list)
    limits: list[process.Limits] = field(default_factory=list)

    def script(self, *replies: Reply) -> None:
        self.replies = iter(replies)

    def lists(self, *backups: pgbackrest.Backup) -> Callable[[], None]:
        """Return what makes the repository list these backups from now on."""

        def change() -> None:
            self.info = make_info(*backups)

        return change

    def run(self, argv: tuple[str, ...], on_line: Callable[[str], None], limits: process.Limits) -> process.Finished:
        self.ran.append(argv)
        reply = next(self.replies, None)
        if reply is None and "expire" in argv:  # every proven backup ends with it; scripted only where it is the matter
            return process.Finished(0, (), 0.1)
        assert reply is not None, argv
        self.limits.append(limits)
        reply.does()
        for line in reply.lines:
            on_line(line)
        return process.Finished(reply.exit_code, reply.lines[-25:], reply.seconds, reply.stopped_by)

    def capture(self, argv: tuple[str, ...], timeout_seconds: float) -> process.Captured:  # noqa: PLR0911 one for each program
        if argv[-1].endswith(".info"):  # the look at a repository before anything is written into it
            return next((answer for name, answer in self.info_files.items() if name in argv), OPENS)
        self.ran.append(argv)
        for word, answer in self.captured.items():
            if word in argv:
                return answer
        if argv[0] == "pg_controldata":
            state = b"shut down" if self.stopped_cleanly else b"in production"
            lines = b"Database system identifier:  %d\nDatabase cluster state:  %s\n" % (self.control_system_id, state)
            return process.Captured(0, b"pg_control version number:  1700\n" + lines, "")
        if "pg_waldump" in argv:
            return process.Captured(1, self.wal_dump, "pg_waldump: error: could not find the next segment")
        if "archive-get" in argv:  # into the file that is named last
            Path(argv[-1]).touch()
        if {"archive-get", "expire"} & set(argv):  # the latter with --dry-run
            return process.Captured(0, b"", "")
        if "--recurse" in argv:
            return process.Captured(0, archive_json(*self.archive), "")
        if argv[-1].startswith("archive/"):  # `repo-ls`, the last proof of a backup
            return self.segment_answer
        assert "info" in argv, argv
        return self.info_answer or process.Captured(0, info_json(_asked_for(self.info, argv)), "")

    @property
    def verbs(self) -> list[str]:
        """The commands that were run, without their options."""
        return [next(w for w in argv[1:] if not w.startswith("-")) for argv in self.ran if argv[0] == "pgbackrest"]


def runs_of(history: History) -> list[tuple[str, str, str]]:
    """The record, oldest first: what, origin, state."""
    return [(run.what, run.origin, run.state) for run in reversed(history.recent())]
