"""The published configuration: read whole, or refused with the next step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backup.deployment import (
    BackupsOffError,
    ConfigurationError,
    Deployment,
    HostedDatabaseError,
    load_config,
    utc_now,
)
from contract.exits import Exit
from tests.unit.backup.fakes import World, make_config, make_volumes, publish

HINT = "run setup again: `docker compose up setup`; then see `docker logs salespider-setup`"


def test_the_configuration_comes_with_a_digest_of_the_manifest(tmp_path: Path) -> None:
    publish(tmp_path, make_config(), "one")
    config, first = load_config(tmp_path)
    assert config == make_config()
    publish(tmp_path, make_config(), "two")
    assert load_config(tmp_path)[1] != first


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    publish(tmp_path, make_config())
    (tmp_path / "supervisor.json").unlink()
    with pytest.raises(ConfigurationError) as missing:
        load_config(tmp_path)
    assert missing.value.message == f"{tmp_path}/supervisor.json: No such file or directory"
    assert (missing.value.hint, missing.value.exit_code) == (HINT, Exit.CONFIGURATION)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    publish(tmp_path, make_config())
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ConfigurationError, match=r"manifest\.json: No such file or directory"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("case", "change", "count"),
    [
        ("an unknown key", {"surprise": 1}, 1),
        ("another schema", {"schema_version": 2}, 1),
        ("two wrong values", {"mode": "maybe", "repositories": None}, 2),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(
    tmp_path: Path, case: str, change: dict[str, Any], count: int
) -> None:
    publish(tmp_path, make_config())
    file = tmp_path / "supervisor.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ConfigurationError) as refused:
        load_config(tmp_path)
    assert refused.value.message == f"{file}: not understood ({count} problems)", case
    assert str(refused.value) == f"{file}: not understood ({count} problems)\nHINT: {HINT}"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    publish(tmp_path, make_config())
    (tmp_path / "supervisor.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match="not understood"):
        load_config(tmp_path)


def test_opening_it_while_backups_are_off_says_why_and_how_to_change_it(tmp_path: Path) -> None:
    volumes = make_volumes(tmp_path)
    publish(volumes.config, make_config(mode="off"))
    with pytest.raises(BackupsOffError) as off:
        Deployment.open(volumes)
    assert str(off.value) == (
        "backups are off: PGBACKREST_REPO1_TYPE is none\n"
        "HINT: set PGBACKREST_REPO1_TYPE=posix (and the rest of that group) in .env, then `make deploy`"
    )
    assert not volumes.history.exists()


def test_a_hosted_database_has_its_own_words(tmp_path: Path) -> None:
    volumes = make_volumes(tmp_path)
    hosted = make_config(mode="off").model_copy(update={"mode": "hosted", "reason": "DATABASE_URL points to db.example.com"})
    publish(volumes.config, hosted)
    with pytest.raises(HostedDatabaseError) as caught:
        Deployment.open(volumes)
    assert str(caught.value) == (
        "backups are off: DATABASE_URL points to db.example.com\n"
        "HINT: its provider backs it up: see the provider's dashboard for backups and how to restore them"
    )


def test_reloading_an_unchanged_configuration_gives_the_same_deployment(world: World) -> None:
    assert world.deployment.reloaded() is world.deployment


def test_reloading_a_changed_one_keeps_history_stop_flag_and_clock(world: World) -> None:
    world.republish(make_config(zone="Asia/Tokyo"), "2")
    changed = world.deployment.reloaded()
    assert changed.zone.key == "Asia/Tokyo"
    assert (changed.store, changed.stop, changed.now) == (
        world.deployment.store,
        world.deployment.stop,
        world.deployment.now,
    )
    assert changed.reloaded() is changed


def test_reloading_shows_that_backups_were_switched_off(world: World) -> None:
    world.republish(make_config(mode="off"), "2")
    assert world.deployment.reloaded().config.mode == "off"


def test_the_first_repository_is_the_one_with_the_lowest_number(world: World) -> None:
    world.republish(make_config(repositories=2), "2")
    assert world.deployment.reloaded().first_repository.key == 1


def test_the_time_has_a_zone() -> None:
    assert utc_now().utcoffset() is not None
