"""`info` and `retention`: the backups there are, and those that will stay."""

from __future__ import annotations

import json
import sys

import click

from backup.deployment import Deployment
from backup.emergency import gap
from backup.keeping import retention
from backup.postgres import DatabaseError
from backup.showing import report
from backup.state.gaps import Gaps
from backup.taking import jobs
from contract.exits import Exit


@click.command()
@click.option("--output", type=click.Choice(["table", "json", "text"]), default="table", show_default=True)
def info(output: str) -> None:
    """List the backups. `json` and `text` are pgbackrest's own."""
    deployment = Deployment.open()
    if output == "table":
        answer = jobs.read_info(deployment)
        out = report.console()
        report.print_info(out, answer, deployment.config)
        report.print_gaps(out, gap.merged(Gaps(deployment.store).all(), gap.of_info(answer)), deployment.zone)
        unusable = [repository for repository in answer.repositories if not repository.is_usable]
        sys.exit(Exit.REPOSITORY if unusable else Exit.OK)
    click.echo(jobs.raw_info(deployment, as_json=output == "json"), nl=False)


@click.command("retention")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show_retention(output: str) -> None:
    """Show what the next expire would remove, and the window that remains. Removes nothing."""
    deployment = Deployment.open()
    info = jobs.read_info(deployment)
    try:
        archived_at = deployment.postgres.archiver().last_archived_at
    except DatabaseError:
        archived_at = None  # the windows then end with their last backups
    unusable = {r.key: r for r in info.repositories if not r.is_usable}
    readable = [r for r in deployment.config.repositories if r.key not in unusable]
    found = [retention.forecast(deployment, r, info, archived_at) for r in readable]
    if output == "json":
        click.echo(json.dumps([each.as_json() for each in found], indent=2))
    else:
        report.print_forecasts(report.console(), found, deployment.zone)
    for repository in unusable.values():
        click.echo(f"repository {repository.key} cannot be read: {repository.message}", err=True)
    if unusable:
        sys.exit(Exit.REPOSITORY)
