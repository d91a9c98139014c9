"""What setup says at its end: what is configured, what deserves attention, what changed. Pure, and without secrets."""

from __future__ import annotations

from collections.abc import Iterator

from contract import protection
from contract.supervisor import Mode
from setup.publish import Publication
from setup.settings import Settings

_STATE: dict[Mode, str] = {"backups": "on", "off": "off", "hosted": "off, the database is a hosted one"}


def report(settings: Settings, publication: Publication, unprotected: str | None = None) -> str:
    """Return the lines to print; `unprotected` says why the loss of this host would be one of the backups."""
    return "\n".join([*introduction(settings, unprotected), *_changes(publication)])


def introduction(settings: Settings, unprotected: str | None = None) -> Iterator[str]:
    """Return the lines that say what is configured, and what deserves attention."""
    yield from _configuration(settings)
    yield from _warnings(settings)
    if unprotected:
        yield f"warning: {unprotected}"
        yield f"HINT: {protection.HINT}"


def _configuration(settings: Settings) -> Iterator[str]:
    yield f"backups: {_STATE[settings.mode]} ({settings.reason})"
    for repository in settings.repositories:
        policy = repository.policy
        cipher = "encrypted" if policy.encrypted else "not encrypted"
        yield f"repository {repository.key}: {repository.type}, {repository.location}, {cipher}"
        days = " days of" if policy.retention_full_type == "time" else ""
        kept = f"{policy.retention_full}{days} full and {policy.retention_diff} differential backups"
        yield f"retention: {kept}, a window of {settings.window(repository)}"
    if settings.mode == "backups":
        schedule = settings.schedule
        kinds = {"full": schedule.full, "differential": schedule.diff, "incremental": schedule.incr}
        times = ", ".join(f"{kind} {expression or 'off'}" for kind, expression in kinds.items())
        yield f"schedule: {times} (time zone {settings.time_zone})"
        yield f"notification: {_told(settings) or 'nobody is told of failures; see BACKUP_WEBHOOK_URL in .env.example'}"


def _told(settings: Settings) -> str:
    notification = settings.notification
    level = f", from level {notification.level} on" if notification.webhook or notification.services else ""
    return ", ".join(notification.shown()) + level


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
