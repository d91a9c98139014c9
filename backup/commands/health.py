"""`healthcheck`: loads no library but click, for monitoring asks often."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import click

from backup import health
from contract import paths


@click.command()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def healthcheck(output: str) -> None:
    """Tell whether the promise is kept: 0 ok, 1 warning, 2 critical, 3 unknown. Asks neither database nor repository."""
    found = health.look(paths.HISTORY, datetime.now(UTC))
    click.echo(json.dumps(found.as_json(), indent=2) if output == "json" else "\n".join(found.as_lines()))
    sys.exit(found.level)
