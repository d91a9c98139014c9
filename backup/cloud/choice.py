"""Which repository a program of a cloud service is about. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from backup.storage.published import Options
from contract.errors import ProductError
from contract.exits import Exit


def chosen(every: Mapping[int, Options], kind: str, wanted: str) -> Options:
    """Return the repository with the number that is `wanted`, or the first one of the kind when that is empty.

    Raises ProductError when there is none, or when the one that is wanted is of another kind.
    """
    of_kind = {str(key): every[key] for key in sorted(every) if every[key].type == kind}
    if not of_kind:
        what = f"no repository is of the type {kind}"
        raise ProductError(
            what, hint=f"set PGBACKREST_REPO1_TYPE={kind} in .env, then make deploy", exit_code=Exit.CONFIGURATION
        )
    found = of_kind.get(wanted or next(iter(of_kind)))
    if found is None:
        what = f"repository {wanted} (BACKUP_REPO) is not of the type {kind}"
        raise ProductError(what, hint=f"these are: {', '.join(of_kind)}", exit_code=Exit.USAGE)
    return found
