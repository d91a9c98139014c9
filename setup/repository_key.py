"""Which passphrase a repository gets, decided before anything is written. Pure.

A passphrase is for life: without it no backup made with it can be read again. So one that has been used is never
replaced, none is made up for a repository that holds backups already, and one that does not open the repository is
refused. Only a provisional one, with which no stanza was ever created, gives way to one that the operator supplies: so a
host that came up with a generated passphrase can still be given the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from pydantic import SecretStr

from contract.errors import Problem
from contract.protection import UsedPassphrases
from setup import cipher
from setup.cipher import Kind
from setup.holding import Holding

_SECOND: Final = (
    "to change that, add a second repository with its own number, back up to both, and give this one up when the other "
    "holds enough (docs/guide/recovery-kit.md)"
)
_PUT_BACK: Final = "put it back with `make deploy FROM_KIT=…`, or set {variable} to it"


class Action(Enum):
    """What becomes of the passphrase of a repository."""

    NONE = "the repository is not encrypted"
    KEEP = "the stored one stays"
    ADOPT = "the supplied one is stored"
    REPLACE = "the supplied one takes the place of a provisional one"
    TAKE = "the one that another number has opens the repository, and is stored for this one too"
    CREATE = "one is made"


@dataclass(frozen=True)
class Need:
    """A repository as far as its passphrase is concerned.

    `key` is its number, `location` what people call it, `supplied` what the operator has given, in a variable or in a
    recovery kit. `holding` is what it holds already, None where setup cannot look: the backup service checks a repository
    in the cloud. `begins_anew`: the number was retired and comes back for another place, so that what is stored for it is of
    the old one.
    """

    key: int
    encrypted: bool
    location: str
    supplied: SecretStr | None = None
    from_kit: bool = False
    holding: Holding | None = None
    begins_anew: bool = False

    def variable(self, name: str) -> str:
        """Return the name of one of the repository's variables."""
        return f"PGBACKREST_REPO{self.key}_{name}"


@dataclass(frozen=True)
class Known:
    """What is stored for a repository, and what the backup service has used; `used` is None if its record is damaged.

    `others` are the passphrases that are stored for other numbers: a repository may have been given another one.
    """

    stored: SecretStr | None
    used: UsedPassphrases | None
    others: tuple[SecretStr, ...] = ()


def decide(need: Need, known: Known) -> Action | Problem:
    """Return what to do about the passphrase of a repository, or why nothing may be done."""
    kinds = need.holding.kinds if need.holding else frozenset()
    if need.begins_anew and known.stored and not _opens(need, known.stored):
        known = _of_another_place(need, known, known.stored)
    if not need.encrypted:
        return _plain(need, kinds)
    if Kind.PLAIN in kinds:
        what = f"is aes-256-cbc, but the repository in {need.location} is not encrypted"
        hint = f"set {need.variable('CIPHER_TYPE')}=none; encryption cannot be switched on for existing backups: {_SECOND}"
        return Problem(need.variable("CIPHER_TYPE"), what, hint)
    return _supplied(need, known, need.supplied) if need.supplied else _unsupplied(need, known)


def _of_another_place(need: Need, known: Known, stored: SecretStr) -> Known:
    """Return what is known of the new place: the stored passphrase is one of somewhere else, and was used there."""
    used = known.used
    if used is not None:
        used = used.model_copy(update={"used": {key: prints for key, prints in used.used.items() if key != need.key}})
    return Known(None, used, (*known.others, stored))


def taken(need: Need, known: Known) -> SecretStr | None:
    """Return the passphrase of another number that opens the repository, if there is one."""
    return next((other for other in known.others if _opens(need, other)), None)


def is_used(stored: SecretStr, need: Need, used: UsedPassphrases | None) -> bool:
    """Tell whether backups may exist that only this stored passphrase opens."""
    passphrase = stored.get_secret_value()
    if used is None or cipher.fingerprint(passphrase) in used.everywhere():
        return True
    return need.holding is not None and need.holding.opens_with(passphrase)


