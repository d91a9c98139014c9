"""`status` and `history`: how things are, what was done. They load little, for somebody waits."""

from __future__ import annotations

import json
import sys

import click

from backup.deployment import Deployment
from backup.showing import report, runs, screen, status
from backup.state.gaps import Gaps
from contract.exits import Exit


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
    gaps = Gaps(deployment.store).all()
    found, wal = (runs.trends(deployment, kind), runs.wal_trend(deployment)) if trend else (None, None)
    if output == "json":
        answer = runs.as_json(listed, found, wal) | {"recovery_gaps": runs.gaps_as_json(gaps)}
        click.echo(json.dumps(answer, indent=2))
    elif found is not None:
        runs.print_trends(report.console(), found, wal, deployment.zone)
    else:
        out = report.console()
        out.print(runs.runs_table(listed, deployment.zone))
        report.print_gaps(out, gaps, deployment.zone)
