"""The secrets volume: the passphrase of each repository, and a generated superuser password.

Each is created once and kept for ever: without the passphrase no encrypted backup can be read again. A file that is
there but does not look right is an error for a person to decide on. The only thing here that ever takes a stored
secret's place is one that the operator supplies instead of a provisional one, and then the old one is kept beside it.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from contract import paths
from contract.errors import InvalidConfigurationError, Problem, ProductError
from contract.exits import Exit
from contract.protection import UsedPassphrases
from setup import cipher, files, values
from setup.repository_key import Action, Known, Need, decide, taken

SUPERUSER_PASSWORD = "superuser-password"  # noqa: S105 - the name of a file

NOT_YET = SecretStr("(created at the first deploy)")
"""Stands for a secret that there is not yet, where nothing may be created."""

_PASSPHRASE_BYTES = 32
_PASSWORD_BYTES = 24
_PASSPHRASE_HINT = "put the passphrase back from the recovery kit or from your copy of it; if there is no backup yet, delete the file and start again"  # noqa: E501, S105
_PASSWORD_HINT = "set POSTGRES_PASSWORD to the superuser's password, or put the file back from a copy"  # noqa: S105


@dataclass(frozen=True)
class Secrets:
    """What the generated files need to know and nobody else: a passphrase per encrypted repository, by its number."""

    passphrases: Mapping[int, SecretStr]
    superuser_password: SecretStr

    def fingerprint(self, key: int) -> str | None:
        """Return the fingerprint of a repository's passphrase, None for a plain one."""
        passphrase = self.passphrases.get(key)
        return cipher.fingerprint(passphrase.get_secret_value()) if passphrase else None


def file_name(key: int) -> str:
    """Return the name of the file with the passphrase of repository `key`."""
    return f"repo{key}-cipher-pass"


def load(
    directory: Path,
    needs: Sequence[Need],
    superuser_password: SecretStr | None,
    used: UsedPassphrases | None,
    *,
    may_create: bool = True,
) -> Secrets:
    """Return the secrets; create, adopt or replace in `directory` what has to be.

    `used` is the backup service's record, None if it cannot be understood. Everything is decided before anything is
    written; with `may_create` off nothing is, and what would be created is `NOT_YET`. Raises InvalidConfigurationError with
    every passphrase that is refused, and ProductError when a stored secret is damaged or the directory cannot be read or
    written.
    """
    with _opened(directory):
        actions = _decide(directory, needs, used)
        password = superuser_password or stored(directory, SUPERUSER_PASSWORD)
        if not may_create:
            foreseen = {need.key: _foreseen(directory, need) for need, action in actions if action is not Action.NONE}
            return Secrets(foreseen, password or NOT_YET)
        passphrases = {need.key: _obtain(directory, need, action) for need, action in actions if action is not Action.NONE}
        return Secrets(passphrases, password or _create(directory, SUPERUSER_PASSWORD, _new_password()))


def plan(directory: Path, needs: Sequence[Need], used: UsedPassphrases | None) -> dict[int, Action]:
    """Return what `load` would do about each repository's passphrase, and change nothing. Raises what `load` raises."""
    with _opened(directory):
        return {need.key: action for need, action in _decide(directory, needs, used)}


def put(directory: Path, name: str, value: SecretStr) -> None:
    """Store a secret; one that is there already and differs is kept beside it under another name.

    Raises ProductError when the directory cannot be written.
    """
    with _opened(directory):
        _put(directory, name, value)


def stored(directory: Path, name: str) -> SecretStr | None:
    """Return a stored secret, or None when there is none. Raises ProductError when it is damaged, OSError if unreadable."""
    try:
        text = (directory / name).read_bytes().decode("utf-8", errors="replace").removesuffix("\n")
    except FileNotFoundError:
        return None
    if not _is_whole(text):
        raise ProductError(
            f"the stored secret {directory / name} is empty or damaged",
            hint=_PASSWORD_HINT if name == SUPERUSER_PASSWORD else _PASSPHRASE_HINT,
            exit_code=Exit.CONFIGURATION,
        )
    return SecretStr(text)


