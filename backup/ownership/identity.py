"""The guard over the backups: who the database was is remembered with each proven one, and asked before anything else.

While there is an objection nothing may be written into the repositories: no backup, no expire, no stanza-create, no
stanza-upgrade. The judgement is `backup.ownership.cluster`'s; here it meets the database, the memory and the alarms.
"""

from __future__ import annotations

from backup.deployment import Deployment
from backup.notice import Fact, Notice
from backup.ownership import cluster
from backup.ownership.cluster import Identity, Objection
from backup.pgbackrest import Info
from backup.postgres import Server
from backup.state.alarms import Alarm
from contract import events

ALARM_KEY = "identity"
_MARK = "identity"


def remembered(deployment: Deployment) -> Identity | None:
    """Return who the cluster was at the last proven backup, or None before the first one or when the state was lost."""
    value = deployment.marks.get(_MARK)
    return None if value is None else cluster.from_mark(value)


def remember(deployment: Deployment, server: Server, database_bytes: int | None) -> None:
    """Keep who the cluster is: after every proven backup with its size, so that the size that is expected follows.

    None as size: whatever size comes next is right.
    """
    major = cluster.major_version(server.version)
    deployment.marks.put(_MARK, Identity(server.system_id, major, database_bytes, deployment.now()).as_mark())


def seen(deployment: Deployment, server: Server) -> Identity:
    """Return who is running now, with the size of all databases together. Raises DatabaseError."""
    size = deployment.postgres.database_bytes()
    return Identity(server.system_id, cluster.major_version(server.version), size, deployment.now())


def objection(deployment: Deployment, server: Server, info: Info) -> Objection | None:
    """Judge the running cluster by memory and repositories; changes and tells nothing. Raises DatabaseError."""
    return cluster.judge_all(seen(deployment, server), cluster.expectations(remembered(deployment), info))


def guard(deployment: Deployment, server: Server, info: Info) -> Objection | None:
    """Judge as `objection` does, and keep the alarm: raised while there is one, over when there is none.

    To be asked before every backup, expire and stanza command. Raises DatabaseError.
    """
    found = objection(deployment, server, info)
    if found is None:
        over(deployment, "the running database is the one that the backups are of")
    else:
        alarm(deployment, found)
    return found


def glance(deployment: Deployment, server: Server) -> Objection | None:
    """Judge by the memory alone, without a size: costs nothing, so it can be asked every minute. Tells nothing."""
    known = remembered(deployment)
    major = cluster.major_version(server.version)
    return cluster.judge(Identity(server.system_id, major), known) if known else None


def alarm(deployment: Deployment, found: Objection) -> None:
    """Raise the alarm, or keep it raised."""
    facts: dict[str, Fact] = {
        "reason": found.reason,
        "system_id": str(found.seen.system_id),  # as text: it exceeds what other languages' numbers hold
        "version": found.seen.version,
        "database_bytes": found.seen.database_bytes,
        "expected_system_id": str(found.expected.system_id),
        "expected_version": found.expected.version,
        "expected_database_bytes": found.expected.database_bytes,
    }
    deployment.teller.alarm(Alarm(ALARM_KEY, events.IDENTITY_ALARM, "critical", found.message, found.hint), facts)


def over(deployment: Deployment, summary: str) -> None:
    """End the alarm, if there is one."""
    deployment.teller.over(ALARM_KEY, events.IDENTITY_RECOVERED, summary)


def restored(deployment: Deployment, server: Server) -> None:
    """Take note of a restore: an earlier, smaller state of the same cluster is right now. Raises DatabaseError.

    A backup of another cluster than the remembered one stays an objection, because its stanza has to be changed.
    """
    known = remembered(deployment)
    if known is None or (known.system_id, known.version) == (server.system_id, cluster.major_version(server.version)):
        remember(deployment, server, deployment.postgres.database_bytes())


def adopted(deployment: Deployment, server: Server, before: Identity | None) -> Identity:
    """Make the running cluster the expected one, and tell it; return it. Raises DatabaseError."""
    now = seen(deployment, server)
    remember(deployment, server, now.database_bytes)
    summary = f"the running database is adopted: {now}; the backups up to now are of: {before or 'nobody known'}"
    facts: dict[str, Fact] = {"system_id": str(now.system_id), "version": now.version, "database_bytes": now.database_bytes}
    deployment.teller.tell(Notice(events.IDENTITY_ADOPTED, "warning", summary, facts=facts))
    over(deployment, "the running database was adopted")
    return now
