"""What `storage-check` does: every repository, step by step, each within seconds."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from backup.keeping import placement
from backup.storage import directory, reach, through
from backup.storage.published import Options
from backup.storage.step import Examination, Step
from backup.storage.through import Passage
from contract import paths
from contract.supervisor import Repository, SupervisorConfig

Clock = Callable[[], datetime]


def examine(config: SupervisorConfig, options: dict[int, Options], now: Clock, *, quick: bool) -> list[Examination]:
    """Examine every repository of the configuration; `quick` leaves out what only measures or advises."""
    return [_one(config.stanza, each, options[each.key], now, quick=quick) for each in config.repositories]


def _one(stanza: str, repository: Repository, options: Options, now: Clock, *, quick: bool) -> Examination:
    place = placement.place_of(repository)
    found = Examination(repository.key, repository.location)
    if repository.type == "posix":
        found.steps += directory.look(Path(repository.directory or paths.repository(repository.key)), paths.DATABASE_VOLUME)
    else:
        found.steps += reach.reach(options.endpoint, place, now)
    if found.failure is not None:
        tried = {step.name for step in found.steps}
        before = () if repository.type == "posix" else reach.NAMES
        found.skip(tuple(name for name in (*before, *through.NAMES) if name not in tried), "not tried")
        return found
    found.steps += Passage(stanza, place).go(measured=not quick)
    if found.failure is not None:
        tried = {step.name for step in found.steps}
        found.skip(tuple(name for name in through.NAMES if name not in tried), "not tried")
    elif not quick:
        found.steps += _settings(options, now)
    return found


def _settings(options: Options, now: Clock) -> list[Step]:
    """Ask the service about itself. Each kind's library is loaded only when it is asked."""
    if options.type == "s3":
        return importlib.import_module("backup.storage.service_s3").ask(options)  # type: ignore[no-any-return]
    if options.type == "azure":
        return importlib.import_module("backup.storage.service_azure").ask(options, now())  # type: ignore[no-any-return]
    if options.type == "gcs":
        return importlib.import_module("backup.storage.service_gcs").ask(options)  # type: ignore[no-any-return]
    return []
