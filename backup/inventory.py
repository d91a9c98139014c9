"""What the repositories hold, asked of pgbackrest: `info` exits 0 whatever is wrong, so its text is the answer."""

from __future__ import annotations

from typing import Final

from backup import pgbackrest, throttled
from backup.deployment import Deployment
from contract.errors import ProductError
from contract.exits import Exit

INFO_TIMEOUT_SECONDS: Final = 120.0


class RepositoryError(ProductError):
    """The repository could not be asked; the message is what pgbackrest said. `retryable`: asking again later may do."""

    exit_code = Exit.REPOSITORY
    retryable = False


def read_info(deployment: Deployment, repo: int | None = None) -> pgbackrest.Info:
    """Ask pgbackrest what the repositories hold, or one of them: then another that is out of reach costs no time.

    Raises RepositoryError when it cannot be asked at all. A single unreadable repository raises nothing: it stands in the
    answer's `repositories`.
    """
    try:
        return pgbackrest.parse_info(raw_info(deployment, as_json=True, repo=repo), deployment.config.stanza)
    except pgbackrest.UnreadableAnswerError as error:
        raise RepositoryError(str(error), hint="run `pgbackrest info` by hand in the backup container") from error


def raw_info(deployment: Deployment, *, as_json: bool, repo: int | None = None) -> bytes:
    """Return what `pgbackrest info` prints. Raises RepositoryError when it fails as a whole."""
    return ask(pgbackrest.info(deployment.config.stanza, as_json=as_json, repo=repo), "info")


def ask(argv: pgbackrest.Argv, verb: str, timeout_seconds: float = INFO_TIMEOUT_SECONDS) -> bytes:
    """Return what a reading command of pgbackrest prints. Raises RepositoryError when it fails."""
    answer = throttled.capture(argv, timeout_seconds)
    if answer.exit_code == 0:
        return answer.stdout
    meaning = pgbackrest.meaning(answer.exit_code)
    said = answer.stderr.strip().splitlines() or answer.stdout.decode("utf-8", "replace").strip().splitlines()
    detail = said[0] if said else "no message"
    message = f"pgbackrest {verb}: exit code {answer.exit_code} ({meaning.name}): {detail}"
    error = RepositoryError(message, hint=meaning.hint)
    error.retryable = meaning.retry
    raise error
