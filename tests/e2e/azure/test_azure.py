"""Azure Blob Storage: the whole cycle with Azurite, Microsoft's own emulator."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.cycle import FullCycle
from tests.e2e.stack import Stack


class AzureContainer:
    """The container by its own protocol."""

    def __init__(self, store: Any, shop: Stack) -> None:
        self._store, self._shop = store, shop

    def names(self) -> list[str]:
        listed = self._store.request("GET", f"{self._store.bucket}?comp=list&restype=container")
        return sorted(re.findall(r"<Name>([^<]+)</Name>", listed))

    def contents(self) -> dict[str, bytes]:
        """Through pgbackrest, which hands over what lies there: Azurite packs many objects into one file."""
        names = self.names()
        paths = " ".join(name.removeprefix("pgbackrest/") for name in names)
        script = f"for path in {paths}; do pgbackrest --log-level-console=off repo-get --raw $path | base64 -w0; echo; done"
        lines = self._shop.exec("backup", "sh", "-ceu", script).stdout.splitlines()
        return {name: base64.b64decode(line) for name, line in zip(names, lines, strict=True)}

    def holds(self, text: str) -> bool:
        return bool(self._store.sh(f"grep -rlaF {text} /data || true"))


@pytest.fixture(scope="module")
def shop(stacks: Stacks) -> Stack:
    return stacks.new()


@pytest.fixture(scope="module")
def bucket(stacks: Stacks, shop: Stack) -> AzureContainer:
    store = stacks.store("azure", shop)
    shop.configure(SETUP_BACKUP="true", BACKUP_RETENTION_FULL="1", BACKUP_CPU_LIMIT="2", **store.variables())
    return AzureContainer(store, shop)


class TestAzure(FullCycle):
    """The cycle."""
