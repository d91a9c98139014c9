"""`restore-point`: give this moment a name that a restore can end at, and remember where it lies."""

from __future__ import annotations

import re
from typing import Final

import click

from backup import logs
from backup.deployment import Deployment
from backup.ledger import wal
from backup.notice import Notice
from backup.state.points import Points, RestorePoint
from backup.state.store import StoreError
from contract import events
from contract.errors import ProductError
from contract.exits import Exit

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,62}", re.ASCII)


@click.command("restore-point")
@click.argument("name", required=False)
@click.option("--list", "lists", is_flag=True, help="List the points that were made.")
def restore_point(name: str | None, *, lists: bool) -> None:
    """Name this moment, so that a restore can end exactly here: before a release, before a risky change."""
    logs.configure()
    deployment = Deployment.open()
    if lists or name is None:
        for point in Points(deployment.store).all():
            click.echo(f"{point.name}  {deployment.local(point.at)}  timeline {point.timeline}  {wal.format_lsn(point.lsn)}")
        if not lists:
            raise ProductError("no name given", hint="salespider-backup restore-point NAME", exit_code=Exit.USAGE)
        return
    point = make(deployment, name)
    click.echo(f"restore point {point.name}, {deployment.local(point.at)}, timeline {point.timeline}")
    click.echo(f"Back to it: make restore-pitr TARGET_TYPE=name TARGET={point.name}")


def make(deployment: Deployment, name: str) -> RestorePoint:
    """Make a point in the database and remember it. Raises DatabaseError, ProductError, StoreError.

    A name is taken once for a cluster: recovery would end at the first it meets.
    """
    if not NAME.fullmatch(name):
        hint = "letters, digits and . _ : - only, 63 at most, the first a letter or digit: before-release-2.0"
        raise ProductError(f"not a name for a restore point: {name!r}", hint=hint, exit_code=Exit.USAGE)
    points = Points(deployment.store)
    system_id = deployment.postgres.server().system_id
    if (earlier := points.find(name, system_id)) is not None:
        made = f"it was made at {deployment.local(earlier.at)}; recovery would end there"
        raise ProductError(
            f"there is a restore point {name!r} already", hint=f"{made}: take another name", exit_code=Exit.USAGE
        )
    system_id, lsn, timeline, at = deployment.postgres.restore_point(name)
    point = RestorePoint(name, system_id, timeline, wal.parse_lsn(lsn), at)
    try:
        points.add(point)
    except StoreError as error:
        hint = "it is in the WAL, and a restore to it looks for it there; see the free space of the volume backup-state"
        raise ProductError(f"restore point {name} was made and could not be remembered: {error}", hint=hint,
                           exit_code=Exit.UNEXPECTED) from error  # fmt: skip
    summary = f"restore point {name} was made"
    deployment.teller.tell(Notice(events.RESTORE_POINT_MADE, "info", summary, facts={"name": name, "lsn": lsn}))
    return point
