"""A configuration for pgbackrest in which only some of the repositories stand.

`stanza-create` and `check` accept no `--repo`: one repository that is out of reach makes them fail for all. pgbackrest works
with any numbers, gaps among them included (2.55.1), so the lines of the others are simply left out. The copy holds the
passphrases; it lies in the container's own memory, for nobody else to read, for as long as a command runs.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backup.deployment import ConfigurationError, Deployment
from contract import paths

_OPTION: Final = re.compile(r"\s*repo(?P<key>[0-9]+)-")


def only(text: str, keys: Collection[int]) -> str:
    """Return the text of a configuration without the options of all repositories but these."""
    kept = (line for line in text.splitlines() if (found := _OPTION.match(line)) is None or int(found["key"]) in keys)
    return "\n".join(kept) + "\n"


@contextmanager
def included(deployment: Deployment, keys: Collection[int]) -> Iterator[str | None]:
    """Yield the directory for `--config-include-path`, or None when all repositories are meant.

    Raises ConfigurationError.
    """
    if set(keys) >= {repository.key for repository in deployment.config.repositories}:
        yield None
        return
    published = deployment.volumes.config / paths.REPO_CONF
    try:
        with tempfile.TemporaryDirectory(prefix="repositories-") as directory:
            copy = Path(directory) / published.name
            copy.touch(mode=0o600)
            copy.write_text(only(published.read_text("utf-8"), keys), "utf-8")
            yield directory
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from error
