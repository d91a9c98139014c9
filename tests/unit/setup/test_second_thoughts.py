"""What is allowed, and said with a warning."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contract.errors import Problem
from setup.settings import Settings

Read = Callable[..., Settings]
POSIX = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups"}
S3 = {
    "PGBACKREST_REPO1_TYPE": "s3",
    "AWS_S3_BUCKET": "bucket-1",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "hunter2-id",
    "AWS_SECRET_ACCESS_KEY": "hunter2-secret",
}
NO_EFFECT = "has no effect: repository 1 is {}"


@pytest.mark.parametrize(
    ("variables", "warning"),
    [
        (
            {"POSTGRES_MEMORY_LIMIT": "512M"},
            Problem(
                "POSTGRES_MEMORY_LIMIT",
                "is 512M, but the database may take 784M: POSTGRES_SHARED_BUFFERS, POSTGRES_WORK_MEM for each connection, "
                "and POSTGRES_MAINTENANCE_WORK_MEM 3 times",
                "the kernel would kill the server; raise it, or lower those",
            ),
        ),
        (
            POSIX | {"BACKUP_WAL_EMERGENCY_FREE_PERCENT": "5"},
            Problem(
                "BACKUP_WAL_EMERGENCY_FREE_PERCENT",
                "is 5: below 5 percent of free space the database throws away WAL that cannot be archived; none of the "
                "moments since can then be restored, and there are no backups until `make wal-resume`",
                "leave it out, and an alarm asks you instead",
            ),
        ),
        (
            POSIX | {"BACKUP_SCHEDULE_INCR": "0 * * * *"},
            Problem(
                "BACKUP_RETENTION_FULL",
                "is 7 full backups, 5 to 6 days back in repository 1; a full one is taken after every 7 others, "
                "once a day at most",
                "raise it, or keep full backups for a number of days: BACKUP_RETENTION_FULL_TYPE=time",
            ),
        ),
        (
            POSIX | {"BACKUP_SCHEDULE_FULL": "off"},
            Problem(
                "BACKUP_SCHEDULE_FULL",
                "is off: a full backup is taken after every 7 others, once a day at most",
                "write a cron expression for a time of your choice",
            ),
        ),
        (
            POSIX | {"BACKUP_SCHEDULE_FULL": "off", "BACKUP_SCHEDULE_DIFF": "off"},
            Problem(
                "BACKUP_SCHEDULE_FULL",
                "is off like the others: only the first backup is taken by itself",
                "write a cron expression; or PGBACKREST_REPO1_TYPE=none, to switch backups off altogether",
            ),
        ),
        (
            POSIX | {"PGBACKREST_REPO1_RETENTION_FULL": "1"},
            Problem(
                "PGBACKREST_REPO1_RETENTION_FULL",
                "is 1 full backup, 0 to 7 days back in repository 1",
                "raise it, or keep full backups for a number of days: BACKUP_RETENTION_FULL_TYPE=time",
            ),
        ),
        (
            POSIX | {"PGBACKREST_REPO1_CIPHER_PASS": "hunter2"},
            Problem(
                "PGBACKREST_REPO1_CIPHER_PASS",
                "has 7 characters, which can be guessed",
                "make one with: openssl rand -base64 32; or remove it, and one is made for you",
            ),
        ),
        (
            S3 | {"PGBACKREST_REPO1_STORAGE_VERIFY_TLS": "no"},
            Problem(
                "PGBACKREST_REPO1_STORAGE_VERIFY_TLS",
                "is off: whoever can redirect the traffic can read, replace and delete the backups",
                "name the storage's certificate authority in PGBACKREST_REPO1_STORAGE_CA_FILE instead",
            ),
        ),
        (
            POSIX | {"PGBACKREST_REPO1_S3_BUCKET": "bucket-1"},
            Problem("PGBACKREST_REPO1_S3_BUCKET", NO_EFFECT.format("posix"), "remove it"),
        ),
        (
            S3 | {"PGBACKREST_REPO1_AZURE_ACCOUNT": "account"},
            Problem("PGBACKREST_REPO1_AZURE_ACCOUNT", NO_EFFECT.format("s3"), "remove it"),
        ),
        (
            POSIX | {"PGBACKREST_REPO2_TYPE": "posix"},
            Problem(
                "PGBACKREST_REPO2_PATH",
                "is not set: backups go to the docker volume backup-repo2, on the same disk as the database",
                "name a directory on another disk; `docker compose down -v` deletes that volume and every backup in it",
            ),
        ),
    ],
)
def test_a_warning(read: Read, variables: dict[str, str], warning: Problem) -> None:
    assert read(variables).warnings == (warning,)


@pytest.mark.parametrize(
    "variables",
    [
        {"POSTGRES_MEMORY_LIMIT": "1G"},
        POSIX | {"PGBACKREST_REPO1_CIPHER_PASS": "x" * 20},
        POSIX | {"AWS_S3_BUCKET": "the-applications-own", "AZURE_STORAGE_KEY": "not base64", "GCS_KEY": "/x"},
        S3 | {"PGBACKREST_REPO1_S3_KEY_TYPE": "auto"},
    ],
)
def test_no_warning(read: Read, variables: dict[str, str]) -> None:
    assert read(variables).warnings == ()
