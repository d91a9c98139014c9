"""The record of runs: one file, several writers."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup.state.history import Beginning, Ending, Heartbeat, History, Sizes, State
from backup.state.store import Store

NOW = datetime(2026, 3, 4, 12, 0, 0, 250_000, tzinfo=UTC)
FULL = Beginning("backup", "full", 1, "schedule", "scheduled for 02:00")
DIFF = Beginning("backup", "diff", 1, "manual", "asked for by the operator")
RESTORE = Beginning("restore", "latest", 1, "manual", "asked for by the operator")


def ending(state: State = "succeeded", label: str | None = "20260304-020000F") -> Ending:
    return Ending(state, 0 if state == "succeeded" else 50, label, f"it {state}", ("line 1", "line 2"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    store = Store(path)
    yield History(store)
    store.close()


@pytest.fixture
def other(path: Path) -> Iterator[History]:
    """What another container opens: the same file."""
    store = Store(path)
    yield History(store)
    store.close()


def test_a_run_is_written_down_before_it_starts(history: History) -> None:
    number = history.begin(FULL, NOW)
    run = history.last("backup")
    assert run is not None
    assert (run.id, run.kind, run.what, run.repo, run.origin, run.reason) == (
        number, "backup", "full", 1, "schedule", "scheduled for 02:00",
    )  # fmt: skip
    assert (run.started, run.finished, run.state, run.exit_code, run.label) == (NOW, None, "running", None, None)
    assert (run.message, run.tail) == ("", "")


def test_the_end_completes_it(history: History) -> None:
    number = history.begin(FULL, NOW)
    history.end(number, ending(), NOW + timedelta(seconds=90))
    run = history.last("backup")
    assert run is not None
    assert (run.finished, run.state, run.exit_code) == (NOW + timedelta(seconds=90), "succeeded", 0)
    assert (run.label, run.message, run.tail) == ("20260304-020000F", "it succeeded", "line 1\nline 2")


def test_runs_come_newest_first_and_no_more_than_asked_for(history: History) -> None:
    numbers = [history.begin(FULL, NOW + timedelta(minutes=minute)) for minute in (3, 1, 2)]
    first, second, third = numbers
    assert [run.id for run in history.recent()] == [first, third, second]
    assert [run.id for run in history.recent(limit=2)] == [first, third]


def test_of_two_runs_at_the_same_moment_the_later_written_one_is_newer(history: History) -> None:
    numbers = [history.begin(FULL, NOW) for _ in range(2)]
    assert [run.id for run in history.recent()] == numbers[::-1]


def test_the_last_run_can_be_asked_for_by_kind_type_and_state(history: History) -> None:
    full, diff, restore = (history.begin(beginning, NOW) for beginning in (FULL, DIFF, RESTORE))
    history.end(full, ending("failed", None), NOW)
    found = [
        history.last("backup"),
        history.last("backup", "full"),
        history.last("backup", state="failed"),
        history.last("restore"),
        history.last("backup", "incr"),
        history.last("backup", state="succeeded"),
    ]
    assert [run and run.id for run in found] == [diff, full, full, restore, None, None]


def test_what_one_writes_the_other_reads(history: History, other: History) -> None:
    number = history.begin(FULL, NOW)
    other.end(number, ending(), NOW)
    assert history.recent() == other.recent()
    assert history.recent()[0].state == "succeeded"


def test_many_writers_on_one_file_lose_nothing(history: History, other: History) -> None:
    def write(to: History) -> None:
        for _ in range(10):
            to.end(to.begin(FULL, NOW), ending(), NOW)
            to.beat("idle", NOW)

    threads = [threading.Thread(target=write, args=(to,)) for to in (history, other, history, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run.id for run in other.recent(limit=100)}) == 40


def test_runs_whose_process_was_killed_are_closed_and_only_those_of_the_kind(history: History, other: History) -> None:
    backup, done, restore = (history.begin(beginning, NOW) for beginning in (FULL, DIFF, RESTORE))
    history.end(done, ending(), NOW)
    assert other.mark_interrupted("backup", NOW + timedelta(hours=1)) == 1
    runs = {run.id: run for run in history.recent()}
    assert (runs[backup].state, runs[backup].message) == ("interrupted", "its process was killed")
    assert runs[backup].finished == NOW + timedelta(hours=1)
    assert (runs[done].state, runs[restore].state) == ("succeeded", "running")
    assert other.mark_interrupted("backup", NOW) == 0


def test_the_sign_of_life_is_the_last_one_left(history: History, other: History) -> None:
    assert other.heartbeat() is None
    history.beat("starting", NOW)
    history.beat("idle; next: full backup at 02:00", NOW + timedelta(seconds=1))
    assert other.heartbeat() == Heartbeat(NOW + timedelta(seconds=1), "idle; next: full backup at 02:00")


def test_opening_an_existing_file_keeps_what_is_in_it(history: History, path: Path) -> None:
    history.begin(FULL, NOW)
    store = Store(path)
    assert len(History(store).recent()) == 1
    store.close()


def test_a_file_of_an_earlier_release_gets_the_columns_it_lacks(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE run (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, what TEXT NOT NULL, repo INTEGER, "
            "origin TEXT NOT NULL, reason TEXT NOT NULL, started_at REAL NOT NULL, finished_at REAL, state TEXT NOT NULL, "
            "exit_code INTEGER, label TEXT, message TEXT NOT NULL DEFAULT '', tail TEXT NOT NULL DEFAULT '')"
        )
        old.execute(
            "INSERT INTO run (kind, what, repo, origin, reason, started_at, state) "
            "VALUES ('backup', 'full', 1, 'first', 'the first', 0, 'running')"
        )
    store = Store(path)
    run = History(store).last("backup")
    assert run is not None
    assert (run.what, run.attempts, run.retryable, run.stored_bytes) == ("full", 1, False, None)
    History(store).end(run.id, Ending("succeeded", 0, "L", "done", sizes=Sizes(3, 2, 1)), NOW)
    again = History(store).last("backup")
    assert again is not None
    assert (again.database_bytes, again.copied_bytes, again.stored_bytes) == (3, 2, 1)
    store.close()
