"""`wal-status`: how the archiver, the write-ahead log and the disks stand, now."""

from __future__ import annotations

import json
import sys

import click

from backup.deployment import Deployment
from backup.showing import report
from backup.watch.summary import summarize
from backup.watch.table import table
from contract.exits import Exit


@click.command("wal-status")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def wal_status(output: str) -> None:
    """Show the WAL that waits, how fast it is written, and how long the disks last. Ends with 20 when an alarm stands."""
    deployment = Deployment.open()
    status = summarize(deployment)
    if output == "json":
        click.echo(json.dumps(status.as_json(), indent=2))
    else:
        report.console().print(table(status, deployment.zone))
    sys.exit(Exit.CHECK_FAILED if status.alarms else Exit.OK)
