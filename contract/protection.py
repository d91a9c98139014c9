"""What the two images tell each other about passphrases: which ones are in use, and whether a recovery kit holds them.

Fingerprints only, never a passphrase: setup publishes those of the present ones in `supervisor.json`; the backup image
writes down those it has used; and setup publishes which ones a verified recovery kit holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

UNPROTECTED: Final = "not protected against loss of this host"
HINT: Final = "run `make recovery-kit`, keep the file away from this host, then prove it: `make recovery-kit-verify FILE=…`"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UsedPassphrases(_Frozen):
    """Per number of a repository, the fingerprints that a `stanza-create` has succeeded with. It only ever grows.

    `plain` are the numbers of those that it has succeeded with without a passphrase.
    """

    schema_version: Literal[1] = 1
    used: dict[int, tuple[str, ...]]
    plain: tuple[int, ...] = ()

    def adding(self, present: Mapping[int, str | None]) -> UsedPassphrases:
        """Return this with the present fingerprints in it; a repository without a passphrase has none."""
        grown = {key: set(fingerprints) for key, fingerprints in self.used.items()}
        for key, fingerprint in present.items():
            if fingerprint is not None:
                grown.setdefault(key, set()).add(fingerprint)
        plain = {*self.plain, *(key for key, fingerprint in present.items() if fingerprint is None)}
        return UsedPassphrases(used={key: tuple(sorted(grown[key])) for key in sorted(grown)}, plain=tuple(sorted(plain)))

    def has_served(self, key: int) -> bool:
        """Tell whether a stanza was ever created in the repository with this number."""
        return key in self.plain or bool(self.used.get(key))

    def everywhere(self) -> frozenset[str]:
        """Return all fingerprints, whatever repository they were used for."""
        return frozenset(fingerprint for fingerprints in self.used.values() for fingerprint in fingerprints)


class VerifiedKit(_Frozen):
    """When a recovery kit was last proven, and what it holds: a fingerprint per repository, None for a plain one."""

    schema_version: Literal[1] = 1
    verified_at: datetime
    fingerprints: dict[int, str | None]


def unprotected(present: Mapping[int, str | None], kit: VerifiedKit | None) -> str | None:
    """Return in a sentence why losing this host would mean losing the backups, or None when a kit is there to help.

    `present` are the fingerprints per repository as they are configured now; without a repository nothing is missing.
    """
    if not present:
        return None
    if kit is None:
        return f"{UNPROTECTED}: no recovery kit has been made and verified"
    missing = [key for key, fingerprint in present.items() if kit.fingerprints.get(key, "") != fingerprint]
    if missing:
        keys = ", ".join(str(key) for key in sorted(missing))
        return f"{UNPROTECTED}: the recovery kit verified on {kit.verified_at:%Y-%m-%d} does not hold repository {keys}"
    return None
