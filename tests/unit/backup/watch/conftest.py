"""A disk whose free space is what a test says: the machine that runs the tests may be full itself."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from backup.watch import look

BLOCK = 4096


@dataclass
class Disk:
    """Sizes in bytes. `reserved` is what only root may fill."""

    free: int = 80 * 10**9
    total: int = 100 * 10**9
    reserved: int = 0

    def statvfs(self, _directory: object) -> SimpleNamespace:
        blocks, free, reserved = self.total // BLOCK, self.free // BLOCK, self.reserved // BLOCK
        return SimpleNamespace(f_frsize=BLOCK, f_blocks=blocks + reserved, f_bfree=free + reserved, f_bavail=free)


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(look, "os", SimpleNamespace(statvfs=made.statvfs))
    return made
