"""`gsutil ls` and `gsutil cat` for those who type them: a stand-in on top of pgbackrest, not Google's program. Pure.

Debian has no program of Google's (its package gsutil is about telephones), and pgbackrest can list and read a bucket with
every kind of key, address and authority that backups use. Facts of 2.55.1: `repo-ls` of a path that is not there has exit
code 0 and one entry, the path itself; a path on the command line takes the place of the configured one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from backup.storage.published import Options
from contract.errors import ProductError
from contract.exits import Exit

IO_TIMEOUT_SECONDS: Final = 5
_USAGE: Final = "gsutil ls [-l] [-r] gs://bucket[/path], or gsutil cat gs://bucket/object"


@dataclass(frozen=True)
class Question:
    """What is asked: `ls` or `cat`, of a path in the bucket that begins with a slash and does not end with one."""

    verb: str
    bucket: str
    path: str
    long: bool = False
    recurse: bool = False


def parse(arguments: tuple[str, ...], bucket: str) -> Question:
    """Read a command line; without an address `ls` is about the repository's own bucket. Raises ProductError."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    flags = {argument for argument in rest if argument.startswith("-")}
    addresses = [argument for argument in rest if not argument.startswith("-")]
    if verb not in ("ls", "cat") or len(addresses) > 1 or flags - ({"-l", "-r"} if verb == "ls" else set()):
        raise _usage("this stand-in for gsutil knows ls and cat only")
    address = addresses[0] if addresses else f"gs://{bucket}"
    named, _, path = address.removeprefix("gs://").partition("/")
    if not address.startswith("gs://") or (verb == "cat" and not path):
        raise _usage(f"{address} is not an address that {verb} takes")
    if named != bucket:
        what = f"gs://{named} is not the bucket of a repository"
        raise ProductError(what, hint=f"this one is: gs://{bucket}", exit_code=Exit.USAGE)
    return Question(verb, bucket, f"/{path}".rstrip("/"), "-l" in flags, "-r" in flags)


def command(question: Question, repository: Options) -> tuple[str, ...]:
    """Return the command line of pgbackrest that answers; for `cat` it prints the object as it lies in the bucket."""
    key = repository.key
    options = (f"--repo={key}", f"--repo{key}-path=/", f"--io-timeout={IO_TIMEOUT_SECONDS}", "--log-level-console=off")
    how = ("--output=json", *(("--recurse",) if question.recurse else ())) if question.verb == "ls" else ("--raw",)
    verb = "repo-ls" if question.verb == "ls" else "repo-get"
    return ("pgbackrest", *options, "--log-level-stderr=error", *how, verb, question.path or "/")


def listing(question: Question, answer: bytes) -> str:
    """Return what `ls` prints for the answer of `repo-ls`. Raises ProductError when there is nothing at the path."""
    entries: dict[str, dict[str, Any]] = json.loads(answer)
    alone = entries.pop(".", {})
    if alone.get("type") == "file":
        entries = {"": alone}
    base = f"gs://{question.bucket}{question.path}"
    if not entries and question.path:
        what = f"nothing is at {base}"
        raise ProductError(what, hint=f"look one level up: gsutil ls gs://{question.bucket}", exit_code=Exit.REPOSITORY)
    lines = [_line(f"{base}/{name}".rstrip("/"), entry, long=question.long) for name, entry in sorted(entries.items())]
    if question.long:
        files = [entry["size"] for entry in entries.values() if entry["type"] == "file"]
        lines.append(f"TOTAL: {len(files)} objects, {sum(files)} bytes")
    return "".join(f"{line}\n" for line in lines)


def _line(address: str, entry: dict[str, Any], *, long: bool) -> str:
    if entry["type"] == "path":
        return f"{'':33}{address}/" if long else f"{address}/"
    if not long:
        return address
    return f"{entry['size']:>10}  {datetime.fromtimestamp(entry['time'], UTC):%Y-%m-%dT%H:%M:%SZ} {address}"


def _usage(what: str) -> ProductError:
    return ProductError(what, hint=_USAGE, exit_code=Exit.USAGE)
