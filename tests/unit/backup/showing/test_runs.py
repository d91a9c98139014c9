"""The record of runs as it is shown, and how it is looked up when it is long."""

from __future__ import annotations

import io
import json
import sqlite3
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from backup import health
from backup.showing import report, runs
from backup.state.history import Beginning, Ending, Sizes, State
from backup.watch.readings import Sample
from backup.watch.samples import Samples
from tests.unit.backup.fakes import NOON, World

UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def out() -> Console:
    return Console(file=io.StringIO(), width=200, highlight=False, soft_wrap=True)


def printed(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def ran(world: World, days_ago: int, seconds: float, state: State = "succeeded", what: str = "full") -> None:
    history, began = world.deployment.history, NOON - timedelta(days=days_ago)
    number = history.begin(Beginning("backup", what, 1, "schedule", "scheduled for 02:00"), began)
    sizes = Sizes(30_000_000, 20_000_000, 4_000_000) if state == "succeeded" else None
    ending = Ending(state, 0, None, "" if sizes else "the repository is away", ("one", "two"), sizes=sizes)
    history.end(number, ending, began + timedelta(seconds=seconds))


def test_a_run_is_told_with_reason_duration_sizes_and_result(world: World, out: Console) -> None:
    ran(world, 1, 10.0)
    ran(world, 0, 90.0, "failed", "diff")
    world.deployment.history.begin(Beginning("restore", "latest", 1, "manual", "asked for by the operator"), NOON)
    out.print(runs.runs_table(world.deployment.history.recent(), UTC_ZONE))
    rows = printed(out).splitlines()
    (good,) = [row for row in rows if "full backup" in row]
    for cell in ("2026-03-03 12:00:00 UTC", "scheduled for 02:00", "10 s", "20.0 MB", "4.0 MB", "5.0 : 1", "2.0 MB/s"):
        assert cell in good
    (bad,) = [row for row in rows if "diff backup" in row]
    assert "1 min 30 s" in bad
    assert "failed: the repository is away" in bad
    assert any("latest restore" in row for row in rows)


def test_where_no_terminal_limits_it_a_run_is_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """For grep, and for whoever mails it."""
    ran(world, 0, 3700.0)
    reason = "scheduled for 2026-03-01 02:00:00 UTC; full instead of diff: 7 backups since the last full"
    history = world.deployment.history
    history.begin(Beginning("backup", "full", 1, "schedule", reason), NOON)
    report.console().print(runs.runs_table(history.recent(), UTC_ZONE))
    assert reason in capsys.readouterr().out


def test_a_trend_is_told_in_sentences(world: World, out: Console) -> None:
    for day in range(20):
        ran(world, day, 112.0 if day < 7 else 100.0)
        ran(world, day, 1.0, "failed")
    found = runs.trends(world.deployment)
    runs.print_trends(out, found, None, UTC_ZONE)
    lines = printed(out).splitlines()
    assert lines[0] == (
        "full backups in repository 1 (the last 7 against the 13 before them, since 2026-02-13 12:00:00 UTC)"
    )
    assert "    take 1 min 52 s, 12 % longer than before" in lines
    assert "    stored 4.0 MB, as before" in lines
    assert "    transfer rate 178.6 KB/s, 11 % lower than before" in lines


def test_only_one_type_when_asked(world: World) -> None:
    for day in range(20):
        ran(world, day, 1.0)
        ran(world, day, 1.0, what="diff")
    assert [trend.type for trend in runs.trends(world.deployment)] == ["full", "diff"]
    assert [trend.type for trend in runs.trends(world.deployment, "diff")] == ["diff"]


def test_without_enough_runs_it_says_what_it_takes(world: World, out: Console) -> None:
    runs.print_trends(out, runs.trends(world.deployment), runs.wal_trend(world.deployment), UTC_ZONE)
    assert printed(out) == "No trend yet: it takes 10 successful runs of a type.\n"


def test_the_rate_of_wal_is_held_against_the_month_before(world: World, out: Console) -> None:
    samples = Samples(world.deployment.store)
    for hours in range(1, 8 * 24):
        rate = 2000.0 if hours <= 7 * 24 else 1000.0
        samples.put(Sample(NOON - timedelta(hours=hours), None, (), "", rate, rate))
    found = runs.wal_trend(world.deployment)
    assert found is not None
    assert round(found.percent or 0) in range(95, 101)
    runs.print_trends(out, (), found, UTC_ZONE)
    assert "more than before" in printed(out)


def test_json_has_everything_that_is_recorded(world: World) -> None:
    ran(world, 0, 10.0)
    answer = json.loads(json.dumps(runs.as_json(world.deployment.history.recent())))
    assert answer["schema_version"] == 1
    assert "trends" not in answer
    (run,) = answer["runs"]
    assert run == {
        "id": 1,
        "kind": "backup",
        "type": "full",
        "requested": "full",
        "repository": 1,
        "origin": "schedule",
        "reason": "scheduled for 02:00",
        "started": "2026-03-04T12:00:00+00:00",
        "finished": "2026-03-04T12:00:10+00:00",
        "seconds": 10.0,
        "state": "succeeded",
        "exit_code": 0,
        "label": None,
        "message": "",
        "attempts": 1,
        "database_bytes": 30_000_000,
        "copied_bytes": 20_000_000,
        "stored_bytes": 4_000_000,
        "ratio": 5.0,
        "bytes_per_second": 2_000_000.0,
        "tail": ["one", "two"],
    }
    assert runs.as_json((), (), None)["trends"] == []


# --- a long record ----------------------------------------------------------------------------------------------------


def test_every_question_for_runs_is_answered_from_an_index(world: World) -> None:
    """With a million rows, a scan or a sort would be seconds; the plan says which it is, however fast the machine."""
    connection: sqlite3.Connection = world.deployment.store._connection
    ran(world, 0, 1.0)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    history = world.deployment.history
    health.known(world.deployment.store)
    runs.trends(world.deployment)
    history.recent(limit=20)
    history.recent("backup", limit=20)
    history.recent("backup", what="diff")
    history.last("restore", state="failed")
    history.last("backup", "full", "succeeded")
    history.mark_interrupted("backup", NOON)
    connection.set_trace_callback(None)
    about_runs = [statement for statement in asked if " run " in statement and "CREATE" not in statement]
    assert len(about_runs) >= 10
    for statement in about_runs:
        plan = " / ".join(str(row["detail"]) for row in world.deployment.store.rows(f"EXPLAIN QUERY PLAN {statement}"))
        assert "INDEX" in plan, f"{statement}: {plan}"
        assert "TEMP B-TREE" not in plan, f"{statement}: {plan}"
        assert "SEARCH" in plan or "run_by_start" in plan, f"{statement}: {plan}"
