"""What `supervise` does: choose the form of the log, then keep the schedule until asked to stop."""

from __future__ import annotations

from backup import logs, supervise
from backup.commands import opening
from backup.deployment import BackupsOffError, ConfigurationError, Volumes, load_config
from contract import events
from contract.exits import Exit
from contract.supervisor import LogFormat


def run() -> Exit:
    """Run the supervisor; return the exit code. Backups that are off are what was asked for: 0."""
    logs.configure(_log_format())
    try:
        return supervise.supervise(opening.interruptible())
    except BackupsOffError as error:
        logs.logger().info(events.BACKUPS_OFF, reason=error.reason, hint=error.hint)
        return Exit.OK


def _log_format() -> LogFormat:
    try:
        return load_config(Volumes().config)[0].log_format
    except ConfigurationError:  # which opening the deployment says better
        return "auto"
