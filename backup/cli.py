"""The command `salespider-backup`: what an operator types, and what the containers run."""

from __future__ import annotations

import importlib
import json
import sys
import time

import click

from backup import adopt as adoption
from backup import checks, cluster, health, jobs, logs, report, repository_key, retention, status, summary, supervisor
from backup.deployment import BackupsOffError, Deployment
from backup.jobs import BackupRequest
from backup.postgres import DatabaseError
from backup.signals import stop_on_signals
from contract import events
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import BackupType

MANUAL_PATIENCE_SECONDS = 3600.0
_LAZY = {"restore": ("backup.restore.command", "restore"), "schedule": ("backup.schedule_command", "show")}


class _Lazy(click.Group):
    """Loads some verbs when they are asked for: the Docker SDK is memory that the supervisor need not carry."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *_LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in _LAZY:
            return super().get_command(ctx, cmd_name)
        module, name = _LAZY[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Backups of the SaleSpider database: run them, look at them, restore them."""


def _deployment() -> Deployment:
    deployment = Deployment.open()
    stop_on_signals(deployment.stop)
    return deployment


@main.command()
def supervise() -> None:
    """Keep the schedule. This is what the backup container runs."""
    logs.configure()
    try:
        sys.exit(supervisor.supervise(_deployment()))
    except BackupsOffError as error:
        logs.logger().info(events.BACKUPS_OFF, reason=error.reason, hint=error.hint)
        sys.exit(Exit.OK)


@main.command()
@click.option("--type", "kind", type=click.Choice(["full", "diff", "incr"]), default="full", show_default=True)
@click.option("--repo", type=int, default=1, show_default=True, help="The repository's number.")
def backup(kind: BackupType, repo: int) -> None:
    """Take a backup now: the same run as a scheduled one."""
    logs.configure()
    request = BackupRequest(kind, repo, "manual", "asked for by the operator")
    outcome = jobs.take_backup(_deployment(), request, MANUAL_PATIENCE_SECONDS)
    if outcome.state != "succeeded":
        code = outcome.exit_code if isinstance(outcome.exit_code, Exit) else Exit.BACKUP_FAILED
        raise ProductError(outcome.message, hint=outcome.hint or "run it again", exit_code=code)
    for line in summary.of_backup(outcome):
        click.echo(line)


@main.command()
@click.option("--output", type=click.Choice(["table", "json", "text"]), default="table", show_default=True)
def info(output: str) -> None:
    """List the backups. `json` and `text` are pgbackrest's own."""
    deployment = Deployment.open()
    if output == "table":
        answer = jobs.read_info(deployment)
        report.print_info(report.console(), answer, deployment.config)
        unusable = [repository for repository in answer.repositories if not repository.is_usable]
        sys.exit(Exit.REPOSITORY if unusable else Exit.OK)
    click.echo(jobs.raw_info(deployment, as_json=output == "json"), nl=False)


@main.command()
def check() -> None:
    """Prove that backups work: versions, repository, archiving, schedule. Ends one WAL segment."""
    out, bad = report.console(), 0
    deployment = _deployment()
    for finding in checks.run_all(deployment):
        report.print_finding(out, finding)
        bad += not finding.good
    if bad:
        raise ProductError(
            f"backup check: {bad} of the checks failed", hint="see the hint below each", exit_code=Exit.CHECK_FAILED
        )
    out.print("Proven now: all of the above. Not proven by this: that a restore works; `make demo` shows one.")


@main.command()
@click.option("--i-know", is_flag=True, help="The running database is the right one.")
def adopt(*, i_know: bool) -> None:
    """Back up the running database from now on, although the backups are of another one. Shows both first."""
    logs.configure()
    deployment = _deployment()
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


@main.command("stanza-upgrade")
def stanza_upgrade() -> None:
    """Go on after pg_upgrade: back up the new major version from now on. Refuses any other change."""
    logs.configure()
    deployment = _deployment()
    adoption.require_upgrade(adoption.look(deployment))
    _adopt(deployment)


def _adopt(deployment: Deployment) -> None:
    now = adoption.adopt(deployment, click.echo)
    click.echo(f"adopted: {now}; now a full backup into each repository")
    for outcome in adoption.first_backups(deployment, click.echo):
        if outcome.state != "succeeded":
            hint = f"{outcome.hint}; then `make backup`: the database is adopted, and not yet backed up"
            raise ProductError(outcome.message, hint=hint, exit_code=Exit.BACKUP_FAILED)
        for line in summary.of_backup(outcome):
            click.echo(line)


@main.command("retention")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show_retention(output: str) -> None:
    """Show what the next expire would remove, and the window that remains. Removes nothing."""
    deployment = Deployment.open()
    info = jobs.read_info(deployment)
    try:
        archived_at = deployment.postgres.archiver().last_archived_at
    except DatabaseError:
        archived_at = None  # the windows then end with their last backups
    found = [retention.forecast(deployment, r, info, archived_at) for r in deployment.config.repositories]
    if output == "json":
        click.echo(json.dumps([each.as_json() for each in found], indent=2))
    else:
        report.print_forecasts(report.console(), found, deployment.zone)


@main.command("repository-check")
def repository_check() -> None:
    """Tell whether each repository can be read with its configured passphrase. Writes nothing."""
    troubles = repository_key.trouble(Deployment.open())
    if troubles:
        message = "; ".join(trouble.message for trouble in troubles)
        raise ProductError(message, hint=troubles[0].hint, exit_code=Exit.REPOSITORY)
    click.echo("every repository opens with its passphrase, or is new")


@main.command("status")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show_status(output: str) -> None:
    """Show how things are: database, archiver, window, last and next backups."""
    deployment = Deployment.open()
    found = status.gather(deployment)
    if output == "json":
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        report.print_status(report.console(), found, deployment.config)
    sys.exit(Exit.CHECK_FAILED if found.problems else Exit.OK)


@main.command()
@click.option("--limit", type=int, default=20, show_default=True)
def history(limit: int) -> None:
    """List the latest runs and how they ended."""
    deployment = Deployment.open()
    report.console().print(report.runs_table(deployment.history.recent(limit=limit), deployment.zone))


@main.command()
def healthcheck() -> None:
    """Tell whether the supervisor lives and backups succeed, as Docker asks it. Asks neither database nor repository."""
    sys.exit(health.main())


@main.command("wait-for-backup")
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds.")
def wait_for_backup(timeout: float) -> None:
    """Wait until there is a first backup, and say what is going on meanwhile."""
    deployment = _deployment()
    deadline, said = time.monotonic() + timeout, ""
    while not deployment.stop.is_set():
        if (run := deployment.history.last("backup", state="succeeded")) is not None:
            click.echo(f"protected: {run.message}")
            return
        heartbeat = deployment.history.heartbeat()
        if heartbeat and heartbeat.phase != said:
            said = heartbeat.phase
            click.echo(said)
        if time.monotonic() > deadline:
            break
        deployment.stop.wait(0.5)
    raise ProductError("no backup yet", hint="see `docker logs salespider-backup`", exit_code=Exit.BACKUP_FAILED)
