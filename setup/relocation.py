"""A repository that is somewhere else than before. Pure.

Backups do not follow a changed path: the next ones would go to the new place, the old ones would be out of reach, and no
moment before the change could be restored any more. Where setup can look into the new place, it must hold the repository
that was copied there, or the operator must say that the old one is given up. Where it cannot, the change is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from contract.errors import Problem
from contract.protection import UsedPassphrases
from setup.given import own_name
from setup.repositories import Posix, Repository
from setup.repository_key import Need

_GIVE_UP = "BACKUP_GIVE_UP"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(_Frozen):
    """Where a repository lies: what tells it from all others, and what people call it. No secret."""

    identity: tuple[str, ...]
    location: str


class KnownPlaces(_Frozen):
    """The place of each repository at the last deployment, by its number."""

    schema_version: Literal[1] = 1
    places: dict[int, Place]
    retired: dict[int, Place] = {}
    """Where the repositories with these numbers were that are not used any more. Their passphrases are still stored."""

    def following(self, repositories: Sequence[Repository]) -> KnownPlaces:
        """Return the places after a deployment of these; while there are none at all, nothing is forgotten."""
        if not repositories:
            return self
        now = {repository.key: place_of(repository) for repository in repositories}
        retired = {key: place for key, place in {**self.retired, **self.places}.items() if key not in now}
        return KnownPlaces(places=now, retired=retired)

    def taking_back(self, repositories: Sequence[Repository]) -> KnownPlaces:
        """Return the record without the retired places of numbers that are used again: their passphrase is settled."""
        used = {repository.key for repository in repositories}
        return KnownPlaces(places=self.places, retired={k: place for k, place in self.retired.items() if k not in used})

    def begins_anew(self, repository: Repository) -> bool:
        """Tell whether a number that was retired comes back for another place: it needs another passphrase, too."""
        before = self.retired.get(repository.key)
        return before is not None and before.identity != repository.identity


@dataclass(frozen=True)
class Verdict:
    """What must not be, and what is worth a second thought."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def place_of(repository: Repository) -> Place:
    """Return where a repository lies."""
    return Place(identity=repository.identity, location=repository.location)


def judge(
    repositories: Sequence[Repository],
    needs: Sequence[Need],
    known: KnownPlaces,
    used: UsedPassphrases | None,
    given_up: str | None,
) -> Verdict:
    """Compare where the repositories are with where they were; `used` is None when the record cannot be understood.

    `given_up` is the location that the operator has said to be given up.
    """
    by_key = {need.key: need for need in needs}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for repository, before in _met_before(repositories, known.places):
        holding, has_moved = by_key[repository.key].holding, before.identity != repository.identity
        if used is not None and not used.has_served(repository.key):
            continue  # nothing was ever there
        if holding and holding.has_data:
            continue  # whether it is the right one, its passphrase tells
        if not has_moved:
            warnings += [_emptied(repository)] if holding else []
        elif given_up == before.location:
            warnings.append(_abandoned(repository, before))
        elif holding is None:
            warnings.append(_unseen(repository, before))
        else:
            problems.append(_refused(repository, before))
    warnings += _retired(repositories, known, used)
    return Verdict(tuple(problems), tuple(warnings))


def _retired(repositories: Sequence[Repository], known: KnownPlaces, used: UsedPassphrases | None) -> list[Problem]:
    """Return a word about each repository that was there at the last deployment and is not any more."""
    present = {repository.key for repository in repositories}
    gone = [key for key in known.places if present and key not in present and (used is None or used.has_served(key))]
    hint = "put its variables back to use it again: its passphrase is kept; nothing in it was deleted (docs/guide/moving.md)"
    return [
        Problem(f"repository {key}", f"{known.places[key].location} is not used any more: no backup goes there", hint)
        for key in gone
    ]


def _met_before(repositories: Sequence[Repository], places: Mapping[int, Place]) -> list[tuple[Repository, Place]]:
    found = ((repository, places.get(repository.key)) for repository in repositories)
    return [(repository, before) for repository, before in found if before]


def _variable(repository: Repository, before: Place) -> str:
    same_kind = before.identity[0] == repository.type
    return own_name(repository.key, "path" if same_kind and isinstance(repository, Posix) else "type")


def _refused(repository: Repository, before: Place) -> Problem:
    what = (
        f"repository {repository.key} was {before.location}, where backups have been made, and is now "
        f"{repository.location}, which holds none"
    )
    hint = (
        f"to move it: make stop, copy all of it with its owners (sudo cp -a …/. …/), make deploy; to begin anew and leave "
        f"the old backups behind: {_GIVE_UP}='{before.location}'; to have both, give the new place a number of its own "
        "(docs/guide/deploy.md)"
    )
    return Problem(_variable(repository, before), what, hint)


def _unseen(repository: Repository, before: Place) -> Problem:
    what = f"was {before.location}, where backups have been made, and is now {repository.location}"
    hint = "what is only in the old place can no longer be restored; copy it there first, or put the old place back"
    return Problem(f"repository {repository.key}", what, hint)


def _emptied(repository: Repository) -> Problem:
    what = f"{repository.location} holds nothing any more, though backups have been made there"
    return Problem(f"repository {repository.key}", what, "is its disk mounted? if so, the next backups begin anew")


def _abandoned(repository: Repository, before: Place) -> Problem:
    what = f"begins anew in {repository.location}: what is in {before.location} is given up"
    hint = f"keep it until the new place reaches back far enough; then remove {_GIVE_UP}"
    return Problem(f"repository {repository.key}", what, hint)
