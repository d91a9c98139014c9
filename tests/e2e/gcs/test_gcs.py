"""Google Cloud Storage: the whole cycle with fake-gcs-server."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.cycle import FullCycle
from tests.e2e.stack import Stack


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
    shop.configure(SETUP_BACKUP="true", BACKUP_RETENTION_FULL="1", BACKUP_CPU_LIMIT="2", **store.variables())
    return GcsBucket(store)


class TestGcs(FullCycle):
    """The cycle, and the command that the guide prints to test the connection."""

    def test_the_guides_command_lists_the_bucket(self, shop: Stack) -> None:
        address = "gs://salespider-backups"
        assert shop.exec("backup", "gsutil", "ls", address).stdout == f"{address}/pgbackrest/\n"
        stanza = f"{address}/pgbackrest/backup/salespider"
        assert f"{stanza}/backup.info" in shop.exec("backup", "gsutil", "ls", stanza).stdout.splitlines()
        assert shop.exec("backup", "gsutil", "cat", f"{stanza}/backup.info").stdout.startswith("Salted__")
        missing = shop.exec("backup", "gsutil", "ls", f"{address}/elsewhere", check=False)
        assert (missing.code, missing.stdout) == (14, "")
