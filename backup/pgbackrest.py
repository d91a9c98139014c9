"""pgBackRest's command line, exit codes and answers as values. Pure: starts nothing, reads no clock, knows no file.

Facts are those of pgBackRest 2.55.1. Two of them shape this module: `info` exits 0 whatever is wrong with a repository,
so only its text is evidence; and `backup` without `--repo` locks every repository, so the number is always given.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from backup.recovery_target import RestoreTarget as RestoreTarget  # noqa: PLC0414 known by this name

Argv = tuple[str, ...]
Annotations = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Meaning:
    """What an exit code says: pgBackRest's name for it, whether trying again can help, and the next thing to look at."""

    name: str
    retry: bool = False
    hint: str = "read the lines above and the reference page on exit codes"


UNKNOWN: Final = Meaning("unknown")
"""For a code that is not in the table. A code nobody knows is a failure."""

EXIT_CODES: Final[dict[int, Meaning]] = {
    25: Meaning("assert", hint="a defect in pgbackrest: keep the log and report it upstream"),
    26: Meaning("checksum", hint="a file in the repository is damaged: check its disk, then take a full backup"),
    27: Meaning("config", retry=True, hint="check that the database is running: `docker logs salespider-postgres`"),
    28: Meaning("file-invalid", hint="the stanza belongs to another database cluster; see the guide, 'another cluster'"),
    29: Meaning("format", hint="most often a wrong passphrase: was the secrets volume replaced?"),
    31: Meaning("option-invalid", hint="the generated configuration is not accepted: run `make config-regenerate`"),
    32: Meaning("option-invalid-value", hint="check for PGBACKREST_* variables in this container's environment"),
    37: Meaning("option-required", hint="the configuration is incomplete: run `make config-regenerate`"),
    38: Meaning("pg-running", hint="stop the database first: `docker stop salespider-postgres`"),
    39: Meaning("protocol", retry=True, hint="the object store refused: check bucket, credentials and the store's status"),
    40: Meaning("path-not-empty", hint="use --delta to restore over existing files"),
    41: Meaning("file-open", hint="check owner and mode of the named path: all must belong to uid 999"),
    42: Meaning("file-read", retry=True, hint="check the disk under the named path"),
    44: Meaning("archive-mismatch", hint="the archive belongs to another database cluster"),
    45: Meaning("archive-duplicate", hint="another cluster has archived this segment with other content"),
    47: Meaning("path-create", hint="the repository cannot be written: check owner (uid 999), mode and free space"),
    49: Meaning("host-connect", retry=True, hint="the repository's host cannot be reached: check name and network"),
    50: Meaning("lock-acquire", retry=True, hint="another pgbackrest is running; it is tried again"),
    51: Meaning("backup-mismatch", hint="the stanza belongs to another database cluster"),
    53: Meaning("path-open", hint="check owner and mode of the named directory: all must belong to uid 999"),
    55: Meaning("file-missing", hint="the stanza is missing in the repository, or the repository was emptied"),
    56: Meaning("db-connect", retry=True, hint="check that the database is running: `docker logs salespider-postgres`"),
    57: Meaning("db-query", hint="read the database's log: `docker logs salespider-postgres`"),
    58: Meaning(
        "db-mismatch",
        hint="the database is not the configured one; at a restore: the backup may lie on an abandoned timeline",
    ),
    62: Meaning("stop", hint="somebody ran `pgbackrest stop`: run `pgbackrest start` to allow work again"),
    63: Meaning("term", hint="it was stopped by a signal"),
    64: Meaning("file-write", retry=True, hint="check the free space of the repository"),
    68: Meaning("archive-command-invalid", hint="archive_command must call pgbackrest: run `make config-regenerate`"),
    73: Meaning("path-missing", hint="a directory is missing, or is none: check the repository's disk"),
    75: Meaning("backup-set-invalid", hint="list what there is with `make backup-info`"),
    82: Meaning("archive-timeout", retry=True, hint="WAL does not reach the repository: `docker logs salespider-postgres`"),
    87: Meaning("archive-disabled", hint="archive_mode is off: restart the database after enabling backups"),
    95: Meaning("crypto", hint="wrong passphrase, an unencrypted repository, or a certificate that cannot be verified"),
    98: Meaning("file-info", hint="check owner and mode of the named path: all must belong to uid 999"),
    101: Meaning("service", retry=True, hint="the object store had a temporary failure"),
    103: Meaning("repo-invalid", retry=True, hint="no repository can be used: see the message above"),
    104: Meaning("command", retry=True, hint="one of several repositories failed: see the message above"),
    105: Meaning("access", hint="permission denied: check owner and mode of the named path"),
}


