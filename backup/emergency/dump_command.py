"""`emergency-dump`: a logical dump that needs no repository. `scripts/emergency-dump` puts it into a file of the host."""

from __future__ import annotations

import sys

import click

from backup import process
from backup.commands import opening
from backup.deployment import Deployment
from backup.emergency import dumps
from backup.emergency.dumps import Target
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit

LONGEST_SECONDS = 7 * 24 * 3600.0
LIST_SECONDS = 600.0


class DumpError(ProductError):
    """There is no dump that anybody could rely on."""

    exit_code = Exit.BACKUP_FAILED


@click.group("emergency-dump")
def emergency_dump() -> None:
    """Dump the database without pgBackRest. Use `make emergency-dump`."""


@emergency_dump.command("plan")
@click.option("--directory", required=True, help="Where it would go.")
@click.option("--free", required=True, type=int, help="What is free there, in bytes.")
@click.option("--device", default=0, help="The number of that directory's device.")
def show_plan(directory: str, free: int, device: int) -> None:
    """Say whether a dump fits. Ends with 26 when it does not."""
    deployment = Deployment.open()
    size, tables = deployment.postgres.dumped()
    room = dumps.room(Target(directory, free, device), size, deployment.volumes.database.stat().st_dev)
    if not room.fits:
        message, hint = f"no local dump: it {room.words}", "name a directory on another disk: DIR=…"
        raise ProductError(message, hint=hint, exit_code=Exit.EMERGENCY)
    click.echo(f"local dump of {tables} tables {room.words}")


@emergency_dump.command("write")
def write() -> None:
    """Write a dump in pg_dump's custom format to standard output."""
    database = opening.interruptible().config.database
    argv = ("pg_dump", "--format=custom", f"--host={paths.SOCKET}", f"--port={database.port}", f"--username={database.user}")
    done = process.hand_through((*argv, "--no-password", f"--dbname={database.name}"), LONGEST_SECONDS)
    if done.exit_code != 0:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise DumpError(f"pg_dump: exit code {done.exit_code}: {said[-1]}", hint="nothing of it is kept; see the message")


@emergency_dump.command("check")
def check() -> None:
    """Read the table of contents of a dump from standard input, and compare its tables with the database's."""
    before = Deployment.open().postgres.dumped()[1]
    listing = process.filter_through(("pg_restore", "--list"), LIST_SECONDS)
    if listing.exit_code != 0:
        said = listing.stderr.strip().splitlines() or ["no message"]
        raise DumpError(f"the dump cannot be read back: {said[-1]}", hint="nothing of it is kept; run it again")
    found = dumps.tables_listed(listing.stdout.decode("utf-8", "replace"))
    if found != before:
        message = f"the dump holds {found} tables, and the database {before}"
        raise DumpError(message, hint="was a table made or dropped meanwhile? run it again")
    click.echo(f"its table of contents was read back: {found} tables, as many as the database has")
    sys.stdout.flush()
