"""`supervise`: what the backup container runs for months, with nothing in memory that it does not need."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import click


@click.command()
def supervise() -> None:
    """Keep the schedule. This is what the backup container runs."""
    sys.exit(_loaded("backup.commands.running").run())


def _loaded(name: str) -> ModuleType:
    """Load a module without rich, which structlog would take along, 6 MiB, to draw tracebacks that we do not show."""
    if "structlog" in sys.modules:
        return importlib.import_module(name)
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python itself notes that there is no such module
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules["rich"]