def meaning(exit_code: int) -> Meaning:
    """Return what an exit code of pgbackrest means; codes below 0 are signals (Python's convention)."""
    if exit_code == -signal.SIGSEGV:
        return Meaning(f"signal {-exit_code}", hint="pgbackrest crashed: keep the log and report it upstream")
    if exit_code < 0:
        return Meaning(f"signal {-exit_code}", retry=True, hint="it was killed; look for 'out of memory' in the host's log")
    return EXIT_CODES.get(exit_code, UNKNOWN)


# --- command lines ----------------------------------------------------------------------------------------------------


# What is read from these commands must be said, whatever PGBACKREST_LOG_LEVEL_CONSOLE asks for.
_TOLD: Final = "--log-level-console=info"
_PROGRESS: Final = "--log-level-console=detail"  # names every file with its share; see backup.taking.progress


def _command(stanza: str, verb: str, *options: str) -> Argv:
    return ("pgbackrest", f"--stanza={stanza}", *options, verb)


def backup(stanza: str, repo: int, kind: str, *, warnings: bool = True, annotations: Annotations = ()) -> Argv:
    """Return the command for one backup of type `kind` (full, diff, incr) to repository `repo`.

    Nothing expires with it: pgbackrest would count a backup with page checksum errors among those to keep, and two of
    them with a retention of two have removed every good one (seen with 2.55.1). Without `warnings` it tells errors only,
    and nothing else is even worded; see `backup.taking.attempts`.
    """
    told = (_TOLD,) if warnings else ("--log-level-console=error", "--log-level-stderr=off", "--log-level-file=off")
    noted = (f"--annotation={name}={value}" for name, value in annotations)
    return _command(stanza, "backup", f"--repo={repo}", f"--type={kind}", "--no-expire-auto", *noted, *told)


def stanza_create(stanza: str, include: str | None = None) -> Argv:
    """Return the command that creates the stanza in every repository, or in those of `include`; it may be repeated.

    It accepts no `--repo`; `include` is a directory with a configuration of only some of them, see `backup.keeping.subset`.
    """
    return _command(stanza, "stanza-create", *((f"--config-include-path={include}",) if include else ()), _TOLD)


def stanza_upgrade(stanza: str, include: str | None = None) -> Argv:
    """Return the command that makes the running cluster the stanza's in every repository, or in those of `include`.

    The backups up to now stay where they are and can be restored. Retention counts them with the new ones.
    """
    return _command(stanza, "stanza-upgrade", *((f"--config-include-path={include}",) if include else ()), _TOLD)


def expire(stanza: str, repo: int, *, dry_run: bool = False) -> Argv:
    """Return the command that lets go what retention no longer keeps, or only says what that would be.

    It asks no database: beside another cluster, where `backup` refuses, it goes on removing.
    """
    return _command(stanza, "expire", f"--repo={repo}", *(("--dry-run",) if dry_run else ()), _TOLD)


def check(stanza: str, include: str | None = None) -> Argv:
    """Return the command that pushes one WAL segment and waits for it everywhere; it switches a segment at every call."""
    return _command(stanza, "check", *((f"--config-include-path={include}",) if include else ()), _TOLD)


def info(stanza: str, *, as_json: bool = True, repo: int | None = None) -> Argv:
    """Return the command that lists the backups, of every repository or of one.

    Console logging off: a warning would come before the JSON.
    """
    options = [f"--repo={repo}"] if repo else []
    output = "json" if as_json else "text"
    return _command(stanza, "info", *options, f"--output={output}", "--log-level-console=off", "--log-level-stderr=warn")


def hurried_info(stanza: str, repo: int, io_timeout_seconds: int = 1) -> Argv:
    """Return the command that lists one repository's backups, and gives up on an object store that does not answer.

    pgbackrest retries within the timeout: one of a second makes three to nine.
    """
    options = (f"--repo={repo}", f"--io-timeout={io_timeout_seconds}", "--log-level-console=off", "--log-level-stderr=warn")
    return _command(stanza, "info", *options, "--output=json")


