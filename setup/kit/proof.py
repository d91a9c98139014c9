"""Does a recovery kit open the live repositories? Pure: the kit against what was found.

A repository that setup can see is opened with the kit's own passphrase. For one in the cloud the proof goes by way of the
backup service: the kit's passphrase is the one that is published, and that one has been used there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from contract.protection import UsedPassphrases
from setup.cipher import Kind
from setup.kit.contents import Kit, KitRepository
from setup.repository_key import Need

LiveCheck = Literal["passed", "failed", "not-run"]
"""How the backup service's own look at its repositories ended, if it was running."""

_COORDINATES: Final = ("PGBACKREST_REPO", "AWS_", "AZURE_", "GCS_")


@dataclass(frozen=True)
class Finding:
    """What one comparison showed. A good one may have a hint as well."""

    good: bool
    seen: str
    hint: str = ""

    def __str__(self) -> str:
        """Return a line, and a second one with the hint if there is one."""
        line = f"{'  ok  ' if self.good else ' FAIL '} {self.seen}"
        return f"{line}\n       HINT: {self.hint}" if self.hint else line


@dataclass(frozen=True)
class Live:
    """The deployment as it is: its repositories, its variables, what is published and what has been used."""

    needs: Sequence[Need]
    environment: Mapping[str, str]
    published: Mapping[int, str | None]
    used: UsedPassphrases | None
    check: LiveCheck


def prove(kit: Kit, live: Live) -> tuple[Finding, ...]:
    """Return everything that was compared, the bad ones with a hint."""
    return (*_repositories(kit, live), *_variables(kit, live))


def compare_extra_config(kit: Kit, extra: str | None) -> Iterator[Finding]:
    """Return whether the operator's own settings of PostgreSQL have changed since the kit was made."""
    in_kit = kit.extra_config.get_secret_value() if kit.extra_config else None
    if in_kit != extra:
        seen = "the file that POSTGRES_EXTRA_CONFIG names has changed since the kit was made"
        yield Finding(True, seen, "a new kit would have the present text: make recovery-kit")


def _repositories(kit: Kit, live: Live) -> Iterator[Finding]:
    in_kit = {repository.key: repository for repository in kit.repositories}
    for need in live.needs:
        repository = in_kit.get(need.key)
        if repository is None:
            yield Finding(False, f"repository {need.key} is not in the kit", "make a new one: make recovery-kit")
        elif need.encrypted != (repository.passphrase is not None):
            seen = f"repository {need.key} is {'encrypted' if need.encrypted else 'plain'}, but not in the kit"
            yield Finding(False, seen, "is it the kit of this deployment? else make a new one: make recovery-kit")
        else:
            yield _opened(need, repository) if need.holding else _published(need, repository, live)


def _opened(need: Need, repository: KitRepository) -> Finding:
    holding = need.holding
    if holding is None or not holding.kinds:
        hint = "take the first backup, then try again: make backup"
        return Finding(False, f"repository {need.key}: {need.location} holds nothing yet to prove the kit with", hint)
    if repository.passphrase is None:
        if holding.kinds == {Kind.PLAIN}:
            return Finding(True, f"repository {need.key}: {need.location} is there, and not encrypted")
        return Finding(False, f"repository {need.key}: {need.location} is not plain", "see make status")
    if holding.opens_with(repository.passphrase.get_secret_value()):
        return Finding(True, f"repository {need.key}: the passphrase in the kit opens {need.location}")
    return Finding(
        False,
        f"repository {need.key}: the passphrase in the kit does not open {need.location}",
        "it is the kit of another repository; make a new one: make recovery-kit",
    )


def _published(need: Need, repository: KitRepository, live: Live) -> Finding:
    which, fingerprint = f"repository {need.key}", repository.fingerprint
    if live.check == "failed":
        hint = "see make status; prove the kit when the repository can be read"
        return Finding(False, f"{which}: the backup service cannot open {need.location} just now", hint)
    if live.published.get(need.key) != fingerprint:
        hint = "it is the kit of another repository; make a new one: make recovery-kit"
        return Finding(False, f"{which}: the passphrase in the kit is not the one that is in use", hint)
    if live.check == "passed":
        return Finding(True, f"{which}: the backup service opens {need.location} with the passphrase in the kit")
    used = live.used.used.get(need.key, ()) if live.used else ()
    if fingerprint is not None and fingerprint in used:
        return Finding(True, f"{which}: the passphrase in the kit is the one that {need.location} was created with")
    hint = "start the backup service, then try again: make start"
    return Finding(False, f"{which}: nothing could open {need.location} to prove the kit with", hint)


def _variables(kit: Kit, live: Live) -> Iterator[Finding]:
    in_kit = {name: value.get_secret_value() for name, value in kit.environment.items()}
    differing = [name for name in sorted({*in_kit, *live.environment}) if in_kit.get(name) != live.environment.get(name)]
    places = [name for name in differing if name.startswith(_COORDINATES)]
    if places:
        hint = "make a new one: make recovery-kit"
        yield Finding(False, f"the kit says otherwise where the backups are: {', '.join(places)}", hint)
    others = [name for name in differing if name not in places]
    if others:
        hint = "a new kit would have the present values: make recovery-kit"
        yield Finding(True, f"settings have changed since the kit was made: {', '.join(others)}", hint)
