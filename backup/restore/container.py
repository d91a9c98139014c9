"""The only door to Docker: stop and start the postgres container, and see how it fares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker
import docker.errors

from contract.errors import ProductError
from contract.exits import Exit

STOP_TIMEOUT_SECONDS = 120


class ContainerError(ProductError):
    """Docker cannot be reached, or the container is not there; the message is what Docker said."""

    hint = "use the make targets (`make restore-latest`), which give the restore container what it needs"
    exit_code = Exit.RESTORE_REFUSED


@dataclass(frozen=True)
class Condition:
    """How the container stands. Any change of `life` means that it died and was started again."""

    running: bool
    exit_code: int
    life: tuple[str, int]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except docker.errors.NotFound as error:
        hint = (
            "`docker compose up --no-start postgres` makes it anew, and leaves its volumes as they are; then the same again"
        )
        raise ContainerError("docker: there is no such container as the database's", hint=hint) from error
    except (docker.errors.DockerException, OSError) as error:
        raise ContainerError(f"docker: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error


class DatabaseContainer:
    """The postgres container, by its name."""

    def __init__(self, name: str) -> None:
        """Connect to Docker. Raises ContainerError."""
        self.name = name
        with _translated():
            self._client = docker.from_env()
            self._client.ping()

    def condition(self) -> Condition:
        """Ask Docker how it stands."""
        with _translated():
            container = self._client.containers.get(self.name)
        state = container.attrs["State"]
        return Condition(
            running=state["Status"] == "running",
            exit_code=state["ExitCode"],
            life=(state["StartedAt"], container.attrs["RestartCount"]),
        )

    def stop(self, timeout_seconds: int = STOP_TIMEOUT_SECONDS) -> None:
        """Stop it in order, or kill it after this time, and make sure that it is down. Raises ContainerError if not."""
        with _translated():
            self._client.containers.get(self.name).stop(timeout=timeout_seconds)
        if self.condition().running:
            raise ContainerError(f"container {self.name} does not stop")

    def start(self) -> Condition:
        """Start it; return how it stands then."""
        with _translated():
            self._client.containers.get(self.name).start()
        return self.condition()

    def last_lines(self, since: float, count: int = 200) -> tuple[str, ...]:
        """Return the end of its log since a moment (seconds since the epoch)."""
        with _translated():
            output: bytes = self._client.containers.get(self.name).logs(since=int(since), tail=count)
        return tuple(output.decode("utf-8", "replace").splitlines())