def list_history_files(stanza: str, repo: int, archive_id: str) -> Argv:
    """Return the command that lists the timeline history files of an archive (such as "17-1") as JSON."""
    options = (f"--repo={repo}", "--output=json", r"--filter=\.history$", "--log-level-console=off")
    return (*_command(stanza, "repo-ls", *options), f"archive/{stanza}/{archive_id}")


def read_history_file(stanza: str, repo: int, archive_id: str, name: str) -> Argv:
    """Return the command that prints one timeline history file."""
    options = (f"--repo={repo}", "--log-level-console=off")
    return (*_command(stanza, "repo-get", *options), f"archive/{stanza}/{archive_id}/{name}")


def read_info_file(stanza: str, repo: int, path: str, io_timeout_seconds: int = 5) -> Argv:
    """Return the command that prints one of pgBackRest's own info files, decrypted; needs neither database nor stanza.

    The timeout is short because pgbackrest retries within it: an unreachable repository takes nine times as long.
    """
    options = (f"--repo={repo}", "--log-level-console=off", "--log-level-stderr=warn", f"--io-timeout={io_timeout_seconds}")
    return (*_command(stanza, "repo-get", *options), path)


def version() -> Argv:
    """Return the command that prints the version, one line."""
    return ("pgbackrest", "version")


def restore_in_place(stanza: str, repo: int, label: str, target: RestoreTarget, restore_command: str) -> Argv:
    """Return the command that restores the backup set `label` over the stopped cluster; right files are kept."""
    return _command(
        stanza,
        "restore",
        f"--repo={repo}",
        f"--set={label}",
        "--delta",
        _PROGRESS,
        *target.options(),
        f"--recovery-option=restore_command={restore_command}",
    )


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Backup:
    """One backup as `info` lists it. Times are UTC, sizes bytes. `has_errors` means page checksum errors.

    `repository_bytes` is what this backup added to the repository: with block incremental, 2.55.1 leaves out the size
    of the whole set, so the delta is the only figure there always is. `system_id` and `version` (of PostgreSQL: "17")
    are those of the cluster that it is of.
    """

    label: str
    kind: str
    repo: int
    started: datetime
    stopped: datetime
    wal_start: str | None
    wal_stop: str | None
    lsn_stop: str | None
    database_bytes: int
    copied_bytes: int
    repository_bytes: int
    has_errors: bool
    prior: str | None
    cluster_id: int = 1
    """Which of the stanza's clusters in this repository it is of, see `Cluster`."""
    system_id: int | None = None
    version: str | None = None
    annotations: Annotations = ()
    lsn_start: str | None = None


@dataclass(frozen=True)
class RepositoryStatus:
    """What `info` says of one repository; code 0 is the only good one (1 and 3: no stanza, 2: no backup yet)."""

    key: int
    cipher: str
    code: int
    message: str

    @property
    def is_usable(self) -> bool:
        """Tell whether the repository answered and could be decrypted, with or without a stanza in it."""
        return self.code in (0, 1, 2, 3)

    @property
    def lacks_stanza(self) -> bool:
        """Tell whether the stanza, or its files, are missing in it: archive-get fails there instead of finding nothing."""
        return self.code in (1, 3)


@dataclass(frozen=True)
class ArchiveRange:
    """First and last WAL segment in one repository's archive. Says nothing about holes between them."""

    repo: int
    id: str
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Cluster:
    """A database cluster that the stanza has belonged to in one repository. `version` is PostgreSQL's major one.

    `id` counts up with every stanza-upgrade, so the highest is the present one; an earlier cluster may come back under
    a new number.
    """

    repo: int
    id: int
    system_id: int
    version: int


@dataclass(frozen=True)
class Info:
    """The parsed answer of `info` for one stanza. `backups` are in the order they were taken."""

    stanza: str
    repositories: tuple[RepositoryStatus, ...]
    backups: tuple[Backup, ...]
    archive: tuple[ArchiveRange, ...]
    system_ids: tuple[int, ...]
    bytes_done: int | None = None
    bytes_total: int | None = None
    clusters: tuple[Cluster, ...] = ()

    def present_cluster(self, repo: int) -> Cluster | None:
        """Return the cluster that a repository takes backups and WAL of, or None while it has no stanza."""
        return max((c for c in self.clusters if c.repo == repo), key=lambda c: c.id, default=None)

    def cluster_of(self, backup: Backup) -> Cluster | None:
        """Return the cluster that a backup is of."""
        return next((c for c in self.clusters if (c.repo, c.id) == (backup.repo, backup.cluster_id)), None)

    def labels(self, repo: int) -> frozenset[str]:
        """Return the labels of all backups in a repository."""
        return frozenset(backup.label for backup in self.backups if backup.repo == repo)

    def find(self, label: str, repo: int | None = None) -> Backup | None:
        """Return a backup by its label, from any repository unless one is named."""
        return next((b for b in self.backups if b.label == label and repo in (None, b.repo)), None)

    def good(self, repo: int | None = None) -> tuple[Backup, ...]:
        """Return the backups without page checksum errors, oldest first."""
        return tuple(b for b in self.backups if not b.has_errors and repo in (None, b.repo))


