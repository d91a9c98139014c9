"""Bad input: every refusal word for word, all of them at once, and nothing written in any case.

The tables are what an operator can get wrong; a line is the input, then the variable that is blamed, what is said of it,
and the hint.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from contract.errors import InvalidConfigurationError, Problem
from contract.exits import Exit
from setup.__main__ import main
from setup.places import Mounts, Places
from setup.settings import Settings, read_settings

Read = Callable[..., Settings]

COMPOSE_READS = "docker-compose.yml reads this variable too and cannot look into a file"
WEB_HINT = "write for example https://hooks.example.com/backups"
SCHEME_HINT = "write for example https://hooks.example.com/backups; services like slack:// go into BACKUP_NOTIFY_URLS"
SERVICE_HINT = "write for example slack://… or mailtos://…"
HOURS_HINT = "write whole hours, the most first, for example 24,6,1"
M = "M; the units are K, M and G"
CPU_HINT = "write for example 0.5 for half a core, or 2"
PORT_HINT = "write a number from 1 to 65535, for example 5432"
EXTRA_HINT = "put it there, and write for example ./config/postgres/extra.conf"
ARN_HINT = "write for example arn:aws:iam::123456789012:role/backup"
URL_HINT = "write for example postgresql://user:password@db.example.com:5432/dbname"
CRON_HINT = "write minute, hour, day of month, month and day of week, for example 0 2 * * 0 for Sundays at 02:00"
MEMORY_HINT = "write for example 256MB; the units are B, kB, MB, GB and TB, spelled like this"
NAME_HINT = "use up to 63 letters, digits, _ and -, beginning with a letter or _"
PATH_HINT = "write for example /srv/backups; Compose takes anything else for the name of a volume"
NO_KIND = "is not one of none, posix, s3, azure, gcs"
REFUSED = [
    ("SETUP_BACKUP", "maybe", "'maybe' is neither true nor false", "write true or false"),
    ("BACKUP_CLOUD_CLI", "aws,s3cmd", "'s3cmd' is not among the programs there are", "use none, or aws, az or gsutil"),
    ("BACKUP_CLOUD_CLI", "aws, az", "'aws, az' is not in the form that Compose hands on", "write aws,az"),
    ("PGBACKREST_REPO1_TYPE", "Posix", f"'Posix' {NO_KIND}", "did you mean posix?"),
    ("PGBACKREST_REPO1_TYPE", "tape", f"'tape' {NO_KIND}", "use none, posix, s3, azure or gcs"),
    ("PGBACKREST_REPO4_TYPE", "S3", f"'S3' {NO_KIND}", "did you mean s3?"),
    ("PGBACKREST_REPO1_TYPE", "sftp", "the repository type sftp is not supported", "use none, posix, s3, azure or gcs"),
    (
        "PGBACKREST_REPO1_TYPE",
        "cifs",
        "the repository type cifs is not supported",
        "mount the drive on this host and use posix",
    ),
    (
        "PGBACKREST_REPO1_PATH",
        "backups",
        "'backups' is neither an absolute path nor one that starts with ./",
        PATH_HINT,
    ),
    (
        "PGBACKREST_REPO1_PATH",
        "~/backups",
        "'~/backups' is neither an absolute path nor one that starts with ./",
        PATH_HINT,
    ),
    (
        "PGBACKREST_REPO1_PATH",
        "/srv/a\nb",
        r"'/srv/a\nb' contains a control character",
        "write the plain path of a directory",
    ),
    (
        "PGBACKREST_REPO1_CIPHER_TYPE",
        "aes256",
        "'aes256' is not one of aes-256-cbc, none",
        "did you mean aes-256-cbc?",
    ),
    ("PGBACKREST_REPO1_BUNDLE", "2", "'2' is neither true nor false", "write true or false"),
    (
        "BACKUP_SCHEDULE_FULL",
        "0 2 * *",
        "'0 2 * *' is not a cron expression of five fields (wrong number of fields)",
        CRON_HINT,
    ),
    (
        "BACKUP_SCHEDULE_DIFF",
        '"0 2 * * 1"',
        "'\"0 2 * * 1\"' is not a cron expression of five fields (bad minute)",
        CRON_HINT,
    ),
    (
        "BACKUP_SCHEDULE_INCR",
        "0 24 * * *",
        "'0 24 * * *' is not a cron expression of five fields (bad hour)",
        CRON_HINT,
    ),
    (
        "BACKUP_SCHEDULE_INCR",
        "0 0 31 2 *",
        "'0 0 31 2 *' is not a cron expression of five fields (bad day-of-month)",
        CRON_HINT,
    ),
    (
        "BACKUP_SCHEDULE_INCR",
        "@reboot",
        "'@reboot' is not a cron expression of five fields (wrong number of fields)",
        "use @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly, or five fields",
    ),
    (
        "BACKUP_RETENTION_FULL",
        "0",
        "'0' is not a whole number from 1 to 9999999",
        "write a number from 1 to 9999999",
    ),
    (
        "BACKUP_RETENTION_DIFF",
        "3.5",
        "'3.5' is not a whole number from 1 to 9999999",
        "write a number from 1 to 9999999",
    ),
    ("PGBACKREST_PROCESS_MAX", "1000", "'1000' is not a whole number from 1 to 999", "write a number from 1 to 999"),
    ("PGBACKREST_PROCESS_MAX", "٣", "'٣' is not a whole number from 1 to 999", "write a number from 1 to 999"),
    (
        "PGBACKREST_COMPRESS_TYPE",
        "zstd",
        "'zstd' is not one of none, bz2, gz, lz4, zst",
        "did you mean zst?",
    ),
    (
        "PGBACKREST_COMPRESS_LEVEL",
        "99",
        "'99' is not a whole number from -5 to 12, the range of lz4",
        "write a number from -5 to 12",
    ),
    ("TZ", "Europe/Berlim", "'Europe/Berlim' is not a time zone", "did you mean Europe/Berlin?"),
    (
        "TZ",
        "localtime",
        "'localtime' is not a time zone",
        "write a name of the tz database, for example Europe/Berlin or UTC",
    ),
    ("TZ", "../UTC", "'../UTC' is not a time zone", "did you mean UTC?"),
    ("POSTGRES_USER", "o'brien", '"o\'brien" cannot be used as a name', NAME_HINT),
    ("POSTGRES_USER", "a\nlocal all all trust", r"'a\nlocal all all trust' cannot be used as a name", NAME_HINT),
    ("POSTGRES_USER", "u" * 64, f"'{'u' * 60}…' cannot be used as a name", NAME_HINT),
    (
        "POSTGRES_USER",
        "pg_owner",
        "'pg_owner' begins with pg_, which PostgreSQL keeps for itself",
        "choose another name",
    ),
    ("POSTGRES_DB", "-x", "'-x' cannot be used as a name", NAME_HINT),
    ("POSTGRES_ALLOW_NEW_CLUSTER", "true", "'true' is not one of yes, no", "use yes or no"),
    (
        "POSTGRES_MAX_CONNECTIONS",
        "3",
        "'3' is not a whole number from 4 to 262000",
        "write a number from 4 to 262000",
    ),
    ("POSTGRES_SHARED_BUFFERS", "128", "'128' is not an amount of memory with a unit", MEMORY_HINT),
    ("POSTGRES_SHARED_BUFFERS", "128mb", "'128mb' is not an amount of memory with a unit", MEMORY_HINT),
    ("POSTGRES_SHARED_BUFFERS", "64kB", "'64kB' is not within 128kB to 1TB", "write an amount from 128kB to 1TB"),
    ("POSTGRES_WORK_MEM", "2TB", "'2TB' is not within 64kB to 1TB", "write an amount from 64kB to 1TB"),
    ("POSTGRES_EFFECTIVE_CACHE_SIZE", "lots", "'lots' is not an amount of memory with a unit", MEMORY_HINT),
    ("POSTGRES_MAINTENANCE_WORK_MEM", "-1MB", "'-1MB' is not an amount of memory with a unit", MEMORY_HINT),
    (
        "POSTGRES_PASSWORD",
        "two\nlines",
        "contains a line break or another control character",
        "use a secret on one line",
    ),
    (
        "POSTGRES_PASSWORD",
        " hunter2",
        "begins or ends with white space",
        "remove it, or choose a secret without it",
    ),
    (
        "BACKUP_RETENTION_FUL",
        "7",
        "there is no such variable",
        "did you mean BACKUP_RETENTION_FULL?",
    ),
    (
        "PGBACKREST_REPO1_CIPHER_TYP_FILE",
        "/x",
        "there is no such variable",
        "did you mean PGBACKREST_REPO1_CIPHER_TYPE_FILE?",
    ),
    ("BACKUP_XXXXXXXXXX", "7", "there is no such variable", "see .env.example for the variables that there are"),
    ("BACKUP_FULL_AFTER", "0", "'0' is not a whole number from 1 to 100", "write a number from 1 to 100"),
    ("BACKUP_CATCH_UP_JITTER", "3601", "'3601' is not a whole number from 0 to 3600", "write a number from 0 to 3600"),
    ("BACKUP_LOG_FORMAT", "JSON", "'JSON' is not one of auto, text, json", "did you mean json?"),
    ("BACKUP_LATE_AFTER", "2h", "'2h' is not a whole number from 1 to 43200", "write a number from 1 to 43200"),
    ("BACKUP_ARCHIVE_LATE_AFTER", "0", "'0' is not a whole number from 1 to 1440", "write a number from 1 to 1440"),
    ("BACKUP_DISK_ALARM_PERCENT", "70%", "'70%' is not a whole number from 1 to 99", "write a number from 1 to 99"),
    ("BACKUP_DISK_RESERVE_PERCENT", "51", "'51' is not a whole number from 0 to 50", "write a number from 0 to 50"),
    ("BACKUP_DISK_ALARM_HOURS", "1,6,24", "'1,6,24' does not descend", "write 24,6,1"),
    ("BACKUP_DISK_ALARM_HOURS", "24,24", "'24,24' does not descend", "write 24"),
    ("BACKUP_DISK_ALARM_HOURS", "24,,1", "'24,,1' is not a list of whole hours from 1 to 8760", HOURS_HINT),
    ("BACKUP_DISK_ALARM_HOURS", "1.5", "'1.5' is not a list of whole hours from 1 to 8760", HOURS_HINT),
    ("BACKUP_DISK_ALARM_HOURS", "0", "'0' is not a list of whole hours from 1 to 8760", HOURS_HINT),
    ("BACKUP_HTTP_PORT", "70000", "'70000' is not a port", PORT_HINT),
    ("BACKUP_HTTP_PORT_FILE", "/run/secrets/port", COMPOSE_READS, "set BACKUP_HTTP_PORT"),
    ("BACKUP_NOTIFY_LEVEL", "warn", "'warn' is not one of all, info, warning, critical", "did you mean warning?"),
    ("BACKUP_WEBHOOK_URL", "hooks.example.com/hunter2", "does not begin with https:// or http://", SCHEME_HINT),
    ("BACKUP_WEBHOOK_URL", "slack://hunter2", "does not begin with https:// or http://", SCHEME_HINT),
    ("BACKUP_WEBHOOK_URL", "https:///hunter2", "has no valid host in it", WEB_HINT),
    ("BACKUP_WEBHOOK_URL", "https://hunter2_$(x)/", "has no valid host in it", WEB_HINT),
    ("BACKUP_WEBHOOK_URL", "https://[::hunter2]/", "is not an address", WEB_HINT),
    ("BACKUP_WEBHOOK_URL", "https://example.com:hunter2/", "is not an address", WEB_HINT),
    (
        "BACKUP_HEARTBEAT_URL",
        "https://example.com/hunter2 two",
        "contains a blank or another character that no address has",
        "write it as %20 or the like",
    ),
    (
        "BACKUP_HEARTBEAT_URL",
        "https://example.com/hunter2\n",
        "contains a line break or another control character",
        "use a secret on one line",
    ),
    ("BACKUP_NOTIFY_URLS", "hunter2", "the address has no scheme with something behind it", SERVICE_HINT),
    ("BACKUP_NOTIFY_URLS", "slack://", "the address has no scheme with something behind it", SERVICE_HINT),
    (
        "BACKUP_NOTIFY_URLS",
        "slack://hunter2/a/b, mailtoss://hunter2",
        "address 2 of 2 begins with 'mailtoss', which is no service that is known",
        "did you mean mailtos://?",
    ),
    (
        "BACKUP_NOTIFY_URLS",
        "https://hunter2",
        "the address begins with https://, which names no service",
        "a web address of your own goes into BACKUP_WEBHOOK_URL; services have schemes, for example slack://…",
    ),
    ("BACKUP_NOTIFY_URLS", "json://hunter2\x7f", "the address contains a control character", "write it on one line"),
    ("BACKUP_NOTIFY_URLS", " , ", "holds no address", SERVICE_HINT),
    (
        "BACKUP_WEBHOOK_TOKEN",
        "hunter2 ü",
        "contains a character that no HTTP header may have",
        "use a token of printable ASCII without blanks",
    ),
    (
        "POSTGRES_USER_FILE",
        "/run/secrets/user",
        "docker-compose.yml reads this variable too and cannot look into a file",
        "set POSTGRES_USER",
    ),
    ("PGBACKREST_REPO1_PATH", "/", "'/' is no directory of its own", "write for example /srv/backups"),
    (
        "PGBACKREST_REPO1_PATH",
        "/srv:ro",
        "'/srv:ro' contains a colon, which ends a path for Compose",
        "use a path without one",
    ),
    ("BACKUP_RETENTION_FULL_TYPE", "days", "'days' is not one of count, time", "use count or time"),
    ("PGBACKREST_ARCHIVE_TIMEOUT", "1m", "'1m' is not a whole number from 1 to 86400", "write a number from 1 to 86400"),
    (
        "PGBACKREST_LOG_LEVEL_CONSOLE",
        "warning",
        "'warning' is not one of off, error, warn, info, detail, debug, trace",
        "did you mean warn?",
    ),
    ("BACKUP_MEMORY_LIMIT", "512", "'512' has no unit, so Docker would take it for 512 bytes", f"write for example 512{M}"),
    ("BACKUP_MEMORY_LIMIT", "1", "'1' has no unit, so Docker would take it for 1 bytes", f"write for example 512{M}"),
    (
        "BACKUP_MEMORY_LIMIT",
        "half a gig",
        "'half a gig' is not an amount of memory",
        "write for example 512M or 2G; the units are K, M and G",
    ),
    (
        "BACKUP_MEMORY_RESERVATION",
        "4M",
        "'4M' is less than the 6M that Docker needs for a container",
        "write for example 512M",
    ),
    ("BACKUP_CPU_LIMIT", "half", "'half' is not a number of processor cores", CPU_HINT),
    ("BACKUP_CPU_LIMIT", "0", "'0' is not a number of processor cores", CPU_HINT),
    ("BACKUP_CPU_LIMIT", "16", "is 16, but this machine has 8 processor cores: Docker would refuse it", "write at most 8"),
    ("POSTGRES_CPU_LIMIT", "-1", "'-1' is not a number of processor cores", CPU_HINT),
    ("POSTGRES_PORT", "70000", "'70000' is not a port", PORT_HINT),
    ("POSTGRES_PORT", "0", "'0' is not a port", PORT_HINT),
    ("POSTGRES_PORT", "0.0.0.0:5432", "'0.0.0.0:5432' is not a port", PORT_HINT),
    (
        "POSTGRES_MEMORY_LIMIT",
        "2048",
        "'2048' has no unit, so Docker would take it for 2048 bytes",
        f"write for example 2048{M}",
    ),
    ("POSTGRES_MAX_WAL_SIZE", "10MB", "'10MB' is not within 80MB to 1TB", "write an amount from 80MB to 1TB"),
    ("POSTGRES_WAL_KEEP_SIZE", "0", "'0' is not an amount of memory with a unit", MEMORY_HINT),
    ("POSTGRES_ARCHIVE_TIMEOUT", "0", "'0' is not a whole number from 1 to 86400", "write a number from 1 to 86400"),
    (
        "POSTGRES_LOG_MIN_DURATION_STATEMENT",
        "250",
        "'250' is not a time with a unit",
        "write for example 250ms; the units are ms, s, min and h; or off",
    ),
    ("POSTGRES_LOG_MIN_DURATION_STATEMENT", "999h", "'999h' is longer than 24 days", "write a shorter time, or off"),
    ("POSTGRES_STATISTICS", "please", "'please' is neither true nor false", "write true or false"),
    (
        "POSTGRES_EXTRA_CONFIG",
        "/etc/postgresql/extra.conf",
        "'/etc/postgresql/extra.conf' is not a file below ./config or ./secrets",
        EXTRA_HINT,
    ),
    (
        "POSTGRES_EXTRA_CONFIG",
        "./config/../../etc/passwd",
        "'./config/../../etc/passwd' is not a file below ./config or ./secrets",
        EXTRA_HINT,
    ),
    (
        "POSTGRES_EXTRA_CONFIG",
        "./config/absent.conf",
        "there is no file ./config/absent.conf",
        "create it, or correct the name; it lies beside docker-compose.yml",
    ),
    (
        "BASE_IMAGE",
        "debian trixie",
        "'debian trixie' contains a blank or a control character",
        "write the name of an image on one line, without blanks",
    ),
    ("AWS_ROLE_ARN", "backup", "'backup' is not the ARN of a role", ARN_HINT),
    ("PGBACKREST_REPO5_TYPE", "s3", "there is no repository 5", "number the repositories from 1 to 4"),
    ("PGBACKREST_REPO1_S3_VERIFY_TLS", "y", "is an old name", "write PGBACKREST_REPO1_STORAGE_VERIFY_TLS"),
    ("PGBACKREST_REPO2_S3_CA_FILE", "/x", "is an old name", "write PGBACKREST_REPO2_STORAGE_CA_FILE"),
    (
        "PGBACKREST_REPO1_RETENTION_ARCHIVE",
        "3",
        "cannot be chosen",
        "remove it: WAL is kept as long as the oldest full backup, so that every moment since can be restored",
    ),
    ("PGBACKREST_REPO1_S3_BUKET", "x", "there is no such variable", "did you mean PGBACKREST_REPO1_S3_BUCKET?"),
    ("GCS_KEY_FILE", "/x", "docker-compose.yml reads this variable too and cannot look into a file", "set GCS_KEY"),
    ("DATABASE_URL", "mysql://root@db/x", "begins with 'mysql', which is not PostgreSQL", URL_HINT),
    ("DATABASE_URL", "the database", "is not an address of a database", URL_HINT),
    ("DATABASE_URL", "postgresql://u:hunter2@[db/x", "is not an address that can be read", URL_HINT),
    (
        "DATABASE_URL",
        "postgresql://u:hunter2@postgres,db.example.com/x",
        "names our own database and others (db.example.com) at once",
        "name either this deployment's database or the hosted one",
    ),
]

POSIX = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups"}
S3 = {
    "PGBACKREST_REPO1_TYPE": "s3",
    "AWS_S3_BUCKET": "bucket-1",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "hunter2-id",
    "AWS_SECRET_ACCESS_KEY": "hunter2-secret",
}
AZURE = {
    "PGBACKREST_REPO1_TYPE": "azure",
    "AZURE_STORAGE_ACCOUNT": "account1",
    "AZURE_STORAGE_CONTAINER": "container-1",
    "AZURE_STORAGE_KEY": base64.b64encode(b"hunter2").decode(),
}
KEY = {
    "type": "service_account",
    "client_email": "backup@example.com",
    "private_key": "-----BEGIN {} KEY-----".format("PRIVATE") + "\nMAdodW50ZXIy\n-----END PRIVATE KEY-----\n",
    "token_uri": "https://oauth2.example.com/token",
}
GCS = {"PGBACKREST_REPO1_TYPE": "gcs", "GCS_BUCKET": "bucket-1", "GCS_KEY_JSON": json.dumps(KEY)}
BUCKET_HINT = "use 3 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit"
AGAIN = "download the key again, and give it whole"
PEM = "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----"
HOSTED = "DATABASE_URL points to db.example.com, which is not this deployment's database"
HOSTED_HINT = "remove it: that database's provider backs it up; or let DATABASE_URL point to postgres, our own database"
UNSET = "is not set, but repository 1 ({}) needs it"
CA = "PGBACKREST_REPO1_STORAGE_CA"


def _key(**changes: object) -> str:
    return json.dumps(KEY | changes)


S3_REFUSED = [
    ("AWS_S3_BUCKET", "My-Bucket", "'My-Bucket' has capital letters, which no bucket has", "did you mean my-bucket?"),
    (
        "AWS_S3_BUCKET",
        "my.bucket",
        "'my.bucket' has a dot, which pgBackRest 2.55 refuses: no certificate matches such a name",
        "use a bucket without dots in its name",
    ),
    ("AWS_S3_BUCKET", "my_bucket", "'my_bucket' is not the name of a bucket", BUCKET_HINT),
    ("AWS_S3_BUCKET", "ab", "'ab' is not the name of a bucket", BUCKET_HINT),
    ("AWS_S3_BUCKET", "-bucket", "'-bucket' is not the name of a bucket", BUCKET_HINT),
    ("AWS_S3_BUCKET", "", UNSET.format("s3"), "write the name of a bucket that exists"),
    ("AWS_REGION", "", UNSET.format("s3"), "write for example us-east-1"),
    ("AWS_REGION", "EU (Frankfurt)", "'EU (Frankfurt)' is not the name of a region", "write for example us-east-1"),
    (
        "AWS_S3_ENDPOINT",
        "http://minio:9000",
        "'http://minio:9000' is plain http, but pgBackRest 2.55 talks to object stores over TLS only",
        "put a TLS proxy in front of the store, for example Caddy, and name that one with https://",
    ),
    (
        "AWS_S3_ENDPOINT",
        "https://s3.example.com/bucket-1",
        "'https://s3.example.com/bucket-1' has a path",
        "write s3.example.com; the bucket and the path in it have variables of their own",
    ),
    (
        "AWS_S3_ENDPOINT",
        "https://hunter2:hunter2@s3.example.com",
        "has a user or a password in it",
        "write the host name only; the keys have variables of their own",
    ),
    (
        "AWS_S3_ENDPOINT",
        "ftp://s3.example.com",
        "'ftp://s3.example.com' does not begin with https://",
        "write the host name, for example s3.example.com",
    ),
    (
        "AWS_S3_ENDPOINT",
        "s3.example.com:99999",
        "'s3.example.com:99999' is not an address",
        "write a host name, or host:port, for example s3.example.com:9000",
    ),
    ("AWS_SECRET_ACCESS_KEY", "", "is not set, but AWS_ACCESS_KEY_ID is", "set both, they belong together"),
    ("AWS_ACCESS_KEY_ID", "", "is not set, but AWS_SECRET_ACCESS_KEY is", "set both, they belong together"),
    (
        "AWS_SECRET_ACCESS_KEY",
        "hunter2\n",
        "contains a line break or another control character",
        "use a secret on one line",
    ),
    ("AWS_SECRET_ACCESS_KEY", " hunter2", "begins or ends with white space", "remove it, or choose a secret without it"),
    ("PGBACKREST_REPO1_S3_KEY_TYPE", "iam", "'iam' is not one of shared, auto, web-id", "use shared, auto or web-id"),
    (
        "PGBACKREST_REPO1_S3_KEY_TYPE",
        "web-id",
        "is web-id, but AWS_ROLE_ARN is not set",
        "set AWS_ROLE_ARN, and AWS_WEB_IDENTITY_DIRECTORY to the directory with the token",
    ),
    (
        "PGBACKREST_REPO1_S3_ROLE",
        "backup",
        "has no effect with PGBACKREST_REPO1_S3_KEY_TYPE=shared",
        "remove it, or set PGBACKREST_REPO1_S3_KEY_TYPE=auto",
    ),
    ("PGBACKREST_REPO1_S3_URI_STYLE", "virtual", "'virtual' is not one of host, path", "use host or path"),
    (
        "PGBACKREST_REPO1_S3_PRESET",
        "min.io",
        "'min.io' is not one of aws, minio, garage, seaweedfs, wasabi, spaces, r2, b2",
        "did you mean minio?",
    ),
    (
        "PGBACKREST_REPO1_S3_SSE_CUSTOMER_KEY",
        "hunter2",
        "is not 32 bytes in base64",
        "make one with: openssl rand -base64 32",
    ),
    (
        "PGBACKREST_REPO1_S3_KMS_KEY_ID",
        "my key",
        "'my key' contains a blank or a control character",
        "write the key's id or ARN on one line, without blanks",
    ),
    ("PGBACKREST_REPO1_PATH", "./backups", "'./backups' does not begin with /", "write /backups"),
    (
        "PGBACKREST_REPO1_PATH",
        "/backups/",
        "'/backups/' is not a path in a bucket",
        "write for example /pgbackrest: letters, digits and . _ = + - between single slashes, and none at the end",
    ),
    ("PGBACKREST_REPO1_STORAGE_PORT", "https", "'https' is not a port", PORT_HINT),
    (
        "PGBACKREST_REPO1_STORAGE_HOST",
        "10.0.0.7:9000",
        "'10.0.0.7:9000' is not a host name",
        "write a host name or an address, without scheme, port and path",
    ),
    (
        "PGBACKREST_REPO1_STORAGE_UPLOAD_CHUNK_SIZE",
        "16M",
        "'16M' is not an amount with a unit",
        "write for example 16MiB; the units are KiB, MiB and GiB",
    ),
    (CA, "hunter2", "is not a certificate in PEM format", "it begins with -----BEGIN CERTIFICATE-----"),
    (CA, PEM, "holds a certificate that cannot be read", "copy the whole file again, from BEGIN to END"),
    (
        CA,
        "-----BEGIN PRIVATE KEY-----",
        "holds a private key",
        "give the certificates only: they are published to the other containers",
    ),
    ("PGBACKREST_REPO1_STORAGE_VERIFY_TLS", "maybe", "'maybe' is neither true nor false", "write true or false"),
    (
        "PGBACKREST_REPO1_RETENTION_FULL",
        "0",
        "'0' is not a whole number from 1 to 9999999",
        "write a number from 1 to 9999999",
    ),
]
AZURE_REFUSED = [
    (
        "AZURE_STORAGE_ACCOUNT",
        "My-Account",
        "'My-Account' is not the name of a storage account",
        "use its 3 to 24 lower-case letters and digits",
    ),
    ("AZURE_STORAGE_ACCOUNT", "", UNSET.format("azure"), "write the name of the storage account"),
    (
        "AZURE_STORAGE_CONTAINER",
        "Backups",
        "'Backups' has capital letters, which no container has",
        "did you mean backups?",
    ),
    ("AZURE_STORAGE_CONTAINER", "a--b", "'a--b' has two hyphens in a row", "use single hyphens"),
    ("AZURE_STORAGE_CONTAINER", "a_b", "'a_b' is not the name of a container", BUCKET_HINT),
    (
        "AZURE_STORAGE_KEY",
        "hunter2!",
        "is not base64, so it is not the whole key",
        "copy the key again, with the = signs at its end",
    ),
    (
        "AZURE_STORAGE_KEY",
        "sv=2022-11-02&sig=hunter2",
        "is a shared access signature, not an account's key",
        "set the key type to sas",
    ),
    (
        "AZURE_STORAGE_KEY",
        "",
        UNSET.format("azure"),
        "set it, or AZURE_STORAGE_SAS_TOKEN for a shared access signature",
    ),
    (
        "AZURE_STORAGE_SAS_TOKEN",
        "sv=1&sig=hunter2",
        "and AZURE_STORAGE_KEY name the same thing and differ",
        "set one of them",
    ),
    (
        "PGBACKREST_REPO1_AZURE_ENDPOINT",
        "account1.blob.core.windows.net",
        "'account1.blob.core.windows.net' begins with the account's name",
        "write blob.core.windows.net",
    ),
    ("PGBACKREST_REPO1_AZURE_KEY_TYPE", "auto", "'auto' is not one of shared, sas", "use shared or sas"),
]
GCS_REFUSED = [
    ("GCS_BUCKET", "Bucket", "'Bucket' has capital letters, which no bucket has", "did you mean bucket?"),
    ("GCS_BUCKET", "b", "'b' is not the name of a bucket", BUCKET_HINT),
    ("GCS_KEY_JSON", _key()[:-30], "is JSON that breaks off before its end", AGAIN),
    ("GCS_KEY_JSON", _key(type="authorized_user"), "is JSON, but not the key of a service account",
     "create a key of type JSON for a service account"),
    ("GCS_KEY_JSON", _key(client_email=""), "is the key of a service account without client_email", AGAIN),
    ("GCS_KEY_JSON", _key(private_key="-----BEGIN PRIVATE KEY-----\nhunt"), "has a private_key that is not whole", AGAIN),
    ("GCS_KEY_JSON", _key(private_key=KEY["private_key"].replace("\nMAdo", "\n")),
     "has a private_key that is not whole", AGAIN),
    (
        "GCS_KEY_JSON",
        "service-account.json",
        "is neither the JSON of a key nor a file below /run/secrets",
        "give the JSON itself, or put the file into ./secrets and write /run/secrets/…",
    ),
    (
        "GCS_KEY_JSON",
        "/run/secrets/absent.json",
        "the key file cannot be read: /run/secrets/absent.json (no such file or directory)",
        "put it into ./secrets and name it as /run/secrets/…",
    ),
    (
        "GCS_KEY_JSON",
        "",
        UNSET.format("gcs"),
        "set GCS_KEY to the path of the key file on this host, or GCS_KEY_JSON to its content",
    ),
    ("PGBACKREST_REPO1_GCS_KEY_TYPE", "json", "'json' is not one of service, auto, token", "use service, auto or token"),
    (
        "PGBACKREST_REPO1_STORAGE_PORT",
        "4443",
        "has no effect on Google Cloud Storage",
        "write it into PGBACKREST_REPO1_GCS_ENDPOINT, as host:port",
    ),
]  # fmt: skip

TOGETHER: list[tuple[dict[str, str], list[Problem]]] = [
    (
        {"SETUP_BACKUP": "true", "PGBACKREST_REPO1_TYPE": "none"},
        [
            Problem(
                "PGBACKREST_REPO1_TYPE",
                "is none or not set, but SETUP_BACKUP is true: there is no place to put backups",
                "set PGBACKREST_REPO1_TYPE=posix, or remove SETUP_BACKUP",
            )
        ],
    ),
    (
        POSIX | {"DATABASE_URL": "postgresql://u:hunter2@db.example.com/x", "SETUP_BACKUP": "true"},
        [
            Problem("SETUP_BACKUP", f"is true, but {HOSTED}", HOSTED_HINT),
            Problem("PGBACKREST_REPO1_TYPE", f"is posix, but {HOSTED}", HOSTED_HINT),
        ],
    ),
    (
        POSIX | {"PGBACKREST_REPO1_BUNDLE": "false", "PGBACKREST_REPO1_BLOCK": "true"},
        [
            Problem(
                "PGBACKREST_REPO1_BLOCK",
                "is true, but PGBACKREST_REPO1_BUNDLE is false: block increments are kept in bundles",
                "set PGBACKREST_REPO1_BUNDLE=true, or remove PGBACKREST_REPO1_BLOCK",
            )
        ],
    ),
    (
        POSIX | {"PGBACKREST_REPO1_CIPHER_TYPE": "none", "PGBACKREST_REPO1_CIPHER_PASS": "hunter2"},
        [
            Problem(
                "PGBACKREST_REPO1_CIPHER_PASS",
                "is set, but PGBACKREST_REPO1_CIPHER_TYPE is none: nothing would be encrypted with it",
                "remove one of them",
            )
        ],
    ),
    (
        {"PGBACKREST_COMPRESS_TYPE": "none", "PGBACKREST_COMPRESS_LEVEL": "1"},
        [
            Problem(
                "PGBACKREST_COMPRESS_LEVEL",
                "'1' is not a whole number from 0 to 0, the range of none",
                "write a number from 0 to 0",
            )
        ],
    ),
    (
        {"BACKUP_MEMORY_LIMIT": "128M", "BACKUP_CPU_RESERVATION": "1"},
        [
            Problem(
                "BACKUP_MEMORY_RESERVATION",
                "is 256M, more than the 128M of BACKUP_MEMORY_LIMIT",
                "lower it, or raise BACKUP_MEMORY_LIMIT",
            ),
            Problem(
                "BACKUP_CPU_RESERVATION",
                "is 1, more than the 0.5 of BACKUP_CPU_LIMIT",
                "lower it, or raise BACKUP_CPU_LIMIT",
            ),
        ],
    ),
    (
        {
            "BACKUP_WEBHOOK_SECRET": "hunter2",
            "BACKUP_WEBHOOK_TOKEN": "hunter2",
            "BACKUP_NOTIFY_URLS": "slack://hunter2/a/b",
        },
        [
            Problem(
                "BACKUP_WEBHOOK_SECRET",
                "is set, but BACKUP_WEBHOOK_URL is not: there is nothing to send it with",
                "set BACKUP_WEBHOOK_URL, or remove it",
            ),
            Problem(
                "BACKUP_WEBHOOK_TOKEN",
                "is set, but BACKUP_WEBHOOK_URL is not: there is nothing to send it with",
                "set BACKUP_WEBHOOK_URL, or remove it",
            ),
        ],
    ),
    (
        {"BACKUP_LATE_AFTER": "30", "BACKUP_CATCH_UP_JITTER": "1800"},
        [
            Problem(
                "BACKUP_LATE_AFTER",
                "is 30 minutes, but BACKUP_CATCH_UP_JITTER lets a run wait 1800 seconds",
                "write at least 31, or lower BACKUP_CATCH_UP_JITTER",
            )
        ],
    ),
    (
        {"BACKUP_DISK_ALARM_PERCENT": "90", "BACKUP_DISK_RESERVE_PERCENT": "11"},
        [
            Problem(
                "BACKUP_DISK_ALARM_PERCENT",
                "is 90, but with BACKUP_DISK_RESERVE_PERCENT=11 a volume counts as full at 89 percent",
                "write at most 89, or lower BACKUP_DISK_RESERVE_PERCENT",
            )
        ],
    ),
    (
        {"BACKUP_DISK_RESERVE_PERCENT": "31"},
        [
            Problem(
                "BACKUP_DISK_RESERVE_PERCENT",
                "is 31, so a volume counts as full at 69 percent, before BACKUP_DISK_ALARM_PERCENT=70",
                "write at most 30, or lower that one",
            )
        ],
    ),
    (
        {"BACKUP_HTTP_PORT": "5432", "POSTGRES_PORT": "5432"},
        [Problem("BACKUP_HTTP_PORT", "is 5432, and POSTGRES_PORT is too", "give each a port of its own")],
    ),
    (
        POSIX | {"PGBACKREST_REPO2_PATH": "/srv/other"},
        [
            Problem(
                "PGBACKREST_REPO2_TYPE",
                "is not set, but PGBACKREST_REPO2_PATH is",
                "set it to posix, s3, azure or gcs, or remove the variables of repository 2",
            )
        ],
    ),
    (
        {"PGBACKREST_REPO1_PATH": "/srv/retired", "PGBACKREST_REPO2_TYPE": "posix"},
        [
            Problem(
                "PGBACKREST_REPO1_TYPE",
                "is not set, but PGBACKREST_REPO1_PATH is",
                "set it to posix, s3, azure or gcs, or remove the variables of repository 1",
            )
        ],
    ),
    (
        POSIX | {"PGBACKREST_REPO2_TYPE": "posix", "PGBACKREST_REPO2_PATH": "/srv/backups"},
        [
            Problem(
                "PGBACKREST_REPO2_PATH",
                "repository 2 is the same place as repository 1: /srv/backups",
                "give each repository a place of its own",
            )
        ],
    ),
    (
        POSIX | {"PGBACKREST_REPO3_TYPE": "posix", "PGBACKREST_REPO3_PATH": "/srv/backups/second"},
        [
            Problem(
                "PGBACKREST_REPO3_PATH",
                "/srv/backups/second and /srv/backups, the directories of repositories 3 and 1, lie in one another",
                "give each repository a directory of its own",
            )
        ],
    ),
    (
        S3
        | {
            "PGBACKREST_REPO2_TYPE": "s3",
            "PGBACKREST_REPO2_S3_BUCKET": "bucket-1",
            "PGBACKREST_REPO2_S3_ENDPOINT": "https://s3.eu-central-1.amazonaws.com",
            "PGBACKREST_REPO2_S3_REGION": "eu-central-1",
            "PGBACKREST_REPO2_S3_KEY": "other",
            "PGBACKREST_REPO2_S3_KEY_SECRET": "other",
        },
        [
            Problem(
                "PGBACKREST_REPO2_PATH",
                "repository 2 is the same place as repository 1: s3://bucket-1/pgbackrest at s3.eu-central-1.amazonaws.com",
                "give each repository a place of its own",
            )
        ],
    ),
    (
        S3 | {"PGBACKREST_REPO1_S3_BUCKET": "bucket-2"},
        [Problem("AWS_S3_BUCKET", "and PGBACKREST_REPO1_S3_BUCKET name the same thing and differ", "set one of them")],
    ),
    (
        S3 | {"AWS_S3_ENDPOINT": "s3.example.com:9000", "PGBACKREST_REPO1_STORAGE_PORT": "9001"},
        [Problem("PGBACKREST_REPO1_STORAGE_PORT", "is 9001, but AWS_S3_ENDPOINT says port 9000", "set one of them")],
    ),
    (
        S3 | {"PGBACKREST_REPO1_S3_PRESET": "minio"},
        [
            Problem(
                "AWS_S3_ENDPOINT",
                UNSET.format("s3"),
                "write the address of your server, for example minio.example.com:9000",
            )
        ],
    ),
    (
        S3
        | {
            "PGBACKREST_REPO1_S3_KMS_KEY_ID": "alias/backup",
            "PGBACKREST_REPO1_S3_SSE_CUSTOMER_KEY": base64.b64encode(b"h" * 32).decode(),
        },
        [
            Problem(
                "PGBACKREST_REPO1_S3_KMS_KEY_ID",
                "and PGBACKREST_REPO1_S3_SSE_CUSTOMER_KEY are two ways to encrypt in the bucket",
                "set one of them; pgBackRest's own encryption needs neither",
            )
        ],
    ),
    (
        {"PGBACKREST_REPO1_TYPE": "s3", "AWS_S3_BUCKET": "bucket-1", "AWS_REGION": "eu-central-1"},
        [
            Problem(
                "AWS_ACCESS_KEY_ID",
                UNSET.format("s3"),
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or PGBACKREST_REPO1_S3_KEY_TYPE=auto on a machine "
                "that has a role",
            )
        ],
    ),
    (
        {
            "PGBACKREST_REPO1_TYPE": "s3",
            "AWS_S3_BUCKET": "bucket-1",
            "AWS_REGION": "eu-central-1",
            "PGBACKREST_REPO1_S3_KEY_TYPE": "auto",
            "PGBACKREST_REPO1_S3_KEY": "hunter2",
        },
        [
            Problem(
                "PGBACKREST_REPO1_S3_KEY",
                "has no effect with PGBACKREST_REPO1_S3_KEY_TYPE=auto",
                "remove it, or set PGBACKREST_REPO1_S3_KEY_TYPE=shared",
            )
        ],
    ),
    (
        {key: value for key, value in AZURE.items() if key != "AZURE_STORAGE_KEY"} | {"AZURE_STORAGE_SAS_TOKEN": "hunter2"},
        [
            Problem(
                "AZURE_STORAGE_SAS_TOKEN",
                "is not a shared access signature: it has no sv= or no sig= in it",
                "copy the whole SAS token",
            )
        ],
    ),
    (
        {"PGBACKREST_REPO1_TYPE": "gcs", "GCS_BUCKET": "bucket-1", "GCS_KEY": _key()},
        [
            Problem(
                "GCS_KEY", "is the key itself, but a path on this host is meant", "put the JSON into GCS_KEY_JSON instead"
            )
        ],
    ),
    (
        {"PGBACKREST_REPO1_TYPE": "gcs", "GCS_BUCKET": "bucket-1", "GCS_KEY": "key.json"},
        [Problem("GCS_KEY", "'key.json' is neither an absolute path nor one that starts with ./", PATH_HINT)],
    ),
]


def problems_of(read: Read, variables: dict[str, str]) -> list[Problem]:
    with pytest.raises(InvalidConfigurationError) as caught:
        read({name: value for name, value in variables.items() if value})
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    return list(caught.value.problems)


EACH = [
    *(({name: value}, [Problem(name, what, hint)]) for name, value, what, hint in REFUSED),
    *((S3 | {name: value}, [Problem(name, what, hint)]) for name, value, what, hint in S3_REFUSED),
    *((AZURE | {name: value}, [Problem(name, what, hint)]) for name, value, what, hint in AZURE_REFUSED),
    *((GCS | {name: value}, [Problem(name, what, hint)]) for name, value, what, hint in GCS_REFUSED),
    *TOGETHER,
]
IDS = [f"{number:03} {found[0].where} {found[0].what[:40]}" for number, (_, found) in enumerate(EACH)]


def test_there_are_enough_cases() -> None:
    assert len(EACH) >= 140


@pytest.mark.parametrize(("variables", "problems"), EACH, ids=IDS)
def test_refused_with_the_reason_and_the_next_step(read: Read, variables: dict[str, str], problems: list[Problem]) -> None:
    assert problems_of(read, variables) == problems


@pytest.mark.parametrize(("variables", "problems"), EACH, ids=IDS)
def test_nothing_is_written(
    places: Places, capsys: pytest.CaptureFixture[str], variables: dict[str, str], problems: list[Problem]
) -> None:
    with (
        patch.dict(os.environ, {name: value for name, value in variables.items() if value}, clear=True),
        patch("os.cpu_count", return_value=8),
    ):
        assert main(places) == Exit.CONFIGURATION
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("\n".join(f"\n{problem}" for problem in problems) + "\n")
    assert [path for path in places.configuration.parent.rglob("*") if path.is_file()] == []


def test_setup_backup_without_a_type_is_a_contradiction(read: Read) -> None:
    assert [problem.where for problem in problems_of(read, {"SETUP_BACKUP": "yes"})] == ["PGBACKREST_REPO1_TYPE"]


def test_all_problems_are_reported_at_once(read: Read) -> None:
    """Those of single variables, of repositories and of what contradicts itself, whatever else is wrong."""
    variables = S3 | {name: value for name, value, _, _ in (*REFUSED, *S3_REFUSED) if value and name != "SETUP_BACKUP"}
    variables |= {"PGBACKREST_REPO1_TYPE": "s3", "PGBACKREST_REPO4_TYPE": "none"}
    for name in ("PGBACKREST_REPO1_S3_KEY_TYPE", "PGBACKREST_REPO1_PATH"):  # the last of several wrong values counts
        variables[name] = next(value for key, value, _, _ in S3_REFUSED if key == name)
    accepted = {"AWS_ACCESS_KEY_ID", "PGBACKREST_REPO1_TYPE", "PGBACKREST_REPO4_TYPE"}
    reported = {problem.where for problem in problems_of(read, variables)}
    assert reported == set(variables) - accepted


def test_a_missing_key_file_is_told_although_docker_made_a_directory(tmp_path: Path) -> None:
    variables = {"PGBACKREST_REPO1_TYPE": "gcs", "GCS_BUCKET": "bucket-1", "GCS_KEY": "/srv/key.json"}
    with patch.dict(os.environ, variables, clear=True), pytest.raises(InvalidConfigurationError) as caught:
        read_settings(4, Mounts(gcs_key=tmp_path))
    assert caught.value.problems == (
        Problem(
            "GCS_KEY",
            "there is no file /srv/key.json on this host: Docker made an empty directory of that name",
            "remove it (sudo rmdir /srv/key.json), then put the key there, or correct the path",
        ),
    )
