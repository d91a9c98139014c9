"""From the settings to what each repository needs in the way of a passphrase: looks into those that setup can see."""

from __future__ import annotations

from pathlib import Path

from setup import holding
from setup.holding import Holding
from setup.render import STANZA
from setup.repositories import Disabled, Posix, Repository
from setup.repository_key import Need
from setup.settings import Settings


def passphrase_needs(settings: Settings, directory: Path) -> tuple[Need, ...]:
    """Return the needs of every repository there is; `directory` is where the posix one is mounted.

    Raises ProductError when it cannot be read.
    """
    return tuple(
        Need(
            key=repository.key,
            encrypted=repository.policy.encrypted,
            location=repository.location,
            supplied=settings.passphrases.get(repository.key),
            holding=_holding(repository, directory),
        )
        for repository in settings.repositories
        if not isinstance(repository, Disabled)
    )


def _holding(repository: Repository, directory: Path) -> Holding | None:
    return holding.look(directory, repository.location, STANZA) if isinstance(repository, Posix) else None
