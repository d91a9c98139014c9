"""The commands of the recovery kit as scripts/recovery-kit calls them, on directories of the test's own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from setup import __main__ as setup_main
from setup import dotenv
from setup.kit import __main__ as kit_main
from setup.kit import seal
from setup.places import Mounts, Places
from setup.variables import known_variables
from tests.unit.setup.test_cipher import INFO, sealed
from tests.unit.setup.test_object_stores import certificate

POSIX = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups", "POSTGRES_DB": "shop"}
PASSWORD = "correct horse battery staple"

Capture = pytest.CaptureFixture[str]


def setup(places: Places, variables: dict[str, str] = POSIX, mounts: Mounts | None = None) -> int:
    with patch.dict(os.environ, variables, clear=True):
        return setup_main.main(places, mounts=mounts)


def kit(
    places: Places, *arguments: str, stdin: str = "", variables: dict[str, str] = POSIX, mounts: Mounts | None = None
) -> int:
    with patch.dict(os.environ, variables, clear=True):
        return kit_main.main(list(arguments), stdin, places, mounts)


def passphrase(places: Places) -> str:
    return (places.secrets / "repo1-cipher-pass").read_text().strip()


def back_up(places: Places, secret: str | None = None) -> None:
    """Put into the repository what pgBackRest puts there, encrypted with the stored passphrase."""
    for name in ("archive/salespider/archive.info", "backup/salespider/backup.info"):
        file = places.repository / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sealed(INFO, secret or passphrase(places), b"saltsalt"))


def make(places: Places, capsys: Capture) -> str:
    capsys.readouterr()
    assert kit(places, "make", "--pgbackrest-version", "2.55.1", "--product-version", "abc", stdin=f"{PASSWORD}\n") == 0
    return capsys.readouterr().out


def blank(places: Places, tmp_path: Path) -> Places:
    """Return the places of another host that has the repository and nothing else."""
    folders = [tmp_path / f"blank-{name}" for name in ("configuration", "secrets", "state")]
    for folder in folders:
        folder.mkdir(parents=True)
    return replace(places, configuration=folders[0], secrets=folders[1], state=folders[2])


@pytest.fixture
def deployed(places: Places) -> Places:
    """A deployment with a backup."""
    assert setup(places) == 0
    back_up(places)
    return places


def contents(places: Places) -> dict[Path, bytes]:
    folders = (places.configuration, places.secrets, places.repository, places.state)
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_a_kit_is_made_and_nothing_else_is_touched(deployed: Places, capsys: Capture) -> None:
    before = contents(deployed)
    sealed_kit = make(deployed, capsys)
    assert contents(deployed) == before
    assert sealed_kit.count("\n") == 1
    assert passphrase(deployed) not in sealed_kit


def test_what_is_said_about_it_holds_no_secret(deployed: Places, capsys: Capture) -> None:
    capsys.readouterr()
    kit(deployed, "make", stdin=f"{PASSWORD}\n")
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("recovery kit of 20")
    assert told[0].endswith(" UTC (pgbackrest unknown, product unknown)")
    assert told[1].startswith("repository 1: /srv/backups, passphrase ")
    assert passphrase(deployed) not in "".join(told)


def test_a_verified_kit_ends_the_warning_and_survives_a_new_configuration(deployed: Places, capsys: Capture) -> None:
    sealed_kit = make(deployed, capsys)
    setup(deployed)
    assert "not protected against loss of this host" in capsys.readouterr().out
    assert kit(deployed, "verify", stdin=f"{PASSWORD}\n{sealed_kit}") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "  ok   repository 1: the passphrase in the kit opens /srv/backups\n" in told.err
    assert told.err.endswith("proven: with this file, its password or key, and the repository, an empty host is enough\n")
    published = deployed.configuration / "protection.json"
    text = published.read_text()
    published.unlink()
    setup(deployed)
    assert "not protected" not in capsys.readouterr().out
    assert published.read_text() == text
    assert passphrase(deployed) not in text
    assert published.stat().st_mode & 0o777 == 0o640


def test_a_kit_that_does_not_fit_is_not_written_down(deployed: Places, capsys: Capture) -> None:
    sealed_kit = make(deployed, capsys)
    back_up(deployed, "another passphrase")
    assert kit(deployed, "verify", stdin=f"{PASSWORD}\n{sealed_kit}") == 20
    told = capsys.readouterr().err
    assert " FAIL  repository 1: the passphrase in the kit does not open /srv/backups\n" in told
    assert told.endswith("the recovery kit is not proven: 1 of 1 comparisons failed\nHINT: see the hint below each\n")
    assert not (deployed.configuration / "protection.json").exists()


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("wrong password here\n{kit}", "the recovery kit does not open: the password is wrong, or the file is damaged\n"),
        (PASSWORD + "\n{kit:.200}", "this file is not a recovery kit, or a part of it is missing\n"),
        (PASSWORD + "\n", "this file is not a recovery kit, or a part of it is missing\n"),
        ("", "this file is not a recovery kit, or a part of it is missing\n"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "environment", "extra-config", "put-back"])
def test_what_does_not_open(deployed: Places, capsys: Capture, command: str, stdin: str, said: str) -> None:
    sealed_kit = make(deployed, capsys)
    before = contents(deployed)
    assert kit(deployed, command, stdin=stdin.format(kit=sealed_kit)) == 10
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(said)
    assert contents(deployed) == before


def test_a_blank_host_gets_everything_back(deployed: Places, tmp_path: Path, capsys: Capture) -> None:
    sealed_kit = make(deployed, capsys)
    host = blank(deployed, tmp_path)
    assert kit(host, "environment", stdin=f"{PASSWORD}\n{sealed_kit}", variables={}) == 0
    environment = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines()[3:])
    assert environment == POSIX
    assert kit(host, "put-back", stdin=f"{PASSWORD}\n{sealed_kit}", variables=environment) == 0
    assert setup(host, environment) == 0
    assert "not protected" not in capsys.readouterr().out
    for name in ("conf.d/repo.conf", "postgresql/superuser-password", "postgresql/postgresql.conf", "supervisor.json"):
        assert (host.configuration / name).read_bytes() == (deployed.configuration / name).read_bytes()


def test_putting_back_twice_changes_nothing_more(deployed: Places, tmp_path: Path, capsys: Capture) -> None:
    sealed_kit = make(deployed, capsys)
    host = blank(deployed, tmp_path)
    stdin = f"{PASSWORD}\n{sealed_kit}"
    assert kit(host, "put-back", stdin=stdin) == 0
    before = sorted(path.name for path in host.secrets.iterdir())
    assert before == ["repo1-cipher-pass", "superuser-password", "verified-kit.json"]
    assert kit(host, "put-back", stdin=stdin) == 0
    assert sorted(path.name for path in host.secrets.iterdir()) == before


def test_a_host_that_came_up_with_a_passphrase_of_its_own_is_set_right(
    deployed: Places, tmp_path: Path, capsys: Capture
) -> None:
    sealed_kit, right = make(deployed, capsys), passphrase(deployed)
    host = replace(blank(deployed, tmp_path), repositories=(tmp_path / "not-mounted-yet",))
    host.repository.mkdir()
    assert setup(host) == 0
    assert passphrase(host) != right
    host = replace(host, repositories=deployed.repositories)
    assert kit(host, "put-back", stdin=f"{PASSWORD}\n{sealed_kit}") == 0
    assert passphrase(host) == right
    assert sum("replaced" in path.name for path in host.secrets.iterdir()) == 2


def test_a_host_with_backups_of_its_own_is_left_alone(deployed: Places, tmp_path: Path, capsys: Capture) -> None:
    sealed_kit = make(deployed, capsys)
    host = replace(blank(deployed, tmp_path), repositories=(tmp_path / "other",))
    host.repository.mkdir()
    assert setup(host) == 0
    back_up(host)
    before = contents(host)
    capsys.readouterr()
    assert kit(host, "put-back", stdin=f"{PASSWORD}\n{sealed_kit}") == 10
    assert "recovery kit: this host has another passphrase for repository 1" in capsys.readouterr().err
    assert contents(host) == before


def test_a_disk_that_is_not_mounted_is_noticed(deployed: Places, tmp_path: Path, capsys: Capture) -> None:
    """Otherwise a new, empty database would be backed up into the empty directory."""
    sealed_kit = make(deployed, capsys)
    host = replace(blank(deployed, tmp_path), repositories=(tmp_path / "empty",))
    host.repository.mkdir()
    assert kit(host, "put-back", stdin=f"{PASSWORD}\n{sealed_kit}") == 10
    told = capsys.readouterr().err
    assert "repository 1: /srv/backups holds no backups, though there are some when a recovery kit is made\n" in told
    assert list(host.secrets.iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({}, 11, "backups are off (PGBACKREST_REPO1_TYPE is none or not set), so there is nothing to recover\n"),
        (POSIX, 10, "the passphrase of repository 1 is not in force yet\nHINT: deploy first: make deploy\n"),
        (
            POSIX | {"PGBACKREST_REPO1_CIPHER_TYPE": "none"},
            10,
            "there is no superuser password yet\nHINT: deploy first: make deploy\n",
        ),
        (POSIX | {"TZ": "Mars"}, 10, "1 problem in the configuration\n"),
    ],
)
def test_nothing_to_make_a_kit_of(places: Places, capsys: Capture, variables: dict[str, str], code: int, said: str) -> None:
    assert kit(places, "make", stdin=f"{PASSWORD}\n", variables=variables) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(said)
    assert list(places.secrets.iterdir()) == []


def test_a_value_from_a_file_is_in_the_kit_itself(places: Places, tmp_path: Path, capsys: Capture) -> None:
    secret = tmp_path / "password"
    secret.write_text("from a file\n")
    variables = POSIX | {"POSTGRES_PASSWORD_FILE": str(secret)}
    setup(places, variables)
    capsys.readouterr()
    assert kit(places, "make", stdin=f"{PASSWORD}\n", variables=variables) == 0
    sealed_kit = capsys.readouterr().out
    assert kit(places, "environment", stdin=f"{PASSWORD}\n{sealed_kit}", variables={}) == 0
    assert "POSTGRES_PASSWORD='from a file'\n" in capsys.readouterr().out


def test_files_that_a_restore_needs_are_in_the_kit(places: Places, tmp_path: Path, capsys: Capture) -> None:
    """A certificate authority by its variable; the operator's own settings of PostgreSQL, which have none, as a file."""
    authority, extra = tmp_path / "ca.pem", tmp_path / "config" / "mine" / "extra.conf"
    extra.parent.mkdir(parents=True)
    ca = certificate()
    authority.write_text(ca)
    extra.write_text("# mine\nwork_mem = '7MB'\n\n")
    named = {"PGBACKREST_REPO1_STORAGE_CA_FILE": str(authority), "POSTGRES_EXTRA_CONFIG": "./config/mine/extra.conf"}
    variables, mounts = POSIX | named, Mounts(config=tmp_path / "config")
    assert setup(places, variables, mounts) == 0
    back_up(places)
    capsys.readouterr()
    assert kit(places, "make", stdin=f"{PASSWORD}\n", variables=variables, mounts=mounts) == 0
    sealed_kit = capsys.readouterr().out
    extra.write_text("# mine\nwork_mem = '8MB'\n")
    assert kit(places, "verify", stdin=f"{PASSWORD}\n{sealed_kit}", variables=variables, mounts=mounts) == 0
    assert "POSTGRES_EXTRA_CONFIG names has changed since the kit was made\n" in capsys.readouterr().err
    assert kit(places, "extra-config", stdin=f"{PASSWORD}\n{sealed_kit}", variables={}) == 0
    assert capsys.readouterr().out == "config/mine/extra.conf\n# mine\nwork_mem = '7MB'\n"
    assert kit(places, "environment", stdin=f"{PASSWORD}\n{sealed_kit}", variables={}) == 0
    text = capsys.readouterr().out
    found = dotenv.parse(text, known_variables(), ())
    assert found.problems == ()
    assert found.values["PGBACKREST_REPO1_STORAGE_CA"] == ca.removesuffix("\n")
    assert found.values["POSTGRES_EXTRA_CONFIG"] == "./config/mine/extra.conf"


