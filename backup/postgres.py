"""The only door to PostgreSQL: short connections over the shared socket, as the superuser, by peer authentication.

Driver errors stop here: everything that goes wrong becomes a `DatabaseError` in the operator's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from backup.peek.tables import Table
from backup.watch.readings import WalReading
from contract import paths
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import Database

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT = "60s"
WATCH_TIMEOUT = "10s"
CHECKPOINT_TIMEOUT = "15min"
COUNT_TIMEOUT = "5s"
LOCK_PATIENCE = "SET lock_timeout = '1s'"

_TABLES = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
"""

# Partitioned tables have no rows of their own; what they consist of is named by `parts`, the leaves only.
_TABLE_OF = """
    SELECT n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text,
           pg_total_relation_size(c.oid),
           CASE WHEN c.reltuples < 0 OR c.relkind = 'p' THEN NULL WHEN c.relpages = 0 THEN c.reltuples::bigint
                ELSE (c.reltuples / c.relpages * pg_relation_size(c.oid) / current_setting('block_size')::int)::bigint END,
           ARRAY(SELECT leaf.relname::text FROM pg_partition_tree(c.oid) p JOIN pg_class leaf ON leaf.oid = p.relid
                 WHERE c.relkind = 'p' AND p.isleaf ORDER BY p.relid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
"""
_OWN_TABLES = """
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence = 'p'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
"""


class DatabaseError(ProductError):
    """The database cannot be reached, or refused a statement; the message is what driver or server said, one line."""

    hint = "see whether it runs and what it says: `make status`, `docker logs salespider-postgres`"
    exit_code = Exit.DATABASE


@dataclass(frozen=True)
class Archiver:
    """`pg_stat_archiver`: what PostgreSQL believes to be archived. Counters start at the last statistics reset."""

    archived_count: int
    last_archived_wal: str | None
    last_archived_at: datetime | None
    failed_count: int
    last_failed_wal: str | None
    last_failed_at: datetime | None

    @property
    def is_failing(self) -> bool:
        """Tell whether the latest attempt failed."""
        if self.last_failed_at is None:
            return False
        return self.last_archived_at is None or self.last_failed_at > self.last_archived_at


@dataclass(frozen=True)
class Server:
    """Who the running server is and how it stands."""

    version: str
    system_id: int
    timeline: int
    in_recovery: bool
    recovery_paused: bool
    archive_mode: str
    now: datetime


@dataclass(frozen=True)
class Replay:
    """How far a standby has come. `lsn` is the end of what was replayed, `is_paused` tells that it has reached its target.

    `has_all`: it finds no more WAL, neither in its own directory nor in the archive. `last_commit` is the time of the last
    transaction that it has replayed, None when it has replayed none.
    """

    in_recovery: bool
    data_directory: str
    system_id: int
    lsn: int
    last_commit: datetime | None
    is_paused: bool
    has_all: bool


