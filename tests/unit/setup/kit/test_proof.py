"""The kit against the live deployment: what proves it, and each way in which it does not fit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from contract.protection import UsedPassphrases
from setup import cipher
from setup.holding import NOTHING, Holding
from setup.kit import contents
from setup.kit.contents import Kit
from setup.kit.proof import Finding, Live, LiveCheck, prove
from setup.passphrase import Secrets
from setup.repository_key import Need
from tests.unit.setup.test_cipher import INFO, sealed

ENVIRONMENT = {"PGBACKREST_REPO1_TYPE": "posix", "BACKUP_RETENTION_FULL": "7"}
PASSPHRASE = "the passphrase"
FINGERPRINT = cipher.fingerprint(PASSPHRASE)
NEW_ONE = "it is the kit of another repository; make a new one: make recovery-kit"


def held(passphrase: str | None) -> Holding:
    head = INFO if passphrase is None else sealed(INFO, passphrase, b"saltsalt")
    return Holding(((head,), (head,)), has_data=True)


def need(holding: Holding | None, *, encrypted: bool = True) -> Need:
    return Need(1, encrypted, "/srv/backups", holding=holding)


def make_kit(*, encrypted: bool = True, environment: dict[str, str] = ENVIRONMENT) -> Kit:
    secrets = Secrets({1: SecretStr(PASSPHRASE)} if encrypted else {}, SecretStr("password"))
    return contents.contents([need(None)], secrets, environment, {}, datetime(2026, 3, 4, tzinfo=UTC))


def make_live(holding: Holding | None, check: LiveCheck = "not-run", *, encrypted: bool = True) -> Live:
    fingerprint = FINGERPRINT if encrypted else None
    return Live([need(holding, encrypted=encrypted)], ENVIRONMENT, {1: fingerprint}, UsedPassphrases(used={}), check)


USED = UsedPassphrases(used={1: (FINGERPRINT,)})


@pytest.mark.parametrize(
    ("case", "live", "seen"),
    [
        ("opened here", make_live(held(PASSPHRASE)), "the passphrase in the kit opens /srv/backups"),
        (
            "opened by the backup service",
            make_live(None, "passed"),
            "the backup service opens /srv/backups with the passphrase in the kit",
        ),
        (
            "used by the backup service, which is down",
            replace(make_live(None), used=USED),
            "the passphrase in the kit is the one that /srv/backups was created with",
        ),
    ],
)
def test_a_proof(case: str, live: Live, seen: str) -> None:
    assert prove(make_kit(), live) == (Finding(True, f"repository 1: {seen}"),), case


def test_a_plain_repository_has_to_be_there() -> None:
    live = make_live(held(None), encrypted=False)
    seen = "repository 1: /srv/backups is there, and not encrypted"
    assert prove(make_kit(encrypted=False), live) == (Finding(True, seen),)


@pytest.mark.parametrize(
    ("case", "kit", "live", "seen", "hint"),
    [
        (
            "another repository",
            make_kit(),
            make_live(held("another passphrase")),
            "repository 1: the passphrase in the kit does not open /srv/backups",
            NEW_ONE,
        ),
        (
            "nothing there yet",
            make_kit(),
            make_live(NOTHING),
            "repository 1: /srv/backups holds nothing yet to prove the kit with",
            "take the first backup, then try again: make backup",
        ),
        (
            "the repository is plain, the settings are not",
            make_kit(),
            make_live(held(None)),
            "repository 1: the passphrase in the kit does not open /srv/backups",
            NEW_ONE,
        ),
        (
            "the repository is encrypted, the settings are not",
            make_kit(encrypted=False),
            make_live(held(PASSPHRASE), encrypted=False),
            "repository 1: /srv/backups is not plain",
            "see make status",
        ),
        (
            "a passphrase is missing in the kit",
            make_kit(encrypted=False),
            make_live(held(PASSPHRASE)),
            "repository 1 is encrypted, but not in the kit",
            "is it the kit of this deployment? else make a new one: make recovery-kit",
        ),
        (
            "a passphrase too many in the kit",
            make_kit(),
            make_live(held(None), encrypted=False),
            "repository 1 is plain, but not in the kit",
            "is it the kit of this deployment? else make a new one: make recovery-kit",
        ),
        (
            "a repository that was added later",
            make_kit().model_copy(update={"repositories": ()}),
            make_live(held(PASSPHRASE)),
            "repository 1 is not in the kit",
            "make a new one: make recovery-kit",
        ),
        (
            "another passphrase in the cloud",
            make_kit(),
            replace(make_live(None, "passed"), published={1: "f" * 64}),
            "repository 1: the passphrase in the kit is not the one that is in use",
            NEW_ONE,
        ),
        (
            "the cloud cannot be read",
            make_kit(),
            replace(make_live(None, "failed"), used=USED),
            "repository 1: the backup service cannot open /srv/backups just now",
            "see make status; prove the kit when the repository can be read",
        ),
        (
            "nobody has looked into the cloud",
            make_kit(),
            make_live(None),
            "repository 1: nothing could open /srv/backups to prove the kit with",
            "start the backup service, then try again: make start",
        ),
    ],
)  # fmt: skip
def test_no_proof(case: str, kit: Kit, live: Live, seen: str, hint: str) -> None:
    assert prove(kit, live) == (Finding(False, seen, hint),), case


def test_a_kit_that_would_look_elsewhere_for_the_backups_is_no_proof() -> None:
    kit = make_kit(environment={**ENVIRONMENT, "PGBACKREST_REPO1_PATH": "/mnt/old", "AWS_REGION": "x"})
    seen = "the kit says otherwise where the backups are: AWS_REGION, PGBACKREST_REPO1_PATH"
    assert prove(kit, make_live(held(PASSPHRASE)))[1:] == (Finding(False, seen, "make a new one: make recovery-kit"),)


def test_other_settings_may_have_changed() -> None:
    kit = make_kit(environment={**ENVIRONMENT, "BACKUP_RETENTION_FULL": "3", "TZ": "UTC"})
    seen = "settings have changed since the kit was made: BACKUP_RETENTION_FULL, TZ"
    hint = "a new kit would have the present values: make recovery-kit"
    assert prove(kit, make_live(held(PASSPHRASE)))[1:] == (Finding(True, seen, hint),)


def test_how_a_finding_looks() -> None:
    assert str(Finding(True, "seen")) == "  ok   seen"
    assert str(Finding(False, "seen", "do this")) == " FAIL  seen\n       HINT: do this"
