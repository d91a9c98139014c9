"""A repository that held backups and holds none any more, or does not answer for long: an alarm of its own, which names it.

The supervisor goes on: an emptied repository gets its stanza and a full backup again. But what it held is gone, so the
alarm stands until that is back, until the new backups reach back as far as promised, or until the operator says that it is
known (`repo-add`). Nothing here stops anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from backup.deployment import Deployment
from backup.keeping import reach, survey
from backup.keeping.survey import Answer
from backup.notice import Fact
from backup.pgbackrest import Backup, Info
from backup.state.alarms import Alarm
from backup.state.holdings import Holdings, Known
from backup.state.lost import Loss, Lost, Silence
from contract import events
from contract.supervisor import Repository

LOOK_EVERY: Final = timedelta(hours=1)
LOOK_AGAIN: Final = timedelta(minutes=5)
"""While something is wrong: with a repository, or with backups or archiving, which may be the first sign of it."""

WITHOUT_STANZA: Final = "repository.without-stanza"
"""The mark that tells the supervisor which repositories answer and have no stanza."""

_ASKED: Final = "repository.asked"
_SIGNS: Final = ("repository:", "backup:", "late:", "archiver")
_HINT: Final = "is it the right place, is its disk mounted? `make backup-info` lists what there is; docs/guide/moving.md"


def key(repo: int) -> str:
    """Return the key of the alarm that a repository is lost or out of reach."""
    return f"repository:{repo}"


# --- noticing ---------------------------------------------------------------------------------------------------------


def remember(deployment: Deployment, info: Info) -> None:
    """Write down what the repositories hold; one that could not be read keeps what was known of it. Raises StoreError.

    What is gone since the last time is written down first, as a loss.
    """
    _note(deployment, info)
    usable = {repository.key for repository in info.repositories if repository.is_usable}
    seen = {repo: tuple(backup for backup in info.backups if backup.repo == repo) for repo in usable}
    kept = {repository.key: repository.location for repository in deployment.config.repositories}
    Holdings(deployment.store).put(seen, kept, deployment.now())


def _note(deployment: Deployment, info: Info) -> None:
    """Compare what repositories hold with what they held, before that is forgotten. Raises StoreError.

    Only the loss of all is one: single backups go by retention. A repository that was given another place is not lost;
    setup tells about that.
    """
    known = Holdings(deployment.store).recall()
    places = {repository.key: repository.location for repository in deployment.config.repositories}
    lost = Lost(deployment.store)
    for status in info.repositories:
        before = known.get(status.key)
        if not status.is_usable or before is None or not before.backups or status.key not in places:
            continue
        if info.labels(status.key) or before.location not in ("", places[status.key]):
            continue
        lost.put_loss(_loss(status.key, places[status.key], before, deployment.now()))


def _loss(repo: int, location: str, before: Known, now: datetime) -> Loss:
    labels = tuple(backup.label for backup in before.backups)
    moments = [backup.stopped for backup in before.backups]
    return Loss(repo, location, before.count, min(moments), max(moments), labels, now)


def judge(deployment: Deployment) -> None:
    """Ask the repositories when that is due, then raise and end the alarms. Raises StoreError."""
    if _is_due(deployment):
        look(deployment)
    _judge(deployment)


def _is_due(deployment: Deployment) -> bool:
    signs = [each.since for each in deployment.teller.alarms.raised() if each.alarm.key.startswith(_SIGNS)]
    every = LOOK_AGAIN if signs else LOOK_EVERY
    known = [each.seen_at for each in Holdings(deployment.store).recall().values()]
    asked = deployment.marks.moment(_ASKED)
    moments = [min(known)] if len(known) == len(deployment.config.repositories) else []
    latest = max([*moments, *([asked] if asked else [])], default=None)
    if latest is None:
        return False
    return max(signs, default=latest) > latest or abs(deployment.now() - latest) >= every


def look(deployment: Deployment) -> None:
    """Ask every repository and write down what it holds, or since when it does not answer. Raises StoreError."""
    deployment.marks.put_moment(_ASKED, deployment.now())
    before, silences, bare = Lost(deployment.store).silences(), dict[int, Silence](), list[int]()
    for answer in survey.ask(deployment):
        if answer.info is None:
            silences[answer.repo] = _silence(before.get(answer.repo), answer, deployment.now())
            continue
        remember(deployment, answer.info)
        bare += [r.key for r in answer.info.repositories if r.lacks_stanza]
    Lost(deployment.store).put_silences(silences)
    if bare != (deployment.marks.get(WITHOUT_STANZA) or []):
        deployment.marks.put(WITHOUT_STANZA, bare or None)


def _silence(before: Silence | None, answer: Answer, now: datetime) -> Silence:
    return Silence(before.since if before else now, answer.problem, answer.is_gone)


# --- judging ----------------------------------------------------------------------------------------------------------


def _judge(deployment: Deployment) -> None:
    lost = Lost(deployment.store)
    losses, silences = lost.losses(), lost.silences()
    known = Holdings(deployment.store).recall()
    configured = {repository.key: repository for repository in deployment.config.repositories}
    for repo, loss in losses.items():
        if (why := _is_over(loss, configured.get(repo), known.get(repo), deployment.now())) is not None:
            _end(deployment, repo, why)
            lost.forget_loss(repo)
        elif repo not in silences:
            _raise_loss(deployment, loss, known)
    for repo, silence in silences.items():
        before = known.get(repo)
        if repo in configured and before is not None and before.backups and _is_long(deployment, silence):
            _raise_silence(deployment, configured[repo], silence, known)
    standing = {key(repo) for repo in (*lost.losses(), *silences) if repo in configured}
    for raised in deployment.teller.alarms.raised():
        name = raised.alarm.key
        if name.startswith("repository:") and name not in standing:
            repo = int(name.partition(":")[2])
            _end(deployment, repo, "it answers again" if repo in configured else "it is no longer used")


def _is_long(deployment: Deployment, silence: Silence) -> bool:
    allowed = timedelta(minutes=deployment.config.thresholds.late_minutes)
    return silence.is_gone or deployment.now() - silence.since >= allowed


def _is_over(loss: Loss, repository: Repository | None, known: Known | None, now: datetime) -> str | None:
    """Return why a loss is none any more, or None while it is one."""
    if repository is None:
        return "it is no longer used"
    if known is None or not known.backups:
        return None
    if {backup.label for backup in known.backups} & set(loss.labels):
        return "its backups are there again"
    whole_from = reach.gives_window_from(known.backups, repository.window_seconds)
    if whole_from is not None and whole_from <= now:
        return "its new backups reach back as far as promised"
    return None


def acknowledge(deployment: Deployment, repo: int) -> Loss | None:
    """Cross out a loss that the operator knows about; return it, or None when there is none. Raises StoreError."""
    lost = Lost(deployment.store)
    found = lost.losses().get(repo)
    if found is not None:
        lost.forget_loss(repo)
        _end(deployment, repo, "the loss is acknowledged; what it held before is gone for good")
    return found


# --- telling ----------------------------------------------------------------------------------------------------------


def _end(deployment: Deployment, repo: int, why: str) -> None:
    deployment.teller.over(key(repo), events.REPOSITORY_BACK, f"repository {repo}: {why}")


def _raise_loss(deployment: Deployment, loss: Loss, known: dict[int, Known]) -> None:
    message = (
        f"repository {loss.repo} ({loss.location}) has lost its backups: it held {_held(loss.count, loss.earliest)}; "
        f"{_still(loss.repo, known)}"
    )
    facts = _facts(loss.repo, loss.count, loss.earliest, loss.latest)
    hint = f"{_HINT}; when they are gone for good: `make repo-add REPO={loss.repo} CONFIRM=yes`"
    deployment.teller.alarm(Alarm(key(loss.repo), events.REPOSITORY_LOST, "critical", message, hint), facts)


def _raise_silence(deployment: Deployment, repository: Repository, silence: Silence, known: dict[int, Known]) -> None:
    before, repo = known[repository.key], repository.key
    moments = [backup.stopped for backup in before.backups]
    how = "is gone" if silence.is_gone else f"has not been readable since {silence.since:%F %H:%M} UTC"
    message = (
        f"repository {repo} ({repository.location}) {how}: {silence.problem}; it held {_held(before.count, min(moments))}; "
        f"{_still(repo, known)}"
    )
    hint = f"bring it back, or let another one take its place: `make repo-retire REPO={repo}`, docs/guide/moving.md"
    facts = _facts(repo, before.count, min(moments), max(moments))
    deployment.teller.alarm(Alarm(key(repo), events.REPOSITORY_LOST, "critical", message, hint), facts)


def _facts(repo: int, count: int, earliest: datetime, latest: datetime) -> dict[str, Fact]:
    return {"repo": repo, "backups": count, "earliest": earliest.isoformat(), "latest": latest.isoformat()}


def _held(count: int, earliest: datetime) -> str:
    return f"{count} good backup{'' if count == 1 else 's'}, back to {earliest:%F %H:%M} UTC"


def _still(repo: int, known: dict[int, Known]) -> str:
    """Return what protects while a repository does not: those of the others that hold good backups."""
    good = {key: _good(each.backups) for key, each in sorted(known.items()) if key != repo}
    parts = [f"repository {key} reaches back to {found[0].stopped:%F %H:%M} UTC" for key, found in good.items() if found]
    return " and ".join(parts) or "no other repository holds a backup"


def _good(backups: tuple[Backup, ...]) -> tuple[Backup, ...]:
    return tuple(sorted((b for b in backups if not b.has_errors), key=lambda b: b.stopped))
