"""The door to other programs, with real, small ones: what is started is ended whole, and inherits nothing by chance."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backup import process
from backup.process import Limits

LONG = 3600.0


def sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def limits(stop: threading.Event | None = None, deadline: float = 30.0, grace: float = 5.0) -> Limits:
    return Limits(stop or threading.Event(), deadline, grace)


def is_gone(pid: int) -> bool:
    """Dead, or a zombie that only waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


def stop_at(line: str, stop: threading.Event, seen: list[str]) -> Callable[[str], None]:
    def on_line(text: str) -> None:
        seen.append(text)
        if text == line:
            stop.set()

    return on_line


# --- run --------------------------------------------------------------------------------------------------------------


def test_a_program_that_ends_well_hands_over_its_lines_in_order() -> None:
    lines: list[str] = []
    finished = process.run(sh("echo one; echo two >&2; echo three"), lines.append, limits())
    assert finished.ok
    assert lines == ["one", "two", "three"]
    assert finished.tail == ("one", "two", "three")


@pytest.mark.parametrize("code", [1, 50, 126])
def test_an_exit_code_comes_back_as_it_is(code: int) -> None:
    finished = process.run(sh(f"exit {code}"), print, limits())
    assert (finished.exit_code, finished.ok, finished.stopped_by) == (code, False, "")


def test_a_program_killed_by_somebody_else_has_a_negative_exit_code() -> None:
    assert process.run(sh("kill -KILL $$"), print, limits()).exit_code == -9


def test_the_tail_is_the_last_25_lines_while_every_line_is_handed_over() -> None:
    lines: list[str] = []
    finished = process.run(("seq", "40"), lines.append, limits())
    assert finished.tail == tuple(str(n) for n in range(16, 41))
    assert lines == [str(n) for n in range(1, 41)]


def test_bytes_that_are_no_text_do_not_disturb() -> None:
    finished = process.run(sh(r"printf 'a\377b\n'"), print, limits())
    assert finished.tail == ("a\ufffdb",)


def test_a_program_cannot_wait_for_input() -> None:
    assert process.run(("cat",), print, limits()).ok


def test_stop_ends_the_program_and_its_grandchild_and_says_so() -> None:
    stop, seen = threading.Event(), list[str]()
    script = "sh -c 'sleep 3600 & echo $!; echo ready; wait' & wait"
    finished = process.run(sh(script), stop_at("ready", stop, seen), limits(stop, LONG))
    assert (finished.stopped_by, finished.ok) == ("stop", False)
    assert finished.exit_code == -15
    assert wait_until(lambda: is_gone(int(seen[0])))


def test_a_program_may_end_in_its_own_way_within_the_grace_period() -> None:
    stop, seen = threading.Event(), list[str]()
    script = "trap 'echo tidy; exit 63' TERM; echo ready; while :; do sleep 0.05; done"
    finished = process.run(sh(script), stop_at("ready", stop, seen), limits(stop, LONG, grace=10))
    assert (finished.exit_code, finished.stopped_by) == (63, "stop")
    assert (finished.tail[0], finished.tail[-1]) == ("ready", "tidy")


def test_a_program_that_ignores_the_request_is_killed_when_the_grace_period_is_over() -> None:
    stop, seen = threading.Event(), list[str]()
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    finished = process.run(sh(script), stop_at("ready", stop, seen), limits(stop, LONG, grace=0.2))
    assert (finished.exit_code, finished.stopped_by) == (-9, "stop")


def test_the_deadline_ends_a_program_and_says_so() -> None:
    finished = process.run(("sleep", "3600"), print, limits(deadline=0.05))
    assert (finished.exit_code, finished.stopped_by) == (-15, "deadline")
    assert 0.05 <= finished.seconds < 5


def test_a_stop_from_before_the_start_ends_it_at_once() -> None:
    stop = threading.Event()
    stop.set()
    assert process.run(("sleep", "3600"), print, limits(stop, LONG)).stopped_by == "stop"


def test_what_a_program_leaves_behind_is_killed_even_when_it_ended_well() -> None:
    lines: list[str] = []
    finished = process.run(sh("sleep 3600 & echo $!"), lines.append, limits())
    assert finished.ok
    assert wait_until(lambda: is_gone(int(lines[0])))


# --- environment ------------------------------------------------------------------------------------------------------


def test_a_program_inherits_path_home_language_zone_and_data_directory_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HOME", "LANG", "TZ", "PGDATA"):
        monkeypatch.setenv(name, f"/{name}")
    for name in ("PGBACKREST_REPO1_TYPE", "PGBACKREST_CONFIG", "PGPASSWORD", "POSTGRES_PASSWORD", "DOCKER_HOST"):
        monkeypatch.setenv(name, "none")
    captured = process.capture(("env",), 10)
    streamed: list[str] = []
    process.run(("env",), streamed.append, limits())
    for lines in (captured.stdout.decode().splitlines(), streamed):
        assert {line.split("=", 1)[0] for line in lines} == {"PATH", "HOME", "LANG", "TZ", "PGDATA"}


def test_what_is_not_set_is_not_passed_on_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGDATA", raising=False)
    assert b"PGDATA" not in process.capture(("env",), 10).stdout


# --- capture ----------------------------------------------------------------------------------------------------------


def test_capture_keeps_the_streams_apart_and_the_bytes_as_they_are() -> None:
    captured = process.capture(sh(r"printf '\377\n'; echo problem >&2; exit 3"), 10)
    assert captured == process.Captured(3, b"\xff\n", "problem\n")


def test_capture_kills_what_takes_too_long_with_its_children() -> None:
    captured = process.capture(sh("sleep 3600 & echo $!; echo early >&2; wait"), 0.2)
    assert (captured.exit_code, captured.stderr) == (-9, "early\n")
    assert wait_until(lambda: is_gone(int(captured.stdout)))


def test_capture_leaves_nothing_behind_either() -> None:
    captured = process.capture(sh("sleep 3600 >/dev/null 2>&1 & echo $!"), 10)
    assert captured.exit_code == 0
    assert wait_until(lambda: is_gone(int(captured.stdout)))
