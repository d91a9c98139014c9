"""What proves a backup besides its line in `info`: the command lines that ask for it, and their answers. Pure.

Facts are those of pgBackRest 2.55.1: `info --set=LABEL` lists the files with page checksum errors as "error-list", and an
archived WAL segment lies in a folder named by its first 16 characters, as `SEGMENT-<SHA-1>` with the suffix of its
compression. Listing a folder that is not there is no error: the answer is empty.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from backup import pgbackrest
from backup.pgbackrest import Argv, Backup, Info, UnreadableAnswerError

FOLDER_LENGTH: Final = 16
MOST_NAMED_FILES: Final = 5
_QUIET: Final = ("--output=json", "--log-level-console=off", "--log-level-stderr=warn")


def backup_details(stanza: str, repo: int, label: str) -> Argv:
    """Return the command that tells all about one backup as JSON."""
    return ("pgbackrest", f"--stanza={stanza}", f"--repo={repo}", f"--set={label}", *_QUIET, "info")


def damaged_files(stdout: bytes) -> tuple[str, ...]:
    """Return the files with page checksum errors that the details of a backup name, relative to the data directory.

    Raises UnreadableAnswerError.
    """
    stanzas = pgbackrest.parse_stanzas(stdout)
    return tuple(name for stanza in stanzas for entry in stanza.get("backup", []) for name in entry.get("error-list") or ())


def tablespaces(stdout: bytes) -> frozenset[str]:
    """Return the object ids of the tablespaces that the details of a backup name. Raises UnreadableAnswerError."""
    stanzas = pgbackrest.parse_stanzas(stdout)
    named = (entry.get("tablespace") or () for stanza in stanzas for entry in stanza.get("backup", []))
    return frozenset(str(each["oid"]) for several in named for each in several)


def name_files(files: tuple[str, ...]) -> str:
    """Return a few of the files for a sentence, and how many there are: "in 7 files: base/5/16384, …"."""
    if not files:
        return "in files that pgbackrest does not name"
    named = ", ".join(files[:MOST_NAMED_FILES])
    more = f" and {len(files) - MOST_NAMED_FILES} more" if len(files) > MOST_NAMED_FILES else ""
    return f"in {len(files)} file{'s' if len(files) > 1 else ''}: {named}{more}"


def archive_id(info: Info, backup: Backup) -> str | None:
    """Return the archive that a backup's WAL lies in, such as "17-1": the one of its cluster in its repository."""
    ids = (archive.id for archive in info.archive if archive.repo == backup.repo)
    return next((id_ for id_ in ids if id_.rpartition("-")[2] == str(backup.cluster_id)), None)


def find_segment(stanza: str, repo: int, archive: str, segment: str) -> Argv:
    """Return the command that lists the files of one WAL segment in an archive as JSON."""
    where = f"archive/{stanza}/{archive}/{segment[:FOLDER_LENGTH]}"
    options = (f"--stanza={stanza}", f"--repo={repo}", f"--filter=^{segment}-[0-9a-f]{{40}}", *_QUIET)
    return ("pgbackrest", *options, "repo-ls", where)


def is_stored(stdout: bytes) -> bool:
    """Tell whether the listing holds a file that is not empty. Raises UnreadableAnswerError."""
    try:
        entries = json.loads(stdout)
        return any(entry["type"] == "file" and entry.get("size", 0) > 0 for entry in entries.values())
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise UnreadableAnswerError(f"pgbackrest repo-ls printed no listing: {error}") from error


def verify(stanza: str, repo: int, label: str) -> Argv:
    """Return the command that reads a backup and its WAL back and compares every checksum; its exit code proves nothing."""
    options = (f"--repo={repo}", f"--set={label}", "--output=text", "--verbose", "--log-level-console=off")
    return ("pgbackrest", f"--stanza={stanza}", *options, "verify")


def is_verified(lines: Sequence[str]) -> bool:
    """Tell whether `verify` found all as it should be: it says so, and ends with 0 whatever it has found (2.55.1)."""
    said = [line.strip() for line in lines]
    return "status: ok" in said and not any(line.startswith("status: error") for line in said)


def archived_segment(lines: Sequence[str]) -> str | None:
    """Return the WAL segment that `check` reports as archived, or None when it reports none."""
    marker = "successfully archived to"
    for line in lines:
        if marker in line and "WAL segment " in line:
            return line.split("WAL segment ", 1)[1].split(" ", 1)[0]
    return None
