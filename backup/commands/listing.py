"""`info`: the backups there are."""

from __future__ import annotations

import sys

import click

from backup import jobs, report
from backup.deployment import Deployment
from contract.exits import Exit


@click.command()
@click.option("--output", type=click.Choice(["table", "json", "text"]), default="table", show_default=True)
def info(output: str) -> None:
    """List the backups. `json` and `text` are pgbackrest's own."""
    deployment = Deployment.open()
    if output == "table":
        answer = jobs.read_info(deployment)
        report.print_info(report.console(), answer, deployment.config)
        unusable = [repository for repository in answer.repositories if not repository.is_usable]
        sys.exit(Exit.REPOSITORY if unusable else Exit.OK)
    click.echo(jobs.raw_info(deployment, as_json=output == "json"), nl=False)
