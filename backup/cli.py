"""The command `salespider-backup`: what an operator types, and what the containers run."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

_LOADED_WHEN_ASKED_FOR: Final = {
    "adopt": ("backup.commands.adopting", "adopt"),
    "backup": ("backup.commands.taking", "backup"),
    "check": ("backup.commands.checking", "check"),
    "emergency-dump": ("backup.emergency.dump_command", "emergency_dump"),
    "healthcheck": ("backup.commands.health", "healthcheck"),
    "history": ("backup.commands.looking", "history"),
    "info": ("backup.commands.listing", "info"),
    "notify-test": ("backup.notify.command", "notify_test"),
    "peek": ("backup.peek.command", "peek"),
    "repo-add": ("backup.commands.moving", "repo_add"),
    "repo-retire": ("backup.commands.moving", "repo_retire"),
    "repository-check": ("backup.commands.checking", "repository_check"),
    "restore": ("backup.restore.command", "restore"),
    "restore-point": ("backup.restore.point_command", "restore_point"),
    "retention": ("backup.commands.listing", "show_retention"),
    "schedule": ("backup.due.schedule_command", "show"),
    "stanza-upgrade": ("backup.commands.adopting", "stanza_upgrade"),
    "status": ("backup.commands.looking", "show_status"),
    "storage-check": ("backup.commands.storing", "storage_check"),
    "supervise": ("backup.commands.supervising", "supervise"),
    "wal-emergency": ("backup.emergency.command", "wal_emergency"),
    "wal-resume": ("backup.emergency.command", "wal_resume"),
    "wal-status": ("backup.watch.command", "wal_status"),
    "wait-for-backup": ("backup.commands.taking", "wait_for_backup"),
}
"""Module and name of each verb."""


class _Verbs(click.Group):
    """Loads a verb when it is asked for: the libraries of the others are memory and time that it need not spend."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *_LOADED_WHEN_ASKED_FOR])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in _LOADED_WHEN_ASKED_FOR:
            return super().get_command(ctx, cmd_name)
        module, name = _LOADED_WHEN_ASKED_FOR[cmd_name]
        if cmd_name != "healthcheck":  # which logs nothing
            _load_structlog_alone()
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


def _load_structlog_alone() -> None:
    """Load structlog without rich, which it takes along to draw tracebacks that we do not show: 6 MiB, and 0.1 s."""
    if "structlog" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python itself notes that there is no such module
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Backups of the SaleSpider database: run them, look at them, restore them."""
