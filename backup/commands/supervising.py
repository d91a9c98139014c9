"""`supervise`: what the backup container runs for months, with nothing in memory that it does not need."""

from __future__ import annotations

import sys

import click

from backup import logs
from backup.commands import opening
from backup.deployment import BackupsOffError, ConfigurationError, Volumes, load_config
from backup.supervision import supervise as loop
from contract import events
from contract.exits import Exit
from contract.supervisor import LogFormat


@click.command()
def supervise() -> None:
    """Keep the schedule. This is what the backup container runs."""
    sys.exit(_run())


def _run() -> Exit:
    """Choose the form of the log, and run the supervisor. Backups that are off are what was asked for: 0."""
    logs.configure(_log_format())
    try:
        return loop.supervise(opening.interruptible())
    except BackupsOffError as error:
        logs.logger().info(events.BACKUPS_OFF, reason=error.reason, hint=error.hint)
        return Exit.OK


def _log_format() -> LogFormat:
    try:
        return load_config(Volumes().config)[0].log_format
    except ConfigurationError:  # which opening the deployment says better
        return "auto"
