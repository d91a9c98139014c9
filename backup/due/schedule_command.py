"""`salespider-backup schedule`: the next runs, for people and as JSON. Reads the configuration and the clock only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from backup.deployment import Deployment
from backup.due import schedule
from backup.due.schedule import Planned
from backup.showing import report

DEFAULT_COUNT = 10


@click.command("schedule")
@click.option("--count", type=click.IntRange(1, 1000), default=DEFAULT_COUNT, show_default=True, help="How many runs.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def show(count: int, output: str) -> None:
    """Show the next runs of all types, and those that a more thorough one replaces. Asks neither database nor repository."""
    deployment = Deployment.open()
    now, zone = deployment.now(), deployment.zone
    runs = schedule.agenda(deployment.config.schedule.expressions(), zone, now, count)
    keys = tuple(repository.key for repository in deployment.config.repositories)
    if output == "json":
        click.echo(json.dumps([as_json(run, zone, keys) for run in runs], indent=2))
    elif runs:
        report.console().print(table(runs, zone, now, keys))
    else:
        click.echo("Nothing is scheduled.")


def as_json(run: Planned, zone: ZoneInfo, repositories: tuple[int, ...]) -> dict[str, Any]:
    """Return a run as values that JSON can hold; times are ISO 8601, `replaced_by` is null for a run that is taken."""
    return {
        "type": run.kind,
        "at": run.at.isoformat(),
        "local": run.at.astimezone(zone).isoformat(),
        "repositories": list(repositories),
        "replaced_by": run.replaced_by,
    }


def table(runs: tuple[Planned, ...], zone: ZoneInfo, now: datetime, repositories: tuple[int, ...]) -> Table:
    """Return the coming runs as a table, the next one first."""
    shown = Table(title=f"The next runs ({zone.key})", title_justify="left", header_style="bold")
    for heading in ("type", "local time", "UTC", "in", "repository"):
        shown.add_column(heading, no_wrap=True)
    everywhere = ", ".join(str(key) for key in repositories)
    for run in runs:
        where = f"none: the {run.replaced_by} one of the same time replaces it" if run.replaced_by else everywhere
        remaining = report.human_duration(run.at - now)
        when = f"{run.at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}", f"{run.at.astimezone(UTC):%Y-%m-%d %H:%M}"
        shown.add_row(run.kind, *when, remaining, where, style="dim" if run.replaced_by else None)
    return shown
