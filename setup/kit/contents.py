"""What a recovery kit holds, and the environment file that it becomes on a new host.

Secrets are `SecretStr` throughout, so that no representation of a kit shows one; only its JSON does, which is sealed at
once, and the environment file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer, SecretStr, ValidationError

from contract.errors import ProductError
from contract.exits import Exit
from setup import cipher
from setup.passphrase import Secrets
from setup.render import STANZA
from setup.repository_key import Need
from setup.values import own_file

Told = Annotated[SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), return_type=str, when_used="json")]

_EXTRA: Final = "POSTGRES_EXTRA_CONFIG"
_NEEDS_NO_QUOTES: Final = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_UNQUOTABLE: Final = re.compile(r"\\'|\\$")
"""What Compose has no spelling for between single quotes, where a backslash takes the meaning from a quotation mark."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KitRepository(_Frozen):
    """A repository's number, where it lies, and its passphrase; a plain one has none."""

    key: int
    location: str
    passphrase: Told | None

    @property
    def fingerprint(self) -> str | None:
        """Return the fingerprint of the passphrase."""
        return cipher.fingerprint(self.passphrase.get_secret_value()) if self.passphrase else None


class Kit(_Frozen):
    """Everything. `environment` holds the variables that were set, those given as a file by their content.

    `extra_config` is the text of the file that POSTGRES_EXTRA_CONFIG names, which cannot be given by its content.
    """

    schema_version: Literal[1] = 1
    product: Literal["salespider-backup"] = "salespider-backup"
    made_at: datetime
    versions: dict[str, str]
    stanza: str
    environment: dict[str, Told]
    repositories: tuple[KitRepository, ...]
    fingerprints: dict[int, str | None]
    superuser_password: Told
    extra_config: Told | None = None

    def variable(self, name: str) -> str | None:
        """Return what a variable was set to."""
        value = self.environment.get(name)
        return value.get_secret_value() if value else None


def contents(
    needs: Sequence[Need], secrets: Secrets, environment: Mapping[str, str], versions: Mapping[str, str], now: datetime
) -> Kit:
    """Return the kit of a deployment; `needs` name its repositories, `environment` is as `effective_environment` has it."""
    repositories = tuple(
        KitRepository(key=need.key, location=need.location, passphrase=secrets.passphrases.get(need.key)) for need in needs
    )
    return Kit(
        made_at=now,
        versions=dict(versions),
        stanza=STANZA,
        environment={name: SecretStr(environment[name]) for name in sorted(environment)},
        repositories=repositories,
        fingerprints={repository.key: repository.fingerprint for repository in repositories},
        superuser_password=secrets.superuser_password,
    )


def to_json(kit: Kit) -> bytes:
    """Return the kit with its secrets, for sealing and nothing else."""
    return kit.model_dump_json(indent=2).encode()


def from_json(text: bytes) -> Kit:
    """Return the kit that an opened file holds. Raises ProductError when it is none of ours."""
    try:
        kit = Kit.model_validate_json(text)
    except ValidationError as error:
        raise ProductError(
            f"the opened file is not a recovery kit of this version ({error.error_count()} problems)",
            hint="is it the right file? another version of this product may have made it",
            exit_code=Exit.CONFIGURATION,
        ) from None  # it knows the values
    if kit.fingerprints != {repository.key: repository.fingerprint for repository in kit.repositories}:
        raise ProductError(
            "the recovery kit contradicts itself: its fingerprints are not those of its passphrases",
            hint="it was changed after it had been made; take another copy",
            exit_code=Exit.CONFIGURATION,
        )
    return kit


def extra_config_file(kit: Kit) -> str:
    """Return the name of the file of the operator's own settings, below this directory, a line break, and its text.

    Nothing when there is none.
    """
    name = kit.variable(_EXTRA)
    if name is None or kit.extra_config is None:
        return ""
    return f"{own_file(name)}\n{kit.extra_config.get_secret_value()}"


def environment_file(kit: Kit) -> str:
    """Return the text of the .env that the kit was made with. The same kit gives the same text.

    Raises ProductError for a value that Compose has no spelling for.
    """
    lines = [
        f"# Written from the recovery kit of {kit.made_at:%Y-%m-%d %H:%M:%S} UTC. It holds secrets.",
        "# See .env.example for what the variables mean.",
        "",
        *(f"{name}={_spelled(name, value.get_secret_value())}" for name, value in kit.environment.items()),
    ]
    return "\n".join([*lines, ""])


def _spelled(name: str, value: str) -> str:
    """Return the value as Compose reads it back: plain where nothing can be mistaken, else in single quotes."""
    if _NEEDS_NO_QUOTES.fullmatch(value):
        return value
    if _UNQUOTABLE.search(value):
        raise ProductError(
            f"{name} cannot be written to an environment file: a backslash stands before a quotation mark or at its end",
            hint=f"choose a value without that for {name}, then make the recovery kit",
            exit_code=Exit.CONFIGURATION,
        )
    quoted = value.replace("'", "\\'")
    return f"'{quoted}'"
