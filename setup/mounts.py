"""Which kind of file system a directory is on: what to do about a wrong owner depends on it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

_MOUNTINFO = Path("/proc/self/mountinfo")
_NETWORK = re.compile(r"nfs4?|cifs|smb3|smbfs|fuse\.sshfs|9p|ceph|glusterfs|fuse\.glusterfs")


def file_system(directory: Path) -> str:
    """Return the type of the file system that the directory is on; empty where the kernel does not say."""
    try:
        return type_in(_MOUNTINFO.read_text(encoding="utf-8", errors="replace"), directory)
    except OSError:
        return ""


def type_in(mountinfo: str, directory: Path) -> str:
    """Return the type from the text of /proc/self/mountinfo: that of the deepest mount point above the directory."""
    found: tuple[int, str] = (-1, "")
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split()
        if not separator or len(fields) < 5:  # noqa: PLR2004 the mount point is the fifth field, see proc(5)
            continue
        point = PurePosixPath(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        depth = len(point.parts)
        if directory.is_relative_to(point) and depth >= found[0]:
            found = depth, right.split()[0]
    return found[1]


def is_network(kind: str) -> bool:
    """Tell whether a file system is on another machine, which has its own idea of who root is."""
    return _NETWORK.fullmatch(kind) is not None
