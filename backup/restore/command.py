"""The verbs of `salespider-backup restore`: plan, ask, do, report. `make restore-…` runs them in their own container."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from backup import logs, oplock, pgbackrest, throttled
from backup.deployment import Deployment
from backup.peek import place
from backup.pgbackrest import Info
from backup.restore import aftercare, branches, in_place, standing, tablespaces, tidying, transaction
from backup.restore.beside import room
from backup.restore.container import DatabaseContainer
from backup.restore.planning import choosing
from backup.restore.planning.plan import Plan, RefusedError, Wanted
from backup.restore.planning.target import TargetKind
from backup.restore.recorded import Doing, Settled, run_recorded, settle_cut_off
from backup.restore.scene import Scene
from backup.restore.swap import journal_file
from backup.restore.swap.switch import Switch
from backup.signals import stop_on_signals
from backup.taking import evidence, jobs
from contract.errors import ProductError
from contract.exits import Exit

LOCK_PATIENCE_SECONDS = 3600.0
REPOSITORY_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Options:
    """What the group was given: the container's name, and how to go about it."""

    container: str
    confirmed: bool
    in_place: bool
    check_indexes: bool


@click.group()
@click.option("--container", envvar="POSTGRES_CONTAINER", default="salespider-postgres", show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--in-place", is_flag=True, help="Overwrite the old database; needs less space, and cannot be undone.")
@click.option("--amcheck", is_flag=True, help="Look through the restored tables and indexes with pg_amcheck.")
@click.pass_context
def restore(context: click.Context, container: str, *, yes: bool, in_place: bool, amcheck: bool) -> None:
    """Bring the database back. Use the make targets: restore-latest, restore-backup, restore-pitr, restore-undo."""
    context.obj = Options(container, yes, in_place, amcheck)


@restore.command()
@choosing.place_options
@click.pass_obj
def latest(options: Options, repo: int | None, timeline: int | None) -> None:
    """Restore the latest state."""
    _carry_out(Wanted("latest", repo=repo, timeline=timeline), options)


@restore.command("backup")
@click.argument("backup_set")
@choosing.place_options
@click.pass_obj
def of_backup(options: Options, backup_set: str, repo: int | None, timeline: int | None) -> None:
    """Restore the state at the end of one backup set, such as 20240101-120000F."""
    _carry_out(Wanted("backup", label=backup_set, repo=repo, timeline=timeline), options)


@restore.command()
@click.argument("target")
@choosing.target_options
@choosing.place_options
@click.pass_obj
def pitr(options: Options, /, target: str, kind: TargetKind, **given: Any) -> None:
    """Restore the state at a moment, such as "2024-01-01 12:00:00" (local to TZ unless it has an offset), or at a place."""
    wanted = choosing.targeted(Deployment.open(), target, kind, exclusive=given["exclusive"])
    _carry_out(replace(wanted, repo=given["repo"], timeline=given["timeline"]), options)


restore.add_command(choosing.show)


@restore.command()
@click.pass_obj
def undo(options: Options) -> None:
    """Bring the database back that the last restore has replaced."""
    with _operation("undo", options) as scene:
        if _settled(scene, "undo", options) == "reverted":
            click.echo("There is nothing else to undo.")
            return
        deployment = scene.deployment
        kept = transaction.undoable(deployment, aftercare.kept_clusters(deployment.volumes.database))
        info = jobs.read_info(deployment)
        readable = tuple(repository.key for repository in info.repositories if repository.is_usable)
        way = transaction.Back(kept, branches.newest_timeline(info), readable, deployment.zone)
        scene.log(f"{deployment.now():%Y-%m-%d %H:%M:%S} UTC: restore (undo)")
        for name, text in way.described(deployment.config.restore_keep_previous_days):
            scene.log(f"  {name:<11} {text}")
        _ask("Put that database back?", confirmed=options.confirmed)
        stop_on_signals(deployment.stop)
        switch = Switch(scene)
        swap = transaction.way_back(deployment, way, in_place.restore_id(deployment.now()), scene.container)
        doing = Doing("undo", None, None, way.restored_to)
        run_recorded(scene, doing, lambda: transaction.restored(switch.finish(swap)))


@restore.command("status")
def show_status() -> None:
    """Show a restore that was cut off, the databases that are kept, and the last restore; changes nothing."""
    click.echo("\n".join(standing.lines(Deployment.open())))


@restore.command()
@click.pass_obj
def cleanup(options: Options) -> None:
    """Remove the databases that restores have replaced, as far as their time has come; --yes does not wait for that."""
    with _operation("cleanup", options) as scene:
        volume = scene.deployment.volumes.database
        removed = tidying.remove_due(scene.deployment, before_their_time=options.confirmed)
        aftercare.remove_tablespaces(volume, journal_file.load(volume))
        for verdict in removed:
            click.echo(f"removed: {verdict.kept.name}")
        for verdict in aftercare.verdicts(scene.deployment):
            click.echo(f"kept: {verdict.kept.name} ({verdict.reason})")
        if not removed:
            click.echo("nothing was removed")


@contextmanager
def _operation(verb: str, options: Options) -> Iterator[Scene]:
    logs.configure()
    deployment = Deployment.open()
    container = DatabaseContainer(options.container)
    with (
        ExitStack() as claim,
        oplock.hold(
            deployment.volumes.operation_lock,
            f"restore ({verb})",
            patience_seconds=LOCK_PATIENCE_SECONDS,
            stop=deployment.stop,
            on_wait=partial(_go_ahead, deployment.volumes.operation_lock, verb, options, claim),
        ),
        logs.job_log(deployment.volumes.log, "restore.log", jobs.PROGRESS_SECONDS) as write,
    ):
        if verb != "cleanup":
            _require_no_peek(deployment)
        yield Scene(deployment, container, say=lambda step: write(f"==> {step}"), log=write)


def _go_ahead(lock: Path, verb: str, options: Options, claim: ExitStack, holder: str) -> None:
    """Go ahead of a backup, which may take hours, or wait for a repository that is gone; wait for everything else."""
    if verb == "cleanup" or not oplock.gives_way(lock):
        click.echo(f"waiting for the {holder} to end")
        return
    click.echo(f"the {holder} is running; a restore goes first, and a backup follows it")
    _ask("Stop it? (n: nothing is changed; `make status` shows when it has ended)", confirmed=options.confirmed)
    claim.enter_context(oplock.ahead(lock))


def _require_no_peek(deployment: Deployment) -> None:
    """Do nothing while no peek is open: it takes the space that a restore beside has counted on. Raises RefusedError."""
    if place.is_open(deployment.volumes):
        raise RefusedError("a peek is open beside the database", "`make peek-close` ends it; then run the restore again")


def _carry_out(wanted: Wanted, options: Options) -> None:
    with _operation(wanted.verb, options) as scene:
        if _settled(scene, transaction.request(wanted), options) == "finished":
            return
        deployment = scene.deployment
        info = jobs.read_info(deployment)
        made, restored_to = _shown_plan(scene, wanted, info, options)
        scene.container.condition()  # there must be one, before anything is done
        _ask("Overwrite the database?" if options.in_place else "Replace the database?", confirmed=options.confirmed)
        stop_on_signals(deployment.stop)
        steps = in_place.InPlaceRestore(scene)
        cluster, must = info.cluster_of(made.backup), wanted.verb == "pitr"
        steps.settle(cluster, waits_for_archive=must, is_stored=_looking(deployment, info, made))
        # the settled WAL and whatever was backed up while the question stood are part of the plan now
        info = jobs.read_info(deployment, earlier=info)
        shown, (made, _) = made, choosing.planned(deployment, wanted, info, settled=True)
        for warning in made.warnings:
            if warning not in shown.warnings:
                scene.say(f"WARNING: {warning}")
        if options.in_place:
            choosing.require_archived(made)
        leaves_one = not options.in_place and journal_file.has_entries(deployment.volumes.pgdata / "global")
        doing = Doing(wanted.verb, made.backup.repo, made.backup.label, restored_to, leaves_one, info)
        run_recorded(scene, doing, lambda: _restored(scene, made, info, options, restored_to))


def _settled(scene: Scene, request: str, options: Options) -> Settled:
    """Finish or revert a restore that was cut off."""
    return settle_cut_off(scene, request, lambda question: _ask(question, confirmed=options.confirmed))


def _shown_plan(scene: Scene, wanted: Wanted, info: Info, options: Options) -> tuple[Plan, str]:
    """Make the plan and show it; return it, and what it brings back in words. Raises RefusedError."""
    deployment, write = scene.deployment, scene.log
    made, known = choosing.planned(deployment, wanted, info)
    write(f"{deployment.now():%Y-%m-%d %H:%M:%S} UTC: restore ({wanted.verb})")
    mode: room.Mode = "in place" if options.in_place else "beside"
    found = room.room(made.backup.database_bytes, shutil.disk_usage(deployment.volumes.database).free)
    told = choosing.rows(deployment, made, known, info, mode)
    for name, text in told:
        write(f"  {name:<11} {text}")
    if options.in_place:
        choosing.require_archived(made)
        tablespaces.require_restorable(deployment, made.backup)
    else:
        room.require(found)
    return made, told[0][1]


def _restored(scene: Scene, made: Plan, info: Info, options: Options, restored_to: str) -> in_place.Restored:
    deployment, restore_id = scene.deployment, in_place.restore_id(scene.deployment.now())
    if options.in_place:
        steps = in_place.InPlaceRestore(scene)
        restored = steps.run(made, restore_id)
        aftercare.ask_for_backup(deployment)
        return restored
    of = info.cluster_of(made.backup)
    wish = transaction.Wish(made, of.system_id if of else None, branches.newest_timeline(info), options.check_indexes)
    return transaction.BesideRestore(scene).run(wish, restore_id, restored_to)


def _looking(deployment: Deployment, info: Info, made: Plan) -> in_place.IsStored | None:
    """Return what looks for a segment in the repository that is restored from; None while all repositories can be read."""
    archive = evidence.archive_id(info, made.backup)
    if archive is None or len(made.repositories) >= len(deployment.config.repositories):
        return None

    def is_stored(segment: str) -> bool:
        argv = evidence.find_segment(info.stanza, made.backup.repo, archive, segment)
        answer = throttled.capture(argv, REPOSITORY_TIMEOUT_SECONDS)
        try:
            return answer.exit_code == 0 and evidence.is_stored(answer.stdout)
        except pgbackrest.UnreadableAnswerError:
            return False

    return is_stored


def _ask(question: str, *, confirmed: bool) -> None:
    if confirmed:
        return
    if sys.stdin.isatty() and click.confirm(question, default=False):
        return
    raise ProductError(
        "not confirmed; nothing was changed", hint="answer y, or run it with CONFIRM=yes", exit_code=Exit.NOT_CONFIRMED
    )
