"""Backups on the database's own disk are worth a warning; anywhere else they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backup.deployment import Deployment
from backup.keeping import placement
from tests.unit.backup.fakes import World, make_config


@pytest.fixture
def on_one_disk(world: World, tmp_path: Path) -> Deployment:
    repository = tmp_path / "repository"
    repository.mkdir()
    world.volumes.database.mkdir(parents=True, exist_ok=True)
    (first,) = make_config().repositories
    config = make_config().model_copy(update={"repositories": (first.model_copy(update={"directory": str(repository)}),)})
    return replace(world.deployment, config=config)


def test_the_only_repository_beside_the_database_is_a_warning(on_one_disk: Deployment) -> None:
    assert placement.on_the_databases_disk(on_one_disk) == (
        "every repository is on the database's own file system: one failed disk takes both"
    )


def test_a_repository_on_another_file_system_is_none(on_one_disk: Deployment) -> None:
    (first,) = on_one_disk.config.repositories
    elsewhere = first.model_copy(update={"key": 2, "directory": "/proc"})
    config = on_one_disk.config.model_copy(update={"repositories": (first, elsewhere)})
    assert placement.on_the_databases_disk(replace(on_one_disk, config=config)) is None


def test_an_object_store_is_none(on_one_disk: Deployment) -> None:
    (first,) = on_one_disk.config.repositories
    config = on_one_disk.config.model_copy(
        update={"repositories": (first, first.model_copy(update={"key": 2, "type": "s3", "directory": None}))}
    )
    assert placement.on_the_databases_disk(replace(on_one_disk, config=config)) is None


def test_a_directory_that_cannot_be_looked_at_is_not_its_business(on_one_disk: Deployment) -> None:
    (first,) = on_one_disk.config.repositories
    config = on_one_disk.config.model_copy(
        update={"repositories": (first.model_copy(update={"directory": "/no/such/place"}),)}
    )
    assert placement.on_the_databases_disk(replace(on_one_disk, config=config)) is None
