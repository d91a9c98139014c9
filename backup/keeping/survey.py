"""Asking every repository what it holds, side by side and in seconds: one that does not answer takes nobody else with it.

For a screen that somebody waits for, and for the looks that are taken every few minutes. A run asks its own repository
patiently (`inventory.read_info`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from backup import pgbackrest, process
from backup.deployment import Deployment
from backup.keeping import placement
from backup.pgbackrest import Info
from backup.storage import trouble
from backup.storage.place import Place

PATIENCE_SECONDS: Final = 8.0


@dataclass(frozen=True)
class Answer:
    """What one repository said: `info` of it alone, or None and in `problem` why there is none, with a `hint`.

    `is_out_of_reach` tells a repository that did not answer from one that cannot be read; `is_gone` one whose store says
    that there is no such bucket or container.
    """

    repo: int
    info: Info | None
    problem: str = ""
    hint: str = ""
    is_out_of_reach: bool = False
    is_gone: bool = False


# pgbackrest's errors that say nothing about the passphrase, and where to ask again would be to wait again.
_GONE: Final = ("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "The specified bucket does not exist")
_OUT_OF_REACH: Final = ("HostConnectError", "ServiceError", "ProtocolError")


def ask(deployment: Deployment) -> tuple[Answer, ...]:
    """Ask all repositories at once; returns after PATIENCE_SECONDS at the latest, in the order of their numbers."""
    places = [placement.place_of(each) for each in deployment.config.repositories]
    with ThreadPoolExecutor(max_workers=len(places) or 1) as pool:
        return tuple(pool.map(lambda place: _ask(deployment.config.stanza, place), places))


def _ask(stanza: str, place: Place) -> Answer:
    repo = place.key or 1
    captured = process.capture(pgbackrest.hurried_info(stanza, repo), PATIENCE_SECONDS)
    if captured.exit_code == -9:  # noqa: PLR2004 killed by the deadline
        return Answer(repo, None, f"no answer within {PATIENCE_SECONDS:.0f} s", "check the network to it", True)
    meaning = pgbackrest.meaning(captured.exit_code)
    if captured.exit_code != 0:
        said = captured.stderr.strip().splitlines() or captured.stdout.decode("utf-8", "replace").strip().splitlines()
        detail = said[0] if said else "no message"
        return Answer(
            repo, None, f"pgbackrest info: exit code {captured.exit_code} ({meaning.name}): {detail}", meaning.hint
        )
    try:
        info = pgbackrest.parse_info(captured.stdout, stanza)
    except pgbackrest.UnreadableAnswerError as error:
        return Answer(repo, None, str(error), "run `pgbackrest info` by hand in the backup container")
    return _judged(place, info)


def _judged(place: Place, info: Info) -> Answer:
    """`info` ends with 0 whatever is wrong with a repository: its status says whether what it lists is true."""
    repo = place.key or 1
    unusable = next((r for r in info.repositories if r.key == repo and not r.is_usable), None)
    if unusable is None:
        return Answer(repo, info)
    message = " ".join(unusable.message.split())
    is_out_of_reach = any(name in message for name in _OUT_OF_REACH)
    is_gone = any(name in message for name in _GONE)
    known = trouble.describe(unusable.message, 0, place) if place.type != "posix" else None
    said, hint = (known.sentence, known.hint) if known else (message, "run `make backup-check`")
    return Answer(repo, None, said, hint, is_out_of_reach, is_gone)
