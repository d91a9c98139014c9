"""Every combination of what is wanted, supplied, stored, used and there already, with what is decided."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from contract.errors import Problem
from contract.protection import UsedPassphrases
from setup import cipher
from setup.holding import NOTHING, Holding
from setup.repository_key import Action, Known, Need, decide
from tests.unit.setup.test_cipher import INFO, sealed

RIGHT, WRONG = SecretStr("the right passphrase"), SecretStr("a wrong passphrase")
UNUSED = UsedPassphrases(used={})
SECOND = (
    "to change that, add a second repository with its own number, back up to both, and give this one up when the other "
    "holds enough (docs/guide/recovery-kit.md)"
)
PUT_BACK = "put it back with `make deploy FROM_KIT=…`, or set PGBACKREST_REPO1_CIPHER_PASS to it"


def held(*passphrases: SecretStr | None) -> Holding:
    """Return a repository whose info files are encrypted with these; None is a plain one."""
    heads = [INFO if p is None else sealed(INFO, p.get_secret_value(), b"saltsalt") for p in passphrases]
    return Holding(tuple((head[:48], head[:48]) for head in heads), has_data=True)


def used(*passphrases: SecretStr, key: int = 1) -> UsedPassphrases:
    return UsedPassphrases(used={key: tuple(cipher.fingerprint(p.get_secret_value()) for p in passphrases)})


ENCRYPTED, PLAIN, LOST = held(RIGHT, RIGHT), held(None, None), Holding((), has_data=True)
DAMAGED = Holding(((b"", b""),), has_data=True)


@pytest.mark.parametrize(
    ("case", "stored", "others", "holding", "action"),
    [
        ("a place that had another number", WRONG, (RIGHT,), ENCRYPTED, Action.TAKE),
        ("the same, under a number that is new", None, (WRONG, RIGHT), ENCRYPTED, Action.TAKE),
        ("its own fits", RIGHT, (RIGHT,), ENCRYPTED, Action.KEEP),
        ("a new place", WRONG, (RIGHT,), NOTHING, Action.KEEP),
        ("a new place under a new number", None, (RIGHT,), NOTHING, Action.CREATE),
        ("a place in the cloud", WRONG, (RIGHT,), None, Action.KEEP),
    ],
)
def test_a_repository_may_get_another_number(
    case: str, stored: SecretStr | None, others: tuple[SecretStr, ...], holding: Holding | None, action: Action
) -> None:
    need = Need(1, encrypted=True, location="/srv/backups", holding=holding)
    assert decide(need, Known(stored, used(WRONG), others)) is action, case


@pytest.mark.parametrize(
    ("case", "supplied", "stored", "record", "holding", "action"),
    [
        ("a first start", None, None, UNUSED, NOTHING, Action.CREATE),
        ("a first start, in the cloud", None, None, UNUSED, None, Action.CREATE),
        ("a first start with a record that cannot be read", None, None, None, None, Action.CREATE),
        ("a later start", None, RIGHT, used(RIGHT), ENCRYPTED, Action.KEEP),
        ("a later start, in the cloud", None, RIGHT, used(RIGHT), None, Action.KEEP),
        ("the repository was emptied", None, RIGHT, used(RIGHT), NOTHING, Action.KEEP),
        ("the secrets and the repository were emptied", None, None, used(RIGHT), NOTHING, Action.CREATE),
        ("a passphrase of one's own", RIGHT, None, UNUSED, NOTHING, Action.ADOPT),
        ("the right one on a blank host", RIGHT, None, UNUSED, ENCRYPTED, Action.ADOPT),
        ("the right one on a blank host, in the cloud", RIGHT, None, UNUSED, None, Action.ADOPT),
        ("a new one for an emptied bucket", WRONG, None, used(RIGHT), None, Action.ADOPT),
        ("the same again", RIGHT, RIGHT, used(RIGHT), ENCRYPTED, Action.KEEP),
        ("the stored one is provisional", RIGHT, WRONG, UNUSED, NOTHING, Action.REPLACE),
        ("the stored one is provisional, and wrong", RIGHT, WRONG, UNUSED, ENCRYPTED, Action.REPLACE),
        ("the stored one is provisional, in the cloud", RIGHT, WRONG, UNUSED, None, Action.REPLACE),
        ("one info file is damaged, its copy is not", None, RIGHT, UNUSED, Holding((
            (b"", sealed(INFO, "the right passphrase", b"saltsalt")),), has_data=True), Action.KEEP),
        ("the info files are gone", None, RIGHT, UNUSED, LOST, Action.KEEP),
        ("the info files are damaged, and one is supplied", RIGHT, None, UNUSED, DAMAGED, Action.ADOPT),
    ],
)  # fmt: skip
def test_what_becomes_of_the_passphrase(
    case: str,
    supplied: SecretStr | None,
    stored: SecretStr | None,
    record: UsedPassphrases | None,
    holding: Holding | None,
    action: Action,
) -> None:
    assert decide(Need(1, True, "/srv/backups", supplied, holding=holding), Known(stored, record)) is action, case


NOT_STORED = Problem(
    "PGBACKREST_REPO1_CIPHER_PASS",
    "is not the stored passphrase, which backups have been made with",
    f"remove PGBACKREST_REPO1_CIPHER_PASS; a repository keeps its passphrase for life: {SECOND}",
)
NOT_OPEN = Problem(
    "PGBACKREST_REPO1_CIPHER_PASS",
    "does not open the repository in /srv/backups: it was encrypted with another passphrase",
    "set PGBACKREST_REPO1_CIPHER_PASS to the passphrase that this repository was made with, or name an empty directory",
)
GONE = Problem(
    "repository 1",
    "/srv/backups holds encrypted backups, but their passphrase is not in the volume pgbackrest-secrets",
    PUT_BACK,
)
NO_INFO = Problem(
    "repository 1",
    "/srv/backups holds backups, but neither archive.info nor backup.info can be read to know how they were made",
    f"bring these files back; if the backups are encrypted, {PUT_BACK}",
)
IS_PLAIN = Problem(
    "PGBACKREST_REPO1_CIPHER_TYPE",
    "is aes-256-cbc, but the repository in /srv/backups is not encrypted",
    "set PGBACKREST_REPO1_CIPHER_TYPE=none; "
    f"encryption cannot be switched on for existing backups: {SECOND}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("case", "supplied", "stored", "record", "holding", "problem"),
    [
        ("used, by the record", WRONG, RIGHT, used(RIGHT), NOTHING, NOT_STORED),
        ("used for another repository, by the record", WRONG, RIGHT, used(RIGHT, key=3), NOTHING, NOT_STORED),
        ("used, in the cloud", WRONG, RIGHT, used(RIGHT), None, NOT_STORED),
        ("used, because it opens the repository", WRONG, RIGHT, UNUSED, ENCRYPTED, NOT_STORED),
        ("used, for all that is known", WRONG, RIGHT, None, NOTHING, NOT_STORED),
        ("used, though the repository is another one's", RIGHT, WRONG, used(WRONG), ENCRYPTED, NOT_STORED),
        ("wrong on a blank host", WRONG, None, UNUSED, ENCRYPTED, NOT_OPEN),
        ("wrong, and so is the stored one", WRONG, SecretStr("a third"), UNUSED, ENCRYPTED, NOT_OPEN),
        ("right for one of the two files", WRONG, None, UNUSED, held(RIGHT, WRONG), NOT_OPEN),
        ("lost", None, None, UNUSED, ENCRYPTED, GONE),
        ("lost, and the record too", None, None, None, ENCRYPTED, GONE),
        ("lost, with the info files", None, None, UNUSED, LOST, NO_INFO),
        ("lost, with damaged info files", None, None, UNUSED, DAMAGED, NO_INFO),
        (
            "lost, in the cloud",
            None,
            None,
            used(RIGHT),
            None,
            Problem(
                "repository 1",
                "backups were made to /srv/backups, but their passphrase is not in the volume pgbackrest-secrets",
                f"{PUT_BACK}; for a new, empty repository set it to a new passphrase",
            ),
        ),
        (
            "the stored one is wrong, and was never used",
            None,
            WRONG,
            UNUSED,
            ENCRYPTED,
            Problem(
                "repository 1",
                "the stored passphrase does not open the repository in /srv/backups: it was encrypted with another one",
                f"nothing has been encrypted with the stored one yet: {PUT_BACK}",
            ),
        ),
        (
            "the stored one belongs to another repository",
            None,
            WRONG,
            used(WRONG),
            ENCRYPTED,
            Problem(
                "repository 1",
                "the stored passphrase does not open the repository in /srv/backups: it was encrypted with another one",
                "is this the right directory? the stored passphrase has been used for other backups and is kept",
            ),
        ),
        ("plain, none stored", None, None, UNUSED, PLAIN, IS_PLAIN),
        ("plain, one stored", None, RIGHT, used(RIGHT), PLAIN, IS_PLAIN),
        ("plain, one supplied", RIGHT, None, UNUSED, PLAIN, IS_PLAIN),
        ("plain in a part of it", RIGHT, RIGHT, UNUSED, held(RIGHT, None), IS_PLAIN),
    ],
)
def test_what_is_refused(
    case: str,
    supplied: SecretStr | None,
    stored: SecretStr | None,
    record: UsedPassphrases | None,
    holding: Holding | None,
    problem: Problem,
) -> None:
    found = decide(Need(1, True, "/srv/backups", supplied, holding=holding), Known(stored, record))
    assert found == problem, case
    assert not any(secret.get_secret_value() in str(found) for secret in (RIGHT, WRONG))


@pytest.mark.parametrize(
    ("case", "supplied", "holding", "verdict"),
    [
        ("a new one", None, NOTHING, Action.NONE),
        ("a plain one", None, PLAIN, Action.NONE),
        ("one in the cloud", None, None, Action.NONE),
        (
            "an encrypted one",
            None,
            ENCRYPTED,
            Problem(
                "PGBACKREST_REPO2_CIPHER_TYPE",
                "is none, but the repository in /srv/backups is encrypted",
                "set PGBACKREST_REPO2_CIPHER_TYPE=aes-256-cbc; "
                f"encryption cannot be switched off for existing backups: {SECOND}",
            ),
        ),
        (
            "a passphrase for nothing",
            RIGHT,
            NOTHING,
            Problem(
                "PGBACKREST_REPO2_CIPHER_PASS",
                "is set, but PGBACKREST_REPO2_CIPHER_TYPE is none: nothing would be encrypted",
                "remove one of the two",
            ),
        ),
    ],
)
def test_without_encryption(
    case: str, supplied: SecretStr | None, holding: Holding | None, verdict: Action | Problem
) -> None:
    assert decide(Need(2, False, "/srv/backups", supplied, holding=holding), Known(None, UNUSED)) == verdict, case


@pytest.mark.parametrize(
    ("stored", "holding", "what", "hint"),
    [
        (
            RIGHT,
            ENCRYPTED,
            "this host has another passphrase for repository 1, and backups have been made with it",
            "use a host with an empty volume pgbackrest-secrets, or another PROJECT",
        ),
        (
            None,
            ENCRYPTED,
            "does not open the repository in /srv/backups: it was encrypted with another passphrase",
            "is this the kit of this repository, and is the right disk mounted there?",
        ),
    ],
)
def test_a_recovery_kit_is_named_when_it_is_what_does_not_fit(
    stored: SecretStr | None, holding: Holding, what: str, hint: str
) -> None:
    need = Need(1, True, "/srv/backups", WRONG, from_kit=True, holding=holding)
    assert decide(need, Known(stored, UNUSED)) == Problem("recovery kit", what, hint)
