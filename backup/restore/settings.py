"""The settings of a cluster on its way: beside, as a hot standby; in its place, recovering; back again, recovering. Pure.

PostgreSQL reads `postgresql.auto.conf` in the data directory last, so that what is in it wins over the published file; what
stands on the server's command line wins over both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_ASSIGNMENT: Final = re.compile(r"^\s*(?P<name>[A-Za-z_.]+)\s*(=|\s)")
_ENTERED_BY_RESTORES: Final = frozenset({"archive_mode"})
_OF_RECOVERY: Final = frozenset(
    {
        "restore_command", "recovery_target", "recovery_target_name", "recovery_target_time", "recovery_target_xid",
        "recovery_target_lsn", "recovery_target_inclusive", "recovery_target_timeline", "recovery_target_action",
        "recovery_end_command", "archive_cleanup_command", "recovery_min_apply_delay", "primary_conninfo",
        "primary_slot_name",
    }
)  # fmt: skip

_GUARD: Final = " beside-tablespaces"
_TARGET: Final = re.compile(r"^recovery_target(_time|_xid|_lsn|_name)?\s*=", re.MULTILINE)

CONTROLLED: Final = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
"""What a hot standby must have at least as much of as its primary had: lines of pg_controldata, and the settings."""

_LEAST: Final = {
    "max_connections": 20,
    "max_worker_processes": 8,
    "max_wal_senders": 3,
    "max_prepared_transactions": 0,
    "max_locks_per_transaction": 64,
}
PROOF_PORT: Final = 5432
AUTO_CONF: Final = "postgresql.auto.conf"


def in_its_place(auto_conf: str) -> str:
    """Return `postgresql.auto.conf` of a restored cluster for its life in its place: it archives.

    With a target the proof has shown that no tablespace is made before it. The server reads ahead of it, and must not end
    because of one that is made after it.
    """
    kept = _without(auto_conf, _ENTERED_BY_RESTORES)
    return kept.replace(_GUARD, "") if _TARGET.search(kept) else kept


def back_again(auto_conf: str, restore_command: str) -> str:
    """Return it for a cluster that comes back: whatever an earlier restore of it wanted is over.

    It follows its own timeline to its end and begins another one there. Otherwise the next restore would follow the timeline
    of the cluster that had replaced it, and lose what is written from now on.
    """
    kept = _without(auto_conf, _OF_RECOVERY)
    return f"{kept}restore_command = '{restore_command}'\nrecovery_target_timeline = 'current'\n"


def _without(text: str, names: frozenset[str]) -> str:
    lines = []
    for line in text.splitlines():
        found = _ASSIGNMENT.match(line)
        if found is None or found["name"].lower() not in names:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def parse_control(output: str) -> dict[str, str]:
    """Return the lines that pg_controldata prints, by their names."""
    pairs = (line.split(":", 1) for line in output.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def of_proof(control: Mapping[str, str], directory: str, socket: str) -> tuple[str, ...]:
    """Return the words that start a server for the proof of a cluster beside: reachable for us alone, and harmless.

    `directory` holds its own configuration files, `control` what pg_controldata says. Nothing is taken from the published
    configuration, which is that of the live server.
    """
    at_least = {setting: max(_LEAST[setting], int(control.get(line, "0") or 0)) for line, setting in CONTROLLED.items()}
    chosen: dict[str, object] = {
        "config_file": f"{directory}/postgresql.conf",
        "hba_file": f"{directory}/pg_hba.conf",
        "ident_file": f"{directory}/pg_ident.conf",
        "listen_addresses": "",
        "port": PROOF_PORT,
        "unix_socket_directories": socket,
        "unix_socket_permissions": "0700",
        "archive_mode": "off",
        "archive_command": "",
        "archive_library": "",
        "hot_standby": "on",
        "recovery_target_action": "pause",
        "wal_retrieve_retry_interval": "10s",
        "primary_conninfo": "",
        "recovery_min_apply_delay": 0,
        "shared_preload_libraries": "",
        "session_preload_libraries": "",
        "local_preload_libraries": "",
        "shared_buffers": "64MB",
        "checkpoint_timeout": "30s",
        "huge_pages": "off",
        "max_parallel_workers": 0,
        "jit": "off",
        "ssl": "off",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_min_messages": "warning",
        "log_statement": "none",
        "log_connections": "off",
        "log_disconnections": "off",
        "log_line_prefix": "%m [%p] ",
        **at_least,
    }
    return tuple(word for name, value in chosen.items() for word in ("-c", f"{name}={value}"))
