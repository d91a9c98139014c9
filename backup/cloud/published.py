"""Which repository a program of a cloud service is about, and its published options. Pure.

The options are read as pgBackRest reads them, from `conf.d/repo.conf`; nothing of them is in the container's environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from contract.errors import ProductError
from contract.exits import Exit

_OPTION = re.compile(r"repo([1-9])-([a-z0-9-]+)=(.*)")


@dataclass(frozen=True)
class Published:
    """One repository: pgBackRest's number of it, and its options by name without `repo1-`."""

    key: int
    options: Mapping[str, str]

    def get(self, name: str) -> str:
        """Return an option, empty when it is not set."""
        return self.options.get(name, "")

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Published({self.key})"


def repositories(text: str) -> tuple[Published, ...]:
    """Return every repository of a `repo.conf`, in the order of their numbers."""
    options: dict[int, dict[str, str]] = {}
    for line in text.splitlines():
        if found := _OPTION.fullmatch(line.strip()):
            options.setdefault(int(found[1]), {})[found[2]] = found[3]
    return tuple(Published(key, options[key]) for key in sorted(options))


def chosen(text: str, kind: str, wanted: str) -> Published:
    """Return the repository with the number that is `wanted`, or the first one of the kind when that is empty.

    Raises ProductError when there is none, or when the one that is wanted is of another kind.
    """
    every = repositories(text)
    of_kind = tuple(repository for repository in every if repository.get("type") == kind)
    if not of_kind:
        what = f"no repository is of the type {kind}"
        raise ProductError(
            what, hint=f"set PGBACKREST_REPO1_TYPE={kind} in .env, then make deploy", exit_code=Exit.CONFIGURATION
        )
    for repository in of_kind:
        if wanted in ("", str(repository.key)):
            return repository
    there = ", ".join(str(repository.key) for repository in of_kind)
    what = f"repository {wanted} (BACKUP_REPO) is not of the type {kind}"
    raise ProductError(what, hint=f"these are: {there}", exit_code=Exit.USAGE)