class Postgres:
    """One database server. Every method opens a connection and closes it; none is kept."""

    def __init__(self, database: Database, socket: Path = paths.SOCKET) -> None:
        """Remember how to reach it, `socket` is a directory; connects to nothing yet."""
        self._database = database
        self._socket = socket

    @contextmanager
    def _cursor(self, statement_timeout: str = STATEMENT_TIMEOUT, name: str = "postgres") -> Iterator[psycopg.Cursor[Any]]:
        try:
            with (
                psycopg.connect(
                    host=str(self._socket),
                    port=self._database.port,
                    user=self._database.user,
                    dbname=name,
                    connect_timeout=CONNECT_TIMEOUT_SECONDS,
                    application_name="salespider-backup",
                    options=f"-c statement_timeout={statement_timeout}",
                    autocommit=True,
                ) as connection,
                connection.cursor() as cursor,
            ):
                yield cursor
        except psycopg.Error as error:
            first_line = str(error).strip().splitlines() or [type(error).__name__]
            raise DatabaseError(f"database: {first_line[0]}") from error

    def _row(self, query: str) -> tuple[Any, ...]:
        with self._cursor() as cursor:
            return _one(cursor, query)

    def server(self) -> Server:
        """Return identity and state of the server."""
        return Server(
            *self._row(
                """
                SELECT current_setting('server_version'), s.system_identifier, c.timeline_id, pg_is_in_recovery(),
                       CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() <> 'not paused' ELSE false END,
                       current_setting('archive_mode'), clock_timestamp()
                FROM pg_control_system() s, pg_control_checkpoint() c
                """
            )
        )

    def replay(self) -> Replay:
        """Return how far a standby has come. It says that it has all WAL while it waits before it looks for more."""
        return Replay(
            *self._row(
                """
                SELECT pg_is_in_recovery(), current_setting('data_directory'), s.system_identifier,
                       pg_wal_lsn_diff(coalesce(pg_last_wal_replay_lsn(), '0/0'), '0/0')::bigint,
                       pg_last_xact_replay_timestamp(),
                       CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() = 'paused' ELSE false END,
                       EXISTS (SELECT FROM pg_stat_activity
                               WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval')
                FROM pg_control_system() s
                """
            )
        )

    def open_every_database(self) -> int:
        """Connect to every database that takes connections and read its catalog; return how many there are."""
        with self._cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY oid")
            names = [str(row[0]) for row in cursor.fetchall()]
        for name in names:
            with self._cursor(name=name) as cursor:
                _one(cursor, "SELECT count(*) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid")
        return len(names)

    def written_timeline(self) -> int:
        """Return the timeline that WAL is written on. After a promotion `server` tells the old one for a moment."""
        return int(str(self._row("SELECT pg_walfile_name(pg_current_wal_lsn())")[0])[:8], 16)

    def restore_point(self, name: str) -> tuple[int, str, int, datetime]:
        """Make a named restore point; return the cluster's system identifier, the LSN behind it, its timeline, the time.

        The server does not flush it, and a crash would lose it again: a commit that has written something brings it to
        the disk. One that only has a number does not wait for that.
        """
        query = sql.SQL(
            "SELECT s.system_identifier, p.lsn::text, pg_walfile_name(p.lsn), clock_timestamp() "
            "FROM pg_control_system() s, pg_create_restore_point({}) p (lsn)"
        ).format(sql.Literal(name))
        with self._cursor() as cursor:
            made = _one(cursor, query)
            cursor.execute("SET synchronous_commit = local")
            cursor.execute("SELECT pg_logical_emit_message(true, 'salespider', 'restore point')")
        return int(made[0]), str(made[1]), int(str(made[2])[:8], 16), made[3]

    def pause_replay(self) -> None:
        """Have a standby replay no further, also not what is archived from now on."""
        self._row("SELECT pg_wal_replay_pause()")

    def biggest_tables(self, most: int) -> tuple[Table, ...]:
        """Return the biggest tables of the database that is backed up, partitions one by one; waits for no lock for long."""
        with self._cursor(COUNT_TIMEOUT, self._database.name) as cursor:
            cursor.execute(LOCK_PATIENCE)
            cursor.execute(f"{_TABLE_OF} {_OWN_TABLES} ORDER BY 5 DESC, 3 LIMIT %s", (most,))
            return tuple(_table(row) for row in cursor.fetchall())

    def table(self, name: str) -> Table | None:
        """Return a table by its name as SQL has it, with or without its schema; None when there is none of that name."""
        with self._cursor(COUNT_TIMEOUT, self._database.name) as cursor:
            cursor.execute(LOCK_PATIENCE)
            cursor.execute(f"{_TABLE_OF} WHERE c.oid = to_regclass(%s)", (name,))
            row = cursor.fetchone()
        return _table(row) if row else None

    def count_rows(self, table: Table) -> int:
        """Count the rows of a table. Raises DatabaseError when that takes longer than some seconds."""
        with self._cursor(COUNT_TIMEOUT, self._database.name) as cursor:
            cursor.execute(LOCK_PATIENCE)
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.schema, table.relation)))
            row = cursor.fetchone()
        return int(row[0]) if row else 0

    def archiver(self) -> Archiver:
        """Return the archiver's statistics."""
        return Archiver(
            *self._row(
                """
                SELECT archived_count, last_archived_wal, last_archived_time,
                       failed_count, last_failed_wal, last_failed_time
                FROM pg_stat_archiver
                """
            )
        )

    def wal_reading(self) -> WalReading:
        """Return what watching needs to know, in two statements over one connection; neither waits for a lock.

        The directory of archive states holds a file for each segment that is in pg_wal, so that the second statement takes
        a few milliseconds for a thousand of them.
        """
        with self._cursor(WATCH_TIMEOUT) as cursor:
            server = _one(
                cursor,
                """
                SELECT pg_is_in_recovery(), s.system_identifier, c.timeline_id,
                       pg_wal_lsn_diff(
                           CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
                                ELSE pg_current_wal_lsn() END, '0/0')::bigint,
                       pg_size_bytes(current_setting('wal_segment_size')),
                       current_setting('archive_mode'), current_setting('archive_library'),
                       current_setting('archive_command'),
                       a.archived_count, a.last_archived_wal, a.last_archived_time,
                       a.failed_count, a.last_failed_wal, a.last_failed_time
                FROM pg_control_system() s, pg_control_checkpoint() c, pg_stat_archiver a
                """,
            )
            files = _one(
                cursor,
                r"""
                SELECT count(*) FILTER (WHERE name ~ '^[0-9A-F]{24}\.ready$'),
                       greatest(extract(epoch FROM clock_timestamp() - min(modification)), 0)::float8,
                       (SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir())
                FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'
                """,
            )
        return WalReading(*server, *files)

    def redo_lsn(self) -> int:
        """Return the position at which recovery from the last checkpoint would begin."""
        return int(self._row("SELECT pg_wal_lsn_diff(redo_lsn, '0/0')::bigint FROM pg_control_checkpoint()")[0])

    def switch_wal(self) -> str:
        """Write one commit record, end the WAL segment it lies in, and return that segment's name.

        The commit matters: recovery to a point in time ends at the first commit after it, and fails without one.
        """
        with self._cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
            cursor.execute("SELECT pg_walfile_name(pg_switch_wal())")
            row = cursor.fetchone()
        return str(row[0]) if row else ""

    def waiting_segments(self) -> int:
        """Return how many WAL segments wait to be archived."""
        return int(
            self._row("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'")[0],
        )

    def newest_waiting(self) -> str | None:
        """Return the name of the newest WAL segment that waits to be archived."""
        query = r"SELECT max(left(name, 24)) FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}\.ready$'"
        found: str | None = self._row(query)[0]
        return found

    def archive_command(self) -> str:
        """Return the command that is in force."""
        return str(self._row("SELECT current_setting('archive_command')")[0])

    def set_archive_command(self, command: str) -> None:
        """Put another command before the one of the configuration file, until `reset_archive_command`; reloads."""
        with self._cursor() as cursor:
            cursor.execute(sql.SQL("ALTER SYSTEM SET archive_command = {}").format(sql.Literal(command)))
            cursor.execute("SELECT pg_reload_conf()")

    def reset_archive_command(self) -> None:
        """Make the command of the configuration file the one in force again; reloads."""
        with self._cursor() as cursor:
            cursor.execute("ALTER SYSTEM RESET archive_command")
            cursor.execute("SELECT pg_reload_conf()")

    def checkpoint(self) -> None:
        """Write a checkpoint, which removes the WAL that nobody needs any more."""
        with self._cursor(CHECKPOINT_TIMEOUT) as cursor:
            cursor.execute("CHECKPOINT")

    def dumped(self) -> tuple[int, int]:
        """Return what a dump of the database holds: its size in bytes as it is on the disk, and how many tables."""
        with self._cursor(name=self._database.name) as cursor:
            size = _one(cursor, "SELECT pg_database_size(current_database())")
            tables = _one(cursor, _TABLES)
        return int(size[0]), int(tables[0])

    def pgbackrest_version(self) -> str:
        """Return what `pgbackrest version` prints where the server runs, the other side of the deployment."""
        with self._cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE answer (line text)")
            cursor.execute("COPY answer FROM PROGRAM 'pgbackrest version'")
            cursor.execute("SELECT line FROM answer")
            row = cursor.fetchone()
        return str(row[0]) if row else ""

    def reload(self) -> None:
        """Make the server read its configuration files again."""
        self._row("SELECT pg_reload_conf()")

    def settings_waiting_for_restart(self) -> tuple[str, ...]:
        """Return the names of changed settings that only a restart applies."""
        return tuple(self._row("SELECT coalesce(array_agg(name), '{}') FROM pg_settings WHERE pending_restart")[0])

    def database_bytes(self) -> int:
        """Return the size of all databases together."""
        return int(self._row("SELECT sum(pg_database_size(oid)) FROM pg_database")[0])


def _table(row: tuple[Any, ...]) -> Table:
    found = Table(*row)
    return replace(found, parts=tuple(found.parts))


def _one(cursor: psycopg.Cursor[Any], query: str | sql.Composed) -> tuple[Any, ...]:
    cursor.execute(query)
    row = cursor.fetchone()
    if row is None:
        raise DatabaseError("database: a query returned no row")
    return tuple(row)
