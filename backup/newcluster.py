"""May a new, empty cluster be created? Only when the repository provably holds no backup of this stanza.

The postgres entrypoint asks this before initdb. A fresh cluster beside existing backups is how the real ones get lost:
the new one is backed up, and retention expires what cannot be replaced. `pgbackrest info` exits 0 whatever happens, so
the proof is read from its text: every repository answered, could be decrypted, and lists no backup.

Runs in the postgres image, which has no library beyond the standard one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from backup import pgbackrest, process
from backup.keeping import merging
from backup.storage import trouble
from backup.storage.place import Place
from contract import paths

INFO_TIMEOUT_SECONDS = 60.0
IO_SECONDS = 5

_LONGEST_REASON = 300

# ok, no stanza path, no backup yet. Not 3 (the stanza's files are missing): its backups may lie there all the same.
_HARMLESS = (0, 1, 2)


def reason_against(info: pgbackrest.Info, places: Mapping[int, Place] | None = None) -> str | None:
    """Return why no new cluster may be created beside these repositories, or None when that is proven harmless.

    What one of them holds says more than that another cannot be read, and stands first. `places` are the repositories by
    number, for the words about one that cannot be read.
    """
    if not info.repositories:
        return "pgbackrest info names no repository"
    reasons = []
    if info.backups:
        latest = info.backups[-1]
        where = f"repository {latest.repo}" if len(info.repositories) > 1 else "the repository"
        count = sum(backup.repo == latest.repo for backup in info.backups)
        reasons.append(f"{where} holds {count} backup{'s' if count > 1 else ''} of this database (latest: {latest.label})")
    reasons += [_unreadable(each, places or {}) for each in info.repositories if each.code not in _HARMLESS]
    return "; ".join(reasons) or None


def _unreadable(repository: pgbackrest.RepositoryStatus, places: Mapping[int, Place]) -> str:
    known = trouble.explain(repository.message, 0, places.get(repository.key, Place(repository.key)))
    if known is not None:
        return f"{known.sentence}; {known.hint}"
    return f"repository {repository.key} cannot be read ({_in_one_line(repository.message)})"


def _in_one_line(text: str) -> str:
    printable = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return " ".join(printable.split())[:_LONGEST_REASON] or "no message"


def examine(config: Path) -> str | None:
    """Ask pgbackrest about the configured stanza; return why not, or None.

    `config` is the directory of the published configuration. With backups off there is nothing to protect.
    """
    try:
        supervisor = json.loads((config / paths.SUPERVISOR_JSON).read_text("utf-8"))
        mode, stanza = supervisor["mode"], supervisor["stanza"]
        known = (Place(each["key"], each["type"], each["location"]) for each in supervisor.get("repositories", ()))
        places = {place.key or 1: place for place in known}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"the configuration cannot be read ({error})"
    if mode != "backups":
        return None
    if len(places) < 2:  # noqa: PLR2004 one repository, or whatever pgbackrest finds in its configuration
        found = _ask(pgbackrest.info(stanza), stanza)
        return found if isinstance(found, str) else reason_against(found, places)
    answers = []
    for key in places:  # each alone: one that does not answer must not hide what the others hold
        told = _ask(pgbackrest.hurried_info(stanza, key, IO_SECONDS), stanza)
        answers.append(merging.unanswered(stanza, key, told) if isinstance(told, str) else told)
    return reason_against(merging.merged(stanza, answers), places)


def _ask(argv: pgbackrest.Argv, stanza: str) -> pgbackrest.Info | str:
    """Return what pgbackrest tells, or why it tells nothing."""
    answer = process.capture(argv, INFO_TIMEOUT_SECONDS)
    if answer.exit_code != 0:
        name = pgbackrest.meaning(answer.exit_code).name
        return f"pgbackrest info failed with exit code {answer.exit_code} ({name}): {_in_one_line(answer.stderr)}"
    try:
        return pgbackrest.parse_info(answer.stdout, stanza)
    except pgbackrest.UnreadableAnswerError as error:
        return str(error)


def main() -> int:
    """Print the reason and return 1, or print nothing and return 0."""
    parser = argparse.ArgumentParser(prog="python3 -m backup.newcluster", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=paths.CONFIG)
    reason = examine(parser.parse_args().config)
    if reason:
        print(reason)  # noqa: T201 the entrypoint reads it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
