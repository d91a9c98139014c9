"""Settings become files: pure, each key once, and each secret in the one place where it belongs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable

import jinja2
import pytest
from pydantic import SecretStr

from contract import paths
from contract.supervisor import SupervisorConfig
from setup import render as render_module
from setup.passphrase import Secrets
from setup.render import render
from setup.repositories import is_encrypted
from setup.settings import Settings

Read = Callable[..., Settings]

PASSPHRASE = "NOT-A-REAL-PASSPHRASE-FOR-TESTS-ONLY"
PASSWORD = "not-a-real-password-for-tests-only"
POSIX = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups"}


def rendered(settings: Settings) -> dict[str, str]:
    passphrases = {r.key: SecretStr(PASSPHRASE) for r in settings.repositories if is_encrypted(r)}
    return render(settings, Secrets(passphrases, SecretStr(PASSWORD)))


def ini(*texts: str) -> dict[str, dict[str, str]]:
    """Read pgBackRest's files as it reads them, one after the other, and refuse a key that is there twice."""
    sections: dict[str, dict[str, str]] = {}
    for text in texts:
        section = ""
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                section = line.strip("[]")
                continue
            key, _, value = line.partition("=")
            assert value, f"{key} is empty"
            assert key not in sections.setdefault(section, {}), f"{key} is there twice"
            sections[section][key] = value
    return sections


def pgbackrest(files: dict[str, str]) -> dict[str, dict[str, str]]:
    return ini(files[paths.PGBACKREST_CONF], files.get(paths.REPO_CONF, ""))


def server(files: dict[str, str]) -> dict[str, str]:
    lines = [line for line in files[paths.POSTGRESQL_CONF].splitlines() if line and not line.startswith("#")]
    pairs = [line.split(" = ", 1) for line in lines]
    assert max(Counter(key for key, _ in pairs).values()) == 1
    return {key: value.strip("'") for key, value in pairs}


def test_pgbackrest_has_what_the_best_practices_ask_for(read: Read) -> None:
    sections = pgbackrest(rendered(read(POSIX | {"PGBACKREST_PROCESS_MAX": "6"})))
    assert sections == {
        "global": {
            "log-path": "/var/log/pgbackrest",
            "log-level-console": "info",
            "log-level-file": "off",
            "lock-path": "/var/lib/salespider/lock",
            "spool-path": "/var/spool/pgbackrest",
            "process-max": "6",
            "archive-timeout": "60",
            "archive-header-check": "y",
            "compress-type": "lz4",
            "compress-level": "1",
            "io-timeout": "10",
            "start-fast": "y",
            "repo1-type": "posix",
            "repo1-path": "/var/lib/pgbackrest",
            "repo1-cipher-type": "aes-256-cbc",
            "repo1-cipher-pass": PASSPHRASE,
            "repo1-bundle": "y",
            "repo1-block": "y",
            "repo1-retention-full": "7",
            "repo1-retention-diff": "4",
            "repo1-retention-archive-type": "full",
            "repo1-retention-archive": "7",
        },
        "global:archive-push": {"archive-async": "y", "io-timeout": "5", "log-level-console": "warn"},
        "global:archive-get": {"archive-async": "n", "log-level-console": "warn"},
        "salespider": {
            "pg1-path": "/var/lib/postgresql/data",
            "pg1-port": "5432",
            "pg1-socket-path": "/var/run/postgresql",
            "pg1-user": "postgres",
            "pg1-database": "postgres",
        },
        "salespider:restore": {
            "delta": "y",
            "recovery-option": 'restore_command=/usr/local/bin/pgbackrest-restore-command %f "%p"',
        },
    }


def test_postgresql_has_what_the_best_practices_ask_for(read: Read) -> None:
    found = server(rendered(read(POSIX | {"TZ": "Europe/Berlin"})))
    wanted = {
        "wal_level": "replica",
        "archive_mode": "on",
        "archive_command": "pgbackrest --stanza=salespider archive-push %p",
        "archive_timeout": "60",
        "max_wal_senders": "3",
        "checkpoint_completion_target": "0.9",
        "wal_buffers": "16MB",
        "wal_writer_delay": "200ms",
        "log_checkpoints": "on",
        "log_connections": "on",
        "log_disconnections": "on",
        "log_lock_waits": "on",
        "hba_file": "/etc/pgbackrest/postgresql/pg_hba.conf",
        "ident_file": "/etc/pgbackrest/postgresql/pg_ident.conf",
        "timezone": "Europe/Berlin",
        "log_timezone": "Europe/Berlin",
        "jit": "off",
    }
    assert {key: found.get(key) for key in wanted} == wanted


def test_off_is_really_off(read: Read) -> None:
    files = rendered(read({}))
    assert paths.REPO_CONF not in files
    found = server(files)
    assert (found["archive_mode"], found["archive_command"], found["archive_timeout"]) == ("off", "", "0")
    supervisor = SupervisorConfig.model_validate_json(files[paths.SUPERVISOR_JSON])
    assert (supervisor.mode, supervisor.repositories) == ("off", ())
    assert supervisor.reason == "PGBACKREST_REPO1_TYPE is none or not set"


