"""One running stack of the product, driven from outside: compose, make, docker exec and psql, as an operator has them.

Every stack has names, volumes, an env file and a directory of its own, so that several can run at once and beside a live
deployment. `remove` leaves nothing behind, and fails when something is left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from testcontainers.compose import DockerCompose

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGE_TAG: Final = os.environ.get("TEST_IMAGE_TAG", "test")
SERVICES: Final = ("setup", "postgres", "backup")
IMAGES: Final = tuple(f"salespider-{service}:{IMAGE_TAG}" for service in SERVICES)
HELPER_IMAGE: Final = f"salespider-backup:{IMAGE_TAG}"
PREFIX: Final = "salespider-test-"

START_SECONDS: Final = 120.0
COMMAND_SECONDS: Final = 300.0
SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.1, 1.0
POLLS: Final = 20
"""Most questions go through `docker exec`, which takes a tenth of a second of a processor: long waits ask less often."""

_FAR_OFF: Final = datetime.now(UTC) + timedelta(hours=12)
NOT_DUE_NOW: Final = {
    "BACKUP_SCHEDULE_FULL": f"0 {_FAR_OFF.hour} * * 0",
    "BACKUP_SCHEDULE_DIFF": f"0 {_FAR_OFF.hour} * * 1-6",
}
"""The default schedule at another hour: at two in the morning a scenario would meet a backup it has not asked for."""

# Whatever else the shell of the tests has set must not reach the product: a stray TZ or COMPOSE_FILE would change it.
_PASSED_ON: Final = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "BASE_IMAGE")

Found = TypeVar("Found")


class CommandFailedError(AssertionError):
    """A command that had to succeed did not."""


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, one after the other."""
        return self.stdout + self.stderr


def wait_until(condition: Callable[[], Found], seconds: float, what: str) -> Found:
    """Ask again and again until the condition holds; return what it answered. Raises TimeoutError."""
    began = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - began
        if waited > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(min(max(waited / POLLS, SHORTEST_POLL_SECONDS), LONGEST_POLL_SECONDS))
    return found


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the environment for a command: the little it needs of ours, and these variables."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {**proxies, **passed_on, **variables}


@dataclass
class _Compose(DockerCompose):
    """Testcontainers' Compose support, in an environment of the stack's own."""

    environment: Mapping[str, str] = field(default_factory=dict)

    def _run_command(self, cmd: str | list[str], context: str | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            cmd, capture_output=True, check=True, cwd=context or str(self.context), env=dict(self.environment)
        )