def test_without_such_a_file_nothing_is_printed(deployed: Places, capsys: Capture) -> None:
    sealed_kit = make(deployed, capsys)
    assert kit(deployed, "extra-config", stdin=f"{PASSWORD}\n{sealed_kit}", variables={}) == 0
    assert capsys.readouterr().out == ""


def test_receivers_are_in_the_kit(places: Places, capsys: Capture) -> None:
    variables = POSIX | {"BACKUP_WEBHOOK_URL": "https://hooks.example.com/x", "BACKUP_NOTIFY_URLS": "slack://a/b/c"}
    setup(places, variables)
    capsys.readouterr()
    assert kit(places, "make", stdin=f"{PASSWORD}\n", variables=variables) == 0
    sealed_kit = capsys.readouterr().out
    kit(places, "environment", stdin=f"{PASSWORD}\n{sealed_kit}", variables={})
    assert dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines()[3:]) == variables


def test_the_unexpected_is_one_line_without_secrets(
    deployed: Places, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> str:
        raise ValueError("hunter2")

    monkeypatch.setattr(seal, "seal", defect)
    capsys.readouterr()
    assert kit(deployed, "make", stdin=f"{PASSWORD}\n") == 1
    told = capsys.readouterr().err
    assert told.startswith("unexpected ValueError at test_commands.py:")
    assert "hunter2" not in told
