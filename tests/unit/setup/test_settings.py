"""The environment becomes settings, or a list of everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract.errors import InvalidConfigurationError, Problem
from contract.exits import Exit
from contract.supervisor import Database, Schedule
from setup.policy import Policy
from setup.repositories import Posix
from setup.settings import Compression, Server, Settings
from setup.variables import known_variables

Read = Callable[..., Settings]

POSIX = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups"}


def policy_of(settings: Settings) -> Policy:
    (repository,) = settings.repositories
    assert isinstance(repository, Posix)
    return repository.policy


def problems_of(read: Read, variables: dict[str, str]) -> list[Problem]:
    with pytest.raises(InvalidConfigurationError) as caught:
        read(variables)
    assert caught.value.exit_code == Exit.CONFIGURATION
    return list(caught.value.problems)


def test_nothing_set_means_the_documented_defaults(read: Read) -> None:
    settings = read({})
    assert (settings.repositories, settings.reason) == ((), "PGBACKREST_REPO1_TYPE is none or not set")
    assert settings.mode == "off"
    assert settings.schedule == Schedule(full="0 2 * * 0", diff="0 2 * * 1-6", incr=None)
    assert settings.time_zone == "UTC"
    assert settings.database == Database(user="postgres", name="salespider")
    assert settings.superuser_password is None
    assert settings.process_max == 4
    assert settings.compression == Compression("lz4", 1)
    assert settings.server == Server(100, "128MB", "512MB", "4MB", "64MB")
    assert settings.warnings == ()


def test_the_guides_posix_example(read: Read) -> None:
    settings = read(
        {
            "SETUP_BACKUP": "true",
            "PGBACKREST_REPO1_TYPE": "posix",
            "PGBACKREST_REPO1_PATH": "/var/lib/pgbackrest",
            "BACKUP_SCHEDULE_FULL": "0 2 * * 0",
            "BACKUP_RETENTION_FULL": "7",
            "BACKUP_RETENTION_DIFF": "3",
        }
    )
    assert settings.mode == "backups"
    assert settings.reason == "PGBACKREST_REPO1_TYPE is posix"
    policy = Policy(encrypted=True, bundle=True, block=True, retention_full=7, retention_diff=3)
    assert settings.repositories == (Posix(1, "/var/lib/pgbackrest", policy),)
    assert settings.warnings == ()


@pytest.mark.parametrize("value", ["", "none"])
def test_no_type_means_no_backups(read: Read, value: str) -> None:
    assert read({"PGBACKREST_REPO1_TYPE": value}).mode == "off"


@pytest.mark.parametrize("kind", ["none", "posix", "s3", "whatever"])
def test_setup_backup_false_wins_over_the_type(read: Read, kind: str) -> None:
    settings = read({"SETUP_BACKUP": "false", "PGBACKREST_REPO1_TYPE": kind})
    assert (settings.mode, settings.reason) == ("off", "SETUP_BACKUP is false")


def test_names_in_lower_case_are_understood(read: Read) -> None:
    assert policy_of(read({"backup_retention_full": "3"} | POSIX)).retention_full == 3


def test_an_empty_variable_is_unset(read: Read) -> None:
    assert read(dict.fromkeys(known_variables(), "")) == read({})
    assert read({"BACKUP_TYPO": "", "POSTGRES_PASSWORD_FILE": ""}) == read({})


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"PGBACKREST_REPO1_BLOCK": "no"}, False),
        ({"PGBACKREST_REPO1_BUNDLE": "false"}, False),
        ({"PGBACKREST_REPO1_BUNDLE": "false", "PGBACKREST_REPO1_BLOCK": "false"}, False),
    ],
)
def test_block_follows_bundle(read: Read, variables: dict[str, str], expected: bool) -> None:
    assert policy_of(read(POSIX | variables)).block is expected


@pytest.mark.parametrize(("kind", "level"), [("none", 0), ("bz2", 9), ("gz", 6), ("lz4", 1), ("zst", 3)])
def test_each_compression_has_its_own_default_level(read: Read, kind: str, level: int) -> None:
    assert read({"PGBACKREST_COMPRESS_TYPE": kind}).compression == Compression(kind, level)


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("none", "0"),
        ("bz2", "1"),
        ("bz2", "9"),
        ("gz", "-1"),
        ("gz", "9"),
        ("lz4", "-5"),
        ("lz4", "12"),
        ("zst", "-7"),
        ("zst", "22"),
    ],
)
def test_levels_that_pgbackrest_accepts(read: Read, kind: str, level: str) -> None:
    variables = {"PGBACKREST_COMPRESS_TYPE": kind, "PGBACKREST_COMPRESS_LEVEL": level}
    assert read(variables).compression == Compression(kind, int(level))


@pytest.mark.parametrize(("cpu_count", "process_max"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_no_more_processes_than_cores_and_not_more_than_four(read: Read, cpu_count: int, process_max: int) -> None:
    assert read({}, cpu_count=cpu_count).process_max == process_max


def test_more_processes_than_cores_is_a_warning(read: Read) -> None:
    settings = read({"PGBACKREST_PROCESS_MAX": "6"}, cpu_count=2)
    assert settings.process_max == 6
    assert settings.warnings == (
        Problem(
            "PGBACKREST_PROCESS_MAX",
            "is 6, but this machine has 2 processor cores",
            "backups may slow the database down; lower it",
        ),
    )


def test_a_repository_on_the_databases_disk_is_a_warning(read: Read) -> None:
    (warning,) = read({"PGBACKREST_REPO1_TYPE": "posix"}).warnings
    assert warning.where == "PGBACKREST_REPO1_PATH"
    assert "on the same disk as the database" in warning.what


def test_a_low_limit_of_processors_needs_no_lower_reservation(read: Read) -> None:
    """The reservation has no effect outside Swarm; its default must not stand in anybody's way."""
    assert read({"BACKUP_CPU_LIMIT": "0.2"}).warnings == ()


