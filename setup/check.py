"""`--check`: the effective configuration and what publishing it would change, for a person to read; nothing is written.

Secrets appear as *** with a fingerprint, in what is published now as well as in what would be.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from setup import cipher, files, passphrase
from setup.publish import previously_published
from setup.variables import Variables

_SHOWN_DIGITS = 8
_SECRET_OPTION = re.compile(
    r"^(repo[1-9]-(?:cipher-pass|s3-key|s3-key-secret|s3-token|s3-sse-customer-key|azure-key|gcs-key))=(.*)$"
)
_WHOLLY_SECRET = re.compile(rf"{paths.SUPERUSER_PASSWORD}|{paths.EXTRA_CONF}|{paths.RECEIVERS_JSON}|{paths.KEYS}/.*\.json")


@dataclass(frozen=True)
class Difference:
    """The files that publishing would write or remove, each with the lines that tell what changes in it."""

    changes: Mapping[str, tuple[str, ...]]

    @property
    def exit_code(self) -> Exit:
        """Return what `--check` ends with."""
        return Exit.WOULD_CHANGE if self.changes else Exit.OK


def difference(texts: Mapping[str, str], directory: Path) -> Difference:
    """Compare the files that would be published with those that are. Raises ProductError when they cannot be read."""
    try:
        changes = {path: tuple(_change(path, _read(directory / path), text)) for path, text in texts.items()}
        stale = sorted(path for path in previously_published(directory) - set(texts) if (directory / path).exists())
    except OSError as error:
        raise ProductError(
            f"the published configuration in {directory} cannot be read: {files.reason(error)}",
            hint="run this as the user of setup: docker compose run --rm setup --check",
            exit_code=Exit.CONFIGURATION,
        ) from error
    changed = {path: lines for path, lines in changes.items() if lines and path != paths.MANIFEST_JSON}
    return Difference(changed | dict.fromkeys(stale, ("would be removed",)))


def tell(found: Difference) -> Iterator[str]:
    """Return the difference as lines to print."""
    if not found.changes:
        yield "the published configuration is the same"
    for path, lines in found.changes.items():
        yield f"{path}:"
        yield from (f"  {line}" for line in lines)


def effective(variables: Variables, options: Mapping[str, str]) -> Iterator[str]:
    """Return the variables that have a value, given or by default, and then the repositories' options."""
    for name in sorted(Variables.model_fields):
        value = getattr(variables, name)
        if value is not None and value != "":
            yield f"{name.upper()}={_shown(value)}"
    for name, value in options.items():
        yield mask_line(f"{name}={value}")


def mask_line(line: str) -> str:
    """Return a line of repo.conf without the secret in it."""
    match = _SECRET_OPTION.match(line)
    if match is None or match[2].startswith(f"{paths.CONFIG}/"):
        return line
    return f"{match[1]}={_masked(match[2])}"


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return _masked(value.get_secret_value())
    return str(value).lower() if isinstance(value, bool) else str(value)


def live(directory: Path) -> Iterator[str]:
    """Return every published file as lines to print, without the secrets. Raises ProductError when there is none."""
    published = sorted(previously_published(directory))
    if not published:
        raise ProductError(
            f"no configuration is published in {directory}",
            hint="run setup first: docker compose up setup",
            exit_code=Exit.CONFIGURATION,
        )
    for path in published:
        yield f"--- {path}"
        text = _read(directory / path) or ""
        yield from [masked(text.rstrip())] if _WHOLLY_SECRET.fullmatch(path) else _lines(text)


def masked(secret: str) -> str:
    """Return what is shown in place of a secret: a sign by which two people can tell whether they have the same one."""
    return f"*** (fingerprint {cipher.fingerprint(secret)[:_SHOWN_DIGITS]})"


def _masked(secret: str) -> str:
    return secret if secret == passphrase.NOT_YET.get_secret_value() else masked(secret)


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _change(path: str, old: str | None, new: str) -> Iterator[str]:
    if old == new:
        return
    if old is None:
        yield "would be created"
    elif _WHOLLY_SECRET.fullmatch(path):
        yield f"would change from {masked(old.rstrip())} to {_masked(new.rstrip())}"
    else:
        lines = difflib.unified_diff(_lines(old), _lines(new), n=0, lineterm="")
        # The masked lines can be the same where only the secret's line break or the like differs.
        yield from [line for line in lines if not line.startswith(("---", "+++", "@@"))] or ["would be written again"]


def _lines(text: str) -> list[str]:
    return [mask_line(line) for line in text.splitlines()]
