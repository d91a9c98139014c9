"""The verbs of `salespider-backup restore`: plan, ask, do, report. `make restore-…` runs them in their own container."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import click

from backup import evidence, jobs, logs, oplock, pgbackrest, throttled
from backup.deployment import Deployment
from backup.emergency import archive_end, gap
from backup.emergency.gap import Gap
from backup.peek import place
from backup.pgbackrest import ArchiveRange, Info
from backup.restore import aftercare, in_place, journal_file, plan, room, standing, tidying, timeline, transaction
from backup.restore.container import DatabaseContainer
from backup.restore.plan import Plan, RefusedError, Wanted
from backup.restore.recorded import Doing, Scene, Settled, run_recorded, settle_cut_off
from backup.restore.switch import Switch
from backup.signals import stop_on_signals
from backup.state.gaps import Gaps
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
@click.pass_obj
def latest(options: Options) -> None:
    """Restore the latest state."""
    _carry_out(Wanted("latest"), options)


@restore.command("backup")
@click.argument("backup_set")
@click.pass_obj
def of_backup(options: Options, backup_set: str) -> None:
    """Restore the state at the end of one backup set, such as 20240101-120000F."""
    _carry_out(Wanted("backup", label=backup_set), options)


@restore.command()
@click.argument("target")
@click.pass_obj
def pitr(options: Options, target: str) -> None:
    """Restore the state at a moment, such as "2024-01-01 12:00:00" (local to TZ unless it has an offset)."""
    zone = Deployment.open().zone
    _carry_out(Wanted("pitr", at=plan.parse_target(target, zone)), options)


@restore.command()
@click.pass_obj
def undo(options: Options) -> None:
    """Bring the database back that the last restore has replaced."""
    with _operation("undo", options.container) as scene:
        if _settled(scene, "undo", options) == "reverted":
            click.echo("There is nothing else to undo.")
            return
        deployment = scene.deployment
        kept = transaction.undoable(deployment, aftercare.kept_clusters(deployment.volumes.database))
        info = jobs.read_info(deployment)
        readable = tuple(repository.key for repository in info.repositories if repository.is_usable)
        way = transaction.Back(kept, newest_branch(info).timeline, readable, deployment.zone)
        scene.write(f"{deployment.now():%Y-%m-%d %H:%M:%S} UTC: restore (undo)")
        for name, text in way.described(deployment.config.restore_keep_previous_days):
            scene.write(f"  {name:<11} {text}")
        _ask("Put that database back?", confirmed=options.confirmed)
        stop_on_signals(deployment.stop)
        switch = Switch(deployment, scene.container, scene.say, scene.write)
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
    with _operation("cleanup", options.container) as scene:
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
def _operation(verb: str, container_name: str) -> Iterator[Scene]:
    logs.configure()
    deployment = Deployment.open()
    container = DatabaseContainer(container_name)
    with (
        oplock.hold(
            deployment.volumes.operation_lock,
            f"restore ({verb})",
            patience_seconds=LOCK_PATIENCE_SECONDS,
            stop=deployment.stop,
            on_wait=lambda holder: click.echo(f"waiting for the {holder} to end"),
        ),
        logs.job_log(deployment.volumes.log, "restore.log", jobs.PROGRESS_SECONDS) as write,
    ):
        if verb != "cleanup":
            _require_no_peek(deployment)
        yield Scene(deployment, container, write)


def _require_no_peek(deployment: Deployment) -> None:
    """Do nothing while no peek is open: it takes the space that a restore beside has counted on. Raises RefusedError."""
    if place.is_open(deployment.volumes):
        raise RefusedError("a peek is open beside the database", "`make peek-close` ends it; then run the restore again")


def _carry_out(wanted: Wanted, options: Options) -> None:
    with _operation(wanted.verb, options.container) as scene:
        if _settled(scene, transaction.request(wanted), options) == "finished":
            return
        deployment = scene.deployment
        info = jobs.read_info(deployment)
        made, restored_to = _shown_plan(scene, wanted, info, options)
        scene.container.condition()  # there must be one, before anything is done
        _ask("Overwrite the database?" if options.in_place else "Replace the database?", confirmed=options.confirmed)
        stop_on_signals(deployment.stop)
        steps = in_place.InPlaceRestore(deployment, scene.container, say=scene.say, log=scene.write)
        cluster, must = info.cluster_of(made.backup), wanted.verb == "pitr"
        steps.settle(cluster, archive_must_be_complete=must, is_stored=_looking(deployment, info, made))
        # the settled WAL and whatever was backed up while the question stood are part of the plan now
        info = jobs.read_info(deployment)
        made = _planned(deployment, wanted, info)
        leaves_one = not options.in_place and journal_file.has_entries(deployment.volumes.pgdata / "global")
        doing = Doing(wanted.verb, made.backup.repo, made.backup.label, restored_to, can_be_undone=leaves_one)
        run_recorded(scene, doing, lambda: _restored(scene, made, info, options, restored_to))


def _settled(scene: Scene, request: str, options: Options) -> Settled:
    """Finish or revert a restore that was cut off."""
    return settle_cut_off(scene, request, lambda question: _ask(question, confirmed=options.confirmed))


def _shown_plan(scene: Scene, wanted: Wanted, info: Info, options: Options) -> tuple[Plan, str]:
    """Make the plan and show it; return it, and what it brings back in words. Raises RefusedError."""
    deployment, write = scene.deployment, scene.write
    gaps = _gaps(deployment, info)
    plan.require_recoverable(wanted, gaps, deployment.zone)
    made = _planned(deployment, wanted, info)
    write(f"{deployment.now():%Y-%m-%d %H:%M:%S} UTC: restore ({wanted.verb})")
    described = plan.describe(made, deployment.now(), deployment.zone, gaps)
    found = room.room(made.backup.database_bytes, shutil.disk_usage(deployment.volumes.database).free)
    mode: room.Mode = "in place" if options.in_place else "beside"
    ways = room.describe(mode, found, deployment.config.restore_keep_previous_days)
    for name, text in (*described, *ways, *_sources(info, deployment)):
        write(f"  {name:<11} {text}")
    if options.in_place:
        aftercare.require_no_tablespaces(deployment.volumes.database)
    else:
        room.require(found)
    return made, described[0][1]


def _restored(scene: Scene, made: Plan, info: Info, options: Options, restored_to: str) -> in_place.Restored:
    deployment, restore_id = scene.deployment, in_place.restore_id(scene.deployment.now())
    if options.in_place:
        steps = in_place.InPlaceRestore(deployment, scene.container, say=scene.say, log=scene.write)
        restored = steps.run(made, restore_id)
        aftercare.ask_for_backup(deployment)
        return restored
    of = info.cluster_of(made.backup)
    wish = transaction.Wish(made, of.system_id if of else None, newest_branch(info).timeline, options.check_indexes)
    return transaction.BesideRestore(deployment, scene.container, scene.say, scene.write).run(wish, restore_id, restored_to)


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


def _sources(info: Info, deployment: Deployment) -> tuple[tuple[str, str], ...]:
    """Return where the window comes from, where that is a question."""
    several = len(deployment.config.repositories) > 1
    return (("window", plan.sources(info, deployment.zone)),) if several else ()


def _planned(deployment: Deployment, wanted: Wanted, info: Info) -> Plan:
    return plan.make_plan(wanted, info, newest_branch(info), deployment.now(), deployment.zone)


def _gaps(deployment: Deployment, info: Info) -> tuple[Gap, ...]:
    """Return the intervals without point-in-time recovery; of one that goes on, the beginning that the archive tells."""
    found = []
    for each in gap.merged(Gaps(deployment.store).all(), gap.of_info(info)):
        since = None
        if not each.is_released and each.segment is not None:
            since = archive_end.last_commit(deployment, each.segment, archive_end.SEGMENT_BYTES)
        found.append(replace(each, since=since or each.since))
    return tuple(found)


def newest_branch(info: Info) -> timeline.Branch:
    """Return the branch that recovery will follow: the newest timeline in any archive. Raises RepositoryError.

    One that was emptied and begun anew may know of none while the other repositories do.
    """
    present = {archive.repo: archive for archive in info.archive}  # the last of a repository is that of its present cluster
    branches = [_newest_branch_in(info.stanza, archive) for archive in present.values()]
    return max(branches, key=lambda branch: branch.timeline, default=timeline.FIRST)


def _newest_branch_in(stanza: str, archive: ArchiveRange) -> timeline.Branch:
    listing = _ask_repository(pgbackrest.list_history_files(stanza, archive.repo, archive.id))
    name = timeline.newest(timeline.parse_listing(listing))
    if name is None:
        return timeline.FIRST
    text = _ask_repository(pgbackrest.read_history_file(stanza, archive.repo, archive.id, name))
    return timeline.parse_history(name, text.decode("ascii", "replace"))


def _ask_repository(argv: pgbackrest.Argv) -> bytes:
    answer = throttled.capture(argv, REPOSITORY_TIMEOUT_SECONDS)
    if answer.exit_code != 0:
        meaning = pgbackrest.meaning(answer.exit_code)
        raise jobs.RepositoryError(f"the archive's history cannot be read ({meaning.name})", hint=meaning.hint)
    return answer.stdout


def _ask(question: str, *, confirmed: bool) -> None:
    if confirmed:
        return
    if sys.stdin.isatty() and click.confirm(question, default=False):
        return
    raise ProductError(
        "not confirmed; nothing was changed", hint="answer y, or run it with CONFIRM=yes", exit_code=Exit.NOT_CONFIRMED
    )
