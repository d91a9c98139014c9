"""Does the configured passphrase open the repository? Asked before the first write into it, and whenever it is in doubt.

`stanza-create` with a wrong passphrase on an emptied path, or with none beside encrypted backups, would begin something
that nobody can add to later. So one of pgBackRest's own info files is read first, through pgbackrest, because only it can
reach every kind of repository. Exit code 0 is no proof: without a passphrase an encrypted file is printed as it is, and a
wrong key passes the padding by chance. The text must begin as every info file does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Final

from backup import pgbackrest, process, throttled
from backup.deployment import Deployment
from backup.keeping import placement
from backup.storage.trouble import Trouble, explain
from contract.supervisor import Repository

TIMEOUT_SECONDS: Final = 60.0

_FIRST_LINE: Final = b"[backrest]\n"
_MAGIC: Final = b"Salted__"
_FILE_MISSING: Final = 55
_CRYPTO: Final = 95
_FORMAT: Final = 29
_TIMED_OUT: Final = -9  # how `process.capture` tells it
_NO_CIPHER_HEADER: Final = "cipher header invalid"
_CERTIFICATE: Final = "certificate"  # one that cannot be verified has the code of a wrong passphrase


class Verdict(Enum):
    """What the attempt to read an info file shows."""

    OPENS = "it opens"
    NEW = "there is no such file"
    WRONG = "it was encrypted with another passphrase"
    PLAIN = "it is not encrypted, but a passphrase is configured"
    ENCRYPTED = "it is encrypted, but no passphrase is configured"
    UNKNOWN = "it could not be read"


def judge(answer: process.Captured, *, encrypted: bool) -> Verdict:
    """Return what the answer of `repo-get` to the question for an info file shows; `encrypted` is how it is configured."""
    if answer.exit_code == 0:
        if answer.stdout.startswith(_FIRST_LINE):
            return Verdict.OPENS
        if answer.stdout.startswith(_MAGIC) and not encrypted:
            return Verdict.ENCRYPTED
        return Verdict.WRONG if encrypted else Verdict.UNKNOWN
    if answer.exit_code == _FILE_MISSING:
        return Verdict.NEW
    if encrypted and answer.exit_code in (_CRYPTO, _FORMAT) and _CERTIFICATE not in answer.stderr:
        return Verdict.PLAIN if _NO_CIPHER_HEADER in answer.stderr else Verdict.WRONG
    return Verdict.UNKNOWN


def trouble(deployment: Deployment) -> tuple[Trouble, ...]:
    """Ask every repository; return those that must not be written to, each with why and what to do."""
    return tuple(troubles(deployment).values())


def troubles(deployment: Deployment) -> dict[int, Trouble]:
    """Ask every repository, side by side; return what is wrong, by the numbers of those that must not be written to."""
    repositories = deployment.config.repositories
    with ThreadPoolExecutor(max_workers=len(repositories) or 1) as pool:
        found = pool.map(lambda repository: trouble_of(deployment.config.stanza, repository), repositories)
        return {r.key: each for r, each in zip(repositories, found, strict=True) if each is not None}


def trouble_of(
    stanza: str, repository: Repository, timeout_seconds: float = TIMEOUT_SECONDS, io_timeout_seconds: int = 5
) -> Trouble | None:
    """Ask one repository; return why it must not be written to, or None. An answer may take the timeout."""
    for path in (f"archive/{stanza}/archive.info", f"backup/{stanza}/backup.info"):
        argv = pgbackrest.read_info_file(stanza, repository.key, path, io_timeout_seconds)
        answer = throttled.capture(argv, timeout_seconds)
        if answer.exit_code == _TIMED_OUT:
            where = f"repository {repository.key} ({repository.location})"
            hint = "check the network between this host and the repository, and the repository's own state"
            return Trouble(f"{where}: no answer within {timeout_seconds:.0f} s", hint, may_pass=True)
        verdict = judge(answer, encrypted=repository.encrypted)
        if verdict is Verdict.OPENS:
            return None
        if verdict is not Verdict.NEW:
            return _told(verdict, repository, answer)
    return None


def _told(verdict: Verdict, repository: Repository, answer: process.Captured) -> Trouble:
    where, variable = f"repository {repository.key} ({repository.location})", f"PGBACKREST_REPO{repository.key}_CIPHER"
    if verdict is Verdict.WRONG:
        hint = f"put the right passphrase back: `make deploy FROM_KIT=…`, or {variable}_PASS in .env and `make deploy`"
        return Trouble(f"{where}: the passphrase does not open it, it was encrypted with another one", hint)
    if verdict is Verdict.PLAIN:
        hint = f"set {variable}_TYPE=none in .env, then `make deploy`; encryption cannot be switched on for existing backups"
        return Trouble(f"{where}: it is not encrypted, but a passphrase is configured", hint)
    if verdict is Verdict.ENCRYPTED:
        hint = f"set {variable}_TYPE=aes-256-cbc in .env, then `make deploy`; encryption cannot be switched off either"
        return Trouble(f"{where}: it is encrypted, but no passphrase is configured", hint)
    known = explain(answer.stderr, answer.exit_code, placement.place_of(repository))
    if known is not None:
        return known
    meaning = pgbackrest.meaning(answer.exit_code)
    said = "".join(c if c.isprintable() or c == "\n" else "?" for c in answer.stderr).strip().splitlines()
    detail = f": {said[0]}" if said else ""
    message = f"{where}: pgbackrest exit code {answer.exit_code} ({meaning.name}){detail}"
    return Trouble(message, meaning.hint, may_pass=meaning.retry)
