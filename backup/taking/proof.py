"""Success is proven in the repository: a new label in its list, no page checksum errors, the last WAL segment stored.

Without its stop segment a backup cannot be brought to consistency, and `info` tells of the archive only its first and last
segment; so the repository is asked for that very file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import tenacity

from backup.deployment import Deployment
from backup.keeping import inventory
from backup.keeping.inventory import RepositoryError
from backup.pgbackrest import Backup, Info, UnreadableAnswerError
from backup.state.history import Sizes
from backup.taking import evidence
from backup.taking.outcome import Outcome
from contract.exits import Exit

ASK_SECONDS: Final = 60.0
MOST_TRIES: Final = 4
LONGEST_WAIT_SECONDS: Final = 30.0

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Proof:
    """What became of an outcome, and what the repository lists now; None when it could not be asked."""

    outcome: Outcome
    info: Info | None = None


def prove(deployment: Deployment, repo: int, before: frozenset[str], outcome: Outcome) -> Proof:
    """Turn "exit code 0" into success or failure by what the repository holds now; `before` are the labels it had."""
    try:
        info = _patiently(deployment, lambda: _usable_info(deployment, repo))
        new = [backup for backup in info.backups if backup.repo == repo and backup.label not in before]
        if not new:
            message = f"{outcome.message}: pgbackrest ended well, but the repository lists no new backup"
            return Proof(outcome.but(_failed(message, "run `make backup-check`", retryable=True)), info)
        problem = _problem(deployment, info, new[-1])
    except RepositoryError as error:
        return Proof(outcome.but(_failed(f"ended, but not proven: {error.message}", error.hint, retryable=True)))
    backup = new[-1]
    if problem is not None:
        return Proof(replace(outcome.but(problem), label=backup.label), info)
    sizes = Sizes(backup.database_bytes, backup.copied_bytes, backup.repository_bytes)
    return Proof(replace(outcome, message=f"{backup.kind} backup {backup.label}", label=backup.label, sizes=sizes), info)


def _problem(deployment: Deployment, info: Info, backup: Backup) -> Outcome | None:
    if backup.has_errors:
        return _damaged(deployment, backup)
    return _without_its_wal(deployment, info, backup)


def _damaged(deployment: Deployment, backup: Backup) -> Outcome:
    argv = evidence.backup_details(deployment.config.stanza, backup.repo, backup.label)
    try:
        files = evidence.damaged_files(_patiently(deployment, lambda: inventory.ask(argv, "info", ASK_SECONDS)))
    except (RepositoryError, UnreadableAnswerError):  # which files it is can be asked later, that it is so is known
        files = ()
    message = (
        f"backup {backup.label}: page checksum errors {evidence.name_files(files)}; the database's own files are damaged"
    )
    hint = "earlier backups are kept; check the disk and see the guide, 'damaged pages'"
    return _failed(message, hint, retryable=False)


def _without_its_wal(deployment: Deployment, info: Info, backup: Backup) -> Outcome | None:
    archive, segment = evidence.archive_id(info, backup), backup.wal_stop
    if archive is not None and segment is not None:
        argv = evidence.find_segment(deployment.config.stanza, backup.repo, archive, segment)
        try:
            if evidence.is_stored(_patiently(deployment, lambda: inventory.ask(argv, "repo-ls", ASK_SECONDS))):
                return None
        except UnreadableAnswerError as error:
            raise RepositoryError(str(error), hint="run `make backup-check`") from error
    message = f"backup {backup.label}: its last WAL segment {segment} is not in the archive of repository {backup.repo}"
    hint = "this backup cannot be restored: see whether archiving works with `make backup-check`, then take another one"
    return _failed(message, hint, retryable=True)


def _failed(message: str, hint: str, *, retryable: bool) -> Outcome:
    return Outcome.failed(Exit.BACKUP_FAILED, message, hint, retryable=retryable)


def _usable_info(deployment: Deployment, repo: int) -> Info:
    info = inventory.read_info(deployment, repo)
    unreadable = next((r for r in info.repositories if r.key == repo and not r.is_usable), None)
    if unreadable is not None:
        raise RepositoryError(f"repository {repo}: {unreadable.message}", hint="run `make backup-check`")
    return info


def _patiently(deployment: Deployment, ask: Callable[[], Answer]) -> Answer:
    """Ask again when the repository does not answer: a moment without it must not cost the hours that a backup took."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(RepositoryError),
        wait=tenacity.wait_random_exponential(multiplier=2, max=LONGEST_WAIT_SECONDS),
        stop=tenacity.stop_any(tenacity.stop_after_attempt(MOST_TRIES), tenacity.stop_when_event_set(deployment.stop)),
        sleep=tenacity.sleep_using_event(deployment.stop),
        reraise=True,
    )
    return retrying(ask)
