"""pgBackRest's command line for a restore beside the live cluster. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from backup.pgbackrest import Argv, RestoreTarget
from contract import paths


@dataclass(frozen=True)
class Beside:
    """Where a cluster is restored beside the live one: its directory, that of its tablespaces, and a scratch directory."""

    pgdata: str
    tablespaces: str
    scratch: str


@dataclass(frozen=True)
class Source:
    """Where a cluster is restored from, and how far: the repository, the backup set, the target, and what fetches WAL."""

    repo: int
    label: str
    target: RestoreTarget
    restore_command: str


def restore_beside(stanza: str, source: Source, beside: Beside, *, goes_on: bool = False) -> Argv:
    """Return the command that restores a backup set into an empty directory, or goes on where it was cut off.

    Spool and lock path are its own: with the live ones it would empty the spool of the live server. Every tablespace has
    another place: otherwise it would be refused, or restored over the live one.
    """
    return (
        "pgbackrest",
        f"--stanza={stanza}",
        f"--repo={source.repo}",
        f"--set={source.label}",
        "--delta" if goes_on else "--no-delta",
        f"--pg1-path={beside.pgdata}",
        f"--tablespace-map-all={beside.tablespaces}",
        f"--spool-path={beside.scratch}/spool",
        f"--lock-path={beside.scratch}/lock",
        "--archive-mode=off",
        "--log-level-console=detail",  # names every file with its share
        *source.target.options(),
        f"--recovery-option=restore_command={source.restore_command}",
        "restore",
    )


def restore_command(repositories: tuple[int, ...], *, beside_tablespaces: bool = False) -> str:
    """Return the restore_command that asks these repositories in turn, or all when none is named.

    With `beside_tablespaces` it ends recovery before a tablespace is made: its directory is named in the WAL, whatever
    pgbackrest has mapped, and may be in use by the live cluster.
    """
    guard = ("beside-tablespaces",) if beside_tablespaces else ()
    return " ".join((f'{paths.RESTORE_COMMAND} %f "%p"', *guard, *(str(repo) for repo in repositories)))
