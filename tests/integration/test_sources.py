"""Two repositories, one of them damaged: the plan goes on with the other one, says so, and what it plans comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.peek import choosing as peeking
from backup.restore.planning import choosing
from backup.restore.planning.plan import Plan, RefusedError, Wanted
from backup.taking import jobs
from backup.taking.jobs import BackupRequest, RepositoryError
from contract.supervisor import Repository, SupervisorConfig
from tests.integration.site import STANZA, Site
from tests.integration.test_restore_beside import fill, restore, rows, timeline

LISTED = f"archive/{STANZA}/17-1"


class Two(Site):
    """A site with a second repository beside the first."""

    @property
    def supervisor_config(self) -> SupervisorConfig:
        one = super().supervisor_config
        second = Repository(
            key=2,
            type="posix",
            location=str(self.second),
            directory=str(self.second),
            encrypted=False,
            retention_full=2,
            retention_diff=2,
        )
        return one.model_copy(update={"repositories": (*one.repositories, second)})

    @property
    def second(self) -> Path:
        return Path(self.repository_options["repo2-path"])

    def at(self, repo: int) -> Path:
        return self.repository if repo == 1 else self.second


@pytest.fixture
def two(tmp_path: Path, template: Path) -> Iterator[Two]:
    """A hundred rows in the archives of both, and a full backup in each; the database is lost."""
    (tmp_path / "second").mkdir()
    made = Two(tmp_path, {"repo2-path": str(tmp_path / "second"), "repo2-retention-full": "2"})
    made.create(template)
    made.protect()
    with made.deployment() as deployment:
        assert jobs.take_backup(deployment, BackupRequest("full", 2, "manual", "a test"), 0.0).state == "succeeded"
    made.sql("CREATE TABLE entry (n serial)")
    fill(made, 100)
    made.switch_wal()
    yield made
    made.stop("immediate")
    for path in (tmp_path, *tmp_path.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)


def lose(site: Site) -> None:
    """Stop the database and take its directory away."""
    site.stop()
    shutil.rmtree(site.pgdata)


def planned(site: Site, wanted: Wanted) -> Plan:
    with site.deployment() as deployment:
        return choosing.planned(deployment, wanted, jobs.read_info(deployment), settled=True)[0]


def peeked(site: Site) -> Plan:
    with site.deployment() as deployment:
        return peeking.choose(deployment, Wanted("latest")).plan


def damage(repository: Path, how: str) -> None:
    archive = repository / LISTED
    if how == "a directory in it is closed":
        (archive / "old").mkdir(mode=0)
    elif how == "it is closed":
        archive.chmod(0)
    elif how == "it is a file":
        archive.rename(archive.with_name("lost"))
        archive.write_text("")
    else:
        shutil.rmtree(archive)


@pytest.mark.parametrize("damaged", [1, 2])
@pytest.mark.parametrize("how", ["a directory in it is closed", "it is closed", "it is a file"])
def test_a_listing_that_cannot_be_read_leaves_the_other_repository(two: Two, damaged: int, how: str) -> None:
    other = 3 - damaged
    lose(two)
    damage(two.at(damaged), how)
    made = planned(two, Wanted("latest"))
    assert (made.backup.repo, made.repositories) == (other, (other,))
    (warning,) = made.warnings
    assert warning.startswith(f"repository {damaged} is left out, it cannot be read: ")
    assert warning.endswith("this is NOT the latest state")
    assert (peeked(two).repositories, peeked(two).warnings) == (made.repositories, made.warnings)
    with pytest.raises((RepositoryError, RefusedError)):
        planned(two, Wanted("latest", repo=damaged))
    restore(two, Wanted("latest"))
    assert rows(two) == 100


def test_a_history_that_cannot_be_read_leaves_the_timeline_before_it_and_says_so(two: Two) -> None:
    """Only the first repository knows of the second timeline, and its history file is closed."""
    restore(two, Wanted("latest"))
    fill(two, 10)
    two.switch_wal()
    lose(two)
    for path in (two.second / LISTED).glob("00000002*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert planned(two, Wanted("latest")).timeline == 2
    (history,) = (two.repository / LISTED).glob("00000002.history")
    for content, mode in ((history.read_text(), 0), ("", 0o600)):
        history.chmod(0o600)
        history.write_text(content)
        history.chmod(mode)
        made = planned(two, Wanted("latest"))
        assert (made.timeline, made.repositories) == (1, (2,))
        assert "the archive's history of timeline 2 " in made.warnings[0]
        with pytest.raises(RepositoryError, match="the archive's history of timeline 2 "):
            planned(two, Wanted("latest", repo=1))
    restore(two, Wanted("latest"), 2)
    assert (rows(two), timeline(two)) == (100, 2)


def test_when_neither_can_be_listed_nothing_is_planned(two: Two) -> None:
    lose(two)
    for repo in (1, 2):
        damage(two.at(repo), "a directory in it is closed")
    with pytest.raises(RepositoryError, match="the archive cannot be listed"):
        planned(two, Wanted("latest"))
