"""The two checks of a passphrase agree with files that real pgbackrest has written, and with each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backup import pgbackrest, process
from backup.ownership import repository_key
from backup.ownership.repository_key import Verdict
from backup.taking import jobs
from contract.exits import Exit
from setup import holding
from setup.cipher import Kind
from setup.holding import Holding
from tests.integration.conftest import MakeSite
from tests.integration.site import BUNDLED, PASSPHRASE, PLAIN, STANZA, Options, Site

WRONG: Options = {**BUNDLED, "repo1-cipher-pass": "not-the-passphrase"}
ENOUGH_FOR_LUCK = 400


@pytest.fixture(scope="module")
def encrypted(make_site: MakeSite) -> Site:
    made = make_site(BUNDLED)
    made.protect()
    return made


@pytest.fixture
def site(encrypted: Site) -> Iterator[Site]:
    yield encrypted
    encrypted.publish(BUNDLED)


def look(site: Site) -> Holding:
    return holding.look(site.repository, str(site.repository), STANZA)


def troubles(site: Site) -> list[str]:
    with site.deployment() as deployment:
        return [trouble.sentence.split(": ", 1)[1] for trouble in repository_key.trouble(deployment)]


def stanza(site: Site) -> jobs.Outcome:
    with site.deployment() as deployment:
        return jobs.create_stanza(deployment, print)


def contents(site: Site) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in site.repository.rglob("*.info*") if file.is_file()}


def test_the_right_passphrase(site: Site) -> None:
    assert look(site).kinds == {Kind.ENCRYPTED}
    assert len(look(site).info_files) == 2
    assert look(site).opens_with(PASSPHRASE)
    assert troubles(site) == []


def test_a_wrong_passphrase(site: Site) -> None:
    assert not look(site).opens_with("not-the-passphrase")
    site.publish(WRONG)
    before = contents(site)
    assert troubles(site) == ["the passphrase does not open it, it was encrypted with another one"]
    assert stanza(site).exit_code == Exit.REPOSITORY
    assert contents(site) == before


def test_no_passphrase_for_an_encrypted_repository(site: Site) -> None:
    site.publish({"repo1-bundle": "y"})
    assert troubles(site) == ["it is encrypted, but no passphrase is configured"]
    assert stanza(site).exit_code == Exit.REPOSITORY


def test_of_many_wrong_passphrases_none_is_taken_for_the_right_one(site: Site) -> None:
    """One in 256 passes the padding, and pgbackrest itself prints garbage and ends with 0 then."""
    found, lucky = set(), 0
    for number in range(ENOUGH_FOR_LUCK):
        site.publish({**BUNDLED, "repo1-cipher-pass": f"wrong-{number}"})
        argv = pgbackrest.read_info_file(STANZA, 1, f"archive/{STANZA}/archive.info")
        answer = process.capture(argv, 30.0)
        lucky += answer.exit_code == 0
        found.add(repository_key.judge(answer, encrypted=True))
        assert not look(site).opens_with(f"wrong-{number}")
    print(f"{lucky} of {ENOUGH_FOR_LUCK} wrong passphrases ended with exit code 0")
    assert found == {Verdict.WRONG}


def test_a_lost_info_file_leaves_its_copy_and_the_other_one(site: Site) -> None:
    archive = site.repository / "archive" / STANZA
    kept = {name: (archive / name).read_bytes() for name in ("archive.info", "archive.info.copy")}
    try:
        (archive / "archive.info").unlink()
        assert look(site).opens_with(PASSPHRASE)
        (archive / "archive.info.copy").unlink()
        assert look(site).opens_with(PASSPHRASE)
        assert troubles(site) == []
        site.publish(WRONG)
        assert troubles(site) == ["the passphrase does not open it, it was encrypted with another one"]
    finally:
        for name, content in kept.items():
            (archive / name).write_bytes(content)


def test_a_plain_repository(make_site: MakeSite) -> None:
    site = make_site(PLAIN)
    assert look(site) == holding.NOTHING
    assert troubles(site) == [], "a new one"
    site.create_stanza()
    assert look(site).kinds == {Kind.PLAIN}
    assert troubles(site) == []
    site.publish(BUNDLED)
    assert troubles(site) == ["it is not encrypted, but a passphrase is configured"]
    assert stanza(site).exit_code == Exit.REPOSITORY


def test_a_repository_that_cannot_be_read(make_site: MakeSite) -> None:
    site = make_site(BUNDLED)
    site.create_stanza()
    (site.repository / "archive").chmod(0)
    try:
        (message,) = troubles(site)
        assert message.startswith("pgbackrest exit code ")
        assert stanza(site).exit_code == Exit.REPOSITORY
    finally:
        (site.repository / "archive").chmod(0o750)
