"""The exit codes of every command of ours. The reference documents the same table, and a test compares the two."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class _Code(IntEnum):
    """A code and, in `meaning`, one line for the reference."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Keep the meaning beside the number."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class Exit(_Code):
    """What a command of ours ends with. A code that is not listed here is a failure."""

    OK = 0, "done, and proven where the command promises proof"
    UNEXPECTED = 1, "a failure nobody foresaw: a defect, please report it with the log"
    USAGE = 2, "the command line is wrong, or a check of the configuration has found it invalid"
    WOULD_CHANGE = 3, "the configuration is valid and differs from the published one; nothing was written"
    CONFIGURATION = 10, "the configuration is invalid or missing; nothing was written"
    BACKUPS_OFF = 11, "backups are switched off, so there is nothing to do"
    BUSY = 12, "another backup or restore holds the operation lock"
    DATABASE = 13, "the database cannot be reached or refuses what was asked"
    REPOSITORY = 14, "the repository cannot be read or written"
    BACKUP_FAILED = 15, "the backup did not end in a proven new backup"
    RESTORE_REFUSED = 16, "the restore was refused before anything was changed"
    RESTORE_UNDONE = 17, "the restore failed; the old database is in its place, whole, and runs if it ran before"
    RESTORE_INCOMPLETE = 18, "the restore failed half-way; the message says how the database stands, and how to go on"
    NOT_CONFIRMED = 19, "a confirmation was needed and not given; nothing was changed"
    CHECK_FAILED = 20, "at least one check found something; the output names it"
    ANOTHER_CLUSTER = 21, "the running database is not the one that the backups are of; nothing was changed"
    NOTIFICATION = 22, "a receiver did not take the test notice, or nobody is told at all; the output names it"
    STORE_AWAY = 24, "a store that is in use already does not answer; that may pass by itself, and archiving waits for it"
    EMERGENCY = 26, "the WAL emergency was refused or is not over, or a dump was refused; nothing was lost by that"
    PEEK = 27, "there is no peek, or it could not be opened or exported from; the live database was not touched"
    TERMINATED = 143, "stopped by SIGTERM, in order"


class HealthExit(_Code):
    """What `healthcheck` ends with: the convention of monitoring plugins, in which 1 to 3 mean something else than above."""

    OK = 0, "the promise is kept"
    WARNING = 1, "the promise is kept, and something deserves attention"
    CRITICAL = 2, "the promise is broken; the output says where"
    UNKNOWN = 3, "nobody knows: the supervisor gives no sign of life, or its state cannot be read"
