"""Noticing that a scheduled backup is missing, without asking the repository all the time.

What the repositories hold is written down whenever somebody has asked anyway. Once a minute that is held against the
schedule. Only when something seems late are they asked, for a backup may have been taken by hand with pgbackrest itself;
and while it stays late, at most every quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from backup.deployment import Deployment
from backup.keeping import losses, policy, survey
from backup.state.alarms import Alarm
from backup.state.holdings import Holdings, Known
from contract import events
from contract.supervisor import BackupType

ASK_EVERY: Final = timedelta(minutes=15)

_ASKED: Final = "backups.asked"
_KEY: Final = "late"
HINTS: Final[Mapping[BackupType, str]] = {
    "full": "see `make backup-history` for the reason, then take one now: `make backup`",
    "diff": "see `make backup-history` for the reason, then take one now: `make backup-diff`",
    "incr": "see `make backup-history` for the reason, then take one now: `make backup-incr`",
}


@dataclass(frozen=True)
class Late:
    """A backup that is missing."""

    repo: int
    kind: BackupType
    problem: str


def key(repo: int, kind: BackupType) -> str:
    """Return the key of the alarm for a missing backup."""
    return f"{_KEY}:{repo}:{kind}"


def judge(deployment: Deployment) -> None:
    """Raise the alarms of what is late and end those of what is not any more. Raises StoreError."""
    late = _late(deployment)
    if late and _may_ask(deployment):
        deployment.marks.put_moment(_ASKED, deployment.now())
        for answer in survey.ask(deployment):
            if answer.info is not None:
                losses.remember(deployment, answer.info)
        late = _late(deployment)
    teller = deployment.teller
    for each in late:
        message = f"{each.kind} backup in repository {each.repo}: {each.problem}"
        facts = {"repo": each.repo, "type": each.kind}
        teller.alarm(Alarm(key(each.repo, each.kind), events.BACKUP_LATE, "critical", message, HINTS[each.kind]), facts)
    still = {key(each.repo, each.kind) for each in late}
    for raised in teller.alarms.raised():
        name = raised.alarm.key
        if name.startswith(f"{_KEY}:") and name not in still:
            _, repo, kind = name.split(":")
            teller.over(name, events.BACKUP_ON_TIME, f"{kind} backup in repository {repo}: no longer missing")


def _may_ask(deployment: Deployment) -> bool:
    asked = deployment.marks.moment(_ASKED)
    return asked is None or abs(deployment.now() - asked) >= ASK_EVERY


def _late(deployment: Deployment) -> tuple[Late, ...]:
    known = Holdings(deployment.store).recall()
    repos = [repository.key for repository in deployment.config.repositories if repository.key in known]
    return tuple(late for repo in repos for late in _late_in(deployment, repo, known[repo]))


def _late_in(deployment: Deployment, repo: int, known: Known) -> Iterator[Late]:
    allowed = timedelta(minutes=deployment.config.thresholds.late_minutes)
    if known.empty_since is not None and deployment.now() - known.empty_since <= allowed:
        return  # the first one is under way
    expressions = deployment.config.schedule.expressions()
    excuse = policy.leeway(deployment.config.thresholds, repo, deployment.history.last("backup", state="running"))
    for verdict in policy.freshness(expressions, deployment.zone, known.backups, deployment.now(), excuse):
        if verdict.problem:
            yield Late(repo, verdict.kind, verdict.problem)
