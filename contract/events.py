"""The names of the log events: stable, listed in the reference, and compared with it by a test."""

from __future__ import annotations

from typing import Final

BACKUPS_OFF: Final = "backups.off"
SUPERVISOR_STARTED: Final = "supervisor.started"
SUPERVISOR_STOPPED: Final = "supervisor.stopped"
SUPERVISOR_TICK_FAILED: Final = "supervisor.tick-failed"
SUPERVISOR_THREAD_DIED: Final = "supervisor.thread-died"
CONFIGURATION_CHANGED: Final = "configuration.changed"
CONFIGURATION_WAITS: Final = "configuration.waits-for-restart"
DATABASE_WAITING: Final = "database.waiting"
DATABASE_REACHED: Final = "database.reached"
REPOSITORY_ON_DATABASE_DISK: Final = "repository.on-database-disk"
STANZA_READY: Final = "stanza.ready"
STANZA_FAILED: Final = "stanza.failed"
REPOSITORY_REFUSED: Final = "repository.refused"
LOCK_WAITING: Final = "lock.waiting"
BACKUP_DUE: Final = "backup.due"
BACKUP_STARTED: Final = "backup.started"
BACKUP_SUCCEEDED: Final = "backup.succeeded"
BACKUP_FAILED: Final = "backup.failed"
BACKUP_INTERRUPTED: Final = "backup.interrupted"
RUNS_INTERRUPTED: Final = "history.runs-interrupted"
SCHEDULE_NEXT: Final = "schedule.next"
OUTBOX_UNWRITABLE: Final = "outbox.unwritable"
