"""A shared access signature ends some day: refused when it has, and told a month before."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from unittest.mock import patch

import pytest

from contract.errors import InvalidConfigurationError, Problem
from contract.exits import Exit
from setup.__main__ import main
from setup.places import Places
from setup.settings import Settings, read_settings

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
AZURE = {"PGBACKREST_REPO1_TYPE": "azure", "AZURE_STORAGE_ACCOUNT": "account", "AZURE_STORAGE_CONTAINER": "backups"}
HINT = "make a new shared access signature for the container, with a later expiry"
NOT_A_TIME = "has an expiry (se=) that is no time"


def read(expiry: str, now: datetime | None = NOW) -> Settings:
    token = f"?sv=2022-11-02&se={expiry}&sr=c&sp=rwdl&sig=hunter2" if expiry else "sv=2022-11-02&si=policy&sig=hunter2"
    with patch.dict(os.environ, AZURE | {"AZURE_STORAGE_SAS_TOKEN": token}, clear=True):
        return read_settings(4, now=now)


@pytest.mark.parametrize(
    ("expiry", "told"),
    [
        ("2026-06-15T12:00:00Z", "2026-06-15 12:00"),
        ("2026-06-15T12%3A00%3A00Z", "2026-06-15 12:00"),
        ("2026-06-15", "2026-06-15 00:00"),
        ("2025-12-31T23%3A59Z", "2025-12-31 23:59"),
        ("2026-06-15T13:30:00%2B02:00", "2026-06-15 11:30"),
        ("2020-01-01T00:00:00.0000000Z", "2020-01-01 00:00"),
    ],
)
def test_an_expired_one_is_refused(expiry: str, told: str) -> None:
    with pytest.raises(InvalidConfigurationError) as caught:
        read(expiry)
    what = f"expired at {told} UTC: neither backups nor restores are possible with it"
    assert caught.value.problems == (Problem("AZURE_STORAGE_SAS_TOKEN", what, HINT),)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("expiry", ["tomorrow", "", "2026-13-01", "%"])
def test_one_whose_expiry_is_no_time_is_refused(expiry: str) -> None:
    with pytest.raises(InvalidConfigurationError) as caught:
        read(expiry or "%20")
    assert caught.value.problems == (Problem("AZURE_STORAGE_SAS_TOKEN", NOT_A_TIME, "copy the whole SAS token"),)


@pytest.mark.parametrize("expiry", ["2026-06-15T12:00:01Z", "2026-07-15T12:00:00Z"])
def test_one_that_expires_soon_is_told_with_the_date(expiry: str) -> None:
    what = f"expires at {expiry[:10]} 12:00 UTC: neither backups nor restores are possible after that"
    assert read(expiry).warnings == (Problem("AZURE_STORAGE_SAS_TOKEN", what, HINT),)


@pytest.mark.parametrize("expiry", ["2026-07-15T12:00:01Z", "2036-01-01", ""])
def test_one_that_lasts_or_follows_a_policy_is_taken(expiry: str) -> None:
    assert read(expiry).warnings == ()


def test_a_recovery_kit_is_put_back_whatever_has_expired_in_it() -> None:
    assert read("2020-01-01", now=None).warnings == ()


def test_a_repository_s_own_name_is_told() -> None:
    own = {"PGBACKREST_REPO1_AZURE_KEY_TYPE": "sas", "PGBACKREST_REPO1_AZURE_KEY": "sv=1&se=2020-01-01&sig=x"}
    with patch.dict(os.environ, AZURE | own, clear=True), pytest.raises(InvalidConfigurationError) as caught:
        read_settings(4, now=NOW)
    assert [problem.where for problem in caught.value.problems] == ["PGBACKREST_REPO1_AZURE_KEY"]


def test_the_present_is_that_of_the_run(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    with patch.dict(os.environ, AZURE | {"AZURE_STORAGE_SAS_TOKEN": "sv=1&se=2026-06-16&sig=x"}, clear=True):
        assert main(places, ("--check",), now=datetime(2026, 6, 17, tzinfo=UTC)) == Exit.USAGE
        assert main(places, ("--check",), now=NOW) == Exit.WOULD_CHANGE
        assert main(places, ("--check",), now=datetime(2026, 1, 1, tzinfo=UTC)) == Exit.WOULD_CHANGE
    assert capsys.readouterr().out.count("warning: AZURE_STORAGE_SAS_TOKEN: expires at 2026-06-16 00:00 UTC") == 1
