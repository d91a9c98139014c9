"""Which type of backup to take, given what was asked for and what the repository holds. Pure.

A differential or incremental backup is worth what the full one below it is worth. So there are reasons to take a full
one instead; and one not to: retention by count keeps a number of full backups, so every one outside the schedule takes
from the window. Hence at most one of them a day, unless there is nothing at all to build on; and none in reply to damage
that the last two show, since one after the other would push the good ones out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from backup.pgbackrest import Backup
from backup.state.history import Run
from contract.supervisor import FORCED_FULL_AT_MOST_EVERY, FULL_AFTER, BackupType


@dataclass(frozen=True)
class ChainFacts:
    """What is known of one repository's chain beside its list of backups.

    `labels` are those of the recorded backups: the list forgets differential ones that have expired. `last_forced_full` is
    when the last full backup that was not asked for was begun. `system_id` and `version` (17.6 or 17) are those of the
    running cluster, None when it was not asked.
    """

    full_after: int = FULL_AFTER
    last_forced_full: datetime | None = None
    labels: frozenset[str] = frozenset()
    system_id: int | None = None
    version: str | None = None


@dataclass(frozen=True)
class Choice:
    """The type to take. `reason` is empty when all is as asked; else why it is another type, or why it is not a full one.

    It is part of a sentence such as "full instead of diff: 7 backups since the last full".
    """

    kind: BackupType
    reason: str = ""


def chain_facts(runs: Sequence[Run], full_after: int, system_id: int | None, version: str | None) -> ChainFacts:
    """Return the facts that the runs of one repository tell, in any order; a month of them at least."""
    backups = [run for run in runs if run.kind == "backup"]
    forced = [run.started for run in backups if run.what == "full" and run.requested not in ("", "full")]
    labels = frozenset(run.label for run in backups if run.label)
    return ChainFacts(full_after, max(forced, default=None), labels, system_id, version)


def choose(asked: BackupType, backups: tuple[Backup, ...], chain: ChainFacts, now: datetime) -> Choice:
    """Return what to take when `asked` is due; `backups` are those of one repository, in the order they were taken."""
    if asked == "full":
        return Choice("full")
    fulls = [backup for backup in backups if backup.kind == "full"]
    if not fulls:
        return Choice("full", "the repository holds no full backup")
    if trouble := _another_cluster(fulls[-1], chain):
        return Choice("full", trouble)
    return _for_its_state(asked, fulls, _worn(fulls[-1], backups, chain), chain, now)


def _for_its_state(asked: BackupType, fulls: Sequence[Backup], trouble: str, chain: ChainFacts, now: datetime) -> Choice:
    damage = f"the last full one, {fulls[-1].label}, has page checksum errors" if fulls[-1].has_errors else ""
    if not trouble and not damage:
        return Choice(asked)
    if not trouble and len(fulls) > 1 and fulls[-2].has_errors:  # more of them would push the good ones out
        return Choice(asked, f"no full backup although {damage}: so has the one before, the database itself is damaged")
    if chain.last_forced_full is not None and now - chain.last_forced_full < FORCED_FULL_AT_MOST_EVERY:
        recent = "the last one outside the schedule is less than a day old"
        return Choice(asked, f"no full backup although {damage or trouble}: {recent}")
    return Choice("full", damage or trouble)


def _another_cluster(full: Backup, chain: ChainFacts) -> str:
    """Return how the cluster differs from the one that the last full backup is of; pgbackrest could not build on it."""
    if None not in (full.system_id, chain.system_id) and full.system_id != chain.system_id:
        return f"the last full one is of another cluster (system identifier {full.system_id}, now {chain.system_id})"
    if full.version and chain.version and full.version.split(".")[0] != chain.version.split(".")[0]:
        return f"the last full one is of PostgreSQL {full.version}, now it is {chain.version}"
    return ""


def _worn(full: Backup, backups: Sequence[Backup], chain: ChainFacts) -> str:
    # The label of a differential or incremental backup begins with that of its full one.
    built_on_it = {label for label in {b.label for b in backups} | chain.labels if label.startswith(f"{full.label}_")}
    return f"{len(built_on_it)} backups since the last full" if len(built_on_it) >= chain.full_after else ""
