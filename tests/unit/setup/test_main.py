"""The whole of setup, on directories of the test's own."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest

from setup import __main__ as setup_main
from setup.__main__ import main
from setup.places import Places

POSIX = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups", "TZ": "Europe/Berlin"}
HINT = "run `make recovery-kit`, keep the file away from this host, then prove it: `make recovery-kit-verify FILE=…`"
WRITTEN = "manifest.json, pgbackrest.conf, postgresql/pg_hba.conf, postgresql/pg_ident.conf, postgresql/postgresql.conf"


def run(places: Places, variables: dict[str, str]) -> int:
    with patch.dict(os.environ, variables, clear=True):
        return main(places)


def everything(places: Places) -> dict[Path, bytes]:
    folders = (places.configuration, places.secrets, *places.repositories)
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_backups_off(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(places, {}) == 0
    assert capsys.readouterr().out == (
        "backups: off (PGBACKREST_REPO1_TYPE is none or not set)\n"
        f"written: {WRITTEN}, postgresql/superuser-password, supervisor.json\n"
    )


def test_backups_on(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(places, POSIX) == 0
    assert capsys.readouterr().out == (
        "backups: on (PGBACKREST_REPO1_TYPE is posix)\n"
        "repository 1: posix, /srv/backups, encrypted\n"
        "retention: 7 full and 4 differential backups, a window of 6 to 7 weeks\n"
        "schedule: full 0 2 * * 0, differential 0 2 * * 1-6, incremental off (time zone Europe/Berlin)\n"
        "notification: nobody is told of failures; see BACKUP_WEBHOOK_URL in .env.example\n"
        "warning: not protected against loss of this host: no recovery kit has been made and verified\n"
        f"HINT: {HINT}\n"
        f"written: conf.d/repo.conf, {WRITTEN}, postgresql/superuser-password, supervisor.json\n"
    )


def test_a_warning_is_printed_with_its_hint(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(places, {"PGBACKREST_PROCESS_MAX": "999"}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("warning: PGBACKREST_PROCESS_MAX: is 999, but this machine has ")
    assert lines[2] == "HINT: backups may slow the database down; lower it"


def test_a_second_run_changes_nothing(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    run(places, POSIX)
    before = everything(places)
    assert run(places, POSIX) == 0
    assert everything(places) == before
    assert capsys.readouterr().out.splitlines()[-1] == "configuration unchanged"


def test_the_passphrase_survives_the_loss_of_the_configuration(places: Places) -> None:
    run(places, POSIX)
    repo_conf = places.configuration / "conf.d" / "repo.conf"
    before = repo_conf.read_text()
    for path in sorted(places.configuration.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    run(places, POSIX)
    assert repo_conf.read_text() == before


def test_switching_off_removes_the_repository_and_keeps_its_passphrase(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    run(places, POSIX)
    kept = (places.secrets / "repo1-cipher-pass").read_text()
    assert run(places, {}) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "removed: conf.d/repo.conf"
    assert (places.secrets / "repo1-cipher-pass").read_text() == kept


def test_two_at_once_end_with_one_configuration(places: Places) -> None:
    with patch.dict(os.environ, POSIX, clear=True), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: main(places), range(2))) == [0, 0]
    before = everything(places)
    assert run(places, POSIX) == 0
    assert everything(places) == before


def test_problems_are_told_on_standard_error_and_nothing_is_written(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(places, POSIX | {"TZ": "Mars", "BACKUP_RETENTION_FULL": "-1"}) == 10
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("2 problems in the configuration\nHINT: ")
    assert everything(places) == {}


def test_a_foreign_directory_stops_everything(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    (places.repository / "holiday.jpg").touch()
    before = everything(places)
    assert run(places, POSIX) == 10
    assert "holds what is not pgbackrest's: holiday.jpg" in capsys.readouterr().err
    assert everything(places) == before


def test_a_damaged_passphrase_stops_everything(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    (places.secrets / "repo1-cipher-pass").write_text("hunter2\nhunter3\n")
    before, mode = everything(places), places.repository.stat().st_mode
    assert run(places, POSIX) == 10
    assert "hunter2" not in capsys.readouterr().err
    assert everything(places) == before
    assert places.repository.stat().st_mode == mode


def test_the_unexpected_is_one_line_without_secrets(
    places: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> dict[str, str]:
        raise ValueError("hunter2")

    monkeypatch.setattr(setup_main, "render", defect)
    assert run(places, POSIX) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("unexpected ValueError at test_main.py:")
    assert printed.endswith(": a defect, please report this line\n")
    assert printed.count("\n") == 1
    assert "hunter2" not in printed


def test_no_output_ever_holds_a_secret(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    run(places, POSIX | {"POSTGRES_PASSWORD": "hunter2"})
    passphrase = (places.secrets / "repo1-cipher-pass").read_text().strip()
    printed = capsys.readouterr()
    assert "hunter2" not in printed.out + printed.err
    assert passphrase not in printed.out + printed.err
    assert not (places.secrets / "superuser-password").exists()
    assert (places.configuration / "postgresql" / "superuser-password").read_text() == "hunter2\n"


def test_the_defaults_are_the_containers_places() -> None:
    places = Places()
    assert [str(places.configuration), str(places.secrets), str(places.directory(4))] == [
        "/pgbackrest-config",
        "/var/lib/salespider/secrets",
        "/var/lib/pgbackrest4",
    ]
    assert (places.publisher.uid, places.publisher.gid) == (0, 999)
    assert (places.database.uid, places.database.gid) == (999, 999)
