"""A repository that is somewhere else than at the last deployment: refused, told, or taken for what it is."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from contract.exits import Exit
from contract.protection import UsedPassphrases
from setup.__main__ import main
from setup.cipher import fingerprint
from setup.locations import KNOWN_PLACES
from setup.places import Places
from tests.unit.setup.test_cipher import INFO, sealed

Capture = pytest.CaptureFixture[str]
OLD = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/old"}
NEW = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/new"}
S3 = {
    "PGBACKREST_REPO1_TYPE": "s3",
    "AWS_S3_BUCKET": "bucket-1",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
REFUSED = (
    "\nPGBACKREST_REPO1_PATH: repository 1 was /srv/old, where backups have been made, and is now /srv/new, "
    "which holds none\n"
    "HINT: to move it: make stop, copy all of it with its owners (sudo cp -a …/. …/), make deploy; to begin anew and leave "
    "the old backups behind: BACKUP_GIVE_UP='/srv/old'; to have both, give the new place a number of its own "
    "(docs/guide/deploy.md)\n"
)


def run(places: Places, variables: dict[str, str], *arguments: str) -> int:
    with patch.dict(os.environ, variables, clear=True):
        return main(places, arguments)


def passphrase(places: Places, key: int = 1) -> str:
    return (places.secrets / f"repo{key}-cipher-pass").read_text().strip()


def back_up(places: Places, key: int = 1) -> None:
    """Do what the first backup does: the repository gets its info files, and the record the passphrase's fingerprint."""
    secret = passphrase(places, key)
    for name in ("archive/salespider/archive.info", "backup/salespider/backup.info"):
        file = places.directory(key) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sealed(INFO, secret, b"saltsalt"))
    use(places, {key: fingerprint(secret)})


def use(places: Places, present: dict[int, str | None]) -> None:
    record = places.state / "passphrases.json"
    before = UsedPassphrases.model_validate_json(record.read_text()) if record.exists() else UsedPassphrases(used={})
    record.write_text(before.adding(present).model_dump_json())


def mounted(places: Places, *directories: Path) -> Places:
    """Return the places with these directories of the host mounted as repositories 1, 2 and so on."""
    for directory in directories:
        directory.mkdir(exist_ok=True)
    return replace(places, repositories=(*directories, *places.repositories[len(directories) :]))


@pytest.fixture
def old(places: Places, capsys: Capture) -> Places:
    """A deployment with a backup in /srv/old."""
    assert run(places, OLD) == Exit.OK
    back_up(places)
    capsys.readouterr()
    return places


@pytest.fixture
def new(old: Places, tmp_path: Path) -> Places:
    """The same host, with the empty /srv/new mounted instead."""
    return mounted(old, tmp_path / "new")


def everything(places: Places) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in places.configuration.parent.rglob("*") if path.is_file()}


def test_an_empty_new_place_is_refused_and_nothing_is_written(new: Places, capsys: Capture) -> None:
    before, mode = everything(new), new.repository.stat().st_mode
    assert run(new, NEW) == Exit.CONFIGURATION
    assert capsys.readouterr().err.endswith(REFUSED)
    assert run(new, NEW, "--check") == Exit.USAGE
    assert (everything(new), new.repository.stat().st_mode) == (before, mode)


def test_the_old_place_again_is_fine(old: Places, new: Places) -> None:
    assert run(new, NEW) == Exit.CONFIGURATION
    assert run(old, OLD) == Exit.OK


