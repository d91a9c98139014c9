"""A real cluster with a real repository in one temporary directory, and pgbackrest configured for it.

pgbackrest reads its configuration from /etc/pgbackrest, and the doors of the product look at fixed places for the
socket: so there is one site at a time, in a container that is there for these tests alone.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backup import process
from backup.deployment import Deployment, Volumes
from backup.postgres import Postgres
from backup.restore.container import Condition, DatabaseContainer
from backup.state.store import Store
from backup.taking import jobs
from backup.taking.jobs import BackupRequest, Outcome
from contract import paths
from contract.supervisor import BackupType, Database, Repository, Schedule, SupervisorConfig

STANZA = "salespider"
PASSPHRASE = "a-passphrase-of-the-integration-tests"
WRAPPER = "/usr/local/bin/pgbackrest-restore-command"

Options = Mapping[str, str]

PLAIN: Options = {}
ENCRYPTED: Options = {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": PASSPHRASE}
BUNDLED: Options = {**ENCRYPTED, "repo1-bundle": "y", "repo1-block": "y"}

SERVER_SETTINGS = f"""
listen_addresses = ''
unix_socket_directories = '{paths.SOCKET}'
fsync = off
wal_level = replica
archive_mode = on
archive_command = 'pgbackrest --stanza={STANZA} archive-push %p'
log_line_prefix = '%m [%p] '
jit = off
"""


_ports = itertools.count(5432)
_ALL_LINES = 1_000_000


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Poll until it is true, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s: {condition}"
        threading.Event().wait(0.05)


def program(*argv: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; the caller looks at what it did."""
    env = {"PATH": "/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **(environment or {})}
    return subprocess.run(argv, env=env, capture_output=True, text=True, errors="replace", check=False, timeout=120)


def must(*argv: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a program that has to succeed; return what it printed."""
    done = program(*argv, environment=environment)
    assert done.returncode == 0, f"{argv}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Site:
    """The directories, the server and the repository of one test."""

    root: Path
    repository_options: Options = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port = next(_ports)
        self.volume, self.repository = self.root / "volume", self.root / "repository"
        self.pgdata, self.log = self.volume / "data", self.root / "server.log"
        self.config, self.lock = self.root / "config", self.root / "lock"
        for directory in (self.volume, self.repository, self.config, self.lock, self.root / "spool", self.root / "logs"):
            directory.mkdir()
        self.publish()

    # --- configuration ------------------------------------------------------------------------------------------------

    def publish(self, options: Options | None = None) -> None:
        """Write pgbackrest's configuration and the supervisor's; `options` replace those of the repository."""
        if options is not None:
            self.repository_options = options
        settings = {
            "log-path": f"{self.root}/logs",
            "log-level-file": "off",
            "log-level-console": "info",
            "lock-path": str(self.lock),
            "spool-path": f"{self.root}/spool",
            "process-max": "2",
            "compress-type": "lz4",
            "start-fast": "y",
            "archive-timeout": "30",
            "repo1-path": str(self.repository),
            "repo1-retention-full": "2",
            **self.repository_options,
        }
        lines = ["[global]", *(f"{key}={value}" for key, value in settings.items())]
        lines += ["[global:archive-push]", "archive-async=y", "log-level-console=warn"]
        lines += ["[global:archive-get]", "archive-async=n", "log-level-console=warn"]
        lines += [f"[{STANZA}]", f"pg1-path={self.pgdata}", f"pg1-socket-path={paths.SOCKET}", f"pg1-port={self.port}"]
        (paths.CONFIG / "pgbackrest.conf").write_text("\n".join([*lines, ""]))
        (self.config / paths.SUPERVISOR_JSON).write_text(self.supervisor_config.model_dump_json())
        (self.config / paths.MANIFEST_JSON).write_text("{}")

    @property
    def supervisor_config(self) -> SupervisorConfig:
        encrypted = "repo1-cipher-type" in self.repository_options
        return SupervisorConfig(
            mode="backups",
            reason="",
            stanza=STANZA,
            time_zone="UTC",
            database=Database(user="postgres", name="postgres", port=self.port),
            schedule=Schedule(full="0 2 * * 0", diff="0 2 * * 1-6"),
            repositories=(
                Repository(
                    key=1,
                    type="posix",
                    location=str(self.repository),
                    directory=str(self.repository),
                    encrypted=encrypted,
                    retention_full=2,
                    retention_diff=2,
                ),
            ),
        )

    @contextmanager
    def deployment(self) -> Iterator[Deployment]:
        """The product's view of this site."""
        volumes = Volumes(
            config=self.config,
            log=self.root / "logs",
            history=self.root / "history.sqlite",
            operation_lock=self.lock / "operation.lock",
            database=self.volume,
            pgdata=self.pgdata,
        )
        config = self.supervisor_config
        store = Store(volumes.history)
        try:
            yield Deployment(config, "", Postgres(config.database), store, volumes=volumes)
        finally:
            store.close()

    # --- the server ---------------------------------------------------------------------------------------------------

    def create(self, template: Path) -> None:
        """Make the cluster, a copy of a freshly initialised one, and start it."""
        shutil.copytree(template, self.pgdata, symlinks=True)
        self.pgdata.chmod(0o700)
        with (self.pgdata / "postgresql.conf").open("a") as file:
            file.write(f"{SERVER_SETTINGS}port = {self.port}\n")
        self.start()

    def start(self, environment: Mapping[str, str] | None = None, *, wait: bool = True) -> None:
        """Start the server; `environment` is what its restore_command sees."""
        how = "--wait" if wait else "--no-wait"
        must("pg_ctl", "-D", str(self.pgdata), "-l", str(self.log), how, "start", environment=environment)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server, whether it runs or not."""
        program("pg_ctl", "-D", str(self.pgdata), "--wait", f"--mode={mode}", "stop")

    @property
    def is_running(self) -> bool:
        return program("pg_ctl", "-D", str(self.pgdata), "status").returncode == 0

    @property
    def _psql(self) -> tuple[str, ...]:
        return ("-XqAt", f"--host={paths.SOCKET}", f"--port={self.port}")

    def sql(self, query: str) -> str:
        """Run a query as an operator would; return its single value."""
        return must("psql", "-v", "ON_ERROR_STOP=1", *self._psql, "-c", query).strip()

    def is_open(self) -> bool:
        """Tell whether the server takes writes."""
        asked = program("psql", *self._psql, "-c", "SELECT pg_is_in_recovery()")
        return asked.stdout.strip() == "f"

    def switch_wal(self) -> str:
        """End the present WAL segment and wait until it is in the archive; return its name."""
        with self.deployment() as deployment:
            segment = deployment.postgres.switch_wal()
            wait_until(lambda: (deployment.postgres.archiver().last_archived_wal or "") >= segment)
        return segment

    def control(self, what: str) -> str:
        """Return a line of the control file."""
        lines = must("pg_controldata", str(self.pgdata)).splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{what}:"))

    # --- pgbackrest ---------------------------------------------------------------------------------------------------

    def pgbackrest(self, argv: tuple[str, ...]) -> tuple[process.Finished, list[str]]:
        """Run a command line of the product through the product's door; return how it ended and every line."""
        lines: list[str] = []
        finished = jobs.run_patiently(argv, lines.append, process.Limits(threading.Event(), 120.0))
        return finished, lines

    def create_stanza(self) -> None:
        with self.deployment() as deployment:
            outcome = jobs.create_stanza(deployment, print)
        assert outcome.state == "succeeded", outcome

    def back_up(self, kind: BackupType = "full") -> Outcome:
        with self.deployment() as deployment:
            return jobs.take_backup(deployment, BackupRequest(kind, 1, "manual", "a test"), 0.0)

    def protect(self) -> str:
        """Create the stanza and take a first backup; return its label."""
        self.create_stanza()
        outcome = self.back_up()
        assert outcome.state == "succeeded", outcome
        assert outcome.label is not None
        return outcome.label

    def archived_segments(self) -> dict[str, Path]:
        """Return the files of the archive by the name of their segment."""
        return {file.name[:24]: file for file in (self.repository / "archive").rglob("*-*") if file.is_file()}


class LocalServer(DatabaseContainer):
    """The site's server in the place of the postgres container."""

    def __init__(self, site: Site, environment: Mapping[str, str] | None = None) -> None:
        self.name = "the server"
        self._site = site
        self._environment = environment
        self._starts = 0

    def condition(self) -> Condition:
        return Condition(self._site.is_running, 0, (str(self._starts), 0))

    def stop(self, timeout_seconds: int = 120) -> None:
        self._site.stop()

    def start(self) -> Condition:
        self._starts += 1
        said = len(self.last_lines(0, _ALL_LINES))
        self._site.start(self._environment, wait=False)

        def has_begun() -> bool:  # one that gives up at once is gone again between two looks
            lines = self.last_lines(0, _ALL_LINES)[said:]
            return self._site.pgdata.joinpath("postmaster.pid").exists() or any("is shut down" in line for line in lines)

        wait_until(has_begun)
        return Condition(True, 0, (str(self._starts), 0))

    def last_lines(self, since: float, count: int = 200) -> tuple[str, ...]:
        log = self._site.log
        return tuple(log.read_text(errors="replace").splitlines()[-count:]) if log.exists() else ()
