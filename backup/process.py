"""The only door to other programs. Every program runs in a process group of its own, so that it can be ended whole.

pgbackrest leaves its worker processes running when only the main process gets a signal; they go on writing into the
repository and may keep its lock. So the group gets TERM, a grace period, then KILL, and after every run, however it
ended, whatever is left of the group is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Final, Literal, NoReturn

TAIL_LINES: Final = 25
POLL_SECONDS: Final = 0.05
FIRST_POLL_SECONDS: Final = 0.002
"""Most commands are over within hundredths of a second, so it looks often at first and ever less so."""

GONE_SECONDS: Final = 5.0
GONE_POLL_SECONDS: Final = 0.01

# pgbackrest reads PGBACKREST_* as options; a program of ours gets what it needs and nothing else.
# The last two are what it needs to assume a role in AWS by a web identity.
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "TZ", "PGDATA", "PYTHONPATH", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")

StoppedBy = Literal["", "stop", "deadline"]


@dataclass(frozen=True)
class Limits:
    """When a run is ended from outside: `stop` is set, or `deadline_seconds` have passed; then `grace_seconds`."""

    stop: threading.Event
    deadline_seconds: float
    grace_seconds: float = 30.0


@dataclass(frozen=True)
class Finished:
    """How a program ended. A negative exit code is a signal. `tail` holds the last lines it printed."""

    exit_code: int
    tail: tuple[str, ...]
    seconds: float
    stopped_by: StoppedBy = ""

    @property
    def ok(self) -> bool:
        """Tell whether it ended by itself with exit code 0."""
        return self.exit_code == 0 and not self.stopped_by


@dataclass(frozen=True)
class Captured:
    """The whole output of a short program, standard error apart."""

    exit_code: int
    stdout: bytes
    stderr: str


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def run(argv: tuple[str, ...], on_line: Callable[[str], None], limits: Limits) -> Finished:
    """Run a program and hand over each line it prints, both streams as one, until it ends or a limit ends it."""
    started = time.monotonic()
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(),
        start_new_session=True,
        text=True,
        errors="replace",
    ) as process:
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        reader = threading.Thread(target=_read_lines, args=(process.stdout, tail, on_line), daemon=True)
        reader.start()
        try:
            stopped_by = _wait(process, limits, started + limits.deadline_seconds)
        finally:
            _kill_rest(process)
            reader.join(timeout=5)
    return Finished(process.returncode, tuple(tail), time.monotonic() - started, stopped_by)


def capture(argv: tuple[str, ...], timeout_seconds: float, given: bytes | None = None) -> Captured:
    """Run a short program and return what it printed. One that takes longer is killed and has exit code -9.

    `given` is what it reads from its standard input; nothing, unless it is given.
    """
    return _capture(argv, timeout_seconds, subprocess.DEVNULL if given is None else subprocess.PIPE, given)


def _capture(argv: tuple[str, ...], timeout_seconds: float, stdin: int | None, given: bytes | None = None) -> Captured:
    with subprocess.Popen(
        argv,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(given, timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            _kill_rest(process)
            stdout, stderr = process.communicate()
        finally:
            _kill_rest(process)
    return Captured(process.returncode, stdout, stderr.decode("utf-8", "replace"))


def become(argv: tuple[str, ...], variables: Mapping[str, str | None]) -> NoReturn:
    """Replace this process by a program, which inherits the environment with these variables set, or taken away (None)."""
    kept = {name: value for name, value in os.environ.items() if name not in variables}
    added = {name: value for name, value in variables.items() if value is not None}
    os.execve(argv[0] if "/" in argv[0] else shutil.which(argv[0]) or argv[0], argv, kept | added)  # noqa: S606 no shell is meant


def hand_through(argv: tuple[str, ...], timeout_seconds: float) -> Captured:
    """Run a program whose output is ours: it reads our standard input and writes our standard output, byte for byte.

    Returns its exit code and what it said on standard error. One that takes longer is killed and has exit code -9.
    """
    with subprocess.Popen(argv, stderr=subprocess.PIPE, env=_environment(), start_new_session=True) as process:
        try:
            _, stderr = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            _kill_rest(process)
            _, stderr = process.communicate()
        finally:
            _kill_rest(process)
    return Captured(process.returncode, b"", stderr.decode("utf-8", "replace"))


def filter_through(argv: tuple[str, ...], timeout_seconds: float) -> Captured:
    """Run a program that reads our standard input, and return what it printed; see `capture`."""
    return _capture(argv, timeout_seconds, None)


def _read_lines(stream: IO[str] | None, tail: deque[str], on_line: Callable[[str], None]) -> None:
    for line in stream or ():
        text = line.rstrip("\n")
        tail.append(text)
        on_line(text)


def _wait(process: subprocess.Popen[str], limits: Limits, deadline: float) -> StoppedBy:
    pause = FIRST_POLL_SECONDS
    while process.poll() is None:
        pause = min(pause * 1.5, POLL_SECONDS)
        if limits.stop.wait(pause):
            _end_group(process, limits.grace_seconds)
            return "stop"
        if time.monotonic() > deadline:
            _end_group(process, limits.grace_seconds)
            return "deadline"
    return ""


def _end_group(process: subprocess.Popen[str], grace_seconds: float) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _kill_rest(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kill what is left of the group and see it gone: a killed worker holds its lock until the kernel has ended it."""
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + GONE_SECONDS
    while _group_exists(process.pid) and time.monotonic() < deadline:
        time.sleep(GONE_POLL_SECONDS)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # the whole group is gone already, which is what was wanted
        os.killpg(group, number)
