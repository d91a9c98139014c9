"""The directory of a posix repository: is it ours to use, and if it is new, make it so.

Docker creates a missing host directory for root, where pgbackrest (user 999) could not write; and an operator may name
one that holds something else. Setup may change an owner and has no other rights: it cannot look into every directory.
A network drive decides by itself what root of this host may do there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from contract.errors import InvalidConfigurationError, Problem, ProductError
from contract.exits import Exit
from setup import files, mounts
from setup.given import own_name
from setup.places import Owner
from setup.repositories import Posix

_MODE = 0o750
_FILE_SYSTEM_ENTRIES = frozenset({"lost+found"})
_OWN_ENTRIES = frozenset({"archive", "backup"}) | _FILE_SYSTEM_ENTRIES
_NAMED_ENTRIES = 3


def check(directory: Path, repository: Posix, owner: Owner) -> bool:
    """Tell whether the repository's directory is new and must be adopted first. Changes nothing.

    `directory` is where it is mounted. Raises InvalidConfigurationError when it cannot be used.
    """
    location = repository.location
    try:
        found = directory.stat()
        entries = sorted(entry.name for entry in directory.iterdir())
        read_only = bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    except OSError as error:
        what = f"the directory {location} cannot be opened: {files.reason(error)}"
        raise _refused(repository, what, _way_out(directory, location, owner)) from error
    if read_only:
        raise _refused(repository, f"the directory {location} is on a read-only file system", "mount it writable")
    if not set(entries) - _FILE_SYSTEM_ENTRIES:
        return (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (owner.uid, owner.gid, _MODE)
    foreign = [name for name in entries if name not in _OWN_ENTRIES]
    if foreign:
        what = f"the directory {location} holds what is not pgbackrest's: {_named(foreign)}"
        raise _refused(repository, what, "name an empty directory, or move these away")
    if found.st_uid != owner.uid:
        what = f"the repository in {location} belongs to user {found.st_uid}, but pgbackrest is user {owner.uid}"
        hint = f"give it to pgbackrest: sudo chown -R {owner.uid}:{owner.gid} {location}"
        raise _refused(repository, what, hint)
    return False


def adopt(directory: Path, location: str, owner: Owner) -> None:
    """Give an empty directory to the user of pgbackrest, mode 0750. Raises ProductError when that is not possible."""
    try:
        # In this order: only the owner may change the mode, and setup may change the owner.
        if directory.stat().st_uid != os.geteuid():
            os.chown(directory, os.geteuid(), -1)
        directory.chmod(_MODE)
        os.chown(directory, owner.uid, owner.gid)
    except OSError as error:
        raise ProductError(
            f"the directory {location} cannot be given to the user of pgbackrest: {files.reason(error)}",
            hint=_way_out(directory, location, owner, and_mode=True),
            exit_code=Exit.CONFIGURATION,
        ) from error


def _way_out(directory: Path, location: str, owner: Owner, *, and_mode: bool = False) -> str:
    kind = mounts.file_system(directory)
    if kind in ("cifs", "smb3", "smbfs"):
        return f"it is a network drive ({kind}): mount it with uid={owner.uid},gid={owner.gid},file_mode=0640,dir_mode=0750"
    if mounts.is_network(kind):
        return (
            f"it is a network drive ({kind}), where root of this host has no rights (root squash): "
            f"on the server, chown {owner.uid}:{owner.gid} and chmod 750 the directory"
        )
    if and_mode:
        return f"do it on the host: sudo chown {owner.uid}:{owner.gid} {location} && sudo chmod 750 {location}"
    return f"give it to the user of pgbackrest: sudo chown {owner.uid}:{owner.gid} {location}"


def _refused(repository: Posix, what: str, hint: str) -> InvalidConfigurationError:
    return InvalidConfigurationError([Problem(own_name(repository.key, "path"), what, hint)])


def _named(foreign: Sequence[str]) -> str:
    more = len(foreign) - _NAMED_ENTRIES
    names = ", ".join(foreign[:_NAMED_ENTRIES])
    return f"{names} and {more} more" if more > 0 else names
