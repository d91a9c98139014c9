"""`info`, `status` and `history`: what there is, how things are, what was done."""

from __future__ import annotations

import json
import sys

import click

from backup import jobs, report, retention, runs, screen, status
from backup.deployment import Deployment
from backup.postgres import DatabaseError
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


@click.command("status")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show_status(output: str) -> None:
    """Show how things are: database, archiver, disks, window, backups, alarms. Ends with 20 when one is critical."""
    deployment = Deployment.open()
    found = status.gather(deployment)
    if output == "json":
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        screen.print_status(report.console(), found, deployment.config)
    sys.exit(Exit.OK if found.is_kept else Exit.CHECK_FAILED)


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--type", "kind", type=click.Choice(["full", "diff", "incr"]), help="Backups of this type only.")
@click.option("--trend", is_flag=True, help="How the last runs compare with those before, instead of the list.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def history(limit: int, kind: str | None, output: str, *, trend: bool) -> None:
    """List the latest runs and how they ended, with durations, sizes and rates, or their trend."""
    deployment = Deployment.open()
    listed = deployment.history.recent("backup" if kind else None, what=kind, limit=limit)
    found, wal = (runs.trends(deployment, kind), runs.wal_trend(deployment)) if trend else (None, None)
    if output == "json":
        click.echo(json.dumps(runs.as_json(listed, found, wal), indent=2))
    elif found is not None:
        runs.print_trends(report.console(), found, wal, deployment.zone)
    else:
        report.console().print(runs.runs_table(listed, deployment.zone))


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
    found = [retention.forecast(deployment, r, info, archived_at) for r in deployment.config.repositories]
    if output == "json":
        click.echo(json.dumps([each.as_json() for each in found], indent=2))
    else:
        report.print_forecasts(report.console(), found, deployment.zone)
