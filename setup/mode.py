"""Are backups on, off, or the business of a hosted database's provider? Said with the reason, never guessed silently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contract.errors import Problem
from contract.supervisor import Mode
from setup import assemble, database_url
from setup.assemble import Kinds
from setup.values import Rejected
from setup.variables import Variables


@dataclass(frozen=True)
class Decision:
    """The mode, why it is that one, and the types of the repositories."""

    mode: Mode
    reason: str
    kinds: Kinds


def decide(variables: Variables, problems: list[Problem]) -> Decision:
    """Decide from the variables; what contradicts itself is added to `problems`."""
    foreign = _foreign_host(variables, problems)
    if variables.setup_backup is False:
        nothing = Kinds({}, ())
        reason = _hosted(foreign) if foreign else "SETUP_BACKUP is false"
        return Decision("hosted" if foreign else "off", reason, nothing)
    kinds = assemble.read_kinds()
    problems += kinds.problems
    first = "PGBACKREST_REPO1_TYPE"
    if foreign:
        problems += _hosted_and_backups(foreign, variables, kinds)
        return Decision("hosted", _hosted(foreign), kinds)
    if kinds.chosen:
        names = ", ".join(f"PGBACKREST_REPO{key}_TYPE is {kind}" for key, kind in kinds.chosen.items())
        return Decision("backups", names, kinds)
    if variables.setup_backup and not kinds.problems:
        what = "is none or not set, but SETUP_BACKUP is true: there is no place to put backups"
        problems.append(Problem(first, what, f"set {first}=posix, or remove SETUP_BACKUP"))
    return Decision("off", f"{first} is none or not set", kinds)


def _hosted(host: str) -> str:
    return f"DATABASE_URL points to {host}, which is not this deployment's database"


def _foreign_host(variables: Variables, problems: list[Problem]) -> str | None:
    if variables.database_url is None:
        return None
    try:
        return database_url.foreign_host(variables.database_url.get_secret_value())
    except Rejected as rejected:
        problems.append(Problem("DATABASE_URL", rejected.what, rejected.hint))
        return None


def _hosted_and_backups(host: str, variables: Variables, kinds: Kinds) -> Iterator[Problem]:
    hint = "remove it: that database's provider backs it up; or let DATABASE_URL point to postgres, our own database"
    if variables.setup_backup:
        yield Problem("SETUP_BACKUP", f"is true, but {_hosted(host)}", hint)
    for key, kind in kinds.chosen.items():
        yield Problem(f"PGBACKREST_REPO{key}_TYPE", f"is {kind}, but {_hosted(host)}", hint)
