"""Fixtures for the tests of `backup`: a world of fakes, a fresh log, a fake pgbackrest, the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from backup import __main__ as entry
from backup import deployment, logs, process
from backup.commands import opening
from backup.deployment import Deployment
from backup.watch import look
from backup.watch.readings import Volume
from tests.unit.backup.fakes import FakePgbackrest, World, make_world


@pytest.fixture(autouse=True)
def _fresh_log() -> Iterator[None]:
    """`logs.configure` changes the whole process; every command begins with it."""
    logs.configure("text")
    yield
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = make_world(tmp_path)
    monkeypatch.setattr(deployment, "Postgres", lambda _database: made.postgres)  # what a changed configuration makes
    yield made
    made.deployment.store.close()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakePgbackrest:
    fake = FakePgbackrest()
    monkeypatch.setattr(process, "run", fake.run)
    monkeypatch.setattr(process, "capture", fake.capture)
    return fake


@pytest.fixture
def command(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Type a command; return its exit code and what it printed on both streams."""
    monkeypatch.setattr(Deployment, "open", lambda *_args: world.deployment)
    monkeypatch.setattr(opening, "stop_on_signals", lambda _stop: None)
    monkeypatch.setattr(look, "volumes", lambda _deployment: (Volume("data", (), 60_000_000_000, 100_000_000_000),))

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["salespider-backup", *words])
        with pytest.raises(SystemExit) as left:
            sys.exit(entry.run())
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return run
