"""`salespider-backup schedule`: what an operator sees of the coming runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from backup.deployment import Deployment
from backup.due import schedule_command
from contract.supervisor import Schedule
from tests.unit.backup.fakes import FakePgbackrest, World


def shown(world: World, monkeypatch: pytest.MonkeyPatch, schedule: Schedule, *words: str) -> str:
    changed = world.deployment.config.model_copy(update={"schedule": schedule, "time_zone": "Europe/Berlin"})
    monkeypatch.setattr(Deployment, "open", lambda *_args: replace(world.deployment, config=changed))
    world.postgres.down = "not asked"
    result = CliRunner().invoke(schedule_command.show, [*words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


BOTH = Schedule(full="0 2 * * 0", diff="0 2 * * *")


def test_the_next_ten_runs_in_both_times(world: World, monkeypatch: pytest.MonkeyPatch, engine: FakePgbackrest) -> None:
    """From a Wednesday at noon."""
    lines = shown(world, monkeypatch, BOTH).splitlines()
    assert lines[0].strip() == "The next runs (Europe/Berlin)"
    rows = [" ".join(line.replace("│", " ").split()) for line in lines if "2026-" in line]
    assert len(rows) == 11  # one of the ten replaces another one
    assert rows[0] == "diff Thu 2026-03-05 02:00 CET 2026-03-05 01:00 13 h 0 min 1"
    assert rows[3:5] == [
        "full Sun 2026-03-08 02:00 CET 2026-03-08 01:00 3 d 13 h 1",
        "diff Sun 2026-03-08 02:00 CET 2026-03-08 01:00 3 d 13 h none: the full one of the same time replaces it",
    ]
    assert engine.ran == []


def test_as_json(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(shown(world, monkeypatch, BOTH, "--count=4", "--output=json"))
    assert [(run["type"], run["replaced_by"]) for run in found] == [
        ("diff", None), ("diff", None), ("diff", None), ("full", None), ("diff", "full"),
    ]  # fmt: skip
    assert found[0] == {
        "type": "diff",
        "at": "2026-03-05T01:00:00+00:00",
        "local": "2026-03-05T02:00:00+01:00",
        "repositories": [1],
        "replaced_by": None,
    }


def test_an_empty_schedule_is_said_in_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(world, monkeypatch, Schedule(full=None, diff=None)) == "Nothing is scheduled.\n"
