"""A host is lost with everything on it but the disk with the backups; one sealed file brings it back on another one."""

from __future__ import annotations

import stat
import uuid
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import ROOT, Stack, wait_until

OWN = uuid.uuid4().hex[:8]
EXTRA = ROOT / "config" / f"test-{OWN}.conf"
CA = ROOT / "secrets" / f"test-{OWN}.pem"
SETTINGS = "# what only this shop has set\nautovacuum_naptime = '37s'\n"
PASSWORD = "correct horse battery staple"
SALES = "SELECT count(*) || ' ' || md5(string_agg(id || note, ',' ORDER BY id)) FROM sale"
UNPROTECTED = "not protected against loss of this host"


@pytest.fixture(scope="module")
def shop(stacks: Stacks) -> Stack:
    """A shop with sales before and after its backup, a setting whose value needs quoting, and two files of its own."""
    stack = stacks.new()
    EXTRA.write_text(SETTINGS)
    CA.write_text(stack.in_helper("openssl req -x509 -nodes -newkey rsa:2048 -subj /CN=x -keyout /dev/null 2>/dev/null", {}))
    for file in (EXTRA, CA):
        stacks.at_end(partial(file.unlink, missing_ok=True))
    stack.configure(
        PGBACKREST_REPO1_TYPE="posix",
        PGBACKREST_REPO1_PATH=str(stack.directory / "backups"),
        BACKUP_CPU_LIMIT="2",
        BACKUP_SCHEDULE_DIFF="30 4 * * 1-6",
        POSTGRES_PASSWORD='pa$$word "with" # signs',
        POSTGRES_EXTRA_CONFIG=f"./config/{EXTRA.name}",
        PGBACKREST_REPO1_STORAGE_CA_FILE=f"/run/secrets/{CA.name}",
    )
    stack.start()
    stack.sql("CREATE TABLE sale AS SELECT id, md5(id::text) AS note FROM generate_series(1, 2000) id")
    assert stack.make("backup").code == 0
    stack.sql("INSERT INTO sale SELECT id, md5(id::text) FROM generate_series(2001, 3000) id")
    return stack


@pytest.fixture(scope="module")
def password_file(shop: Stack) -> Path:
    file = shop.directory / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


@pytest.fixture(scope="module")
def kit(shop: Stack, password_file: Path) -> Path:
    file = shop.directory / "kit.jwe"
    result = shop.make("recovery-kit", FILE=str(file), KIT_PASSWORD_FILE=str(password_file))
    assert result.code == 0, result.output
    return file


def passphrase(stack: Stack) -> str:
    return stack.in_helper("cat /s/repo1-cipher-pass", {"/s": stack.volume("pgbackrest-secrets")}).strip()


def test_the_kit_is_one_file_that_tells_nothing(shop: Stack, kit: Path) -> None:
    text = kit.read_text()
    assert stat.S_IMODE(kit.stat().st_mode) == 0o600
    assert text.count("\n") == 1
    assert passphrase(shop) not in text
    assert [path.name for path in shop.directory.glob("kit.jwe*")] == ["kit.jwe"]


def test_no_kit_is_overwritten(shop: Stack, kit: Path, password_file: Path) -> None:
    before = kit.read_bytes()
    result = shop.make("recovery-kit", FILE=str(kit), KIT_PASSWORD_FILE=str(password_file))
    assert result.code == 2, result.output
    assert kit.read_bytes() == before


def test_without_a_terminal_and_a_password_file_nothing_happens(shop: Stack) -> None:
    result = shop.make("recovery-kit", FILE=str(shop.directory / "other.jwe"))
    assert result.code == 19, result.output
    assert not (shop.directory / "other.jwe").exists()


def test_a_wrong_password_opens_nothing(shop: Stack, kit: Path, password_file: Path) -> None:
    wrong = shop.directory / "wrong-password"
    wrong.write_text("incorrect horse battery staple\n")
    result = shop.make("recovery-kit-verify", FILE=str(kit), KIT_PASSWORD_FILE=str(wrong))
    assert result.code == 10, result.output
    assert "the password is wrong, or the file is damaged" in result.output
    assert UNPROTECTED in shop.make("status").output


def test_a_kit_for_a_public_key_opens_with_the_private_one(shop: Stack) -> None:
    private, public = shop.directory / "private.pem", shop.directory / "public.pem"
    key = shop.in_helper("openssl genpkey -algorithm X25519 2>/dev/null", {})
    private.write_text(key)
    public.write_text(shop.in_helper("openssl pkey -pubout", {}, stdin=key))
    file = shop.directory / "key.jwe"
    assert shop.make("recovery-kit", FILE=str(file), KEY=str(public)).code == 0
    assert shop.make("recovery-kit-verify", FILE=str(file), KEY=str(public)).code == 10
    assert shop.make("recovery-kit-verify", FILE=str(file), KEY=str(private)).code == 0


def test_a_verified_kit_ends_the_warning(shop: Stack, kit: Path, password_file: Path) -> None:
    result = shop.make("recovery-kit-verify", FILE=str(kit), KIT_PASSWORD_FILE=str(password_file))
    assert result.code == 0, result.output
    assert UNPROTECTED not in shop.make("status").output
    assert UNPROTECTED not in shop.make("backup-check").output
    assert UNPROTECTED not in shop.make("deploy").output


def test_an_empty_host_gets_everything_back(stacks: Stacks, shop: Stack, kit: Path, password_file: Path) -> None:
    """Only the disk with the backups and the kit are left: settings, secrets and then the data come back."""
    sales, settings, secret = shop.sql(SALES), shop.sql("SHOW max_connections"), passphrase(shop)
    shop.exec("postgres", "psql", "-qX", "-U", "postgres", "-c", "SELECT pg_switch_wal()")
    wait_until(
        lambda: shop.sql("SELECT last_archived_wal >= pg_walfile_name('0/0') FROM pg_stat_archiver"), 30, "the archiver"
    )
    shop.compose("--profile", "ops", "down", "--volumes")

    authority = CA.read_text()
    for file in (EXTRA, CA):
        file.unlink()
    host = stacks.new()
    host.env_file.unlink()
    result = host.make("deploy", FROM_KIT=str(kit), KIT_PASSWORD_FILE=str(password_file))
    assert result.code == 0, result.output
    assert "make restore-latest" in result.output
    assert stat.S_IMODE(host.env_file.stat().st_mode) == 0o600
    assert EXTRA.read_text() == SETTINGS
    assert authority.strip() in host.env_file.read_text()
    assert passphrase(host) == secret
    assert not host.is_open()

    result = host.make("restore-latest", CONFIRM="yes")
    assert result.code == 0, result.output
    assert host.sql(SALES) == sales
    assert host.sql("SHOW max_connections") == settings
    assert host.sql("SHOW autovacuum_naptime") == "37s"
    assert host.make("password").stdout == 'pa$$word "with" # signs\n'
    wait_until(lambda: host.doing().startswith("idle"), 60, "an idle supervisor")
    assert host.make("backup").code == 0, "the restored database is backed up like the old one"
    status = host.make("status")
    assert "diff backup" in status.output
    assert UNPROTECTED not in status.output


def test_another_env_is_not_overwritten(stacks: Stacks, kit: Path, password_file: Path) -> None:
    host = stacks.new(TZ="Europe/Berlin")
    before = host.env_file.read_text()
    result = host.make("deploy", FROM_KIT=str(kit), KIT_PASSWORD_FILE=str(password_file))
    assert result.code == 10, result.output
    assert host.env_file.read_text() == before
    assert [path.name for path in host.directory.glob("*env*")] == [host.env_file.name], "nothing is left beside it"
