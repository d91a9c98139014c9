"""The repository's directory is used when it is ours or empty, and refused otherwise."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.errors import InvalidConfigurationError, Problem, ProductError
from setup import host_directory
from setup.places import Owner
from setup.policy import Policy
from setup.repositories import Posix

LOCATION = "/srv/backups"
REPOSITORY = Posix(1, LOCATION, Policy(True, True, True, 7, 4))


def problem_of(directory: Path, owner: Owner) -> Problem:
    with pytest.raises(InvalidConfigurationError) as caught:
        host_directory.check(directory, REPOSITORY, owner)
    (problem,) = caught.value.problems
    assert problem.where == "PGBACKREST_REPO1_PATH"
    return problem


@pytest.mark.parametrize("entries", [[], ["lost+found"]])
def test_a_new_directory_is_to_be_adopted(tmp_path: Path, me: Owner, entries: list[str]) -> None:
    for name in entries:
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    assert host_directory.check(tmp_path, REPOSITORY, me)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755, "checking changes nothing"
    host_directory.adopt(tmp_path, LOCATION, me)
    found = tmp_path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (me.uid, me.gid, 0o750)
    assert not host_directory.check(tmp_path, REPOSITORY, me)


@pytest.mark.parametrize("entries", [["archive"], ["backup"], ["archive", "backup", "lost+found"]])
def test_a_repository_of_ours_is_used_as_it_is(tmp_path: Path, me: Owner, entries: list[str]) -> None:
    for name in entries:
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    assert not host_directory.check(tmp_path, REPOSITORY, me)


@pytest.mark.parametrize(
    ("foreign", "named"),
    [
        (["notes.txt"], "notes.txt"),
        (["c", "a", "b"], "a, b, c"),
        (["d", "c", "a", "b", "e"], "a, b, c and 2 more"),
    ],
)
def test_something_else_in_it_is_refused(tmp_path: Path, me: Owner, foreign: list[str], named: str) -> None:
    for name in ["archive", *foreign]:
        (tmp_path / name).mkdir()
    assert problem_of(tmp_path, me) == Problem(
        "PGBACKREST_REPO1_PATH",
        f"the directory /srv/backups holds what is not pgbackrest's: {named}",
        "name an empty directory, or move these away",
    )


def test_somebody_elses_repository_is_refused(tmp_path: Path, me: Owner) -> None:
    (tmp_path / "archive").mkdir()
    other = Owner(me.uid + 1, me.gid)
    problem = problem_of(tmp_path, other)
    assert problem.what == (f"the repository in /srv/backups belongs to user {me.uid}, but pgbackrest is user {other.uid}")
    assert problem.hint == f"give it to pgbackrest: sudo chown -R {other.uid}:{other.gid} /srv/backups"


def test_what_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    problem = problem_of(tmp_path, Owner(999, 999))
    assert problem.what == "the directory /srv/backups cannot be opened: permission denied"
    assert problem.hint == "give it to the user of pgbackrest: sudo chown 999:999 /srv/backups"


def test_what_is_not_there_is_refused(tmp_path: Path, me: Owner) -> None:
    problem = problem_of(tmp_path / "absent", me)
    assert problem.what == "the directory /srv/backups cannot be opened: no such file or directory"


def test_a_read_only_mount_is_refused(tmp_path: Path, me: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    problem = problem_of(tmp_path, me)
    assert problem == Problem(
        "PGBACKREST_REPO1_PATH", "the directory /srv/backups is on a read-only file system", "mount it writable"
    )


def test_a_directory_that_cannot_be_given_away_says_what_to_do(
    tmp_path: Path, me: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(ProductError) as caught:
        host_directory.adopt(tmp_path, LOCATION, me)
    assert str(caught.value) == (
        "the directory /srv/backups cannot be given to the user of pgbackrest: operation not permitted\n"
        f"HINT: do it on the host: sudo chown {me.uid}:{me.gid} /srv/backups && sudo chmod 750 /srv/backups"
    )


def test_a_directory_of_another_user_is_taken_over_before_its_mode_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(os, "geteuid", lambda: -7)  # nobody the directory could belong to
    monkeypatch.setattr(os, "chown", lambda _, uid, gid: calls.append(("chown", uid, gid)))
    monkeypatch.setattr(Path, "chmod", lambda _, mode: calls.append(("chmod", mode)))
    host_directory.adopt(tmp_path, LOCATION, Owner(999, 999))
    assert calls == [("chown", -7, -1), ("chmod", 0o750), ("chown", 999, 999)]
