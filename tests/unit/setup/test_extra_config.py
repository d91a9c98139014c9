"""The operator's own settings of PostgreSQL: read last, and not able to break what backups stand on."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest
from pydantic import SecretStr

from setup import extra_config
from setup.passphrase import Secrets
from setup.places import Mounts
from setup.render import render
from setup.settings import read_settings
from setup.values import Rejected

ACCEPTED = """\
# a comment
statement_timeout = '5min'   # with a comment
autovacuum_naptime 30s
search_path = '"$user", public'
log_line_prefix = 'it''s %m'
pg_stat_statements.max = 10000
"""


def write(tmp_path: Path, text: str) -> Mounts:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "extra.conf").write_text(text)
    return Mounts(secrets=tmp_path / "absent", config=tmp_path)


def test_it_is_published_and_included_last(tmp_path: Path) -> None:
    mounts = write(tmp_path, ACCEPTED)
    with patch.dict(os.environ, {"POSTGRES_EXTRA_CONFIG": "./config/postgres/extra.conf"}, clear=True):
        settings = read_settings(4, mounts)
    files = render(settings, Secrets({}, SecretStr("x")))
    assert files["postgresql/extra.conf"] == ACCEPTED
    assert files["postgresql/postgresql.conf"].endswith("\ninclude '/etc/pgbackrest/postgresql/extra.conf'\n")


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("archive_mode = off", "line 2 sets archive_mode, which backups and restores stand on", "remove the line"),
        ("ARCHIVE_COMMAND = 'true'", "line 2 sets archive_command, which backups and restores stand on", "remove the line"),
        ("data_directory = '/x'", "line 2 sets data_directory, which backups and restores stand on", "remove the line"),
        ("fsync off", "line 2 sets fsync, which backups and restores stand on", "remove the line"),
        ("include 'x.conf'", "line 2 includes another file, which is not mounted", "write its settings into this one"),
        ("work_mem: 4MB", "line 2 is not a setting", "write name = 'value' on each line"),
        ("search_path = 'a", "line 2 is not a setting", "write name = 'value' on each line"),
        ("ALTER SYSTEM SET x = 1;", "line 2 is not a setting", "write name = 'value' on each line"),
    ],
)
def test_what_is_refused(tmp_path: Path, line: str, what: str, hint: str) -> None:
    with pytest.raises(Rejected) as caught:
        extra_config.read("config/postgres/extra.conf", write(tmp_path, f"# first\n{line}\n"))
    assert (caught.value.what, caught.value.hint) == (what, hint)


def test_a_file_in_secrets(tmp_path: Path) -> None:
    (tmp_path / "extra.conf").write_text("jit = off")
    mounts = Mounts(secrets=tmp_path, config=tmp_path / "absent")
    assert extra_config.read("secrets/extra.conf", mounts) == "jit = off\n"
