"""`repo-add` and `repo-retire`: the way to a new place, a new passphrase, or away from a lost repository."""

from __future__ import annotations

import click

from backup import logs
from backup.commands import opening
from backup.deployment import Deployment
from backup.moving import addition, retire
from backup.showing import report
from contract.errors import ProductError
from contract.exits import Exit


@click.command("repo-add")
@click.argument("repo", type=click.IntRange(1, 4), default=2)
@click.option("--i-know", is_flag=True, help="What the repository held before is gone for good: end the alarm.")
def repo_add(repo: int, *, i_know: bool) -> None:
    """Take repository REPO into use: first full backup, verification, and when it will be enough alone."""
    logs.configure()
    deployment, out = opening.interruptible(), report.console()
    waits = 0
    for step in addition.add(deployment, repo, lambda line: click.echo(f"    {line}"), acknowledged=i_know):
        mark = "[green]  ok  [/green]" if step.done else "[yellow] WAIT [/yellow]"
        out.print(f"{mark} {step.name:<13} {report.foreign(step.seen)}")
        if step.hint:
            out.print(f"       HINT: {report.foreign(step.hint)}")
        waits += not step.done
    out.print(f"Repository {repo} is in use." + (" What waits is named above; run this again to see it." if waits else ""))


@click.command("repo-retire")
@click.argument("repo", type=click.IntRange(1, 4))
@click.option("--i-know", is_flag=True, help="Go on although less could be restored than is promised.")
def repo_retire(repo: int, *, i_know: bool) -> None:
    """Plan to retire repository REPO: what would remain, and what to change in .env. Changes nothing itself."""
    deployment = Deployment.open()
    found, rows = retire.plan(deployment, repo)
    for name, text in rows:
        click.echo(f"  {name:<13} {text}")
    for objection in found.objections:
        click.echo(f"  {'REFUSED' if objection.stands else 'WARNING':<13} {objection.message}")
        click.echo(f"  {'':<13} HINT: {objection.hint}")
    if found.is_refused:
        raise ProductError(f"repository {repo} must not be retired now", hint="see above", exit_code=Exit.CHECK_FAILED)
    if found.objections and not i_know:
        message = f"repository {repo}: not confirmed; the steps are shown when it is"
        raise ProductError(message, hint="see above", exit_code=Exit.NOT_CONFIRMED)
    click.echo(f"To retire repository {repo}:")
    for line in retire.steps(retire.configured(deployment, repo)):
        click.echo(f"  {line}")
