"""What setup generates, compared byte for byte with copies that a person has read.

After a change that is meant:  UPDATE_GOLDEN=1 pytest tests/consistency/test_golden_files.py  and read the difference.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from unittest.mock import patch

import pytest
from pydantic import SecretStr

from contract import paths
from setup.passphrase import Secrets
from setup.places import Mounts
from setup.presets import PRESETS
from setup.render import render
from setup.repositories import is_encrypted
from setup.settings import read_settings

GOLDEN = Path(__file__).parent / "golden"

# No golden copy may look like a private key, not even one that is none: this line stands in it under another name.
PEM_BEGIN = "-----BEGIN {} KEY-----".format("PRIVATE")
PEM_STAND_IN = "(here begins a private key)"
PRESET_FILES = Path(__file__).parent / "golden-presets"
SECRET = "OBVIOUSLY-FAKE-SECRET"
S3 = {
    "PGBACKREST_REPO1_TYPE": "s3",
    "AWS_S3_BUCKET": "your-backup-bucket",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "OBVIOUSLY-FAKE-KEY",
    "AWS_SECRET_ACCESS_KEY": SECRET,
}
AZURE = {
    "PGBACKREST_REPO1_TYPE": "azure",
    "AZURE_STORAGE_ACCOUNT": "yourstorageaccount",
    "AZURE_STORAGE_CONTAINER": "your-container-name",
}
FAKE_ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "client_email": "backup@example.iam.gserviceaccount.com",
        "private_key": f"{PEM_BEGIN}\nMA5PQlZJT1VTTFkgRkFLRQ==\n-----END PRIVATE KEY-----\n",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)
CASES: dict[str, dict[str, str]] = {
    "none": {},
    "hosted": {"DATABASE_URL": "postgresql://user:OBVIOUSLY-FAKE@your-hosted-db.example.com:5432/dbname"},
    "posix": {
        "SETUP_BACKUP": "true",
        "PGBACKREST_REPO1_TYPE": "posix",
        "PGBACKREST_REPO1_PATH": "/srv/backups",
        "BACKUP_RETENTION_DIFF": "3",
        "TZ": "Europe/Berlin",
        "BACKUP_WEBHOOK_URL": f"https://hooks.example.com/{SECRET}",
        "BACKUP_WEBHOOK_SECRET": SECRET,
        "BACKUP_NOTIFY_URLS": f"slack://{SECRET}/a/b, mailtos://me:{SECRET}@example.com",
        "BACKUP_NOTIFY_LEVEL": "warning",
        "BACKUP_HEARTBEAT_URL": f"https://heartbeat.example.com/{SECRET}",
    },
    "s3": S3,
    "azure": AZURE | {"AZURE_STORAGE_KEY": base64.b64encode(SECRET.encode()).decode()},
    "azure-sas": AZURE
    | {
        "AZURE_STORAGE_SAS_TOKEN": f"?sv=2022-11-02&sr=c&sig={SECRET}",
        "PGBACKREST_REPO1_AZURE_ENDPOINT": "azurite.example.com:10000",
    },
    "gcs": {"PGBACKREST_REPO1_TYPE": "gcs", "GCS_BUCKET": "your-backup-bucket", "GCS_KEY_JSON": FAKE_ACCOUNT},
    "posix-and-s3": S3
    | {
        "PGBACKREST_REPO1_TYPE": "posix",
        "PGBACKREST_REPO1_PATH": "/srv/backups",
        "PGBACKREST_REPO2_TYPE": "s3",
        "PGBACKREST_REPO2_PATH": "/salespider",
        "PGBACKREST_REPO2_RETENTION_FULL": "30",
        "PGBACKREST_REPO2_RETENTION_FULL_TYPE": "time",
    },
    "four": S3
    | {
        "PGBACKREST_REPO1_S3_KEY_TYPE": "auto",
        "PGBACKREST_REPO1_S3_ROLE": "backup",
        "PGBACKREST_REPO1_S3_KMS_KEY_ID": "alias/backup",
        "PGBACKREST_REPO1_CIPHER_TYPE": "none",
        "PGBACKREST_REPO2_TYPE": "posix",
        "PGBACKREST_REPO3_TYPE": "s3",
        "PGBACKREST_REPO3_S3_PRESET": "minio",
        "PGBACKREST_REPO3_S3_BUCKET": "other-bucket",
        "PGBACKREST_REPO3_S3_ENDPOINT": "https://minio.example.com:9000/",
        "PGBACKREST_REPO3_S3_KEY": "OBVIOUSLY-FAKE-KEY",
        "PGBACKREST_REPO3_S3_KEY_SECRET": SECRET,
        "PGBACKREST_REPO3_S3_TOKEN": SECRET,
        "PGBACKREST_REPO3_S3_SSE_CUSTOMER_KEY": base64.b64encode(b"OBVIOUSLY-FAKE-KEY-OF-THE-GOLDEN").decode(),
        "PGBACKREST_REPO3_STORAGE_VERIFY_TLS": "no",
        "PGBACKREST_REPO3_STORAGE_HOST": "10.0.0.7",
        "PGBACKREST_REPO3_STORAGE_UPLOAD_CHUNK_SIZE": "16MiB",
        "PGBACKREST_REPO3_BUNDLE": "no",
        "PGBACKREST_REPO4_TYPE": "gcs",
        "PGBACKREST_REPO4_GCS_BUCKET": "your-backup-bucket",
        "PGBACKREST_REPO4_GCS_KEY_TYPE": "token",
        "PGBACKREST_REPO4_GCS_KEY": SECRET,
        "PGBACKREST_REPO4_GCS_ENDPOINT": "gcs.example.com:4443",
        "PGBACKREST_ARCHIVE_TIMEOUT": "120",
        "PGBACKREST_LOG_LEVEL_CONSOLE": "detail",
        "PGBACKREST_COMPRESS_TYPE": "zst",
        "POSTGRES_STATISTICS": "yes",
        "POSTGRES_LOG_MIN_DURATION_STATEMENT": "250ms",
        "POSTGRES_ARCHIVE_TIMEOUT": "300",
        "POSTGRES_MAX_WAL_SIZE": "2GB",
        "POSTGRES_WAL_KEEP_SIZE": "64MB",
        "POSTGRES_EXTRA_CONFIG": "./config/extra.conf",
    },
}
ENDPOINTS = {
    "minio": "minio.example.com:9000",
    "garage": "s3.example.com",
    "seaweedfs": "s3.example.com:8334",
    "r2": "0123456789abcdef.r2.cloudflarestorage.com",
}
REGIONS = {"aws": "eu-central-1", "wasabi": "eu-central-2", "spaces": "fra1", "b2": "eu-central-003"}
PASSPHRASE = SecretStr("OBVIOUSLY-FAKE-PASSPHRASE-OF-THE-GOLDEN-FILES")
PASSWORD = SecretStr("obviously-fake-password-of-the-golden-files")
EXTRA = "# what an operator may write\nautovacuum_naptime = 30s\nstatement_timeout = '5min'\n"


def render_from(variables: dict[str, str], config: Path) -> dict[str, str]:
    (config / "extra.conf").write_text(EXTRA)
    with patch.dict(os.environ, variables, clear=True):
        settings = read_settings(4, Mounts(config=config))
    passphrases = {repository.key: PASSPHRASE for repository in settings.repositories if is_encrypted(repository)}
    return render(settings, Secrets(passphrases, PASSWORD))


def golden(case: str) -> dict[str, str]:
    folder = GOLDEN / case
    files = (file for file in folder.rglob("*") if file.is_file())
    return {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8").replace(PEM_STAND_IN, PEM_BEGIN) for file in files
    }


@pytest.mark.parametrize("case", sorted(CASES))
def test_generated_files_are_the_golden_ones(case: str, tmp_path: Path) -> None:
    files = render_from(CASES[case], tmp_path)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        for name in golden(case).keys() - files.keys():
            (GOLDEN / case / name).unlink()
        for name, text in files.items():
            file = GOLDEN / case / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace(PEM_BEGIN, PEM_STAND_IN), encoding="utf-8")
    assert golden(case) == files


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_changes_what_the_golden_file_says(name: str, tmp_path: Path) -> None:
    variables = {key: value for key, value in S3.items() if key != "AWS_REGION"} | {"PGBACKREST_REPO1_S3_PRESET": name}
    variables |= {"AWS_S3_ENDPOINT": ENDPOINTS[name]} if name in ENDPOINTS else {"AWS_REGION": REGIONS[name]}
    text = render_from(variables, tmp_path)[paths.REPO_CONF]
    file = PRESET_FILES / f"{name}.conf"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text
