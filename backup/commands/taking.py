"""`backup` and `wait-for-backup`."""

from __future__ import annotations

import time

import click

from backup import health, logs
from backup.commands import opening
from backup.deployment import Deployment
from backup.taking import jobs, summary
from backup.taking.jobs import BackupRequest
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import BackupType

MANUAL_PATIENCE_SECONDS = 3600.0


@click.command()
@click.option("--type", "kind", type=click.Choice(["full", "diff", "incr"]), default="full", show_default=True)
@click.option("--repo", type=int, default=None, help="The repository's number.  [default: the lowest there is]")
def backup(kind: BackupType, repo: int | None) -> None:
    """Take a backup now: the same run as a scheduled one."""
    logs.configure()
    deployment = opening.interruptible()
    where = deployment.first_repository.key if repo is None else repo
    request = BackupRequest(kind, where, "manual", "asked for by the operator")
    outcome = jobs.take_backup(deployment, request, MANUAL_PATIENCE_SECONDS)
    if outcome.state != "succeeded":
        code = outcome.exit_code if isinstance(outcome.exit_code, Exit) else Exit.BACKUP_FAILED
        raise ProductError(outcome.message, hint=outcome.hint or "run it again", exit_code=code)
    for line in summary.of_backup(outcome):
        click.echo(line)


@click.command("wait-for-backup")
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds.")
def wait_for_backup(timeout: float) -> None:
    """Wait until every repository has its first backup, and say what is going on meanwhile."""
    deployment = opening.interruptible()
    deadline, said = time.monotonic() + timeout, ""
    while not deployment.stop.is_set():
        is_late = time.monotonic() > deadline
        if health.has_backup(deployment.store) and (is_late or not _is_at_it(deployment)):
            run = deployment.history.last("backup", state="succeeded")
            click.echo(f"protected: {run.message if run else 'the repository holds backups'}")
            return
        heartbeat = deployment.history.heartbeat()
        if heartbeat and heartbeat.phase != said:
            said = heartbeat.phase
            click.echo(said)
        if is_late:
            break
        deployment.stop.wait(0.5)
    raise ProductError("no backup yet", hint="see `docker logs salespider-backup`", exit_code=Exit.BACKUP_FAILED)


def _is_at_it(deployment: Deployment) -> bool:
    """Tell whether the supervisor still has a repository to take a first backup into: one that failed is not waited for."""
    heartbeat = deployment.history.heartbeat()
    is_idle = heartbeat is None or heartbeat.phase.startswith("idle")
    keys = [repository.key for repository in deployment.config.repositories]
    return not is_idle and bool(health.without_backup(deployment.store, keys))
