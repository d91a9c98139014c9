"""Reading what archiving leaves in the spool of the server: the volume is there, read-only, in the backup container too."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backup.deployment import Deployment
from backup.keeping import placement
from backup.watch.refusals import Refusals, names_of_errors, read

_FIRST_READ: Final = 2
"""So many of the first, and the last: they say the same, and in a long outage there are thousands."""


def look(deployment: Deployment) -> Refusals | None:
    """Return which repositories did not take WAL in the latest attempt; None when nothing says so now.

    Between two attempts the answer is there for a second only, at times: look often. Files that go meanwhile are no error.
    """
    directory = deployment.volumes.archive_spool / "archive" / deployment.config.stanza / "out"
    try:
        names = names_of_errors([entry.name for entry in directory.iterdir()])
    except OSError:
        return None
    chosen = dict.fromkeys((*names[:_FIRST_READ], *names[-1:]))
    places = {each.key: placement.place_of(each) for each in deployment.config.repositories}
    return read({name: _text(directory / name) for name in chosen}, places)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
