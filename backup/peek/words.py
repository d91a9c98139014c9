"""What a peek says: its plan, that it is open, why it has ended, and how an exported table is loaded. Pure."""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from backup.peek.ending import Reason
from backup.peek.moment import Chosen, both, shown
from backup.peek.tables import Table
from contract.supervisor import Database

OPEN: Final = "PEEK IS OPEN"
"""The line after which nobody needs to wait any more; `scripts/peek` looks for it, and does not print it."""

NEXT: Final = (
    '  make peek-psql                      look into it; one statement: SQL="SELECT …"',
    "  make peek-export TABLE=public.sale  take a table out, as a file for pg_restore",
    "  make peek-close                     end it, and remove all of it",
)
_ENDED: Final[dict[Reason, str]] = {
    "": "it has ended",
    "request": "it was closed on request",
    "hours": "its hours are over",
    "space": "the database's volume was getting full, and the space belongs to the live database",
}


def plan_lines(chosen: Chosen, now: datetime, zone: ZoneInfo, space: str, hours: float) -> list[str]:
    """Return the plan."""
    backup = chosen.plan.backup
    pairs = (
        ("peek at", shown(chosen, None, zone) if chosen.plan.wanted.verb != "latest" else "the end of the archive"),
        ("from", f"{backup.kind} backup {backup.label}, ended {both(backup.stopped, zone)}, repository {backup.repo}"),
        *(("WARNING", warning) for warning in chosen.plan.warnings),
        *(("note", note) for note in chosen.plan.notes),
        ("how", "a copy beside the live database, read-only; the live one goes on and is not touched"),
        ("space", space),
        ("ends", f"with `make peek-close`, or {hours:g} hours after it has opened"),
    )
    return [f"{now:%Y-%m-%d %H:%M:%S} UTC: peek", *(f"  {name:<8} {text}" for name, text in pairs)]


def ready_lines(moment: str, chosen: Chosen, comparison: list[str], until: str) -> list[str]:
    """Return what is said once it is open."""
    backup = chosen.plan.backup
    return [
        f"PEEK: {moment}",
        f"  from {backup.kind} backup {backup.label} of repository {backup.repo}; open until {until}",
        *comparison,
        *NEXT,
        OPEN,
    ]


def ended(reason: Reason) -> str:
    """Return why it has ended."""
    return _ENDED[reason]


def loading(table: Table, file: str, container: str, database: Database) -> list[str]:
    """Return the commands that load an exported table into the live database. Its sequences stay where they are."""
    into = f"docker exec -i {container} %s -U {shlex.quote(database.user)} -d {shlex.quote(database.name)}"
    restore, psql = into % "pg_restore", into % "psql"
    other = f'{table.name[:-1]}_peek"' if table.name.endswith('"') else f"{table.name}_peek"
    only = " ".join(f"--table={shlex.quote(name)}" for name in (table.parts or (table.relation,)))
    source = shlex.quote(file)
    into_other = other.replace("\\", r"\\").replace("/", r"\/").replace("&", r"\&")
    script = f"s/^COPY {_for_sed(table.name)} (\\(.*\\)) FROM stdin;$/COPY {into_other} (\\1) FROM stdin;/"
    create = f"CREATE TABLE {other} (LIKE {table.name})"
    rename = (
        f"docker exec -i {container} pg_restore --data-only {only} --file=- < {source} | sed {shlex.quote(script)} "
        f"| {psql} --single-transaction -v ON_ERROR_STOP=1 -q -o /dev/null"
    )
    return [
        "into the table that is there (a row whose key exists makes all of it fail, and nothing is loaded):",
        f"  {restore} --single-transaction --data-only {only} < {source}",
        f"beside it, as {other}:",
        f"  {psql} -c {shlex.quote(create)}",
        f"  {rename}",
        "when the table itself is gone, with its indexes, constraints and sequences:",
        f"  {restore} --single-transaction < {source}",
    ]


def _for_sed(name: str) -> str:
    return re.sub(r"([\\/.*\[\]^$])", r"\\\1", name)
