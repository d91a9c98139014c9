"""List, write, read back and delete through pgbackrest, with the configuration and on the way that the backups use.

What is written lies under a name of its own below the repository's path, where neither archiving nor expire ever look,
and is removed in every case. `repo-put` is an internal command of pgBackRest 2.55.1 and gone in 2.60: without it,
"not tested" is said.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from backup import pgbackrest, process
from backup.storage import trouble
from backup.storage.place import Place
from backup.storage.step import Step
from backup.units import human_bytes

IO_SECONDS: Final = 5
ANSWER_SECONDS: Final = 20.0
SMALL_BYTES: Final = 64 * 1024
FIRST_BYTES: Final = 1024 * 1024
MOST_BYTES: Final = 12 * 1024 * 1024
PREFIX: Final = "storage-check-"

CREDENTIALS, LIST, WRITE, READ, DELETE, THROUGHPUT = "credentials", "list", "write", "read back", "delete", "throughput"
NAMES: Final = (CREDENTIALS, LIST, WRITE, READ, DELETE)

_FILE_MISSING: Final = 55
_COMMAND_INVALID: Final = (30, 48)
_TIMED_OUT: Final = -9
_SLOW_SECONDS: Final = 1.0


def argv(stanza: str, repo: int, verb: str, *words: str) -> pgbackrest.Argv:
    """Return a command on one file or path of the repository; what is read and written is taken as it is."""
    options = [f"--repo={repo}", "--log-level-console=off", "--log-level-stderr=warn", "--log-level-file=off"]
    raw = ("--raw",) if verb in ("repo-get", "repo-put") else ()
    return ("pgbackrest", f"--stanza={stanza}", *options, f"--io-timeout={IO_SECONDS}", *raw, verb, *words)


class _FailedError(Exception):
    """A step failed, so the following ones cannot be tried."""


@dataclass
class Passage:
    """One repository, gone through; `steps` are what was seen until now."""

    stanza: str
    place: Place
    steps: list[Step] = field(default_factory=list)
    name: str = field(default_factory=lambda: f"{PREFIX}{secrets.token_hex(8)}")

    def go(self, *, measured: bool) -> list[Step]:
        """Try every step until one fails, remove what was written, and return the steps.

        `measured`: some megabytes are sent both ways as well.
        """
        try:
            self._credentials()
            self._list()
            self._written(SMALL_BYTES)
            if measured:
                self._throughput()
        except _FailedError:
            pass
        finally:
            self._removed()
        return self.steps

    def _credentials(self) -> None:
        """Ask for a file that is not there: a GET, whose answer says why it was refused. A HEAD has none."""
        answer, seconds = self._run("repo-get", self.name)
        if answer.exit_code != _FILE_MISSING:
            self._fail(CREDENTIALS, answer, seconds)
        self.steps.append(Step(CREDENTIALS, "ok", "accepted", seconds))

    def _list(self) -> None:
        answer, seconds = self._run("repo-ls")
        if answer.exit_code != 0:
            self._fail(LIST, answer, seconds)
        self.steps.append(Step(LIST, "ok", "the repository's path can be listed", seconds))

    def _written(self, size: int) -> None:
        content = os.urandom(size)
        self._seconds_to_write(content)
        answer, seconds = self._run("repo-get", self.name)
        if answer.exit_code != 0:
            self._fail(READ, answer, seconds)
        if answer.stdout != content:
            seen = f"{len(answer.stdout)} bytes came back, and they are not those that were written"
            self.steps.append(
                Step(READ, "failed", seen, seconds, "do not use this store: it does not keep what it is given")
            )
            raise _FailedError
        self.steps.append(Step(READ, "ok", f"the same {human_bytes(size)}", seconds))

    def _seconds_to_write(self, content: bytes) -> None:
        answer, seconds = self._run("repo-put", self.name, given=content)
        if answer.exit_code in _COMMAND_INVALID:
            self.steps += [Step(name, "skipped", "not tested: this pgbackrest has no repo-put") for name in (WRITE, READ)]
            raise _FailedError
        if answer.exit_code != 0:
            self._fail(WRITE, answer, seconds)
        self.steps.append(Step(WRITE, "ok", human_bytes(len(content)), seconds))

    def _throughput(self) -> None:
        """Send a megabyte, then as many as the line can take in some seconds, both ways."""
        size = FIRST_BYTES
        up, down = self._both_ways(size)
        if max(up, down) < _SLOW_SECONDS:
            size = MOST_BYTES if max(up, down) < _SLOW_SECONDS / 3 else MOST_BYTES // 4
            up, down = self._both_ways(size)
        rates = f"up {human_bytes(round(size / up))}/s, down {human_bytes(round(size / down))}/s"
        self.steps.append(Step(THROUGHPUT, "ok", f"{rates}, with {human_bytes(size)}", up + down))

    def _both_ways(self, size: int) -> tuple[float, float]:
        content = os.urandom(size)
        put, up = self._run("repo-put", self.name, given=content)
        got, down = self._run("repo-get", self.name) if put.exit_code == 0 else (put, 0.0)
        if got.exit_code != 0:
            self._fail(THROUGHPUT, got, up + down)
        return up, down

    def _removed(self) -> None:
        """Remove what was written, however the rest ended: an upload that timed out may have arrived."""
        if not any(step.name == WRITE and step.state != "skipped" for step in self.steps):
            return
        answer, seconds = self._run("repo-rm", self.name)
        if answer.exit_code == 0:
            answer, more = self._run("repo-get", self.name)
            seconds += more
        if answer.exit_code == _FILE_MISSING:
            written = any(step.name == WRITE and step.state == "ok" for step in self.steps)
            self.steps += [Step(DELETE, "ok", "what was written is gone", seconds)] if written else []
            return
        try:
            self._fail(DELETE, answer, seconds)
        except _FailedError:
            return

    def _run(self, verb: str, *words: str, given: bytes | None = None) -> tuple[process.Captured, float]:
        repo = self.place.key or 1
        started = time.monotonic()
        answer = process.capture(argv(self.stanza, repo, verb, *words), ANSWER_SECONDS, given)
        return answer, time.monotonic() - started

    def _fail(self, name: str, answer: process.Captured, seconds: float) -> None:
        if answer.exit_code == _TIMED_OUT:
            found = trouble.silent("the store" if self.place.type != "posix" else self.place.location, self.place)
            said = f"no end of it within {ANSWER_SECONDS:.0f} s"
        else:
            found = _explained(answer, name, self.place)
            said = found.sentence
        self.steps.append(Step(name, "failed", said, seconds, found.hint, found.may_pass))
        raise _FailedError


def _explained(answer: process.Captured, name: str, place: Place) -> trouble.Trouble:
    known = trouble.describe(answer.stderr, answer.exit_code, place)
    if known is not None:
        return known
    meaning = pgbackrest.meaning(answer.exit_code)
    if answer.exit_code == 0:  # what was removed is still there
        return trouble.Trouble("what was deleted is still there", "see whether the store keeps versions or locks")
    said = "".join(c if c.isprintable() else " " for c in answer.stderr).strip().removeprefix("ERROR: ")[:200]
    sentence = f"{name} failed with pgbackrest's exit code {answer.exit_code} ({meaning.name}): {said}"
    return trouble.Trouble(sentence, meaning.hint, meaning.retry)
