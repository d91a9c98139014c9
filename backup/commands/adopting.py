"""`adopt` and `stanza-upgrade`: the operator says that another cluster is the right one from now on."""

from __future__ import annotations

import click

from backup import logs
from backup.commands import opening
from backup.deployment import Deployment
from backup.ownership import adopt as adoption
from backup.ownership import cluster
from contract.errors import ProductError
from contract.exits import Exit


@click.command()
@click.option("--i-know", is_flag=True, help="The running database is the right one.")
def adopt(*, i_know: bool) -> None:
    """Back up the running database from now on, although the backups are of another one. Shows both first."""
    logs.configure()
    deployment = opening.interruptible()
    standing = adoption.look(deployment)
    if standing.objection is None:
        click.echo(f"nothing to adopt: the backups are of the running database ({standing.seen})")
        return
    for name, text in adoption.describe(standing, deployment):
        click.echo(f"  {name:<13} {text}")
    if not i_know:
        raise ProductError(
            "not confirmed; nothing was changed",
            hint=f"{cluster.RESTORE}; or, {cluster.ADOPT}",
            exit_code=Exit.NOT_CONFIRMED,
        )
    _adopt(deployment)


@click.command("stanza-upgrade")
def stanza_upgrade() -> None:
    """Go on after pg_upgrade: back up the new major version from now on. Refuses any other change."""
    logs.configure()
    deployment = opening.interruptible()
    adoption.require_upgrade(adoption.look(deployment))
    _adopt(deployment)


def _adopt(deployment: Deployment) -> None:
    now = adoption.adopt(deployment, click.echo)
    click.echo(f"adopted: {now}; now a full backup into each repository")
    for outcome in adoption.first_backups(deployment, click.echo):
        if outcome.state != "succeeded":
            hint = f"{outcome.hint}; then `make backup`: the database is adopted, and not yet backed up"
            raise ProductError(outcome.message, hint=hint, exit_code=Exit.BACKUP_FAILED)
        click.echo(f"Done: {outcome.message}, {outcome.seconds:.1f} s.")
