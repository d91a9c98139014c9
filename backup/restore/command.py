"""The verbs of `salespider-backup restore`: plan, ask, do, report. `make restore-…` runs them in their own container."""

from __future__ import annotations

import sys
from dataclasses import replace
from zoneinfo import ZoneInfo

import click

from backup import cluster, evidence, identity, jobs, logs, oplock, pgbackrest, report, throttled
from backup.deployment import Deployment
from backup.emergency import archive_end, gap
from backup.emergency.gap import Gap
from backup.ledger.wal import DEFAULT_SEGMENT_BYTES
from backup.notice import Notice
from backup.pgbackrest import ArchiveRange, Info
from backup.postgres import Server
from backup.restore import in_place, plan, timeline
from backup.restore.container import DatabaseContainer
from backup.restore.plan import Plan, Wanted
from backup.signals import stop_on_signals
from backup.state.gaps import Gaps
from backup.state.history import Beginning, Ending, State
from contract import events
from contract.errors import ProductError
from contract.exits import Exit

LOCK_PATIENCE_SECONDS = 3600.0
REPOSITORY_TIMEOUT_SECONDS = 60.0


@click.group()
@click.option("--container", envvar="POSTGRES_CONTAINER", default="salespider-postgres", show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def restore(context: click.Context, container: str, *, yes: bool) -> None:
    """Bring the database back. Use the make targets: restore-latest, restore-backup, restore-pitr."""
    context.obj = (container, yes)


@restore.command()
@click.pass_obj
def latest(options: tuple[str, bool]) -> None:
    """Restore the latest state."""
    _carry_out(Wanted("latest"), *options)


@restore.command("backup")
@click.argument("backup_set")
@click.pass_obj
def of_backup(options: tuple[str, bool], backup_set: str) -> None:
    """Restore the state at the end of one backup set, such as 20240101-120000F."""
    _carry_out(Wanted("backup", label=backup_set), *options)


@restore.command()
@click.argument("target")
@click.pass_obj
def pitr(options: tuple[str, bool], target: str) -> None:
    """Restore the state at a moment, such as "2024-01-01 12:00:00" (local to TZ unless it has an offset)."""
    zone = Deployment.open().zone
    _carry_out(Wanted("pitr", at=plan.parse_target(target, zone)), *options)


def _carry_out(wanted: Wanted, container_name: str, confirmed: bool) -> None:  # noqa: FBT001 an option of the group
    logs.configure()
    deployment = Deployment.open()
    container = DatabaseContainer(container_name)
    with (
        oplock.hold(
            deployment.volumes.operation_lock,
            f"restore ({wanted.verb})",
            patience_seconds=LOCK_PATIENCE_SECONDS,
            stop=deployment.stop,
            on_wait=lambda holder: click.echo(f"waiting for the {holder} to end"),
        ),
        logs.job_log(deployment.volumes.log, "restore.log", jobs.PROGRESS_SECONDS) as write,
    ):
        info = jobs.read_info(deployment)
        gaps = _gaps(deployment, info)
        plan.require_recoverable(wanted, gaps, deployment.zone)
        made = _planned(deployment, wanted, info)
        write(f"{deployment.now():%Y-%m-%d %H:%M:%S} UTC: restore ({wanted.verb})")
        described = plan.describe(made, deployment.now(), deployment.zone, gaps)
        for name, text in (*described, *_sources(info, deployment)):
            write(f"  {name:<11} {text}")
        _ask(confirmed=confirmed)
        stop_on_signals(deployment.stop)
        steps = in_place.InPlaceRestore(deployment, container, say=lambda line: write(f"==> {line}"), log=write)
        cluster, must = info.cluster_of(made.backup), wanted.verb == "pitr"
        steps.settle(cluster, archive_must_be_complete=must, is_stored=_looking(deployment, info, made))
        # the settled WAL and whatever was backed up while the question stood are part of the plan now
        _run_recorded(deployment, steps, _planned(deployment, wanted, jobs.read_info(deployment)))


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
            since = archive_end.last_commit(deployment, each.segment, DEFAULT_SEGMENT_BYTES)
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


def _ask(*, confirmed: bool) -> None:
    if confirmed:
        return
    if sys.stdin.isatty() and click.confirm("Overwrite the database?", default=False):
        return
    raise ProductError(
        "not confirmed; nothing was changed", hint="answer y, or run it with CONFIRM=yes", exit_code=Exit.NOT_CONFIRMED
    )


def _run_recorded(deployment: Deployment, steps: in_place.InPlaceRestore, made: Plan) -> None:
    history, reason = deployment.history, "asked for by the operator"
    history.mark_interrupted("restore", deployment.now())
    run = history.begin(Beginning("restore", made.wanted.verb, made.backup.repo, "manual", reason), deployment.now())
    begun = f"the database is being overwritten (restore {made.wanted.verb}, backup {made.backup.label})"
    deployment.teller.tell(Notice(events.RESTORE_STARTED, "warning", begun))
    state: State = "failed"
    message, code, hint = "ended by an unforeseen error", int(Exit.UNEXPECTED), "see /var/log/pgbackrest/restore.log"
    try:
        restored = steps.run(made, in_place.restore_id(deployment.now()))
        state, message, code, hint = "succeeded", _summary(restored, deployment.zone), int(Exit.OK), ""
    except ProductError as error:
        message, code, hint = error.message, error.exit_code, error.hint
        raise
    finally:
        history.end(run, Ending(state, code, made.backup.label, message), deployment.now())
        deployment.teller.tell(_notice(state, message, hint))
    click.echo(message)
    _note_identity(deployment, restored.server)
    for kept in restored.kept:
        click.echo(f"WAL that the archive never saw is kept in {kept}")
    click.echo("Next: take a full backup of the restored database: make backup")


def _notice(state: State, message: str, hint: str) -> Notice:
    if state == "succeeded":
        return Notice(events.RESTORE_SUCCEEDED, "warning", message, "take a full backup of it: `make backup`")
    return Notice(events.RESTORE_FAILED, "critical", f"restore: {message}", hint)


def _note_identity(deployment: Deployment, server: Server) -> None:
    """Tell the guard over the backups that this state is wanted, however small it is; a failure is told, no more."""
    try:
        identity.restored(deployment, server)
        objection = identity.guard(deployment, server, jobs.read_info(deployment))
    except ProductError as error:
        click.echo(f"the restored database could not be compared with the backups: {error.message}")
        return
    if objection is not None:
        click.echo(f"{objection.message}\nHINT: {cluster.ADOPT}")


def _summary(restored: in_place.Restored, zone: ZoneInfo) -> str:
    last = f", last transaction {restored.last_transaction}" if restored.last_transaction else ""
    opened = report.local(restored.server.now, zone)
    return (
        f"RESTORED: the database is open since {opened} on timeline {restored.server.timeline}{last}; "
        f"downtime {restored.downtime_seconds:.1f} s"
    )
