"""A configuration with only some repositories: nothing of the others is in it, and nothing of it stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup.deployment import ConfigurationError
from backup.keeping import subset
from contract import paths
from tests.unit.backup.fakes import World, make_config

TEXT = """# the repositories
[global]
# /srv/one
repo1-type=posix
repo1-path=/srv/one
repo1-cipher-pass=first

# bucket
repo2-type=s3
repo2-s3-key-secret=second
repo12-path=/twelve
"""


def test_the_options_of_the_others_are_left_out() -> None:
    assert subset.only(TEXT, {2}).splitlines() == [
        "# the repositories",
        "[global]",
        "# /srv/one",
        "",
        "# bucket",
        "repo2-type=s3",
        "repo2-s3-key-secret=second",
    ]
    assert subset.only(TEXT, {1, 2, 12}) == TEXT


def test_the_copy_is_for_nobody_else_and_is_gone_afterwards(world: World) -> None:
    world.reconfigure(make_config(repositories=2))
    (world.volumes.config / paths.REPO_CONF).write_text(TEXT)
    with subset.included(world.deployment, {2}) as directory:
        assert directory is not None
        copy = Path(directory) / "repo.conf"
        assert copy.stat().st_mode & 0o077 == 0
        assert Path(directory).stat().st_mode & 0o077 == 0
        assert "first" not in copy.read_text()
    assert not Path(directory).exists()


def test_for_all_of_them_the_published_one_serves(world: World) -> None:
    with subset.included(world.deployment, {1, 2}) as directory:
        assert directory is None


def test_without_a_published_one_it_is_said(world: World) -> None:
    (world.volumes.config / paths.REPO_CONF).unlink()
    with pytest.raises(ConfigurationError, match=r"repo\.conf: No such file"), subset.included(world.deployment, set()):
        pass
