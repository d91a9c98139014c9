"""`storage-check`: is each repository what the backups need, and if not, which step fails and what helps."""

from __future__ import annotations

import json
import signal
import sys

import click

from backup.deployment import load_config, require_backups, utc_now
from backup.showing import report
from backup.storage import candidate, published, table
from backup.storage.examine import examine
from backup.storage.step import Examination
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import SupervisorConfig


@click.command("storage-check")
@click.option("--repo", type=int, help="The number of one repository; all of them without it.")
@click.option("--quick", is_flag=True, help="Nothing is measured, and the service is not asked for its settings.")
@click.option("--candidate", "from_pipe", is_flag=True, help="Try a configuration from standard input (`make deploy` does).")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def storage_check(repo: int | None, output: str, *, quick: bool, from_pipe: bool) -> None:
    """Try each repository step by step, and say what was seen. Ends with 14 when a step failed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was written is removed
    given = sys.stdin.read() if from_pipe else ""
    if from_pipe and not given:  # there is no object store, or setup has said what is wrong
        return
    in_use = candidate.unpack(given, paths.CONFIG).in_use if from_pipe else None
    config, _ = load_config(paths.CONFIG)
    require_backups(config)
    found = examine(_only(config, repo, in_use), published.read(paths.CONFIG), utc_now, quick=quick)
    if output == "json":
        click.echo(json.dumps([each.as_json() for each in found], indent=2))
    else:
        _print(found, quick=quick)
    _judge(found, in_use)


def _only(config: SupervisorConfig, repo: int | None, in_use: tuple[str, ...] | None) -> SupervisorConfig:
    """Return the configuration with the repositories to look at; a candidate's directories are not mounted."""
    kept = tuple(
        each for each in config.repositories if repo in (None, each.key) and (in_use is None or each.type != "posix")
    )
    if repo is not None and not kept:
        known = ", ".join(str(each.key) for each in config.repositories)
        message, hint = f"repository {repo} is not configured", f"there is {known}"
        raise ProductError(message, hint=hint, exit_code=Exit.CONFIGURATION)
    return config.model_copy(update={"repositories": kept})


def _print(found: list[Examination], *, quick: bool) -> None:
    out = report.console()
    for each in found:
        if not quick:
            table.print_examination(out, each)
        elif each.failure is None:
            out.print(report.foreign(table.in_one_line(each)))


def _judge(found: list[Examination], in_use: tuple[str, ...] | None) -> None:
    """Do nothing when every step succeeded. Raises ProductError; `in_use` are the places that a candidate shares."""
    failures = [(each, each.failure) for each in found if each.failure is not None]
    if not failures:
        return
    away = all(step.may_pass and each.location in (in_use or ()) for each, step in failures)
    hints = [step.hint for _, step in failures]
    if in_use is not None and not away and all(step.may_pass for _, step in failures):
        hints.append("to go on without it: `STORAGE_CHECK=no make deploy`")
    raise ProductError(
        "; ".join(each.told(step) for each, step in failures),
        hint="; ".join(dict.fromkeys(hints)),
        exit_code=Exit.STORE_AWAY if away else Exit.REPOSITORY,
    )
