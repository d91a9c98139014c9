"""Real pgBackRest and real PostgreSQL read every golden configuration without one complaint.

The golden copies are what setup renders (another test compares them), so nothing needs to be rendered here. There is no
network: a command on an object store fails, but only after it has taken every option.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from contract import paths
from tests.integration.site import must, program

CONSISTENCY: Final = Path(__file__).parents[1] / "consistency"
GOLDEN: Final = CONSISTENCY / "golden"
PRESETS: Final = CONSISTENCY / "golden-presets"
CASES: Final = sorted(case.name for case in GOLDEN.iterdir())
WITH_REPOSITORY: Final = [case for case in CASES if (GOLDEN / case / paths.REPO_CONF).exists()]
SERVER_LOG: Final = paths.DATABASE_VOLUME / "server.log"

OPTION_ERRORS: Final = {25, 29, 30, 31, 32, 37, 41, 48, 95}
"""What a wrong configuration ends with: assert, format, command, option, a file that it names, an encryption key."""

QUICKLY: Final = ("--io-timeout=100ms", "--log-level-console=info")
COMMANDS: Final = (
    ("backup", "--repo={repo}", "--type=full"),
    ("check",),
    ("expire", "--repo={repo}"),
    ("verify", "--repo={repo}"),
    ("archive-push", "--no-archive-async", "/nowhere/0000000100000000000000FE"),
)


def empty(directory: Path) -> None:
    for entry in directory.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def publish(source: Path) -> None:
    empty(paths.CONFIG)
    shutil.copytree(source, paths.CONFIG, dirs_exist_ok=True, copy_function=shutil.copyfile)


@pytest.fixture
def places() -> Iterator[None]:
    """The container's own directories, empty before and after."""
    every = (paths.CONFIG, paths.DATABASE_VOLUME, paths.REPOSITORY, paths.LOG, paths.LOCK, paths.SPOOL)
    for directory in every:
        empty(directory)
    yield
    program("pg_ctl", "-D", str(paths.PGDATA), "--wait", "--mode=immediate", "stop")
    for directory in every:
        empty(directory)


def repositories() -> list[str]:
    text = (paths.CONFIG / paths.REPO_CONF).read_text(encoding="utf-8")
    return re.findall(r"^repo([1-4])-type=", text, re.MULTILINE)


def complaints(*command: str) -> list[str]:
    """Run a command of pgbackrest; return its warnings and what it says about options and files."""
    done = program("pgbackrest", "--stanza=salespider", *command)
    lines = (done.stdout + done.stderr).splitlines()
    found = [line for line in lines if "WARN" in line and "unable to" not in line and "retry" not in line]
    return [*found, *([f"exit code {done.returncode}", *lines] if done.returncode in OPTION_ERRORS else [])]


def use_a_real_key() -> None:
    """Put a key made now where the golden copy has a text that is none: pgbackrest reads it before anything else."""
    made = must("openssl", "genpkey", "-quiet", "-algorithm", "RSA")
    for file in (paths.CONFIG / paths.KEYS).glob("*.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"private_key": made}))


def assert_accepted(commands: tuple[tuple[str, ...], ...] = COMMANDS) -> None:
    for repo in repositories():
        for command in commands:
            assert complaints(*(word.format(repo=repo) for word in command), *QUICKLY) == [], (repo, command)


@pytest.mark.parametrize("case", WITH_REPOSITORY)
def test_pgbackrest_takes_every_option(places: None, case: str) -> None:
    publish(GOLDEN / case)
    use_a_real_key()
    assert_accepted()


@pytest.mark.parametrize("preset", sorted(file.stem for file in PRESETS.iterdir()))
def test_pgbackrest_takes_every_preset(places: None, preset: str) -> None:
    publish(GOLDEN / "s3")
    shutil.copyfile(PRESETS / f"{preset}.conf", paths.CONFIG / paths.REPO_CONF)
    assert_accepted(COMMANDS[:1])


@pytest.mark.parametrize("case", CASES)
def test_the_server_takes_every_setting(places: None, template: Path, case: str) -> None:
    publish(GOLDEN / case)
    shutil.copytree(template, paths.PGDATA)
    paths.PGDATA.chmod(0o700)
    configuration = paths.CONFIG / paths.POSTGRESQL_CONF
    must(
        "pg_ctl", "-D", str(paths.PGDATA), "-l", str(SERVER_LOG), "--wait", "start", "-o", f"-c config_file={configuration}"
    )

    def sql(query: str) -> str:
        return must("psql", "-XqAt", f"--host={paths.SOCKET}", "--username=postgres", "-c", query).strip()

    assert sql("SHOW archive_mode") == ("on" if case in WITH_REPOSITORY else "off")
    for view in ("pg_file_settings", "pg_hba_file_rules", "pg_ident_file_mappings"):
        assert sql(f"SELECT count(*) > 0 AND bool_and(error IS NULL) FROM {view}") == "t", view
    assert sql("SELECT count(*) FROM pg_file_settings WHERE NOT applied") == "0"
    if (paths.CONFIG / paths.EXTRA_CONF).exists():
        assert sql("SHOW autovacuum_naptime") == "30s"
        sql("CREATE EXTENSION pg_stat_statements")
        assert sql("SELECT count(*) > 0 FROM pg_stat_statements") == "t"
    assert [line for line in SERVER_LOG.read_text().splitlines() if "WARNING" in line or "ERROR" in line] == []
