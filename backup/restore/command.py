"""The verbs of `salespider-backup restore`: plan, ask, do, report. `make restore-…` runs them in their own container."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import click

from backup import cluster, evidence, identity, jobs, logs, oplock, pgbackrest, report, throttled
from backup.deployment import Deployment
from backup.notice import Notice
from backup.pgbackrest import Info
from backup.postgres import Server
from backup.restore import choosing, in_place
from backup.restore.container import DatabaseContainer
from backup.restore.plan import Plan, Wanted
from backup.restore.target import TargetKind
from backup.signals import stop_on_signals
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
@choosing.place_options
@click.pass_obj
def latest(options: tuple[str, bool], repo: int | None, timeline: int | None) -> None:
    """Restore the latest state."""
    _carry_out(Wanted("latest", repo=repo, timeline=timeline), *options)


@restore.command("backup")
@click.argument("backup_set")
@choosing.place_options
@click.pass_obj
def of_backup(options: tuple[str, bool], backup_set: str, repo: int | None, timeline: int | None) -> None:
    """Restore the state at the end of one backup set, such as 20240101-120000F."""
    _carry_out(Wanted("backup", label=backup_set, repo=repo, timeline=timeline), *options)


@restore.command()
@click.argument("target")
@choosing.target_options
@choosing.place_options
@click.pass_obj
def pitr(options: tuple[str, bool], /, target: str, kind: TargetKind, **given: Any) -> None:
    """Restore the state at a moment, such as "2024-01-01 12:00:00" (local to TZ unless it has an offset), or at a place."""
    wanted = choosing.targeted(Deployment.open(), target, kind, exclusive=given["exclusive"])
    _carry_out(replace(wanted, repo=given["repo"], timeline=given["timeline"]), *options)


restore.add_command(choosing.show)


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
        made, known = choosing.planned(deployment, wanted, info)
        write(f"{deployment.now():%Y-%m-%d %H:%M:%S} UTC: restore ({wanted.verb})")
        for name, text in choosing.rows(deployment, made, known, info):
            write(f"  {name:<11} {text}")
        _ask(confirmed=confirmed)
        stop_on_signals(deployment.stop)
        steps = in_place.InPlaceRestore(deployment, container, say=lambda line: write(f"==> {line}"), log=write)
        cluster, must = info.cluster_of(made.backup), wanted.verb == "pitr"
        steps.settle(cluster, archive_must_be_complete=must, is_stored=_looking(deployment, info, made))
        # the settled WAL and whatever was backed up while the question stood are part of the plan now
        made, _ = choosing.planned(deployment, wanted, jobs.read_info(deployment), settled=True)
        _run_recorded(deployment, steps, made)


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