def _plain(need: Need, kinds: frozenset[Kind]) -> Action | Problem:
    if Kind.ENCRYPTED in kinds:
        what = f"is none, but the repository in {need.location} is encrypted"
        remedy = f"set {need.variable('CIPHER_TYPE')}=aes-256-cbc"
        hint = f"{remedy}; encryption cannot be switched off for existing backups: {_SECOND}"
        return Problem(need.variable("CIPHER_TYPE"), what, hint)
    if need.supplied:
        what = f"is set, but {need.variable('CIPHER_TYPE')} is none: nothing would be encrypted"
        return Problem(need.variable("CIPHER_PASS"), what, "remove one of the two")
    return Action.NONE


def _supplied(need: Need, known: Known, supplied: SecretStr) -> Action | Problem:
    stored, variable = known.stored, need.variable("CIPHER_PASS")
    where = "recovery kit" if need.from_kit else variable
    if stored and stored != supplied and is_used(stored, need, known.used):
        if need.from_kit:
            what = f"this host has another passphrase for repository {need.key}, and backups have been made with it"
            return Problem(where, what, "use a host with an empty volume pgbackrest-secrets, or another PROJECT")
        what = "is not the stored passphrase, which backups have been made with"
        hint = f"remove {variable}; a repository keeps its passphrase for life: {_SECOND}"
        return Problem(where, what, hint)
    if _holds_encrypted(need) and not _opens(need, supplied):
        what = f"does not open the repository in {need.location}: it was encrypted with another passphrase"
        if need.from_kit:
            return Problem(where, what, "is this the kit of this repository, and is the right disk mounted there?")
        hint = f"set {variable} to the passphrase that this repository was made with, or name an empty directory"
        return Problem(where, what, hint)
    if stored is None:
        return Action.ADOPT
    return Action.KEEP if stored == supplied else Action.REPLACE


def _unsupplied(need: Need, known: Known) -> Action | Problem:
    variable = need.variable("CIPHER_PASS")
    if _holds_encrypted(need) and not (known.stored and _opens(need, known.stored)) and taken(need, known):
        return Action.TAKE
    if known.stored is None:
        return _lost(need, known) or Action.CREATE
    if not _holds_encrypted(need) or _opens(need, known.stored):
        return Action.KEEP
    what = f"the stored passphrase does not open the repository in {need.location}: it was encrypted with another one"
    if is_used(known.stored, need, known.used):
        hint = "is this the right directory? the stored passphrase has been used for other backups and is kept"
    else:
        hint = f"nothing has been encrypted with the stored one yet: {_PUT_BACK.format(variable=variable)}"
    return Problem(f"repository {need.key}", what, hint)


def _lost(need: Need, known: Known) -> Problem | None:
    """Return the problem when there is no passphrase any more, though there has been one."""
    where, put_back = f"repository {need.key}", _PUT_BACK.format(variable=need.variable("CIPHER_PASS"))
    if _holds_encrypted(need):
        what = f"{need.location} holds encrypted backups, but their passphrase is not in the volume pgbackrest-secrets"
        return Problem(where, what, put_back)
    if need.holding and need.holding.has_data:
        what = (
            f"{need.location} holds backups, but neither archive.info nor backup.info can be read to know how they were made"
        )
        return Problem(where, what, f"bring these files back; if the backups are encrypted, {put_back}")
    if need.holding is None and known.used is not None and known.used.used.get(need.key):
        what = f"backups were made to {need.location}, but their passphrase is not in the volume pgbackrest-secrets"
        return Problem(where, what, f"{put_back}; for a new, empty repository set it to a new passphrase")
    return None


def _holds_encrypted(need: Need) -> bool:
    return need.holding is not None and Kind.ENCRYPTED in need.holding.kinds


def _opens(need: Need, passphrase: SecretStr) -> bool:
    return need.holding is not None and need.holding.opens_with(passphrase.get_secret_value())