def test_schedules_can_be_off_and_are_written_evenly(read: Read) -> None:
    schedule = read({"BACKUP_SCHEDULE_DIFF": "OFF", "BACKUP_SCHEDULE_INCR": " 0  */6 * * MON "}).schedule
    assert schedule == Schedule(full="0 2 * * 0", diff=None, incr="0 */6 * * MON")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+5"])
def test_time_zones(read: Read, zone: str) -> None:
    assert read({"TZ": zone}).time_zone == zone


def test_the_report_reads_like_this(read: Read) -> None:
    with pytest.raises(InvalidConfigurationError) as caught:
        read({"BACKUP_RETENTION_FULL": "no", "TZ": "Mars"})
    assert str(caught.value) == (
        "2 problems in the configuration\n"
        "HINT: correct what is named below and start again; nothing was written\n"
        "\n"
        "BACKUP_RETENTION_FULL: 'no' is not a whole number from 1 to 9999999\n"
        "HINT: write a number from 1 to 9999999\n"
        "\n"
        "TZ: 'Mars' is not a time zone\n"
        "HINT: write a name of the tz database, for example Europe/Berlin or UTC"
    )


FREE = {"POSTGRES_INITDB_ARGS", *(name for name in known_variables() if not name.startswith(("POSTGRES_", "BACKUP_")))}
"""Those that may be anything, and those that are read only where a repository needs them."""


@pytest.mark.parametrize("name", sorted(set(known_variables()) - FREE))
def test_pydantics_own_words_never_get_out(read: Read, name: str) -> None:
    with pytest.raises(InvalidConfigurationError) as caught:
        read({name: "\x01 nonsense"})
    assert "pydantic" not in str(caught.value)
    assert "is not valid" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


class TestFiles:
    """NAME_FILE."""

    def test_one_line_break_at_the_end_does_not_count(self, read: Read, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("correct horse\n")
        assert read({"POSTGRES_PASSWORD_FILE": str(file)}).superuser_password == SecretStr("correct horse")

    def test_any_variable_may_be_a_file(self, read: Read, tmp_path: Path) -> None:
        file = tmp_path / "number"
        file.write_text("12")
        settings = read({"BACKUP_RETENTION_FULL_FILE": str(file)} | POSIX)
        assert policy_of(settings).retention_full == 12

    def test_both_is_a_problem(self, read: Read, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("from the file")
        assert problems_of(read, {"POSTGRES_PASSWORD": "x", "POSTGRES_PASSWORD_FILE": str(file)}) == [
            Problem(
                "POSTGRES_PASSWORD",
                "is set, and POSTGRES_PASSWORD_FILE is too",
                "set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, not both",
            )
        ]

    @pytest.mark.parametrize("content", ["", "\n"])
    def test_an_empty_file_is_a_problem(self, read: Read, tmp_path: Path, content: str) -> None:
        file = tmp_path / "password"
        file.write_text(content)
        assert problems_of(read, {"POSTGRES_PASSWORD_FILE": str(file)}) == [
            Problem(
                "POSTGRES_PASSWORD",
                f"the file that POSTGRES_PASSWORD_FILE names is empty: {file}",
                "write the value into it",
            )
        ]

    def test_a_missing_file_is_a_problem(self, read: Read) -> None:
        assert problems_of(read, {"POSTGRES_PASSWORD_FILE": "/run/secrets/absent"}) == [
            Problem(
                "POSTGRES_PASSWORD",
                "the file that POSTGRES_PASSWORD_FILE names cannot be read: /run/secrets/absent (no such file or directory)",
                "put it into ./secrets and name it as /run/secrets/…",
            )
        ]

    def test_a_file_of_somebody_else_is_a_problem(self, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_text", refuse)
        (problem,) = problems_of(read, {"POSTGRES_PASSWORD_FILE": str(tmp_path / "x")})
        assert problem.what == f"the file that POSTGRES_PASSWORD_FILE names may not be read: {tmp_path / 'x'}"
        assert problem.hint.startswith("setup has no more rights than user 0 and group 999")

    def test_a_file_that_is_no_text_is_a_problem_that_does_not_show_it(self, read: Read, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_bytes(b"hunter2\xff")
        (problem,) = problems_of(read, {"POSTGRES_PASSWORD_FILE": str(file)})
        assert problem.what == f"the file that POSTGRES_PASSWORD_FILE names is not UTF-8 text: {file}"

    def test_its_content_is_checked_like_any_value(self, read: Read, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("hunter2\n\n")
        (problem,) = problems_of(read, {"POSTGRES_PASSWORD_FILE": str(file)})
        assert problem.what == "contains a line break or another control character"


def test_a_secret_is_in_no_text_of_settings_or_errors(read: Read) -> None:
    password = "hunter2-" + os.urandom(4).hex()
    assert password not in repr(read({"POSTGRES_PASSWORD": password}))
    with pytest.raises(InvalidConfigurationError) as caught:
        read({"POSTGRES_PASSWORD": f"{password} ", "BACKUP_RETENTION_FULL": "x"})
    assert password not in f"{caught.value!r} {caught.value} {caught.value.problems}"
