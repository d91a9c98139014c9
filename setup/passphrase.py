"""The secrets volume: the repository's passphrase and a generated superuser password.

Each is created once and never changed: without the passphrase no encrypted backup can be read again. So a file that is
there but does not look right is an error for a person to decide on, and nothing here ever replaces one.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from contract.errors import ProductError
from contract.exits import Exit
from setup import files

SUPERUSER_PASSWORD = "superuser-password"  # noqa: S105 - the name of a file

NOT_YET = SecretStr("(created at the first deploy)")
"""Stands for a secret that there is not yet, where nothing may be created."""

_PASSPHRASE_BYTES = 32
_PASSWORD_BYTES = 24


@dataclass(frozen=True)
class Secrets:
    """What the generated files need to know and nobody else: a passphrase for each encrypted repository, by its number."""

    passphrases: Mapping[int, SecretStr]
    superuser_password: SecretStr


def passphrase_file(key: int) -> str:
    """Return the name of the file with the passphrase of the repository with this number."""
    return f"repo{key}-cipher-pass"


@dataclass(frozen=True)
class _Kind:
    """A stored secret: the name of its file, how one is made, and how to tell a whole one from a damaged one."""

    name: str
    create: Callable[[], str]
    is_whole: Callable[[str], bool]
    what_to_do: str


def load(
    directory: Path,
    passphrases: Mapping[int, SecretStr | None],
    superuser_password: SecretStr | None,
    *,
    may_create: bool = True,
) -> Secrets:
    """Return the secrets, creating in `directory` what is needed, was not given and is not there yet.

    `passphrases` has the number of each encrypted repository, with the passphrase that the operator supplied, if any. With
    `may_create` off nothing is written, and what would be created is `NOT_YET`. Raises ProductError when a stored secret
    is damaged or is not the supplied one, or the directory cannot be read or written. Everything stored is checked before
    anything is created.
    """
    kinds = {key: _passphrase(key, supplied) for key, supplied in passphrases.items()}
    needed = [*kinds.values(), *([] if superuser_password else [_PASSWORD])]
    create = _create if may_create else _not_yet
    try:
        present = [kind for kind in needed if _is_stored(directory, kind)]
        obtained = {kind.name: (_stored if kind in present else create)(directory, kind) for kind in needed}
    except OSError as error:
        raise ProductError(
            f"the secrets in {directory} cannot be read or written: {files.reason(error)}",
            hint="check the volume pgbackrest-secrets and the free space on the disk it is on",
            exit_code=Exit.CONFIGURATION,
        ) from error
    found = {key: obtained[kind.name] for key, kind in kinds.items()}
    return Secrets(found, superuser_password or obtained[SUPERUSER_PASSWORD])


def _not_yet(_: Path, __: _Kind) -> SecretStr:
    return NOT_YET


def _is_stored(directory: Path, kind: _Kind) -> bool:
    try:
        _stored(directory, kind)
    except FileNotFoundError:
        return False
    return True


def _stored(directory: Path, kind: _Kind) -> SecretStr:
    text = (directory / kind.name).read_bytes().decode("utf-8", errors="replace").removesuffix("\n")
    if not kind.is_whole(text):
        raise ProductError(
            f"the stored secret {directory / kind.name} is empty or damaged",
            hint=kind.what_to_do,
            exit_code=Exit.CONFIGURATION,
        )
    return SecretStr(text)


def _create(directory: Path, kind: _Kind) -> SecretStr:
    """Create the file whole or not at all; when two setups do so at once, both return the value of the first."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{kind.name}.", dir=directory)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(kind.create() + "\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, directory / kind.name)  # unlike a rename, it never replaces
        files.sync(directory)
    finally:
        Path(temporary).unlink()
    return _stored(directory, kind)


def _new_passphrase() -> str:
    return base64.b64encode(secrets.token_bytes(_PASSPHRASE_BYTES)).decode("ascii")


def _is_passphrase(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _PASSPHRASE_BYTES
    except (binascii.Error, ValueError):
        return False


def _new_password() -> str:
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _is_password(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _passphrase(key: int, supplied: SecretStr | None) -> _Kind:
    if supplied is None:
        hint = "put the passphrase back from your copy of it; if there is no backup yet, delete the file and start again"
        return _Kind(passphrase_file(key), _new_passphrase, _is_passphrase, hint)
    text = supplied.get_secret_value()
    hint = f"it is not the one in PGBACKREST_REPO{key}_CIPHER_PASS, which cannot be changed: remove the variable"
    return _Kind(passphrase_file(key), lambda: text, lambda stored: stored == text, hint)


_PASSWORD = _Kind(
    SUPERUSER_PASSWORD,
    _new_password,
    _is_password,
    "set POSTGRES_PASSWORD to the superuser's password, or put the file back from a copy",
)
