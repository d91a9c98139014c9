"""`wal-emergency` and `wal-resume`: plan, question, deed. `scripts/wal-emergency` makes the local dump between the two."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

import click

from backup import logs, oplock
from backup.commands import opening
from backup.deployment import Deployment
from backup.emergency import begin, dumps, gap, outage, plan, resume, situation
from backup.emergency.dumps import Room, Target
from backup.emergency.plan import Rows
from backup.postgres import DatabaseError
from backup.units import human_bytes
from contract.errors import ProductError
from contract.exits import Exit

LOCK_PATIENCE_SECONDS = 5.0


@click.group("wal-emergency")
def wal_emergency() -> None:
    """Give up WAL that cannot be archived, before the disk is full. Use `make wal-emergency`."""


@wal_emergency.command("plan")
@click.option("--directory", default="", help="Where a local dump would go; none is planned without it.")
@click.option("--free", default=0, help="What is free there, in bytes.")
@click.option("--device", default=0, help="The number of that directory's device.")
@click.option("--override", is_flag=True, help="Although another repository receives all WAL.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def show_plan(directory: str, free: int, device: int, *, override: bool, yes: bool) -> None:
    """Show what would be lost, freed and left, and ask. Changes nothing."""
    deployment = Deployment.open()
    for name, text in _planned(deployment, Target(directory, free, device), override=override):
        click.echo(f"  {name:<11} {text}")
    if yes or (sys.stdin.isatty() and click.confirm("Give up this WAL?", default=False)):
        return
    raise ProductError(
        "not confirmed; nothing was changed", hint="answer y, or run it with CONFIRM=yes", exit_code=Exit.NOT_CONFIRMED
    )


def _planned(deployment: Deployment, target: Target, *, override: bool) -> Rows:
    try:
        found = situation.gather(deployment)
    except DatabaseError as error:
        return outage.planned(deployment, error)
    lever = found.wal.emergency
    if lever is not None:
        since = deployment.local(lever.since)
        return (("now", f"the WAL emergency is on since {since}; what was begun then is done to its end"),)
    dump = _room(deployment, target) if target.directory else None
    rows = plan.describe(found, dump, deployment.local)
    try:
        plan.require(found, override=override)
    except plan.RefusedError:
        for name, text in rows if found.current else ():
            click.echo(f"  {name:<11} {text}")
        raise
    return rows


def _room(deployment: Deployment, target: Target) -> Room:
    size, _ = deployment.postgres.dumped()
    return dumps.room(target, size, deployment.volumes.database.stat().st_dev)


@wal_emergency.command("pull")
@click.option("--override", is_flag=True, help="Although another repository receives all WAL.")
def pull(*, override: bool) -> None:
    """Give it up now, without a question."""
    logs.configure()
    deployment = opening.interruptible()
    with _alone(deployment, "WAL emergency"):
        try:
            found = situation.gather(deployment)
        except DatabaseError as error:
            freed = outage.give_up(deployment, error, click.echo)
        else:
            plan.require(found, override=override)
            lever = begin.pull(deployment, "operator", found.wal)
            click.echo("archive_command is the lever now: nothing is archived")
            freed = begin.free(deployment, click.echo)
            begin.record(deployment, lever)
    click.echo(
        f"Done: {human_bytes(freed.before)} were free, {human_bytes(freed.after)} are now. Nothing is archived or backed up "
        "until `make wal-resume`: run it as soon as the repository is reachable."
    )


@click.command("wal-resume")
def wal_resume() -> None:
    """End the WAL emergency: archiving, then a full backup into every repository. Stays in it when that cannot be."""
    logs.configure()
    deployment = opening.interruptible()
    with _alone(deployment, "end of the WAL emergency"):
        found = resume.resume(deployment, click.echo)
    if found is None:
        click.echo("nothing to resume: no WAL emergency is on")
        return
    click.echo(f"Done: {gap.sentence(found, deployment.local)}.")


def _alone(deployment: Deployment, what: str) -> AbstractContextManager[None]:
    return oplock.hold(
        deployment.volumes.emergency_lock,
        what,
        patience_seconds=LOCK_PATIENCE_SECONDS,
        stop=deployment.stop,
        on_wait=lambda holder: click.echo(f"waiting for the {holder} to end"),
    )
