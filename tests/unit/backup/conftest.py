"""Fixtures for the tests of `backup`: a world of fakes, a fresh log, a fake pgbackrest at the process door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from backup import deployment, logs, process
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