def test_a_copy_is_taken_silently_and_counts_from_then_on(old: Places, new: Places, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(old.repository, new.repository, dirs_exist_ok=True)
    assert run(new, NEW | {"BACKUP_GIVE_UP": "/srv/old"}, "--check") == Exit.WOULD_CHANGE
    assert "given up" not in capsys.readouterr().out
    assert run(new, NEW) == Exit.OK
    assert "/srv/old" not in capsys.readouterr().out
    assert run(mounted(new, tmp_path / "third"), OLD) == Exit.CONFIGURATION
    assert "repository 1 was /srv/new" in capsys.readouterr().err


def test_another_repository_in_the_new_place_is_refused_by_its_passphrase(new: Places, capsys: Capture) -> None:
    for name in ("archive/salespider/archive.info", "backup/salespider/backup.info"):
        file = new.repository / name
        file.parent.mkdir(parents=True)
        file.write_bytes(sealed(INFO, "of another host", b"saltsalt"))
    assert run(new, NEW) == Exit.CONFIGURATION
    assert "the stored passphrase does not open the repository in /srv/new" in capsys.readouterr().err


def test_a_fresh_start_is_told_and_then_forgotten(new: Places, capsys: Capture) -> None:
    assert run(new, NEW | {"BACKUP_GIVE_UP": "/srv/elsewhere"}) == Exit.CONFIGURATION
    assert run(new, NEW | {"BACKUP_GIVE_UP": "/srv/old"}, "--check") == Exit.WOULD_CHANGE
    assert run(new, NEW | {"BACKUP_GIVE_UP": "/srv/old"}) == Exit.OK
    told = "warning: repository 1: begins anew in /srv/new: what is in /srv/old is given up\n"
    assert capsys.readouterr().out.count(told) == 2
    assert run(new, NEW | {"BACKUP_GIVE_UP": "/srv/old"}) == Exit.OK
    assert run(new, NEW) == Exit.OK
    assert "given up" not in capsys.readouterr().out


@pytest.mark.parametrize("record", [None, '{"used": {}}'])
def test_a_place_that_was_never_used_may_change(places: Places, tmp_path: Path, record: str | None, capsys: Capture) -> None:
    assert run(places, OLD) == Exit.OK
    if record:
        (places.state / "passphrases.json").write_text(record)
    capsys.readouterr()
    assert run(mounted(places, tmp_path / "new"), NEW) == Exit.OK
    assert "/srv/old" not in capsys.readouterr().out


def test_a_record_that_cannot_be_understood_counts_as_used(new: Places, capsys: Capture) -> None:
    (new.state / "passphrases.json").write_text("{")
    assert run(new, NEW) == Exit.CONFIGURATION
    assert capsys.readouterr().err.endswith(REFUSED)


def test_a_plain_repository_is_looked_after_as_well(places: Places, tmp_path: Path, capsys: Capture) -> None:
    plain = {"PGBACKREST_REPO1_CIPHER_TYPE": "none"}
    assert run(places, OLD | plain) == Exit.OK
    use(places, {1: None})
    assert run(mounted(places, tmp_path / "new"), NEW | plain) == Exit.CONFIGURATION
    assert capsys.readouterr().err.endswith(REFUSED)


def test_a_place_that_has_been_emptied_is_told(old: Places, capsys: Capture) -> None:
    """A disk that is not mounted looks like this; the database must start all the same."""
    shutil.rmtree(old.repository)
    old.repository.mkdir()
    assert run(old, OLD) == Exit.OK
    assert (
        "warning: repository 1: /srv/old holds nothing any more, though backups have been made there\n"
        "HINT: is its disk mounted? if so, the next backups begin anew\n"
    ) in capsys.readouterr().out


def test_a_volume_counts_as_a_place(old: Places, tmp_path: Path, capsys: Capture) -> None:
    assert run(mounted(old, tmp_path / "volume"), {"PGBACKREST_REPO1_TYPE": "posix"}) == Exit.CONFIGURATION
    assert "and is now docker volume backup-repo, which holds none" in capsys.readouterr().err


def test_switching_backups_off_in_between_forgets_nothing(new: Places, capsys: Capture) -> None:
    assert run(new, NEW | {"SETUP_BACKUP": "false"}) == Exit.OK
    assert run(new, NEW) == Exit.CONFIGURATION
    assert capsys.readouterr().err.endswith(REFUSED)


def test_another_bucket_is_told_with_both_names(places: Places, capsys: Capture) -> None:
    assert run(places, S3) == Exit.OK
    use(places, {1: fingerprint(passphrase(places))})
    assert run(places, S3 | {"AWS_S3_BUCKET": "bucket-2"}) == Exit.OK
    assert (
        "warning: repository 1: was s3://bucket-1/pgbackrest at s3.eu-central-1.amazonaws.com, where backups have "
        "been made, and is now s3://bucket-2/pgbackrest at s3.eu-central-1.amazonaws.com\n"
        "HINT: what is only in the old place can no longer be restored; copy it there first, or put the old place back\n"
    ) in capsys.readouterr().out
    assert run(places, S3 | {"AWS_S3_BUCKET": "bucket-2"}) == Exit.OK
    assert "bucket-1" not in capsys.readouterr().out
    assert run(places, S3 | {"AWS_S3_BUCKET": "bucket-2", "AWS_SECRET_ACCESS_KEY": "other"}) == Exit.OK
    assert "was s3://" not in capsys.readouterr().out, "another key is no other place"


def test_from_a_bucket_into_an_empty_directory_is_refused(places: Places, capsys: Capture) -> None:
    assert run(places, S3) == Exit.OK
    use(places, {1: fingerprint(passphrase(places))})
    assert run(places, NEW) == Exit.CONFIGURATION
    told = capsys.readouterr().err
    assert "\nPGBACKREST_REPO1_TYPE: repository 1 was s3://bucket-1/pgbackrest at " in told


def test_a_second_repository_takes_the_place_of_the_first(old: Places, tmp_path: Path, capsys: Capture) -> None:
    """The other way to move: back up to both for a while, then give the new place the number 1."""
    both = mounted(old, old.repository, tmp_path / "second")
    variables = OLD | {"PGBACKREST_REPO2_TYPE": "posix", "PGBACKREST_REPO2_PATH": "/srv/new"}
    assert run(both, variables) == Exit.OK
    back_up(both, 2)
    first, second = passphrase(both, 1), passphrase(both, 2)
    assert first != second
    alone = mounted(old, tmp_path / "second")
    before = everything(alone)
    assert run(alone, NEW, "--check") == Exit.WOULD_CHANGE
    assert everything(alone) == before
    assert run(alone, NEW) == Exit.OK
    assert passphrase(alone, 1) == second
    assert f"repo1-cipher-pass={second}\n" in (alone.configuration / "conf.d" / "repo.conf").read_text()
    kept = [path.read_text().strip() for path in alone.secrets.glob("repo1-cipher-pass.replaced-*")]
    assert kept == [first]
    assert "not protected against loss of this host" in capsys.readouterr().out


def test_two_repositories_may_change_their_numbers(old: Places, tmp_path: Path) -> None:
    both = mounted(old, old.repository, tmp_path / "second")
    assert run(both, OLD | {"PGBACKREST_REPO2_TYPE": "posix", "PGBACKREST_REPO2_PATH": "/srv/new"}) == Exit.OK
    back_up(both, 2)
    first, second = passphrase(both, 1), passphrase(both, 2)
    swapped = mounted(old, tmp_path / "second", old.repository)
    assert run(swapped, NEW | {"PGBACKREST_REPO2_TYPE": "posix", "PGBACKREST_REPO2_PATH": "/srv/old"}) == Exit.OK
    assert (passphrase(swapped, 1), passphrase(swapped, 2)) == (second, first)


def test_a_number_that_was_given_up_may_be_used_again(old: Places, tmp_path: Path) -> None:
    two = mounted(old, old.repository, tmp_path / "second")
    second = {"PGBACKREST_REPO2_TYPE": "posix", "PGBACKREST_REPO2_PATH": "/srv/second"}
    assert run(two, OLD | second) == Exit.OK
    back_up(two, 2)
    assert run(old, OLD) == Exit.OK
    third = mounted(old, old.repository, tmp_path / "third")
    assert run(third, OLD | second | {"PGBACKREST_REPO2_PATH": "/srv/third"}) == Exit.OK


def test_the_record_holds_no_secret_and_is_for_setup_alone(old: Places) -> None:
    record = old.secrets / KNOWN_PLACES
    assert passphrase(old) not in record.read_text()
    assert record.stat().st_mode & 0o777 == 0o600


def test_a_damaged_record_is_not_taken_for_an_empty_one(old: Places, capsys: Capture) -> None:
    (old.secrets / KNOWN_PLACES).write_text("{")
    assert run(old, OLD) == Exit.CONFIGURATION
    assert capsys.readouterr().err.startswith(f"the record {old.secrets / KNOWN_PLACES} cannot be read: not understood\n")


# --- a number that is not used any more, and comes back ---------------------------------------------------------------

BOTH = OLD | {"PGBACKREST_REPO2_TYPE": "posix", "PGBACKREST_REPO2_PATH": "/srv/second"}
SECOND_ALONE = {"PGBACKREST_REPO2_TYPE": "posix", "PGBACKREST_REPO2_PATH": "/srv/second"}
S3_AGAIN = S3 | SECOND_ALONE


def test_the_second_may_stand_alone_and_the_first_is_named_once(places: Places, capsys: Capture) -> None:
    assert run(places, BOTH) == Exit.OK
    back_up(places)
    capsys.readouterr()
    assert run(places, SECOND_ALONE) == Exit.OK
    assert "repository 1: /srv/old is not used any more: no backup goes there" in capsys.readouterr().out
    published = (places.configuration / "conf.d/repo.conf").read_text()
    assert "repo2-path" in published
    assert "repo1-" not in published
    assert run(places, SECOND_ALONE) == Exit.OK
    assert "not used any more" not in capsys.readouterr().out


def test_a_retired_number_at_its_old_place_keeps_its_passphrase(places: Places) -> None:
    assert run(places, BOTH) == Exit.OK
    back_up(places)
    before = passphrase(places)
    assert run(places, SECOND_ALONE) == Exit.OK
    assert run(places, BOTH) == Exit.OK
    assert passphrase(places) == before


@pytest.mark.parametrize("again", [SECOND_ALONE | NEW, S3_AGAIN], ids=["a directory", "a bucket"])
def test_a_retired_number_at_a_new_place_gets_a_new_passphrase_once(places: Places, again: dict[str, str]) -> None:
    """Otherwise a passphrase that leaked would come back with the number, where setup cannot look into the store."""
    assert run(places, BOTH) == Exit.OK
    back_up(places)
    before = passphrase(places)
    assert run(places, SECOND_ALONE) == Exit.OK
    for folder in ("archive", "backup"):
        shutil.rmtree(places.directory(1) / folder)  # it is another directory now, an empty one
    assert run(places, again) == Exit.OK
    fresh = passphrase(places)
    assert fresh != before
    kept = places.secrets / f"repo1-cipher-pass.replaced-{fingerprint(before)[:12]}"
    assert kept.read_text().strip() == before, "its backups may still be wanted"
    assert run(places, again) == Exit.OK
    assert passphrase(places) == fresh


def test_a_retired_number_at_a_new_place_takes_the_passphrase_it_is_given(places: Places) -> None:
    assert run(places, BOTH) == Exit.OK
    back_up(places)
    assert run(places, SECOND_ALONE) == Exit.OK
    assert run(places, S3_AGAIN | {"PGBACKREST_REPO1_CIPHER_PASS": "a passphrase of the operator's"}) == Exit.OK
    assert passphrase(places) == "a passphrase of the operator's"


def test_a_copy_of_the_retired_repository_opens_with_its_passphrase(places: Places) -> None:
    """The bytes were moved while the number was not in use."""
    assert run(places, BOTH) == Exit.OK
    back_up(places)
    before = passphrase(places)
    assert run(places, SECOND_ALONE) == Exit.OK
    assert run(places, SECOND_ALONE | NEW) == Exit.OK
    assert passphrase(places) == before


def test_killed_before_it_is_published_the_new_passphrase_is_made_no_third_time(places: Places) -> None:
    assert run(places, BOTH) == Exit.OK
    back_up(places)
    assert run(places, SECOND_ALONE) == Exit.OK
    with patch("setup.__main__.publish", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        run(places, S3_AGAIN)
    made = passphrase(places)
    assert run(places, S3_AGAIN) == Exit.OK
    assert passphrase(places) == made


def test_short_names_of_a_retired_first_do_not_contradict_the_second(places: Places) -> None:
    """They may be the application's own."""
    second = {f"PGBACKREST_REPO2_S3_{name}": f"second-{name.lower()}" for name in ("BUCKET", "REGION", "KEY", "KEY_SECRET")}
    second["PGBACKREST_REPO2_S3_KEY_SECRET"] = "of-the-second"
    second["PGBACKREST_REPO2_S3_REGION"] = "eu-west-1"
    second["PGBACKREST_REPO2_S3_BUCKET"] = "second"
    left = {name: value for name, value in S3.items() if name.startswith("AWS_")}
    assert run(places, {"PGBACKREST_REPO2_TYPE": "s3"} | second | left) == Exit.OK
    published = (places.configuration / "conf.d/repo.conf").read_text()
    assert "repo2-s3-bucket=second\n" in published
    assert "bucket-1" not in published
