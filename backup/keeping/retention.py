"""Letting old backups go: ours to start and to refuse, pgBackRest's to carry out.

`forecast` shows what would go; `expire` removes it, after a proven backup, when the running cluster is the right one and
a good full backup remains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from backup import logs, pgbackrest, process, throttled
from backup.deployment import Deployment
from backup.keeping import expiry, policy
from backup.keeping.expiry import Removal
from backup.keeping.policy import Window
from backup.ownership import identity
from backup.pgbackrest import Info
from backup.state.alarms import Alarm
from contract import events
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import Repository

DRY_RUN_TIMEOUT_SECONDS: Final = 600.0
EXPIRE_DEADLINE_SECONDS: Final = 6 * 3600.0
GRACE_SECONDS: Final = 30.0


class RetentionError(ProductError):
    """The repository could not be asked what would expire; the message is what pgbackrest said."""

    exit_code = Exit.REPOSITORY


@dataclass(frozen=True)
class Forecast:
    """What the next `expire` of a repository would do, and the window before and after it.

    `refused` says why it would not be carried out. Whether the archive is complete within the windows is not checked.
    """

    repo: int
    keeps: str
    removal: Removal
    window: Window | None
    window_after: Window | None
    refused: str | None

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold; times are ISO 8601 in UTC."""
        return {
            "repository": self.repo,
            "keeps": self.keeps,
            "removes_backups": list(self.removal.backups),
            "removes_wal": [{"archive": w.archive_id, "first": w.first, "last": w.last} for w in self.removal.wal],
            "window": _window_json(self.window),
            "window_after": _window_json(self.window_after),
            "refused": self.refused,
        }


def _window_json(window: Window | None) -> dict[str, str | None] | None:
    if window is None:
        return None
    return {"earliest": window.earliest.isoformat(), "latest": window.latest.isoformat() if window.latest else None}


@dataclass(frozen=True)
class Expired:
    """How an `expire` ended. `removed`: the labels that are gone; `message` and `hint` say why it was refused or failed."""

    repo: int
    state: Literal["done", "refused", "failed"]
    removed: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""


def alarm_key(repo: int) -> str:
    """Return the key of the alarm that retention does not work in a repository."""
    return f"retention:{repo}"


def dry_run(deployment: Deployment, repo: int) -> Removal:
    """Ask pgbackrest what it would remove. Raises RetentionError."""
    argv = pgbackrest.expire(deployment.config.stanza, repo, dry_run=True)
    answer = throttled.capture(argv, DRY_RUN_TIMEOUT_SECONDS, deployment.stop)
    lines = answer.stdout.decode("utf-8", "replace").splitlines()
    if answer.exit_code != 0:
        message, hint = _failure(answer.exit_code, (*lines, *answer.stderr.splitlines()))
        raise RetentionError(f"repository {repo}: it cannot be told what would expire: {message}", hint=hint)
    try:
        return expiry.parse_removal(lines, repo)
    except pgbackrest.UnreadableAnswerError as error:
        raise RetentionError(f"repository {repo}: {error}", hint="report it, with the version of pgbackrest") from error


def forecast(deployment: Deployment, repository: Repository, info: Info, last_archived_at: datetime | None) -> Forecast:
    """Tell what the next `expire` would do in a repository; changes nothing. Raises RetentionError."""
    key = repository.key
    removal = dry_run(deployment, key)
    return Forecast(
        key,
        expiry.in_words(repository),
        removal,
        policy.window(info, key, last_archived_at),
        policy.window(expiry.without(info, key, removal), key, last_archived_at),
        expiry.refusal(info, key, removal),
    )


def expire(deployment: Deployment, repo: int, info: Info, on_line: Callable[[str], None]) -> Expired:
    """Remove what retention no longer keeps, unless that must not be; never raises for a repository or database.

    To be called after a proven backup, with the operation lock held and with an `info` that names that backup.
    """
    ended = _expire(deployment, repo, info, on_line)
    if ended.state == "done":
        _tell_done(deployment, ended)
    else:
        alarm = Alarm(alarm_key(repo), events.RETENTION_ALARM, "warning", ended.message, ended.hint)
        deployment.teller.alarm(alarm, {"repo": repo})
    return ended


def _expire(deployment: Deployment, repo: int, info: Info, on_line: Callable[[str], None]) -> Expired:
    try:
        objection = identity.guard(deployment, deployment.postgres.server(), info)
        removal = dry_run(deployment, repo)
    except ProductError as error:
        return Expired(repo, "failed", (), error.message, error.hint)
    if objection is not None:
        message = f"repository {repo}: nothing is expired, because {objection.message}"
        return Expired(repo, "refused", (), message, objection.hint)
    if (reason := expiry.refusal(info, repo, removal)) is not None:
        hint = "the newer backups have page checksum errors: repair the database's files, then `make backup`"
        return Expired(repo, "refused", (), reason, hint)
    return _carried_out(deployment, repo, removal, on_line)


def _carried_out(deployment: Deployment, repo: int, removal: Removal, on_line: Callable[[str], None]) -> Expired:
    limits = process.Limits(deployment.stop, EXPIRE_DEADLINE_SECONDS, GRACE_SECONDS)
    finished = throttled.run(pgbackrest.expire(deployment.config.stanza, repo), on_line, limits)
    if finished.ok:
        return Expired(repo, "done", removal.backups)
    message, hint = _failure(finished.exit_code, finished.tail)
    return Expired(repo, "failed", (), f"repository {repo}: old backups could not be removed: {message}", hint)


def _tell_done(deployment: Deployment, ended: Expired) -> None:
    if ended.removed:
        logs.logger().info(events.RETENTION_EXPIRED, repo=ended.repo, removed=", ".join(ended.removed))
    summary = f"repository {ended.repo}: old backups are removed again"
    deployment.teller.over(alarm_key(ended.repo), events.RETENTION_RECOVERED, summary)


def _failure(exit_code: int, lines: tuple[str, ...]) -> tuple[str, str]:
    meaning = pgbackrest.meaning(exit_code)
    errors = [line.split("ERROR:", 1)[1].strip() for line in lines if "ERROR:" in line]
    said = f": {errors[0]}" if errors else ""
    return f"pgbackrest exit code {exit_code} ({meaning.name}){said}", meaning.hint
