"""From the settings to what each repository needs in the way of a passphrase: looks into those that setup can see."""

from __future__ import annotations

from setup import holding, locations
from setup.holding import Holding
from setup.places import Places
from setup.render import STANZA
from setup.repositories import Posix, Repository
from setup.repository_key import Need
from setup.settings import Settings


def passphrase_needs(settings: Settings, places: Places) -> tuple[Need, ...]:
    """Return the needs of every repository there is; `places` has the directories of the posix ones.

    Raises ProductError when it cannot be read.
    """
    known = locations.read(places.secrets)
    return tuple(
        Need(
            key=repository.key,
            encrypted=repository.policy.encrypted,
            location=repository.location,
            supplied=repository.policy.passphrase,
            holding=_holding(repository, places),
            begins_anew=known.begins_anew(repository),
        )
        for repository in settings.repositories
    )


def _holding(repository: Repository, places: Places) -> Holding | None:
    if not isinstance(repository, Posix):
        return None
    return holding.look(places.directory(repository.key), repository.location, STANZA)
