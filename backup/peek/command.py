"""`peek`: the database at another moment. `scripts/peek` starts its container, and runs the other verbs in it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from backup import logs, process
from backup.commands import opening
from backup.deployment import Deployment
from backup.peek import choosing, place, words
from backup.peek.keeper import Keeper, Wish
from backup.peek.place import READY, SCRATCH, SERVER, PeekError
from backup.peek.standby import database
from backup.peek.tables import Table
from backup.restore import settings
from backup.restore.planning import choosing as planning
from backup.taking import jobs

LONGEST_SECONDS: Final = 7 * 24 * 3600.0
LIST_SECONDS: Final = 600.0
MOST_HOURS: Final = 168
NO_PEEK: Final = '`make peek TARGET="2024-01-01 12:00:00"` opens one'

_ONLY_READING: Final = "-c role=pg_read_all_data -c row_security=off -c temp_file_limit=1GB -c work_mem=8MB"
"""A superuser could end recovery (`pg_promote`) or run programs. What row security would hide is an error instead."""


@click.group()
def peek() -> None:
    """Look at the database as it was. Use the make targets: peek, peek-psql, peek-export, peek-close."""


@peek.command("open")
@click.option("--target", default="", help='The moment, such as "2024-01-01 12:00:00".')
@click.option("--backup-set", default="", help="The end of this backup instead.")
@click.option("--hours", envvar="PEEK_HOURS", type=click.FloatRange(0, MOST_HOURS, min_open=True), default=4.0)
@planning.place_options
def open_it(target: str, backup_set: str, hours: float, repo: int | None, timeline: int | None) -> None:
    """Open one, and keep it until it is closed or its hours are over."""
    logs.configure()
    deployment = opening.interruptible()
    with place.hold(deployment), logs.job_log(deployment.volumes.log, "peek.log", jobs.PROGRESS_SECONDS) as write:
        wish = Wish(replace(choosing.wanted(deployment, target, backup_set), repo=repo, timeline=timeline), hours)
        try:
            Keeper(deployment, write).run(wish)
        except OSError as error:
            raise PeekError(
                f"{error.filename or 'the volume'}: {error.strerror}", "see the free space: `make status`"
            ) from error


@peek.command("tidy")
def tidy() -> None:
    """Remove what peeks have left that were killed."""
    deployment = Deployment.open()
    with place.hold(deployment):
        removed = place.tidy(deployment.volumes.database)
    for name in removed:
        click.echo(f"removed: {name}")


@peek.command("psql")
@click.argument("statement", default="")
def psql(statement: str) -> None:
    """Look into the open peek with psql, or carry out one statement; read-only."""
    moment, live = _require_open(), Deployment.open().config.database
    argv = ("psql", f"--host={SCRATCH / SERVER}", f"--port={settings.PROOF_PORT}", f"--username={live.user}",
            f"--dbname={live.name}", f"--set=PROMPT1=peek at {moment} %/%R%# ")  # fmt: skip
    only = ("--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--command={statement}") if statement else ()
    variables = {"PGOPTIONS": _ONLY_READING, "PSQL_HISTORY": "/dev/null"}  # its home is the volume of the live database
    process.become((*argv, *only), variables)


@peek.command("export")
@click.argument("table")
def export(table: str) -> None:
    """Write a table with its data to standard output, in pg_dump's custom format."""
    found = _table(table)
    live = Deployment.open().config.database
    pattern = ".".join(_as_pattern(part) for part in (found.schema, found.relation))
    argv = ("pg_dump", "--format=custom", "--no-password", "--load-via-partition-root", f"--host={SCRATCH / SERVER}",
            f"--port={settings.PROOF_PORT}", f"--username={live.user}", f"--dbname={live.name}",
            f"--table-and-children={pattern}")  # fmt: skip
    done = process.hand_through(argv, LONGEST_SECONDS)
    if done.exit_code != 0:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise PeekError(f"pg_dump: exit code {done.exit_code}: {said[-1]}", "nothing of it is kept; see the message")


@peek.command("export-check")
@click.argument("table")
@click.option("--file", "file_name", required=True, help="What the file is going to be called.")
@click.option("--container", required=True, help="The live database's container.")
def export_check(table: str, file_name: str, container: str) -> None:
    """Read the table of contents of an export from standard input, and say how it is loaded."""
    found = _table(table)
    listing = process.filter_through(("pg_restore", "--list"), LIST_SECONDS)
    if listing.exit_code != 0 or b" TABLE DATA " not in listing.stdout:
        said = listing.stderr.strip().splitlines() or ["it holds no data"]
        raise PeekError(f"the export cannot be read back: {said[-1]}", "nothing of it is kept; run it again")
    click.echo(f"{found.name} is in {file_name}; the live database takes it")
    for line in words.loading(found, file_name, container, Deployment.open().config.database):
        click.echo(line)
    sys.stdout.flush()


def _require_open() -> str:
    """Return the moment that the open peek of this container shows. Raises PeekError."""
    try:
        return Path(SCRATCH / READY).read_text("utf-8")
    except OSError as error:
        raise PeekError("it is not open yet", "wait for `make peek` to say that it is") from error


def _table(name: str) -> Table:
    _require_open()
    found = database(Deployment.open(), SCRATCH).table(name)
    if found is None:
        raise PeekError(f"there is no {name} at that moment", 'see which there are: make peek-psql SQL="\\dt *.*"')
    if found.kind not in ("r", "p"):
        raise PeekError(f"{found.name} is no table", 'name a table; what a view shows: make peek-psql SQL="SELECT …"')
    return found


def _as_pattern(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
