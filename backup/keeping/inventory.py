"""What the repositories hold, asked of pgbackrest: `info` exits 0 whatever is wrong, so its text is the answer."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from backup import pgbackrest, throttled
from backup.deployment import Deployment
from backup.keeping import merging
from contract.errors import ProductError
from contract.exits import Exit

INFO_TIMEOUT_SECONDS: Final = 120.0
ONE_OF_SEVERAL_SECONDS: Final = 45.0
"""How long one repository of several is waited for. pgbackrest makes up to nine attempts of `IO_SECONDS` each."""

IO_SECONDS: Final = 4


class RepositoryError(ProductError):
    """The repository could not be asked; the message is what pgbackrest said. `retryable`: asking again later may do."""

    exit_code = Exit.REPOSITORY
    retryable = False


def read_info(deployment: Deployment, repo: int | None = None, *, earlier: pgbackrest.Info | None = None) -> pgbackrest.Info:
    """Ask pgbackrest what the repositories hold, or one of them: then another that is out of reach costs no time.

    Several are asked side by side, each alone: one that swallows what is sent must not silence the others. `earlier` is
    an answer of this same operation: a repository that could not be read then is not waited for again. Raises
    RepositoryError when nobody can be asked at all. A single unreadable repository raises nothing: it stands in the
    answer's `repositories`.
    """
    keys = [repository.key for repository in deployment.config.repositories]
    if repo is None and len(keys) > 1:
        return _all(deployment, keys, earlier.repositories if earlier else ())
    try:
        return pgbackrest.parse_info(raw_info(deployment, as_json=True, repo=repo), deployment.config.stanza)
    except pgbackrest.UnreadableAnswerError as error:
        raise RepositoryError(str(error), hint="run `pgbackrest info` by hand in the backup container") from error


def _all(deployment: Deployment, keys: list[int], earlier: Iterable[pgbackrest.RepositoryStatus]) -> pgbackrest.Info:
    stanza = deployment.config.stanza
    dead = {status.key: status for status in earlier if not status.is_usable}
    with ThreadPoolExecutor(max_workers=len(keys)) as pool:
        answers = list(pool.map(lambda key: dead.get(key) or _one(stanza, key), keys))
    failures = [answer for answer in answers if isinstance(answer, RepositoryError)]
    if len(failures) == len(keys):
        raise failures[0]
    return merging.merged(stanza, [_as_info(stanza, key, answer) for key, answer in zip(keys, answers, strict=True)])


def _as_info(
    stanza: str, key: int, answer: pgbackrest.Info | pgbackrest.RepositoryStatus | RepositoryError
) -> pgbackrest.Info:
    if isinstance(answer, pgbackrest.Info):
        return answer
    return merging.unanswered(stanza, key, answer.message)


def _one(stanza: str, repo: int) -> pgbackrest.Info | RepositoryError:
    argv = pgbackrest.hurried_info(stanza, repo, IO_SECONDS)
    try:
        return pgbackrest.parse_info(ask(argv, "info", ONE_OF_SEVERAL_SECONDS), stanza)
    except RepositoryError as error:
        return error
    except pgbackrest.UnreadableAnswerError as error:
        return RepositoryError(str(error), hint="run `pgbackrest info` by hand in the backup container")


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