@pytest.mark.parametrize("variables", [{}, POSIX])
def test_the_data_directory_is_never_set(read: Read, variables: dict[str, str]) -> None:
    assert "data_directory" not in server(rendered(read(variables)))


def test_peer_maps_the_containers_user_to_the_superuser(read: Read) -> None:
    files = rendered(read({"POSTGRES_USER": "all"}))
    rules = [line.split() for line in files[paths.PG_HBA_CONF].splitlines() if not line.startswith("#")]
    assert rules == [
        ["local", "all", "all", "peer", "map=salespider"],
        ["local", "replication", "all", "peer", "map=salespider"],
        ["host", "all", "all", "samenet", "scram-sha-256"],
    ]
    maps = [line.split() for line in files[paths.PG_IDENT_CONF].splitlines() if not line.startswith("#")]
    assert maps == [["salespider", "postgres", '"all"']]
    assert pgbackrest(files)["salespider"]["pg1-user"] == "all"


@pytest.mark.parametrize("variables", [{}, POSIX])
def test_the_manifest_vouches_for_every_other_file(read: Read, variables: dict[str, str]) -> None:
    files = rendered(read(variables))
    assert list(files)[-1] == paths.MANIFEST_JSON
    manifest = json.loads(files[paths.MANIFEST_JSON])
    assert manifest["schema_version"] == 1
    others = {path: text for path, text in files.items() if path != paths.MANIFEST_JSON}
    assert manifest["files"] == {path: hashlib.sha256(text.encode()).hexdigest() for path, text in others.items()}


def test_every_file_that_can_says_who_made_it(read: Read) -> None:
    for path, text in rendered(read(POSIX)).items():
        if path.endswith(".conf"):
            name = path.rpartition("/")[2]
            assert text.startswith("# Written by SaleSpider's setup from config/"), path
            assert f"/{name}.j2." in text.splitlines()[0], path


def test_the_password_file_is_the_password_and_a_line_break(read: Read) -> None:
    assert rendered(read({}))[paths.SUPERUSER_PASSWORD] == f"{PASSWORD}\n"


@pytest.mark.parametrize(
    "template",
    [
        "pgbackrest/pgbackrest.conf.j2",
        "pgbackrest/repo.conf.j2",
        "postgres/postgresql.conf.j2",
        "postgres/pg_ident.conf.j2",
    ],
)
def test_a_template_may_not_use_what_there_is_not(template: str) -> None:
    compiled = render_module._jinja.get_template(template)
    with pytest.raises(jinja2.UndefinedError):
        compiled.render()


def test_four_repositories_share_one_file_and_no_key(read: Read) -> None:
    variables = {f"PGBACKREST_REPO{key}_TYPE": "posix" for key in (1, 2, 4)}
    found = pgbackrest(rendered(read(variables | {"PGBACKREST_REPO2_CIPHER_TYPE": "none"})))["global"]
    assert {key: value for key, value in found.items() if key.endswith("-path")} == {
        "log-path": "/var/log/pgbackrest",
        "lock-path": "/var/lib/salespider/lock",
        "spool-path": "/var/spool/pgbackrest",
        "repo1-path": "/var/lib/pgbackrest",
        "repo2-path": "/var/lib/pgbackrest2",
        "repo4-path": "/var/lib/pgbackrest4",
    }
    assert [key for key in found if key.endswith("cipher-pass")] == ["repo1-cipher-pass", "repo4-cipher-pass"]


def test_a_hosted_database_has_no_backups_of_ours(read: Read) -> None:
    files = rendered(read({"DATABASE_URL": "postgresql://u:hunter2@db.example.com/x"}))
    supervisor = SupervisorConfig.model_validate_json(files[paths.SUPERVISOR_JSON])
    assert (supervisor.mode, supervisor.repositories) == ("hosted", ())
    assert server(files)["archive_mode"] == "off"
    assert not any("hunter2" in text for text in files.values())


def test_settings_of_the_server_that_are_asked_for(read: Read) -> None:
    found = server(
        rendered(
            read(
                {
                    "POSTGRES_STATISTICS": "yes",
                    "POSTGRES_LOG_MIN_DURATION_STATEMENT": "250ms",
                    "POSTGRES_MAX_WAL_SIZE": "4GB",
                    "POSTGRES_WAL_KEEP_SIZE": "64MB",
                }
            )
        )
    )
    wanted = {
        "shared_preload_libraries": "pg_stat_statements",
        "log_min_duration_statement": "250ms",
        "max_wal_size": "4GB",
        "wal_keep_size": "64MB",
    }
    assert {key: found.get(key) for key in wanted} == wanted
    assert "shared_preload_libraries" not in server(rendered(read({})))
