"""What a restore has in its hands while it holds the lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backup.deployment import Deployment
from backup.restore.container import DatabaseContainer


@dataclass(frozen=True)
class Scene:
    """The doors: `say` tells the operator a step, `log` takes every line, also those of the programs."""

    deployment: Deployment
    container: DatabaseContainer
    say: Callable[[str], None]
    log: Callable[[str], None]
