"""A client's ledger of what the database has acknowledged: the measure of every promise that nothing committed is lost.

    with Ledger(stack, rows_a_second=20) as ledger:
        …the store fails, containers are killed…
    …the database is destroyed and restored…
    assert ledger.missing(stack) == []

The client runs in a container of its own, so it outlives the others; it shares nothing with them but the socket. What the
server has acknowledged is written down on the test's host, and on its disk before the next line is read.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Self

from tests.e2e.stack import HELPER_IMAGE, Stack, clean_environment, wait_until

_PROGRAM: Final = Path(__file__).with_name("ledger_client.py")
_BEGIN_SECONDS: Final = 60.0
_END_SECONDS: Final = 30.0


class Ledger:
    """Numbered rows, one commit each, from entering the `with` block to leaving it; numbers only ever grow.

    A commit whose answer was lost, because the server died, is neither counted nor required.
    """

    def __init__(self, stack: Stack, rows_a_second: float = 10, *, filler_bytes: int = 100, rows_a_segment: int = 0) -> None:
        """Prepare. `filler_bytes` of noise in each row fill WAL; with `rows_a_segment` each segment holds only so many."""
        self._name = f"{stack.project}-ledger-{uuid.uuid4().hex[:6]}"
        self._file = stack.directory / f"{self._name}.tsv"
        self._errors = stack.directory / f"{self._name}.errors"
        settings = {
            "user": stack.user,
            "seconds": 1 / rows_a_second,
            "filler_bytes": filler_bytes,
            "rows_a_segment": rows_a_segment,
        }
        self._argv = (
            *("docker", "run", "--rm", "--interactive", "--network", "none", "--name", self._name),
            *("--label", f"com.docker.compose.project={stack.project}"),
            *("--volume", f"{stack.volume('postgres-run')}:/var/run/postgresql"),
            *("--entrypoint", "python3", HELPER_IMAGE, "-c", _PROGRAM.read_text(), json.dumps(settings)),
        )
        self._rows: list[tuple[int, datetime]] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to write, and wait for the first row."""
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                self._argv,
                env=clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._note, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        try:
            self.wait_for(1, _BEGIN_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the client, if that has not been done."""
        self.close()

    def close(self) -> None:
        """End the client. Raises AssertionError when it had ended before by itself, for then it was no witness."""
        if self._process is None or self._reader is None:
            return
        process, self._process = self._process, None
        early = process.poll()
        if process.stdin is not None and early is None:
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            subprocess.run(("docker", "rm", "--force", self._name), capture_output=True, check=False)
            process.wait()
        self._reader.join(_END_SECONDS)
        assert early is None, f"the ledger's client ended with {early}: {self.troubles}"

    @property
    def acknowledged(self) -> list[int]:
        """The numbers whose commit the server has acknowledged, in order."""
        return [number for number, _ in self._rows]

    @property
    def rows(self) -> list[tuple[int, datetime]]:
        """The acknowledged numbers, in order, each with the server's time just before its commit."""
        return list(self._rows)

    @property
    def latest(self) -> tuple[int, datetime]:
        """The last acknowledged number, and the server's time just before that commit."""
        return self._rows[-1]

    @property
    def troubles(self) -> str:
        """What the client said about rows it could not write."""
        return self._errors.read_text()

    def wait_for(self, more: int, seconds: float) -> None:
        """Wait until so many more rows are acknowledged. Raises TimeoutError."""
        wanted = len(self._rows) + more
        wait_until(lambda: len(self._rows) >= wanted, seconds, f"{more} more rows; {self.troubles}")

    def missing(self, stack: Stack) -> list[int]:
        """Return the numbers that were acknowledged and are not in the database. Raises AssertionError for no numbers."""
        assert self._rows, "nothing was ever acknowledged, so nothing is proven"
        present = {int(number) for number in stack.sql("SELECT number FROM ledger").split()}
        return sorted(set(self.written_down()) - present)

    def written_down(self) -> Sequence[int]:
        """Return the acknowledged numbers from the file on the host."""
        return [int(line.split("\t")[0]) for line in self._file.read_text().splitlines()]

    def _note(self, lines: IO[str]) -> None:
        with lines, self._file.open("a") as file:
            for line in lines:
                number, at = line.rstrip("\n").split("\t")
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
                self._rows.append((int(number), datetime.fromisoformat(_with_minutes(at))))


def _with_minutes(at: str) -> str:
    """Return PostgreSQL's `+00` as Python's `+00:00`."""
    return at if at[-3] not in "+-" else f"{at}:00"
