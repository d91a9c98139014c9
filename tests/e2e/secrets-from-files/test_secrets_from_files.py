"""Secrets come from files: none of them is in any container's environment, and they take effect."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import ROOT, Stack, wait_until

PASSPHRASE = "a passphrase that somebody has written into a file"
PASSWORD = "a password that somebody has written into a file"
WEBHOOK = "http://127.0.0.1:9/a-webhook-that-somebody-has-written-into-a-file"
SERVICES = ("json://127.0.0.1:9/a-service-in-a-file", "form://user:another-service-in-a-file@127.0.0.1:9/?to=a,b")
EVERY = (PASSPHRASE, PASSWORD, WEBHOOK, *SERVICES, "a-webhook-that", "a-service-in", "another-service-in")


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    """The files lie in ./secrets, under names that no other stack uses, and are taken away at the end."""
    folder, own = ROOT / "secrets", uuid.uuid4().hex[:8]
    texts = {
        "PGBACKREST_REPO1_CIPHER_PASS": PASSPHRASE,
        "POSTGRES_PASSWORD": PASSWORD,
        "BACKUP_WEBHOOK_URL": WEBHOOK,
        "BACKUP_NOTIFY_URLS": "\n".join(SERVICES),
    }
    variables = {}
    for name, text in texts.items():
        file = folder / f"test-{own}-{name.lower()}"
        file.write_text(f"{text}\n")
        stacks.at_end(file.unlink)
        variables[f"{name}_FILE"] = f"/run/secrets/{file.name}"
    return stacks.running(**variables)


def test_they_take_effect(stack: Stack) -> None:
    assert stack.make("password").stdout == f"{PASSWORD}\n"
    script = (
        f"openssl enc -d -aes-256-cbc -md sha1 -pass 'pass:{PASSPHRASE}' -in archive/salespider/archive.info 2>/dev/null"
    )
    assert stack.in_repository(script).startswith("[backrest]\n")
    told = json.loads(stack.exec("backup", "cat", "/etc/pgbackrest/receivers.json").stdout)
    assert [receiver["url"] for receiver in told["receivers"]] == [WEBHOOK, *SERVICES]
    assert stack.exec("backup", "stat", "-Lc", "%U:%G %a", "/etc/pgbackrest/receivers.json").stdout == "root:postgres 640\n"


@pytest.mark.parametrize("service", ["setup", "postgres", "backup"])
def test_no_container_has_them_in_its_environment_or_its_log(stack: Stack, service: str) -> None:
    seen = stack.docker("inspect", service).stdout + stack.logs(service)
    assert [secret for secret in EVERY if secret in seen] == []


def test_a_file_that_is_missing_is_named_and_nothing_changes(stack: Stack) -> None:
    stack.configure(PGBACKREST_REPO1_TYPE="posix", POSTGRES_PASSWORD_FILE="/run/secrets/no-such-file")
    result = stack.make("deploy")
    assert result.code == 10, result.output
    assert (
        "POSTGRES_PASSWORD: the file that POSTGRES_PASSWORD_FILE names cannot be read: /run/secrets/no-such-file"
        in result.output
    )
    assert stack.is_open()
    wait_until(lambda: stack.doing().startswith("idle"), 30, "a supervisor that does not mind")


def test_given_both_ways_is_refused(stack: Stack) -> None:
    stack.configure(PGBACKREST_REPO1_TYPE="posix", POSTGRES_PASSWORD_FILE="/run/secrets/x", POSTGRES_PASSWORD="y")
    result = stack.make("config-check")
    assert result.code == 2, result.output
    assert "set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, not both" in result.output


def test_nothing_is_left_in_the_folder_of_secrets() -> None:
    """What the repository keeps there is a .gitignore."""
    assert Path(ROOT / "secrets" / ".gitignore").exists()
