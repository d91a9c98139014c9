"""The options that choose, the plan that comes of them, and the command that only shows it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from backup.deployment import Deployment
from backup.emergency import archive_end
from backup.emergency import gap as gaps
from backup.emergency.gap import Gap
from backup.keeping import inventory
from backup.ledger.wal import DEFAULT_SEGMENT_BYTES
from backup.pgbackrest import Info
from backup.restore.beside import room
from backup.restore.planning import cost as costs
from backup.restore.planning import knowledge, plan, words
from backup.restore.planning.cost import Cost
from backup.restore.planning.plan import Plan, Wanted
from backup.restore.planning.refusal import RefusedError
from backup.restore.planning.target import TargetKind, parse_moment, parse_value
from backup.restore.planning.window import Known
from backup.state.gaps import Gaps
from backup.state.points import Points

Command = TypeVar("Command", bound=Callable[..., Any])


def place_options(command: Command) -> Command:
    """Add the options that every verb has: from which repository, along which timeline."""
    for option in (
        click.option("--timeline", type=click.IntRange(1), help="Follow this timeline, and not the newest in the archive."),
        click.option("--repo", type=click.IntRange(1, 256), help="Use this repository alone."),
    ):
        command = option(command)
    return command


def target_options(command: Command) -> Command:
    """Add the options that say what a target is."""
    for option in (
        click.option("--exclusive", is_flag=True, help="End just before the target."),
        click.option(
            "--type", "kind", type=click.Choice(["time", "xid", "lsn", "name"]), default="time", help="What the target is."
        ),
    ):
        command = option(command)
    return command


def targeted(deployment: Deployment, target: str, kind: TargetKind, *, exclusive: bool) -> Wanted:
    """Return what is wanted by a target as it was typed. Raises RefusedError."""
    if kind == "time":
        at = parse_moment(target, deployment.now(), deployment.zone)
        return Wanted("pitr", at=at, is_exclusive=exclusive)
    return Wanted("pitr", kind=kind, value=parse_value(kind, target), is_exclusive=exclusive)


def planned(deployment: Deployment, wanted: Wanted, info: Info, *, settled: bool = False) -> tuple[Plan, Known]:
    """Make the plan; return it with all that it was made from. `settled`: the database's last WAL is archived by now.

    Raises RefusedError, RepositoryError.
    """
    given_up = gaps_of(deployment, info)
    plan.require_recoverable(wanted, given_up, deployment.zone)
    known = replace(knowledge.gather(deployment, wanted, info, settled=settled), gaps=given_up, container=_container())
    return plan.make_plan(wanted, known, deployment.now(), deployment.zone), known


def _container() -> str:
    """Return the name of the database's container, which the verbs of `restore` are told; nothing in another command."""
    context = click.get_current_context(silent=True)
    return getattr(context.obj, "container", "") if context is not None else ""


def require_archived(made: Plan) -> None:
    """Do nothing when the archive has all that a plan needs. Raises RefusedError."""
    if made.needs_tail:
        raise RefusedError(
            "the target lies in WAL that the archive never saw and only the database's disk holds",
            "restore beside, which uses it: `make restore-pitr` without IN_PLACE=yes",
        )


def gaps_of(deployment: Deployment, info: Info) -> tuple[Gap, ...]:
    """Return the intervals without point-in-time recovery; of one that goes on, the beginning that the archive tells."""
    found = []
    for each in gaps.merged(Gaps(deployment.store).all(), gaps.of_info(info)):
        since = None
        if not each.is_released and each.segment is not None:
            since = archive_end.last_commit(deployment, each.segment, DEFAULT_SEGMENT_BYTES)
        found.append(replace(each, since=since or each.since))
    return tuple(found)


def rows(deployment: Deployment, made: Plan, known: Known, info: Info, mode: room.Mode = "beside") -> words.Rows:
    """Return the whole plan for people: what, from where, how, and what it takes."""
    several = len(deployment.config.repositories) > 1
    asked = replace(info, repositories=known.info.repositories)
    read = (("read", words.sources(asked, deployment.zone)),) if several else ()
    told = words.describe(made, known, deployment.now(), deployment.zone)
    cost = _cost(deployment, made, known)
    found = room.room(cost.database_bytes, cost.free_bytes)
    how = room.describe(mode, found, deployment.config.restore_keep_previous_days)
    return (*told, *how, *read, *cost.in_words())


def _cost(deployment: Deployment, made: Plan, known: Known) -> Cost:
    restores = deployment.history.recent("restore", state="succeeded")
    try:
        free = shutil.disk_usage(deployment.volumes.database).free
    except OSError:
        free = None
    return costs.estimate(made, known, restores, free)


@click.command("plan")
@click.argument("target", required=False)
@click.option("--set", "label", help="Plan the restore of one backup set.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@target_options
@place_options
def show(**given: Any) -> None:
    """Show what a restore would do, or why it cannot be done, and change nothing: of the latest state, or of a target."""
    deployment = Deployment.open()
    as_json = given["output"] == "json"
    try:
        wanted = _wanted(deployment, given)
        info = inventory.read_info(deployment)
        made, known = planned(deployment, wanted, info)
    except RefusedError as refused:
        if as_json:
            click.echo(json.dumps({"possible": False, "refused": refused.message, "hint": refused.hint}, indent=2))
        raise
    told = rows(deployment, made, known, info)
    if as_json:
        click.echo(json.dumps(words.as_json(made, known, _cost(deployment, made, known), told), indent=2))
        return
    for name, text in told:
        click.echo(f"  {name:<11} {text}")
    for point in Points(deployment.store).all() if wanted.verb != "backup" else ():
        click.echo(
            f"  {'point':<11} {point.name}, made at {deployment.local(point.at)}: TARGET_TYPE=name TARGET={point.name}"
        )
    click.echo("nothing was changed")


def _wanted(deployment: Deployment, given: dict[str, Any]) -> Wanted:
    target, label = given["target"], given["label"]
    if target and label:
        raise RefusedError("both a target and a backup set are given", "give one of them")
    if label:
        wanted = Wanted("backup", label=label)
    elif target:
        wanted = targeted(deployment, target, given["kind"], exclusive=given["exclusive"])
    else:
        wanted = Wanted("latest")
    return replace(wanted, repo=given["repo"], timeline=given["timeline"])