class Stack:
    """One stack. `variables` stand in its env file; `checkout` is the product's directory, if it is not this one.

    Its images are the built ones under a tag of its own: Compose labels what it builds with the project, so that the images
    of one stack's deployment are new ones to another stack, which would start its database anew with them.
    """

    def __init__(self, scenario: str, variables: Mapping[str, str], checkout: Path | None = None) -> None:
        """Choose names, tag the images, and write the env file (none in a `checkout`); nothing is started yet."""
        self.project = f"{PREFIX}{scenario}-{uuid.uuid4().hex[:6]}"
        self.config_volume = f"{self.project}-pgbackrest-config"
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.project}-"))
        self.checkout = checkout or ROOT
        self.env_file = checkout / ".env" if checkout else self.directory / "stack.env"
        self.user = variables.get("POSTGRES_USER", "postgres")
        self._environment = clean_environment(
            COMPOSE_PROJECT_NAME=self.project,
            PROJECT=self.project,
            CONFIG_VOLUME=self.config_volume,
            IMAGE_TAG=self.project,
            TMPDIR=str(self.directory),
        )
        if checkout is None:
            self._environment |= {"ENV_FILE": str(self.env_file), "COMPOSE_ENV_FILES": str(self.env_file)}
            self.configure(**variables)
        self._compose = _Compose(self.checkout, wait=False, environment=self._environment)
        for built in IMAGES:
            self.run("docker", "tag", built, f"{built.partition(':')[0]}:{self.project}")

    def configure(self, **variables: str) -> None:
        """Write the env file anew, with a schedule that is not due now unless one is given. The next `up` takes it."""
        settings = {**NOT_DUE_NOW, **variables}
        self.env_file.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))

    # --- commands -----------------------------------------------------------------------------------------------------

    def run(self, *argv: str, stdin: str | None = None, check: bool = True, **environment: str) -> Result:
        """Run a command on the host, as the operator would type it."""
        done = subprocess.run(
            argv,
            cwd=self.checkout,
            env={**self._environment, **environment},
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        if check and result.code:
            raise CommandFailedError(f"{' '.join(argv)}: exit code {result.code}\n{result.output}")
        return result

    def make(self, target: str, **variables: str) -> Result:
        """Run a make target. `code` is the exit code of its command, which make itself only mentions."""
        result = self.run("make", target, *self._make_variables(variables), check=False)
        said = re.search(rf"\*\*\* \[.*\b{target}\] Error (\d+)", result.stderr)
        return replace(result, code=int(said[1])) if said else result

    def _make_variables(self, variables: Mapping[str, str]) -> list[str]:
        stack = {"PROJECT": self.project, "ENV_FILE": str(self.env_file), "CONFIG_VOLUME": self.config_volume}
        return [f"{name}={value}" for name, value in {**stack, **variables}.items()]

    @contextmanager
    def in_background(
        self, *argv: str, stdin: IO[str] | None = None, stdout: IO[str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Keep a command running for the length of a `with` block (it is yielded), and wait for its end after it."""
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            argv,
            cwd=self.checkout,
            env=self._environment,
            stdin=stdin or quiet,
            stdout=stdout or quiet,
            stderr=quiet,
        ) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def compose(self, *argv: str, check: bool = True) -> Result:
        """Run a docker compose command."""
        return self.run("docker", "compose", *argv, check=check)

    def docker(self, verb: str, service: str, *options: str, check: bool = True) -> Result:
        """Run a docker command on the container of a service: stop, start, kill, logs, …"""
        return self.run("docker", verb, *options, self.container(service), check=check)

    def exec(self, service: str, *argv: str, user: str | None = None, check: bool = True) -> Result:
        """Run a command in the container of a service."""
        who = ["--user", user] if user else []
        return self.run("docker", "exec", *who, self.container(service), *argv, check=check)

    def sql(self, query: str) -> str:
        """Run SQL as the superuser over the socket; return what psql prints, unaligned and without headings."""
        options = ("-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", self.user, "-d", "salespider")
        return self.exec("postgres", "psql", *options, "-c", query).stdout.strip()

    def in_helper(self, script: str, volumes: Mapping[str, str], stdin: str | None = None) -> str:
        """Run a shell script as root in a container of its own; `volumes` maps its mount points to volumes."""
        mounts = [part for place, volume in volumes.items() for part in ("--volume", f"{volume}:{place}")]
        return self.run(
            *("docker", "run", "--rm", "--interactive", "--network", "none", "--user", "0:0", *mounts),
            *("--label", f"com.docker.compose.project={self.project}"),
            *("--entrypoint", "sh", HELPER_IMAGE, "-ceu", script),
            stdin=stdin,
        ).stdout

    def in_repository(self, script: str) -> str:
        """Run a shell script as root in the root directory of the repository's volume."""
        return self.in_helper(f"cd /repository; {script}", {"/repository": self.volume("backup-repo")})

    # --- states -------------------------------------------------------------------------------------------------------

    def container(self, service: str) -> str:
        """Return the name of a service's container."""
        return f"{self.project}-{service}"

    def volume(self, name: str) -> str:
        """Return the full name of one of the stack's volumes."""
        return f"{self.project}_{name}"

    def inspect(self, service: str) -> Any:
        """Return what Docker knows about the container of a service."""
        return json.loads(self.docker("inspect", service).stdout)[0]

    def state(self, service: str) -> dict[str, Any]:
        """Return Docker's view of a container's state: Status, ExitCode, StartedAt, Health, …"""
        state: dict[str, Any] = self.inspect(service)["State"]
        return state

    def info(self) -> dict[str, Any]:
        """Return `pgbackrest info` of the stanza, parsed, as the backup container sees it."""
        argv = ("pgbackrest", "--stanza=salespider", "info", "--output=json")
        stanza: dict[str, Any] = json.loads(self.exec("backup", *argv).stdout)[0]
        return stanza

    def backups(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the backups that the repository lists, oldest first, of one type if given."""
        return [backup for backup in self.info()["backup"] if kind in (None, backup["type"])]

    def runs(self) -> list[dict[str, Any]]:
        """Return the rows of the supervisor's history, oldest first."""
        return self._history("SELECT * FROM run ORDER BY id")

    def alarms(self) -> list[dict[str, Any]]:
        """Return the open alarms, the oldest first: key, event, message, hint, …

        Without those that may stand in any stack: no recovery kit, told a minute after each start, and the machine's disks.
        """
        return self._history("SELECT * FROM alarm WHERE key != 'protection' AND key NOT LIKE 'disk:%' ORDER BY since")

    def messages(self) -> list[dict[str, Any]]:
        """Return what the receivers are told of all else, the oldest first: event, severity, resolved, summary, hint, …"""
        return self._history(
            "SELECT * FROM message WHERE event NOT LIKE 'protection.%' AND event NOT LIKE 'disk.%' ORDER BY id"
        )

    def listen(self) -> None:
        """Name a receiver that is never there, for commands that start from now on: `messages` are kept for it."""
        receiver = {"id": "nobody", "kind": "webhook", "url": "https://127.0.0.1:9/", "shown": "https://127.0.0.1:9/…"}
        script = "umask 027; cat > /c/receivers.json; chgrp 999 /c/receivers.json"
        self.in_helper(script, {"/c": self.config_volume}, stdin=json.dumps({"receivers": [receiver]}))

    def doing(self, since: float = 0) -> str:
        """Return what the supervisor says it is doing, or nothing when it has not said so since that time."""
        rows = self._history("SELECT phase, at FROM heartbeat")
        return str(rows[0]["phase"]) if rows and rows[0]["at"] > since else ""

    def _history(self, query: str) -> list[dict[str, Any]]:
        program = (
            "import json, sqlite3, sys; db = sqlite3.connect('file:/var/lib/salespider/state/history.sqlite', uri=True);"
            "db.row_factory = sqlite3.Row; print(json.dumps([dict(row) for row in db.execute(sys.argv[1])]))"
        )
        rows: list[dict[str, Any]] = json.loads(self.exec("backup", "python3", "-c", program, query).stdout)
        return rows

    def is_open(self) -> bool:
        """Tell whether the database takes writes, from everybody: the server of the first start is on the socket only."""
        try:
            self.exec("postgres", "pg_isready", "--quiet", "--host=127.0.0.1")
            return self.sql("SELECT pg_is_in_recovery()") == "f"
        except CommandFailedError:
            return False

    def has_backup(self) -> bool:
        """Tell whether the repository lists a backup."""
        try:
            return bool(self.backups())
        except (CommandFailedError, LookupError):
            return False

    def logs(self, service: str, *options: str) -> str:
        """Return the log of a container, both streams."""
        return self.docker("logs", service, *options, check=False).output

    def last_words(self) -> str:
        """Return the end of every container's log: for a person who wonders why a scenario failed."""
        ends = (f"--- {self.container(service)}\n{self.logs(service, '--tail', '40')}" for service in SERVICES)
        return "\n".join(ends)

    # --- life ---------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Run `docker compose up --detach`."""
        try:
            self._compose.start()
        except subprocess.CalledProcessError as error:
            raise CommandFailedError(f"docker compose up: {error.stderr.decode(errors='replace')}") from error

    def start(self) -> None:
        """Bring the stack up and wait for its first backup, and for the second from which on it serves any moment."""
        self.up()
        wait_until(self.has_backup, START_SECONDS, "the first backup")
        wait_until(lambda: self.doing().startswith("idle"), 30, "an idle supervisor")
        ended: int = self.backups()[0]["timestamp"]["stop"]
        wait_until(lambda: time.time() > ended + 1, 30, "the end of the backup's last second")

    def wait_for_backups_after_restore(self) -> None:
        """Wait until the supervisor has taken what follows every restore: a backup into each repository.

        One that the restore has interrupted is taken again as what it was, and is as good.
        """

        def is_done() -> bool:
            runs = self.runs()
            restored = max(run["finished_at"] or 0.0 for run in runs if run["kind"] == "restore")
            taken = [run["state"] for run in runs if run["kind"] == "backup" and run["started_at"] > restored]
            return "succeeded" in taken and "running" not in taken and self.doing(restored).startswith("idle")

        wait_until(is_done, START_SECONDS, "the backups after the restore")

    def remove(self) -> None:
        """Take away containers, networks, volumes, images and directories. Raises AssertionError when something is left."""
        self.compose("--profile", "ops", "down", "--volumes", "--remove-orphans", "--timeout", "0", check=False)
        if containers := self._left("ps", "--all"):
            self.run("docker", "rm", "--force", "--volumes", *containers)
        if volumes := self._left("volume", "ls"):
            self.run("docker", "volume", "rm", *volumes)
        if images := self._images_left():
            self.run("docker", "image", "rm", *images)
        left = [*self._left("ps", "--all"), *self._left("volume", "ls"), *self._left("network", "ls"), *self._images_left()]
        self._remove_directory()
        assert not left, f"{self.project} leaves something behind: {left}"

    def _images_left(self) -> list[str]:
        template, filtered = "{{.Repository}}:{{.Tag}}", f"reference=*:{self.project}"
        return self.run("docker", "image", "ls", "--format", template, "--filter", filtered).stdout.split()

    def _left(self, *listing: str) -> list[str]:
        by_label = self.run("docker", *listing, "--quiet", "--filter", f"label=com.docker.compose.project={self.project}")
        by_name = self.run("docker", *listing, "--quiet", "--filter", f"name={self.project}")
        return sorted({*by_label.stdout.split(), *by_name.stdout.split()})

    def _remove_directory(self) -> None:
        try:
            shutil.rmtree(self.directory)
        except PermissionError:  # a repository in it belongs to uid 999
            self.in_helper("find /directory -mindepth 1 -delete", {"/directory": str(self.directory)})
            shutil.rmtree(self.directory)
