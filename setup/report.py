"""What setup says at its end: what is configured, what deserves attention, what changed. Pure, and without secrets."""

from __future__ import annotations

from collections.abc import Iterator

from contract import protection
from setup import repositories
from setup.publish import Publication
from setup.settings import Settings


def report(settings: Settings, publication: Publication, unprotected: str | None = None) -> str:
    """Return the lines to print; `unprotected` says why the loss of this host would be one of the backups."""
    lines = [*_configuration(settings), *_warnings(settings)]
    if unprotected:
        lines += [f"warning: {unprotected}", f"HINT: {protection.HINT}"]
    return "\n".join([*lines, *_changes(publication)])


def _configuration(settings: Settings) -> Iterator[str]:
    yield f"backups: {'on' if settings.mode == 'backups' else 'off'} ({settings.reason})"
    for repository in settings.repositories:
        entry = repositories.entry(repository)
        if entry is None:
            continue
        cipher = "encrypted" if entry.encrypted else "not encrypted"
        yield f"repository {entry.key}: {entry.type}, {entry.location}, {cipher}"
        yield f"retention: {entry.retention_full} full and {entry.retention_diff} differential backups"
    if settings.mode == "backups":
        schedule = settings.schedule
        kinds = {"full": schedule.full, "differential": schedule.diff, "incremental": schedule.incr}
        times = ", ".join(f"{kind} {expression or 'off'}" for kind, expression in kinds.items())
        yield f"schedule: {times} (time zone {settings.time_zone})"


def _warnings(settings: Settings) -> Iterator[str]:
    for warning in settings.warnings:
        yield f"warning: {warning}"


def _changes(publication: Publication) -> Iterator[str]:
    if publication.written:
        yield f"written: {', '.join(publication.written)}"
    if publication.removed:
        yield f"removed: {', '.join(publication.removed)}"
    if not publication.written and not publication.removed:
        yield "configuration unchanged"