class UnreadableAnswerError(ValueError):
    """What should have been the JSON of `info` is none."""


def parse_info(stdout: bytes, stanza: str) -> Info:
    """Turn the output of `info --output=json` into an `Info`.

    The output may hold warnings before the JSON (they cannot be silenced), and with a wrong passphrase the messages
    hold raw bytes and control characters. Raises UnreadableAnswerError when there is no JSON in it.
    """
    found = next((entry for entry in parse_stanzas(stdout) if entry.get("name") == stanza), None)
    return _info(found, stanza) if found is not None else Info(stanza, (), (), (), ())


def parse_stanzas(stdout: bytes) -> list[dict[str, Any]]:
    """Return the JSON of `info` as it is, one entry a stanza. Raises UnreadableAnswerError."""
    text = stdout.decode("utf-8", "replace")
    start = next((i for i, line in enumerate(text.splitlines(keepends=True)) if line.startswith("[")), None)
    if start is None:
        raise UnreadableAnswerError("pgbackrest info printed no JSON")
    try:
        stanzas: list[dict[str, Any]] = json.loads("".join(text.splitlines(keepends=True)[start:]), strict=False)
    except json.JSONDecodeError as error:
        raise UnreadableAnswerError(f"pgbackrest info printed broken JSON: {error}") from error
    return stanzas


def _info(entry: dict[str, Any], stanza: str) -> Info:
    lock = entry.get("status", {}).get("lock", {}).get("backup", {})
    clusters = {(db["repo-key"], db["id"]): db for db in entry.get("db", [])}
    return Info(
        stanza=stanza,
        repositories=tuple(
            RepositoryStatus(r["key"], r.get("cipher", "none"), r["status"]["code"], r["status"]["message"].strip())
            for r in entry.get("repo", [])
        ),
        backups=tuple(sorted((_backup(b, clusters) for b in entry.get("backup", [])), key=lambda b: (b.stopped, b.label))),
        archive=tuple(
            ArchiveRange(a["database"]["repo-key"], a["id"], a.get("min"), a.get("max")) for a in entry.get("archive", [])
        ),
        system_ids=tuple(sorted({db["system-id"] for db in entry.get("db", [])})),
        bytes_done=lock.get("size-cplt"),
        bytes_total=lock.get("size"),
        clusters=tuple(
            Cluster(db["repo-key"], db["id"], db["system-id"], int(db["version"].partition(".")[0]))
            for db in entry.get("db", [])
        ),
    )


def _backup(entry: dict[str, Any], clusters: Mapping[tuple[int, int], dict[str, Any]]) -> Backup:
    size = entry["info"]
    cluster = clusters.get((entry["database"]["repo-key"], entry["database"]["id"]), {})
    return Backup(
        label=entry["label"],
        kind=entry["type"],
        repo=entry["database"]["repo-key"],
        started=datetime.fromtimestamp(entry["timestamp"]["start"], UTC),
        stopped=datetime.fromtimestamp(entry["timestamp"]["stop"], UTC),
        wal_start=entry["archive"].get("start"),
        wal_stop=entry["archive"].get("stop"),
        lsn_stop=(entry.get("lsn") or {}).get("stop"),
        database_bytes=size["size"],
        copied_bytes=size["delta"],
        repository_bytes=size["repository"]["delta"],
        has_errors=bool(entry.get("error")),
        prior=entry.get("prior"),
        cluster_id=entry["database"]["id"],
        system_id=cluster.get("system-id"),
        version=cluster.get("version"),
        annotations=tuple(sorted((entry.get("annotation") or {}).items())),
        lsn_start=(entry.get("lsn") or {}).get("start"),
    )
