"""One operation at a time, between processes, freed by the kernel."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup import oplock
from backup.oplock import BusyError
from contract.exits import Exit

HOLD = """
import sys, threading
from pathlib import Path
from backup import oplock
with oplock.hold(Path(sys.argv[1]), "full backup (schedule)", patience_seconds=0, stop=threading.Event(), on_wait=print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "operation.lock"


@contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        (sys.executable, "-c", HOLD, str(path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def hold(path: Path, patience: float = 0.0, stop: threading.Event | None = None, told: list[str] | None = None) -> None:
    with oplock.hold(
        path,
        "restore (latest)",
        patience_seconds=patience,
        stop=stop or threading.Event(),
        on_wait=print if told is None else told.append,
    ):
        pass


def test_a_free_lock_is_had_at_once_and_again_afterwards(path: Path) -> None:
    told: list[str] = []
    hold(path, told=told)
    hold(path, told=told)
    assert told == []


def test_the_file_says_who_holds_it(path: Path) -> None:
    with oplock.hold(path, "diff backup (manual)", patience_seconds=0, stop=threading.Event(), on_wait=print):
        assert oplock.holder(path).startswith("diff backup (manual) (since 2")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[]"])
def test_a_file_that_says_nothing_readable_still_gives_a_sentence(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert oplock.holder(path) == "another operation"


def test_a_missing_file_still_gives_a_sentence(path: Path) -> None:
    assert oplock.holder(path) == "another operation"


def test_a_second_process_is_refused_when_its_patience_is_over(path: Path) -> None:
    with held_by_another_process(path), pytest.raises(BusyError) as refused:
        hold(path)
    assert refused.value.message.startswith("operation lock: held by full backup (schedule) (since ")
    assert refused.value.hint == "wait for it to end (`make status` shows it), then try again"
    assert refused.value.exit_code is Exit.BUSY


def test_being_asked_to_stop_ends_the_waiting(path: Path) -> None:
    stop, told = threading.Event(), list[str]()

    def on_wait(holder: str) -> None:
        told.append(holder)
        stop.set()

    with (
        held_by_another_process(path),
        pytest.raises(BusyError),
        oplock.hold(path, "restore", patience_seconds=3600, stop=stop, on_wait=on_wait),
    ):
        pytest.fail("the lock was had twice")
    assert len(told) == 1


def test_a_holder_that_is_killed_frees_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oplock, "POLL_SECONDS", 0.01)
    told: list[str] = []
    with held_by_another_process(path) as process:

        def kill(holder: str) -> None:
            told.append(holder)
            process.kill()

        with oplock.hold(path, "restore", patience_seconds=30, stop=threading.Event(), on_wait=kill):
            assert oplock.holder(path).startswith("restore (since ")
    assert told[0].startswith("full backup (schedule)")


def test_an_error_inside_frees_it(path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        oplock.hold(path, "restore", patience_seconds=0, stop=threading.Event(), on_wait=print),
    ):
        raise ZeroDivisionError
    hold(path)


def test_a_program_started_under_the_lock_does_not_inherit_it(path: Path) -> None:
    """Otherwise a worker that outlives its killed parent would hold it on."""
    with oplock.hold(path, "backup", patience_seconds=0, stop=threading.Event(), on_wait=print):
        child = subprocess.Popen(("sleep", "60"), close_fds=False)
    try:
        hold(path)
    finally:
        child.kill()
        child.wait()


# --- going ahead ------------------------------------------------------------------------------------------------------


@contextmanager
def giving_way(path: Path, stop: threading.Event | None = None) -> Iterator[oplock.End]:
    given = stop or threading.Event()
    with oplock.hold_giving_way(path, "full backup", patience_seconds=0, stop=given, on_wait=print) as end:
        yield end


def test_who_gives_way_is_told_when_somebody_goes_ahead_and_stays_told(path: Path) -> None:
    with giving_way(path) as end:
        assert not end.is_set()
        with oplock.ahead(path):
            assert end.is_set()
        assert end.is_set(), "it was on its way out"
        assert end.gave_way


def test_a_stop_of_everything_is_no_giving_way(path: Path) -> None:
    stop = threading.Event()
    with giving_way(path, stop) as end:
        stop.set()
        assert end.is_set()
        assert not end.gave_way


def test_waiting_ends_when_somebody_goes_ahead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oplock, "POLL_SECONDS", 0.01)
    with giving_way(path) as end:
        assert not end.wait(0.02)
        with oplock.ahead(path):
            assert end.wait(3600)
            assert end.wait()


def test_the_file_tells_who_gives_way(path: Path) -> None:
    assert not oplock.gives_way(path)
    with giving_way(path):
        assert oplock.gives_way(path)
    with oplock.hold(path, "restore", patience_seconds=0, stop=threading.Event(), on_wait=print):
        assert not oplock.gives_way(path)


def test_several_may_go_ahead_at_once_and_the_last_one_counts(path: Path) -> None:
    with oplock.ahead(path), oplock.ahead(path):
        pass
    with giving_way(path) as end:
        assert not end.is_set()


def test_a_killed_process_goes_ahead_of_nobody(path: Path) -> None:
    program = (
        "import sys, pathlib; from backup import oplock\n"
        "with oplock.ahead(pathlib.Path(sys.argv[1])): print('ahead', flush=True); sys.stdin.read()"
    )
    argv = (sys.executable, "-c", program, str(path))
    with (
        giving_way(path) as first,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout
        assert process.stdout.readline() == "ahead\n"
        assert first.is_set()
        process.kill()
        process.wait()
    with giving_way(path) as second:
        assert not second.is_set()
