"""The plan to retire a repository: what would remain, which lines leave .env, what becomes of the place. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from backup.deployment import Deployment
from backup.keeping import inventory, losses, reach
from backup.keeping.policy import Window
from backup.moving.retirement import Present, Retirement, judge
from backup.ownership import protection
from backup.postgres import DatabaseError
from backup.state.holdings import Holdings
from backup.units import human_duration
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import Repository

Row = tuple[str, str]


def configured(deployment: Deployment, repo: int) -> Repository:
    """Return a repository by its number. Raises ProductError when there is none."""
    for repository in deployment.config.repositories:
        if repository.key == repo:
            return repository
    numbers = ", ".join(str(repository.key) for repository in deployment.config.repositories)
    raise ProductError(
        f"repository {repo} is not configured (there is {numbers})",
        hint=f"to add one: PGBACKREST_REPO{repo}_TYPE and the rest of that group in .env, then `make deploy`; "
        "docs/guide/moving.md has the lines. One that was retired is done with: nothing uses it",
        exit_code=Exit.CONFIGURATION,
    )


def look(deployment: Deployment) -> Present:
    """Look at everything that a retirement depends on. Raises RepositoryError, StoreError."""
    info = inventory.read_info(deployment)
    losses.remember(deployment, info)
    known = Holdings(deployment.store).recall()
    running = deployment.history.last("backup", state="running")
    try:
        archiver = deployment.postgres.archiver()
        wal, at = archiver.last_archived_wal, archiver.last_archived_at
    except DatabaseError:
        wal, at = None, None  # nothing is archived while it is down
    return Present(
        info,
        deployment.config.repositories,
        deployment.now(),
        {repo: each.backups for repo, each in known.items()},
        wal,
        at,
        running.repo if running else None,
    )


def plan(deployment: Deployment, repo: int) -> tuple[Retirement, tuple[Row, ...]]:
    """Return the judgement and the plan in words. Raises ProductError."""
    repository, present = configured(deployment, repo), look(deployment)
    found = judge(present, repo)
    return found, tuple(_rows(deployment, repository, present, found))


def _rows(deployment: Deployment, repository: Repository, present: Present, found: Retirement) -> Iterator[Row]:
    yield f"repository {repository.key}", f"{repository.type} at {repository.location}: {_holds(repository, present)}"
    yield "window now", _window(deployment, found.before)
    yield "without it", _window(deployment, found.after)
    if found.promised_seconds and found.after is not None and found.enough_from is not None:
        since = "since" if found.enough_from <= present.now else "only from"
        yield "promised", f"repository {found.after.repo} alone gives it {since} {deployment.local(found.enough_from)}"
    if (reason := protection.unprotected(deployment)) is not None:
        yield "recovery kit", f"{reason}: make a new one before, `make recovery-kit`"


def _holds(repository: Repository, present: Present) -> str:
    status = next((r for r in present.info.repositories if r.key == repository.key), None)
    if status is None or not status.is_usable:
        held = present.held.get(repository.key, ())
        return f"cannot be read now; {'it held backups when it was last seen' if held else 'nothing is known of it'}"
    good = present.info.good(repository.key)
    size = f"{len(good)} good backup{'' if len(good) == 1 else 's'}"
    return f"{size}, back to {reach.in_words(Window(repository.key, good[0].stopped, None), present.now)}" if good else size


def _window(deployment: Deployment, window: Window | None) -> str:
    if window is None:
        return "nothing could be restored"
    back = human_duration(deployment.now() - window.earliest)
    return f"from {deployment.local(window.earliest)} on, {back} back, given by repository {window.repo}"


def steps(repository: Repository) -> Iterator[str]:
    """Yield what to do, one step a line; nothing is deleted by any of it."""
    names = repository.variables or (f"PGBACKREST_REPO{repository.key}_TYPE",)
    yield "1. take these lines out of .env (the other repositories keep their numbers, a gap does no harm):"
    yield from (f"     {name}" for name in names)
    shared = [name for name in names if not name.startswith("PGBACKREST_")]
    if shared:
        yield f"   unless the application uses them as well: {', '.join(shared)}"
    if f"PGBACKREST_REPO{repository.key}_PATH" in names:
        yield "   the database restarts once with the next step, for seconds: a mounted directory changes"
    yield "2. make deploy: from then on no WAL and no backup goes there"
    yield "3. make backup-check, then a new recovery kit: make recovery-kit"
    yield f"What lies in {repository.location} stays, and its passphrase stays in the volume pgbackrest-secrets."
    yield f"Delete it when nobody needs it any more: {_deleting(repository)}"


def _deleting(repository: Repository) -> str:
    place, _, endpoint = repository.location.partition(" at ")
    if repository.type == "posix":
        if repository.location.startswith("/"):
            return f"sudo rm -r {repository.location}/archive {repository.location}/backup"
        directory = repository.directory or str(paths.repository(repository.key))
        return f"docker exec salespider-backup rm -r {directory}/archive {directory}/backup"
    if repository.type == "s3":
        return f"aws s3 rm --recursive {place} --endpoint-url https://{endpoint}"
    if repository.type == "gcs":
        return f"gsutil -m rm -r {place}"
    return f"az storage blob delete-batch, for {repository.location}"
