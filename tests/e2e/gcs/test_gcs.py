"""Google Cloud Storage: the whole cycle with fake-gcs-server, and with the key of a service account as the guide has it.

The emulator takes any token. So the scenario has a token endpoint of its own, which checks what the key has signed.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.conftest import Stacks
from tests.e2e.cycle import FullCycle
from tests.e2e.stack import HELPER_IMAGE, Stack

TOKEN_HOST = "token.store.test"
TOKEN_URI = f"https://{TOKEN_HOST}:8443/token"
ACCOUNT = "salespider-backup@your-project.iam.gserviceaccount.com"


class GcsBucket:
    """The bucket as the emulator keeps it: one file for each object."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def names(self) -> list[str]:
        return sorted(self._store.sh(f"cd /data/{self._store.bucket}; find . -type f -printf '%P\\n'").splitlines())

    def contents(self) -> dict[str, bytes]:
        names = self.names()
        script = f"cd /data/{self._store.bucket}; for name in {' '.join(names)}; do base64 -w0 $name; echo; done"
        return {name: base64.b64decode(line) for name, line in zip(names, self._store.sh(script).splitlines(), strict=True)}

    def holds(self, text: str) -> bool:
        return bool(self._store.sh(f"grep -rlaF {text} /data || true"))


@pytest.fixture(scope="module")
def shop(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def bucket(stacks: Stacks, shop: Stack) -> GcsBucket:
    store = stacks.store("gcs", shop)
    given = {name: value for name, value in store.variables().items() if "_GCS_KEY" not in name}
    key = service_account(shop, store)
    shop.configure(SETUP_BACKUP="true", BACKUP_RETENTION_FULL="1", BACKUP_CPU_LIMIT="2", GCS_KEY=str(key), **given)
    return GcsBucket(store)


def service_account(shop: Stack, store: Any) -> Path:
    """Make an account with a key, and start the endpoint that its tokens come from; return the file with the key."""
    folder = shop.directory / "token"
    folder.mkdir(mode=0o755)
    store.authority.certify(folder, TOKEN_HOST)
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(public)
    (folder / "server.py").write_text((Path(__file__).with_name("token_server.py")).read_text())
    shop.run(
        *("docker", "run", "--detach", "--name", shop.container("token"), "--network", f"{shop.project}-net"),
        *("--network-alias", TOKEN_HOST, "--label", f"com.docker.compose.project={shop.project}", "--user", "0:0"),
        *("--volume", f"{folder}:/token:ro", "--entrypoint", "python3", HELPER_IMAGE, "/token/server.py"),
        *("/token/public.pem", ACCOUNT, TOKEN_URI),
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = {"type": "service_account", "client_email": ACCOUNT, "private_key": secret.decode(), "token_uri": TOKEN_URI}
    file = shop.directory / "service-account-key.json"
    file.write_text(json.dumps(key))
    file.chmod(0o600)
    return file


class TestGcs(FullCycle):
    """The cycle, the tokens, and the command that the guide prints to test the connection."""

    def test_every_token_was_got_with_the_key(self, shop: Stack) -> None:
        answers = set(shop.logs("token").split("\n")) & {"issued", "expired", "another grant type"}
        assert answers == {"issued"}

    def test_the_guides_command_lists_the_bucket(self, shop: Stack) -> None:
        address = "gs://salespider-backups"
        assert shop.exec("backup", "gsutil", "ls", address).stdout == f"{address}/pgbackrest/\n"
        stanza = f"{address}/pgbackrest/backup/salespider"
        assert f"{stanza}/backup.info" in shop.exec("backup", "gsutil", "ls", stanza).stdout.splitlines()
        assert shop.exec("backup", "gsutil", "cat", f"{stanza}/backup.info").stdout.startswith("Salted__")
        missing = shop.exec("backup", "gsutil", "ls", f"{address}/elsewhere", check=False)
        assert (missing.code, missing.stdout) == (14, "")
