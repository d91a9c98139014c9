"""`--candidate`: what the stores need to be tried with, through a pipe, and nothing written."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from contract import paths
from contract.candidate import Candidate
from setup.__main__ import main
from setup.places import Places

POSIX = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups"}
S3 = {
    "PGBACKREST_REPO1_TYPE": "s3",
    "AWS_S3_BUCKET": "backups",
    "AWS_REGION": "eu-central-1",
    "AWS_S3_ENDPOINT": "s3.example.com",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "the-secret",
    "POSTGRES_PASSWORD": "of-the-superuser",
}
LOCATION = "s3://backups/pgbackrest at s3.example.com"


def run(places: Places, variables: dict[str, str], *arguments: str) -> int:
    with patch.dict(os.environ, variables, clear=True):
        return main(places, arguments)


def everything(places: Places) -> set[Path]:
    return {path for folder in (places.configuration, places.secrets) for path in folder.rglob("*")}


def proposed(places: Places, capsys: pytest.CaptureFixture[str]) -> Candidate:
    before = everything(places)
    assert run(places, S3, "--candidate") == 0
    assert everything(places) == before
    return Candidate.model_validate_json(capsys.readouterr().out)


def test_it_holds_what_pgbackrest_needs_and_nothing_else(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    found = proposed(places, capsys)
    assert set(found.files) == {paths.PGBACKREST_CONF, paths.REPO_CONF, paths.SUPERVISOR_JSON, paths.MANIFEST_JSON}
    assert "repo1-s3-key-secret=the-secret" in found.files[paths.REPO_CONF]
    assert "of-the-superuser" not in "".join(found.files.values())
    assert "the-secret" not in repr(found)
    assert found.in_use == ()


def test_it_says_which_places_are_in_use(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(places, S3) == 0
    capsys.readouterr()
    assert proposed(places, capsys).in_use == (LOCATION,)


def test_without_an_object_store_it_is_empty(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(places, POSIX, "--candidate") == 0
    assert capsys.readouterr().out == ""


def test_a_wrong_configuration_is_told_as_always(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(places, {**S3, "AWS_S3_BUCKET": "X"}, "--candidate") == 10
    told = capsys.readouterr()
    assert told.out == ""
    assert "AWS_S3_BUCKET" in told.err


def test_it_prints_no_secret_on_a_terminal(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(SystemExit):
        run(places, S3, "--candidate")
