"""`backup-check`: what is proven now, one check after the other, each with what was seen.

pgBackRest's own `check` reads no backup and proves only that one WAL segment arrives. This covers what an operator
means by "are my backups all right", and names each thing that is not, with the next step.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from backup import pgbackrest, process
from backup.deployment import Deployment
from backup.emergency import lever, words
from backup.keeping import placement, policy, subset
from backup.ownership import protection
from backup.storage import trouble
from backup.taking import evidence, jobs
from contract import paths
from contract import protection as protection_texts
from contract.errors import ProductError

CHECK_TIMEOUT_SECONDS = 180.0
VERSION_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Finding:
    """The result of one check: `seen` is the evidence when it is good, the reason when it is not.

    A good one with a hint is a warning: it does not make the check fail.
    """

    name: str
    good: bool
    seen: str
    hint: str = ""


Check = Callable[[Deployment], Iterator[Finding]]


def run_all(deployment: Deployment) -> Iterator[Finding]:
    """Yield the findings as they are made. A check that cannot be carried out is a bad finding, not an exception."""
    checks: tuple[tuple[str, Check], ...] = (
        ("versions", versions_are_equal),
        ("repository", repository_reads_and_writes),
        ("archiving", stanza_and_archiving_work),
        ("schedule", backups_keep_the_schedule),
        ("recovery kit", recovery_kit_is_verified),
    )
    for name, check in checks:
        try:
            yield from check(deployment)
        except ProductError as error:
            yield Finding(name, False, error.message, error.hint)


def versions_are_equal(deployment: Deployment) -> Iterator[Finding]:
    """Compare pgBackRest on both sides: it refuses to work with a peer of another version."""
    answer = process.capture(pgbackrest.version(), VERSION_TIMEOUT_SECONDS)
    here, there = answer.stdout.decode().strip(), deployment.postgres.pgbackrest_version()
    if here == there:
        yield Finding("versions", True, f"{here} beside the database and here")
    else:
        hint = "rebuild both images: `make deploy`"
        yield Finding("versions", False, f"{there} beside the database, {here} here", hint)


def repository_reads_and_writes(deployment: Deployment) -> Iterator[Finding]:
    """Read every repository with the configured passphrase, and write a file into it."""
    info = jobs.read_info(deployment)
    usable = {repository.key for repository in info.repositories if repository.is_usable}
    for repository in info.repositories:
        if not repository.is_usable:
            known = trouble.explain(repository.message, 0, placement.of(deployment, repository.key))
            said = f"repository {repository.key}: {repository.message}"
            general = "see what it says above, and `make status`" if usable else "run `make config-regenerate`"
            yield Finding("repository", False, known.sentence if known else said, known.hint if known else general)
    if not usable:
        return
    # A repository in an object store is written by the archiving check, which waits for a segment in each of them.
    for directory in (
        r.directory or str(paths.repository(r.key))
        for r in deployment.config.repositories
        if r.type == "posix" and r.key in usable
    ):
        try:
            with tempfile.NamedTemporaryFile(dir=directory, prefix=".write-test-"):
                pass
        except OSError as error:
            hint = "check owner (uid 999), mode and free space of the repository"
            yield Finding("repository", False, f"{directory}: not writable ({error.strerror})", hint)
            return
    ciphers = ", ".join(sorted({repository.cipher for repository in info.repositories if repository.key in usable}))
    which = f"{_named(usable)} " if len(info.repositories) > 1 else ""
    seen = f"{which}read, decrypted (cipher {ciphers}) and written; {len(info.backups)} backups listed"
    yield Finding("repository", True, seen)


def _named(keys: Collection[int]) -> str:
    return f"repositor{'ies' if len(keys) > 1 else 'y'} {', '.join(str(key) for key in sorted(keys))}"


def stanza_and_archiving_work(deployment: Deployment) -> Iterator[Finding]:
    """Compare the stanza with this cluster, end a WAL segment and wait for it in the archive of every readable repository.

    One that cannot be read is a finding of the look before, and would only hide whether the others are kept current.
    """
    pulled = lever.read(deployment.postgres.archive_command())
    if pulled is not None:  # pgbackrest would only say that the command is not its own
        since = words.utc(pulled.since)
        yield Finding("archiving", False, f"WAL emergency since {since}: nothing is archived", words.RESUME)
        return
    usable = {repository.key for repository in jobs.read_info(deployment).repositories if repository.is_usable}
    if not usable:
        return
    lines: list[str] = []
    limits = process.Limits(deployment.stop, CHECK_TIMEOUT_SECONDS, jobs.GRACE_SECONDS)
    with subset.included(deployment, usable) as include:
        finished = jobs.run_patiently(pgbackrest.check(deployment.config.stanza, include), lines.append, limits)
    segment = evidence.archived_segment(lines)
    if finished.ok and segment:
        system_id = deployment.postgres.server().system_id
        yield Finding("stanza", True, f"valid for this cluster (system identifier {system_id})")
        where = f" of {_named(usable)}" if len(deployment.config.repositories) > 1 else ""
        yield Finding("archiving", True, f"WAL segment {segment} was ended, pushed, and seen in the archive{where}")
        return
    meaning = pgbackrest.meaning(finished.exit_code)
    errors = [line.split("ERROR:", 1)[1].strip() for line in lines if "ERROR:" in line]
    seen = errors[0] if errors else f"pgbackrest check ended with exit code {finished.exit_code} ({meaning.name})"
    yield Finding("archiving", False, seen, meaning.hint)


def backups_keep_the_schedule(deployment: Deployment) -> Iterator[Finding]:
    """Compare the last backup of each scheduled type with the schedule, and look for page checksum errors."""
    info = jobs.read_info(deployment)
    expressions = deployment.config.schedule.expressions()
    running = deployment.history.last("backup", state="running")
    for repository in deployment.config.repositories:
        backups = tuple(b for b in info.backups if b.repo == repository.key)
        excuse = policy.leeway(deployment.config.thresholds, repository.key, running)
        for verdict in policy.freshness(expressions, deployment.zone, backups, deployment.now(), excuse):
            name = f"last {verdict.kind}"
            if verdict.problem:
                yield Finding(name, False, verdict.problem, "see `make status`, then take one now: `make backup`")
            elif verdict.latest is None:
                yield Finding(name, True, f"none yet; the first is due at {verdict.next_at:%Y-%m-%d %H:%M} UTC")
            else:
                yield Finding(name, True, f"{verdict.latest.label}, ended {verdict.latest.stopped:%Y-%m-%d %H:%M:%S} UTC")
    yield from _damaged(info)


def recovery_kit_is_verified(deployment: Deployment) -> Iterator[Finding]:
    """Look whether a verified recovery kit holds the present passphrases: without one this host must not get lost."""
    reason = protection.unprotected(deployment)
    if reason is None:
        yield Finding("recovery kit", True, "verified, and it holds the present passphrases")
    else:
        yield Finding("recovery kit", True, reason, protection_texts.HINT)


def _damaged(info: pgbackrest.Info) -> Iterator[Finding]:
    for backup in info.backups:
        if backup.has_errors:
            hint = f"list the files: `pgbackrest --stanza={info.stanza} info --set={backup.label}`"
            yield Finding("backup errors", False, f"{backup.label} has page checksum errors", hint)
