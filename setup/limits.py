"""What is wrong, or unwise, with numbers taken together: a reservation above its limit, memory for more than there is.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from contract.errors import Problem
from setup import container_values, server_values, values
from setup.values import Rejected
from setup.variables import LEVEL_RANGES, Variables

_ANY_LEVEL = (-7, 22)
_AUTOVACUUM_WORKERS = 3
_OTHER_BYTES = 64 << 20
"""What PostgreSQL takes besides: its own processes, wal_buffers, tables in shared memory."""


def contradictions(variables: Variables, refused: frozenset[str], cpu_count: int) -> Iterator[Problem]:
    """Return what is wrong with variables taken together; those already refused are left out."""
    yield from _level(variables, known_type="pgbackrest_compress_type" not in refused)
    for name in ("backup_cpu_limit", "postgres_cpu_limit", "peek_cpu_limit"):
        if float(getattr(variables, name)) > cpu_count and name not in refused:
            what = f"is {getattr(variables, name)}, but this machine has {_cores(cpu_count)}: Docker would refuse it"
            yield Problem(name.upper(), what, f"write at most {cpu_count}")
    sizes: dict[str, Callable[[str], float]] = {"memory": container_values.memory_bytes, "cpu": float}
    for resource, size in sizes.items():
        reserved, limit = f"backup_{resource}_reservation", f"backup_{resource}_limit"
        if resource == "cpu" and reserved not in variables.model_fields_set:
            continue  # it has no effect outside Swarm, so nobody should have to lower a default to lower the limit
        if size(getattr(variables, reserved)) > size(getattr(variables, limit)) and not refused & {reserved, limit}:
            what = f"is {getattr(variables, reserved)}, more than the {getattr(variables, limit)} of {limit.upper()}"
            yield Problem(reserved.upper(), what, f"lower it, or raise {limit.upper()}")
    yield from _alarms(variables, refused)


def _alarms(variables: Variables, refused: frozenset[str]) -> Iterator[Problem]:
    late_minutes, jitter_seconds = variables.backup_late_after, variables.backup_catch_up_jitter
    if late_minutes * 60 <= jitter_seconds and not refused & {"backup_late_after", "backup_catch_up_jitter"}:
        what = f"is {late_minutes} minutes, but BACKUP_CATCH_UP_JITTER lets a run wait {jitter_seconds} seconds"
        yield Problem(
            "BACKUP_LATE_AFTER", what, f"write at least {jitter_seconds // 60 + 1}, or lower BACKUP_CATCH_UP_JITTER"
        )
    percent, reserve = variables.backup_disk_alarm_percent, variables.backup_disk_reserve_percent
    if percent + reserve > 100 and not refused & {"backup_disk_alarm_percent", "backup_disk_reserve_percent"}:  # noqa: PLR2004
        full = f"a volume counts as full at {100 - reserve} percent"
        if "backup_disk_alarm_percent" in variables.model_fields_set:
            what = f"is {percent}, but with BACKUP_DISK_RESERVE_PERCENT={reserve} {full}"
            hint = f"write at most {100 - reserve}, or lower BACKUP_DISK_RESERVE_PERCENT"
            yield Problem("BACKUP_DISK_ALARM_PERCENT", what, hint)
        else:
            what = f"is {reserve}, so {full}, before BACKUP_DISK_ALARM_PERCENT={percent}"
            yield Problem("BACKUP_DISK_RESERVE_PERCENT", what, f"write at most {100 - percent}, or lower that one")
    port = variables.backup_http_port
    if port is not None and port == variables.postgres_port:
        yield Problem("BACKUP_HTTP_PORT", f"is {port}, and POSTGRES_PORT is too", "give each a port of its own")


def _level(variables: Variables, *, known_type: bool) -> Iterator[Problem]:
    kind, level = variables.pgbackrest_compress_type, variables.pgbackrest_compress_level
    bounds, which = (LEVEL_RANGES[kind], f", the range of {kind}") if known_type else (_ANY_LEVEL, "")
    if level is None:
        return
    try:
        values.whole_number(*bounds)(level)
    except Rejected as rejected:
        yield Problem("PGBACKREST_COMPRESS_LEVEL", f"{rejected.what}{which}", rejected.hint)


def unwise(variables: Variables, cpu_count: int) -> Iterator[Problem]:
    """Return what is allowed and still worth a second thought."""
    process_max = variables.pgbackrest_process_max
    if process_max is not None and process_max > cpu_count:
        what = f"is {process_max}, but this machine has {_cores(cpu_count)}"
        yield Problem("PGBACKREST_PROCESS_MAX", what, "backups may slow the database down; lower it")
    yield from _schedules_off(variables)
    if (free := variables.backup_wal_emergency_free_percent) is not None:
        what = (
            f"is {free}: below {free} percent of free space the database throws away WAL that cannot be archived; none of "
            "the moments since can then be restored, and there are no backups until `make wal-resume`"
        )
        yield Problem("BACKUP_WAL_EMERGENCY_FREE_PERCENT", what, "leave it out, and an alarm asks you instead")
    limit_bytes = container_values.memory_bytes(variables.postgres_memory_limit)
    may_take_bytes = server_memory_bytes(variables)
    if 0 < limit_bytes < may_take_bytes:
        what = (
            f"is {variables.postgres_memory_limit}, but the database may take {may_take_bytes >> 20}M: "
            "POSTGRES_SHARED_BUFFERS, POSTGRES_WORK_MEM for each connection, and POSTGRES_MAINTENANCE_WORK_MEM "
            f"{_AUTOVACUUM_WORKERS} times"
        )
        yield Problem("POSTGRES_MEMORY_LIMIT", what, "the kernel would kill the server; raise it, or lower those")


def _schedules_off(variables: Variables) -> Iterator[Problem]:
    if variables.backup_schedule_full is not None:
        return
    if variables.backup_schedule_diff is None and variables.backup_schedule_incr is None:
        hint = "write a cron expression; or PGBACKREST_REPO1_TYPE=none, to switch backups off altogether"
        yield Problem("BACKUP_SCHEDULE_FULL", "is off like the others: only the first backup is taken by itself", hint)
    else:
        what = f"is off: a full backup is taken after every {variables.backup_full_after} others, once a day at most"
        yield Problem("BACKUP_SCHEDULE_FULL", what, "write a cron expression for a time of your choice")


def server_memory_bytes(variables: Variables) -> int:
    """Return what the server takes with every connection sorting and every autovacuum worker at work."""
    return (
        server_values.memory_bytes(variables.postgres_shared_buffers)
        + server_values.memory_bytes(variables.postgres_work_mem) * variables.postgres_max_connections
        + server_values.memory_bytes(variables.postgres_maintenance_work_mem) * _AUTOVACUUM_WORKERS
        + _OTHER_BYTES
    )


def _cores(count: int) -> str:
    return f"{count} processor core{'' if count == 1 else 's'}"
