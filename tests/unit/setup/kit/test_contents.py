"""What is in a kit, and what becomes of it on a new host."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from contract.errors import ProductError
from contract.exits import Exit
from setup import cipher
from setup.kit import contents
from setup.kit.contents import Kit, environment_file, from_json, to_json
from setup.passphrase import Secrets
from setup.repository_key import Need

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
SECRETS = Secrets({1: SecretStr("passphrase one"), 3: SecretStr("passphrase three")}, SecretStr("hunter2"))
NEEDS = (Need(1, True, "/srv/backups"), Need(2, False, "/mnt/plain"), Need(3, True, "bucket"))
ENVIRONMENT = {"TZ": "Europe/Berlin", "PGBACKREST_REPO1_TYPE": "posix", "POSTGRES_PASSWORD": "hunter2"}


def make_kit(environment: dict[str, str] = ENVIRONMENT) -> Kit:
    return contents.contents(NEEDS, SECRETS, environment, {"pgbackrest": "2.55.1", "product": "abc"}, NOW)


def test_a_kit_comes_back_as_it_was() -> None:
    assert from_json(to_json(make_kit())) == make_kit()


def test_what_another_program_finds_in_it() -> None:
    """The names are a promise: somebody may open it in years, without this product."""
    assert json.loads(to_json(make_kit())) == {
        "schema_version": 1,
        "product": "salespider-backup",
        "made_at": "2026-03-04T12:00:00Z",
        "versions": {"pgbackrest": "2.55.1", "product": "abc"},
        "stanza": "salespider",
        "extra_config": None,
        "environment": {"PGBACKREST_REPO1_TYPE": "posix", "POSTGRES_PASSWORD": "hunter2", "TZ": "Europe/Berlin"},
        "repositories": [
            {"key": 1, "location": "/srv/backups", "passphrase": "passphrase one"},
            {"key": 2, "location": "/mnt/plain", "passphrase": None},
            {"key": 3, "location": "bucket", "passphrase": "passphrase three"},
        ],
        "fingerprints": {
            "1": cipher.fingerprint("passphrase one"),
            "2": None,
            "3": cipher.fingerprint("passphrase three"),
        },
        "superuser_password": "hunter2",
    }


def test_it_shows_no_secret() -> None:
    kit = make_kit()
    assert not any(secret in f"{kit!r} {kit} {kit.model_dump()}" for secret in ("hunter2", "passphrase one"))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'"hunter2"',
        to_json(make_kit())[:-20],
        to_json(make_kit()).replace(b'"schema_version": 1', b'"schema_version": 2'),
        to_json(make_kit()).replace(b'"stanza"', b'"hunter2"'),
    ],
)
def test_another_document_is_refused_without_showing_it(text: bytes) -> None:
    with pytest.raises(ProductError) as caught:
        from_json(text)
    assert caught.value.message.startswith("the opened file is not a recovery kit of this version (")
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert "hunter2" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__suppress_context__


def test_a_passphrase_that_is_not_the_one_of_its_fingerprint_is_refused() -> None:
    with pytest.raises(ProductError) as caught:
        from_json(to_json(make_kit()).replace(b'"passphrase one"', b'"passphrase two"'))
    assert caught.value.message == ("the recovery kit contradicts itself: its fingerprints are not those of its passphrases")


def test_the_environment_file() -> None:
    assert environment_file(make_kit()) == (
        "# Written from the recovery kit of 2026-03-04 12:00:00 UTC. It holds secrets.\n"
        "# See .env.example for what the variables mean.\n"
        "\n"
        "PGBACKREST_REPO1_TYPE=posix\n"
        "POSTGRES_PASSWORD=hunter2\n"
        "TZ=Europe/Berlin\n"
    )


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("", ""),
        ("0 2 * * 0", "'0 2 * * 0'"),
        ("pa$$word", "'pa$$word'"),
        ("it's", "'it\\'s'"),
        ('say "so" # now', "'say \"so\" # now'"),
        ("back\\slash", "'back\\slash'"),
        ('{\n  "key": "a\\nb"\n}', '\'{\n  "key": "a\\nb"\n}\''),
        ("AbC+/123=", "AbC+/123="),
    ],
)
def test_how_a_value_is_spelled(value: str, spelled: str) -> None:
    assert f"\nX={spelled}\n" in environment_file(make_kit({"X": value}))


@pytest.mark.parametrize("value", ["ends with \\", "a\\'b"])
def test_a_value_that_compose_cannot_spell_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ProductError) as caught:
        environment_file(make_kit({"POSTGRES_PASSWORD": value}))
    assert caught.value.message == (
        "POSTGRES_PASSWORD cannot be written to an environment file: "
        "a backslash stands before a quotation mark or at its end"
    )
    assert value not in str(caught.value)
