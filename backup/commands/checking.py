"""`check` and `repository-check`: proofs that are asked for by hand."""

from __future__ import annotations

import click

from backup.commands import opening
from backup.deployment import Deployment
from backup.ownership import repository_key
from backup.showing import checks, report
from contract.errors import ProductError
from contract.exits import Exit


@click.command()
def check() -> None:
    """Prove that backups work: versions, repository, archiving, schedule. Ends one WAL segment."""
    out, bad = report.console(), 0
    deployment = opening.interruptible()
    for finding in checks.run_all(deployment):
        report.print_finding(out, finding)
        bad += not finding.good
    if bad:
        raise ProductError(
            f"backup check: {bad} of the checks failed", hint="see the hint below each", exit_code=Exit.CHECK_FAILED
        )
    out.print("Proven now: all of the above. Not proven by this: that a restore works; `make demo` shows one.")


@click.command("repository-check")
def repository_check() -> None:
    """Tell whether each repository can be read with its configured passphrase. Writes nothing."""
    troubles = repository_key.trouble(Deployment.open())
    if troubles:
        message = "; ".join(trouble.sentence for trouble in troubles)
        raise ProductError(message, hint=troubles[0].hint, exit_code=Exit.REPOSITORY)
    click.echo("every repository opens with its passphrase, or is new")
