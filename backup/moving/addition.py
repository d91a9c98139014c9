"""Taking a repository into use: each step looks at what there is, does what is missing, and says where one stands.

Killed between any two steps, it goes on where it stopped: nothing is remembered but which backup was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from backup import oplock, process
from backup.deployment import Deployment
from backup.keeping import inventory, losses, reach
from backup.moving.retire import configured
from backup.ownership import protection, repository_key
from backup.pgbackrest import Backup, Info
from backup.state.lost import Lost
from backup.taking import evidence, jobs
from backup.taking.outcome import BackupRequest
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import Repository

PATIENCE_SECONDS: Final = 6 * 3600.0
VERIFY_DEADLINE_SECONDS: Final = 24 * 3600.0
_VERIFIED: Final = "repository.verified:{}"


@dataclass(frozen=True)
class Step:
    """What was found or done; one that is not `done` waits for the operator or for time to pass."""

    name: str
    seen: str
    done: bool = True
    hint: str = ""


class AdditionError(ProductError):
    """The repository cannot be taken into use; the message says at which step."""

    exit_code = Exit.REPOSITORY


def add(deployment: Deployment, repo: int, say: Callable[[str], None], *, acknowledged: bool) -> Iterator[Step]:
    """Yield the steps as they are made. Raises ProductError at the one that cannot be made.

    With `acknowledged`, a loss of what the repository held before is crossed out.
    """
    repository = configured(deployment, repo)
    yield Step("configured", f"{repository.type} at {repository.location}, {_cipher(repository)}")
    yield _opens(deployment, repository)
    info = _with_stanza(deployment, repo, say)
    yield Step("place", f"it answers, has its stanza, and is no other repository's: {_held(info, repo)}")
    if not _fulls(info, repo):
        info = _with_full_backup(deployment, repo, say)
    full = _fulls(info, repo)[0]
    yield Step("full backup", f"{full.label}, ended {deployment.local(full.stopped)}, and the WAL behind it")
    yield _verified(deployment, repo, full, say)
    yield from _loss(deployment, repo, acknowledged=acknowledged)
    yield _overlap(deployment, repository, info)
    yield _kit(deployment)


# --- the steps --------------------------------------------------------------------------------------------------------


def _cipher(repository: Repository) -> str:
    return "encrypted" if repository.encrypted else "NOT encrypted"


def _opens(deployment: Deployment, repository: Repository) -> Step:
    trouble = repository_key.trouble_of(deployment.config.stanza, repository)
    if trouble is not None:
        raise AdditionError(trouble.sentence, hint=trouble.hint)
    return Step("reachable", "it opens with its passphrase, or is new")


def _with_stanza(deployment: Deployment, repo: int, say: Callable[[str], None]) -> Info:
    info = _read(deployment)
    if any(r.key == repo and r.lacks_stanza for r in info.repositories):
        say("creating the stanza")
        created = jobs.create_stanza(deployment, say)
        if created.state != "succeeded":
            raise AdditionError(created.message, hint=created.hint, exit_code=_exit(created.exit_code))
        info = _read(deployment)
    status = next((r for r in info.repositories if r.key == repo), None)
    if status is None or not status.is_usable or status.lacks_stanza:
        what = status.message if status else "pgbackrest does not name it"
        raise AdditionError(f"repository {repo}: {what}", hint="see `make backup-check`")
    _require_own_place(info, repo)
    return info


def _read(deployment: Deployment) -> Info:
    info = inventory.read_info(deployment)
    losses.remember(deployment, info)
    return info


def _require_own_place(info: Info, repo: int) -> None:
    """Refuse two numbers for one place: a label has the second in it, and no two repositories are backed up at once."""
    for other in info.repositories:
        if other.key != repo and info.labels(repo) & info.labels(other.key):
            raise AdditionError(
                f"repository {repo} lists the very backups of repository {other.key}: it is the same place under two names",
                hint=f"give repository {repo} a place of its own in .env, then `make deploy`",
            )


def _with_full_backup(deployment: Deployment, repo: int, say: Callable[[str], None]) -> Info:
    """Return what there is after the first full backup; the supervisor may be at it already, and then it is waited for."""
    with oplock.hold(
        deployment.volumes.operation_lock,
        f"a look at repository {repo}",
        patience_seconds=PATIENCE_SECONDS,
        stop=deployment.stop,
        on_wait=lambda holder: say(f"waiting for the {holder} to end"),
    ):
        info = _read(deployment)
    if _fulls(info, repo):
        return info
    say(f"taking the first full backup into repository {repo}")
    request = BackupRequest("full", repo, "manual", f"repository {repo} is taken into use")
    outcome = jobs.take_backup(deployment, request, PATIENCE_SECONDS)
    if outcome.state != "succeeded":
        raise AdditionError(outcome.message, hint=outcome.hint, exit_code=_exit(outcome.exit_code))
    info = _read(deployment)
    if not _fulls(info, repo):
        raise AdditionError(f"repository {repo} lists no good full backup", hint="see `make backup-info`")
    return info


def _verified(deployment: Deployment, repo: int, full: Backup, say: Callable[[str], None]) -> Step:
    mark = _VERIFIED.format(repo)
    if deployment.marks.get(mark) != full.label:
        say(f"verifying {full.label}: every file and its WAL are read back")
        lines: list[str] = []
        limits = process.Limits(deployment.stop, VERIFY_DEADLINE_SECONDS, jobs.GRACE_SECONDS)
        argv = evidence.verify(deployment.config.stanza, repo, full.label)
        finished = jobs.run_patiently(argv, lines.append, limits)
        if not finished.ok or not evidence.is_verified(lines):
            for line in lines[-10:]:
                say(line)
            message = f"repository {repo}: pgbackrest verify does not find backup {full.label} whole"
            raise AdditionError(message, hint="take another one: `salespider-backup backup --repo=…`, then this again")
        deployment.marks.put(mark, full.label)
    return Step("verified", f"every checksum of {full.label} and of its WAL")


def _loss(deployment: Deployment, repo: int, *, acknowledged: bool) -> Iterator[Step]:
    loss = Lost(deployment.store).losses().get(repo)
    if loss is None:
        return
    what = f"it held {loss.count} good backups back to {deployment.local(loss.earliest)}, which are gone"
    if acknowledged:
        losses.acknowledge(deployment, repo)
        yield Step("loss", f"acknowledged: {what}")
    else:
        yield Step("loss", what, done=False, hint=f"to end the alarm: `make repo-add REPO={repo} CONFIRM=yes`")


def _overlap(deployment: Deployment, repository: Repository, info: Info) -> Step:
    repo = repository.key
    others = [r.key for r in deployment.config.repositories if r.key != repo]
    promised = max((r.window_seconds or 0 for r in deployment.config.repositories), default=0)
    enough_from = reach.gives_window_from((b for b in info.backups if b.repo == repo), promised)
    earliest = info.good(repo)[0].stopped
    seen = f"it reaches back to {deployment.local(earliest)}"
    if not others:
        return Step("window", f"{seen}; it is the only repository")
    if enough_from is not None and enough_from <= deployment.now():
        return Step("window", f"{seen}: it alone gives what is promised", hint=_retire(others))
    if enough_from is None:
        return Step("window", f"{seen}; keep the others for as long as what is older may be needed", hint=_retire(others))
    seen = f"{seen}; it alone gives what is promised from {deployment.local(enough_from)} on"
    return Step("window", seen, done=False, hint=f"keep repository {_numbers(others)} until then")


def _retire(others: list[int]) -> str:
    return f"the other one can be retired: `make repo-retire REPO={others[0]}`"


def _numbers(keys: list[int]) -> str:
    return " and ".join(str(key) for key in keys)


def _kit(deployment: Deployment) -> Step:
    reason = protection.unprotected(deployment)
    if reason is None:
        return Step("recovery kit", "a verified one holds the present passphrases")
    return Step("recovery kit", reason, done=False, hint="make recovery-kit, then make recovery-kit-verify FILE=…")


# --- what the repository holds ----------------------------------------------------------------------------------------


def _fulls(info: Info, repo: int) -> list[Backup]:
    return [backup for backup in info.good(repo) if backup.kind == "full"]


def _held(info: Info, repo: int) -> str:
    count = sum(backup.repo == repo for backup in info.backups)
    return f"{count} backup{'' if count == 1 else 's'} in it" if count else "nothing in it yet"


def _exit(code: int) -> Exit:
    return code if isinstance(code, Exit) else Exit.BACKUP_FAILED