def _decide(directory: Path, needs: Sequence[Need], used: UsedPassphrases | None) -> list[tuple[Need, Action]]:
    found = [(need, known, decide(need, known)) for need in needs if (known := _known(directory, need, used))]
    problems = [verdict for _, _, verdict in found if isinstance(verdict, Problem)]
    if problems:
        raise InvalidConfigurationError(problems)
    return [_resolved(need, known, verdict) for need, known, verdict in found if isinstance(verdict, Action)]


def _resolved(need: Need, known: Known, action: Action) -> tuple[Need, Action]:
    """Turn a passphrase of another number into one that is supplied: what is stored may be another one a moment later."""
    if action is Action.TAKE:
        return replace(need, supplied=taken(need, known)), Action.REPLACE
    return need, action


def _known(directory: Path, need: Need, used: UsedPassphrases | None) -> Known:
    if not need.encrypted:
        return Known(None, used)
    return Known(stored(directory, file_name(need.key)), used, tuple(_of_others(directory, need.key)))


def _of_others(directory: Path, key: int) -> Iterator[SecretStr]:
    for other in range(1, paths.MOST_REPOSITORIES + 1):
        with suppress(ProductError):  # a damaged one is told of where it is needed
            found = stored(directory, file_name(other)) if other != key else None
            if found:
                yield found


def _foreseen(directory: Path, need: Need) -> SecretStr:
    """Return the passphrase that `load` would end with: what is supplied has been found to be acceptable."""
    kept = None if need.begins_anew else stored(directory, file_name(need.key))
    return need.supplied or kept or NOT_YET


def _obtain(directory: Path, need: Need, action: Action) -> SecretStr:
    name = file_name(need.key)
    if action is Action.REPLACE and need.supplied:
        return _put(directory, name, need.supplied)
    if need.begins_anew and action is not Action.KEEP:
        return _put(directory, name, need.supplied or _new_passphrase())
    found = stored(directory, name)
    return found or _create(directory, name, need.supplied or _new_passphrase())


def _is_whole(text: str) -> bool:
    try:
        return bool(values.secret(text)) and "\N{REPLACEMENT CHARACTER}" not in text
    except values.Rejected:
        return False


def _create(directory: Path, name: str, value: SecretStr) -> SecretStr:
    """Create the file whole or not at all, and never in the place of another; return what is stored in the end."""
    with _written(directory, name, value) as temporary, suppress(FileExistsError):
        os.link(temporary, directory / name)
    return stored(directory, name) or value


def _put(directory: Path, name: str, value: SecretStr) -> SecretStr:
    before = stored(directory, name)
    if before == value:
        return value
    if before is not None:
        aside = directory / f"{name}.replaced-{cipher.fingerprint(before.get_secret_value())[:12]}"
        with suppress(FileExistsError):
            os.link(directory / name, aside)
    with _written(directory, name, value) as temporary:
        Path(temporary).rename(directory / name)
    return value


@contextmanager
def _written(directory: Path, name: str, value: SecretStr) -> Iterator[str]:
    """Yield the name of a temporary file with the secret in it, mode 0600, which is gone afterwards if still there."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value.get_secret_value() + "\n")
            file.flush()
            os.fsync(descriptor)
        yield temporary
        files.sync(directory)
    finally:
        Path(temporary).unlink(missing_ok=True)


@contextmanager
def _opened(directory: Path) -> Iterator[None]:
    """Keep other setups out, by the directory's own lock, and say what the operating system refuses."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ProductError(
            f"the secrets in {directory} cannot be read or written: {files.reason(error)}",
            hint="check the volume pgbackrest-secrets and the free space on the disk it is on",
            exit_code=Exit.CONFIGURATION,
        ) from error


def _new_passphrase() -> SecretStr:
    return SecretStr(base64.b64encode(secrets.token_bytes(_PASSPHRASE_BYTES)).decode("ascii"))


def _new_password() -> SecretStr:
    return SecretStr(secrets.token_urlsafe(_PASSWORD_BYTES))
