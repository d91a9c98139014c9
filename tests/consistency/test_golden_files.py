"""What setup generates, compared byte for byte with copies that a person has read.

After a change that is meant:  UPDATE_GOLDEN=1 pytest tests/consistency/test_golden_files.py  and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest
from pydantic import SecretStr

from setup.passphrase import Secrets
from setup.render import render
from setup.repositories import is_encrypted
from setup.settings import read_settings

GOLDEN = Path(__file__).parent / "golden"
CASES: dict[str, dict[str, str]] = {
    "none": {},
    "posix": {
        "SETUP_BACKUP": "true",
        "PGBACKREST_REPO1_TYPE": "posix",
        "PGBACKREST_REPO1_PATH": "/srv/backups",
        "BACKUP_RETENTION_DIFF": "3",
        "TZ": "Europe/Berlin",
    },
}
PASSPHRASE = SecretStr("OBVIOUSLY-FAKE-PASSPHRASE-OF-THE-GOLDEN-FILES")
PASSWORD = SecretStr("obviously-fake-password-of-the-golden-files")


def rendered(case: str) -> dict[str, str]:
    with patch.dict(os.environ, CASES[case], clear=True):
        settings = read_settings(cpu_count=4)
    passphrases = {r.key: PASSPHRASE for r in settings.repositories if is_encrypted(r)}
    return render(settings, Secrets(passphrases, PASSWORD))


def golden(case: str) -> dict[str, str]:
    folder = GOLDEN / case
    return {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("case", sorted(CASES))
def test_generated_files_are_the_golden_ones(case: str) -> None:
    files = rendered(case)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        for name in golden(case).keys() - files.keys():
            (GOLDEN / case / name).unlink()
        for name, text in files.items():
            file = GOLDEN / case / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    assert golden(case) == files
