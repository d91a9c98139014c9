"""A repository that is a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup.storage import directory
from contract import paths


def test_a_directory_beside_the_database_is_worth_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "UID", tmp_path.stat().st_uid)
    tmp_path.chmod(0o750)
    owner, room = directory.look(tmp_path, tmp_path)
    assert (owner.state, owner.seen.split(", ")[0], owner.seen[-9:]) == ("ok", str(tmp_path), "mode 0750")
    assert room.state == "warning"
    assert room.seen.endswith("on the database's own file system")
    assert directory.look(tmp_path, tmp_path / "not there")[1].state == "ok"


def test_a_directory_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "UID", tmp_path.stat().st_uid + 1)
    owner, _ = directory.look(tmp_path, tmp_path)
    assert owner.state == "warning"
    assert "chown" in owner.hint


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    (step,) = directory.look(tmp_path / "gone", tmp_path)
    assert (step.state, step.seen) == ("failed", f"{tmp_path / 'gone'}: No such file or directory")
