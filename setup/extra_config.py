"""The operator's own settings of PostgreSQL: a file below ./config or ./secrets, published and read last.

It may change what setup generates, but not what backups and restores stand on; and a line that PostgreSQL cannot read
would keep the server from starting, so each is looked at here. Names and values are PostgreSQL's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from setup import environment
from setup.places import Mounts
from setup.values import Rejected

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_$.]*)(?:\s*=\s*|\s+)('(?:[^']|'')*'|[^\s'#]+)\s*(?:#.*)?")
_INCLUDES = ("include", "include_if_exists", "include_dir")
_OURS = frozenset(
    {
        "archive_cleanup_command", "archive_command", "archive_library", "archive_mode", "config_file", "data_directory",
        "external_pid_file", "full_page_writes", "fsync", "hba_file", "ident_file", "port", "recovery_end_command",
        "restore_command", "unix_socket_directories", "wal_level",
    }
)  # fmt: skip
"""What backups, restores and the other containers stand on."""


def read(name: str, mounts: Mounts) -> str:
    """Return the text of the file `config/…` or `secrets/…`, checked. Raises Rejected."""
    mounted = _mounted(name, mounts)
    if not mounted.is_file():
        raise Rejected(f"there is no file ./{name}", "create it, or correct the name; it lies beside docker-compose.yml")
    text = environment.content(str(mounted), f"the file ./{name}")
    complaint = next(_complaints(text), None)
    if complaint:
        raise complaint
    return text.rstrip("\n") + "\n"


def _mounted(name: str, mounts: Mounts) -> Path:
    folder, _, rest = name.partition("/")
    return (mounts.config if folder == "config" else mounts.secrets) / rest


def _complaints(text: str) -> Iterator[Rejected]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(stripped)
        name = match[1].lower() if match else ""
        if match is None:
            yield Rejected(f"line {number} is not a setting", "write name = 'value' on each line")
        elif name in _INCLUDES:
            yield Rejected(f"line {number} includes another file, which is not mounted", "write its settings into this one")
        elif name in _OURS:
            yield Rejected(f"line {number} sets {name}, which backups and restores stand on", "remove the line")
