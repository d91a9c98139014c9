"""What remains when a repository is retired, and what speaks against it. Pure.

Retiring deletes nothing: no backup goes there any more, and no restore looks there. So what counts is what the other
repositories can give alone: a good full backup, a window as long as promised, and an archive that is kept current.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backup.keeping import reach
from backup.keeping.policy import Window
from backup.pgbackrest import Backup, Info
from contract.supervisor import Repository


@dataclass(frozen=True)
class Present:
    """What is known now.

    `info` is of all repositories; `held` the backups that an unreadable one held when it was last seen, by number.
    `archived_wal` is the last segment that PostgreSQL knows as archived, `running` the repository of a backup under way.
    """

    info: Info
    repositories: tuple[Repository, ...]
    now: datetime
    held: dict[int, tuple[Backup, ...]]
    archived_wal: str | None = None
    archived_at: datetime | None = None
    running: int | None = None


@dataclass(frozen=True)
class Objection:
    """Why a repository should not be retired now; one that `stands` cannot be waved aside."""

    message: str
    hint: str
    stands: bool = False


@dataclass(frozen=True)
class Retirement:
    """What retiring means: the window with the repository and without it, and from when on the others give the promise.

    `promised_seconds` is the longest window that any repository is configured for.
    """

    repo: int
    before: Window | None
    after: Window | None
    promised_seconds: int
    enough_from: datetime | None
    objections: tuple[Objection, ...]

    @property
    def is_refused(self) -> bool:
        """Tell whether there is an objection that nobody can wave aside."""
        return any(objection.stands for objection in self.objections)


def judge(present: Present, repo: int) -> Retirement:
    """Judge the retirement of a configured repository."""
    rest = reach.without(present.info, {repo})
    after = _protecting(reach.windows(rest, present.archived_at), rest)
    before = reach.source([*reach.windows(present.info, present.archived_at), *_remembered(present, repo)])
    promised = max((r.window_seconds or 0 for r in present.repositories), default=0)
    enough_from = _enough_from(after, rest, promised)
    objections = [*_standing(present, repo, after), *_shorter(present, before, after, promised, enough_from)]
    if after is not None:
        objections += _behind(present, rest, after.repo)
    return Retirement(repo, before, after, promised, enough_from, tuple(objections))


def _protecting(windows: Sequence[Window], rest: Info) -> Window | None:
    """Return the furthest window of a repository that has a good full backup: what builds on none cannot be restored."""
    return reach.source(window for window in windows if any(b.kind == "full" for b in rest.good(window.repo)))


def _remembered(present: Present, repo: int) -> list[Window]:
    """Return the window that a repository that cannot be read gave when it was seen last."""
    readable = {r.key for r in present.info.repositories if r.is_usable}
    good = [backup.stopped for backup in present.held.get(repo, ()) if not backup.has_errors]
    return [Window(repo, min(good), max(good))] if good and repo not in readable else []


def _enough_from(after: Window | None, rest: Info, promised: int) -> datetime | None:
    if after is None:
        return None
    return reach.gives_window_from((b for b in rest.backups if b.repo == after.repo), promised)


def _standing(present: Present, repo: int, after: Window | None) -> list[Objection]:
    others = [r.key for r in present.repositories if r.key != repo]
    found = []
    if not others:
        hint = "give the backups another place first: docs/guide/moving.md; then `make repo-add REPO=…`"
        found.append(Objection(f"repository {repo} is the only one: nothing would be backed up any more", hint, stands=True))
    elif after is None:
        which = ", ".join(str(key) for key in others)
        hint = f"`make repo-add REPO={others[0]}` takes the first full backup there, or says why there is none"
        found.append(Objection(f"repository {which} holds no good full backup that can be read now", hint, stands=True))
    if present.running == repo:
        hint = "wait until it is through: `make status`"
        found.append(Objection(f"a backup into repository {repo} is being taken", hint, stands=True))
    return found


def _shorter(
    present: Present, before: Window | None, after: Window | None, promised: int, enough_from: datetime | None
) -> list[Objection]:
    if before is None or after is None or after.earliest <= before.earliest:
        return []
    if present.now - after.earliest >= timedelta(seconds=promised):
        return []
    message = (
        f"without it nothing before {after.earliest:%F %H:%M} UTC could be restored; now that is possible from "
        f"{before.earliest:%F %H:%M} UTC on"
    )
    when = f"on {enough_from:%F}, when the others alone give what is promised" if enough_from else "later"
    return [Objection(message, f"keep both and retire it {when}; or, if nobody needs what is older: CONFIRM=yes")]


def _behind(present: Present, rest: Info, repo: int) -> list[Objection]:
    """Object while the repository that takes over lacks WAL that PostgreSQL takes for archived."""
    if present.archived_wal is None:
        return []
    wanted = present.archived_wal[:24]
    ends = [archive.last for archive in rest.archive if archive.repo == repo and archive.last]
    if ends and max(ends) >= wanted:
        return []
    message = f"repository {repo} does not have the last archived WAL segment {wanted}"
    return [Objection(message, "see `make backup-check`; retire this one when the other is current")]
