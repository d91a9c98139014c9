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


def test_schedules_can_be_off_and_are_written_evenly(read: Read) -> None:
    schedule = read({"BACKUP_SCHEDULE_DIFF": "OFF", "BACKUP_SCHEDULE_INCR": " 0  */6 * * MON "}).schedule
    assert schedule == Schedule(full="0 2 * * 0", diff=None, incr="0 */6 * * MON")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+5"])
def test_time_zones(read: Read, zone: str) -> None:
    assert read({"TZ": zone}).time_zone == zone


CRON_HINT = "write minute, hour, day of month, month and day of week, for example 0 2 * * 0 for Sundays at 02:00"
MEMORY_HINT = "write for example 256MB; the units are B, kB, MB, GB and TB, spelled like this"
NAME_HINT = "use up to 63 letters, digits, _ and -, beginning with a letter or _"
PATH_HINT = "write for example /srv/backups; Compose takes anything else for the name of a volume"
REFUSED = [
    ("SETUP_BACKUP", "maybe", "'maybe' is neither true nor false", "write true or false"),
    (
        "PGBACKREST_REPO1_TYPE",
        "s3",
        "the repository type s3 is not supported yet",
        "use none or posix",
    ),
    ("PGBACKREST_REPO1_TYPE", "azure", "the repository type azure is not supported yet", "use none or posix"),
    ("PGBACKREST_REPO1_TYPE", "gcs", "the repository type gcs is not supported yet", "use none or posix"),
    ("PGBACKREST_REPO1_TYPE", "Posix", "'Posix' is not one of none, posix", "did you mean posix?"),
    ("PGBACKREST_REPO1_TYPE", "tape", "'tape' is not one of none, posix", "use none or posix"),
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
        "off",
        "the schedule of full backups cannot be off: differential and incremental backups need a full one",
        "write a cron expression, or PGBACKREST_REPO1_TYPE=none to switch backups off altogether",
    ),
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
        "@daily",
        "'@daily' is not a cron expression of five fields (wrong number of fields)",
        CRON_HINT,
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
    (
        "BACKUP_WEBHOOK_URL",
        "https://hooks.example/x",
        "notifications are not supported yet",
        "remove it; `make status` and the health of the backup container tell of failures",
    ),
    (
        "POSTGRES_USER_FILE",
        "/run/secrets/user",
        "docker-compose.yml reads this variable too and cannot look into a file",
        "set POSTGRES_USER",
    ),
]


@pytest.mark.parametrize(("name", "value", "what", "hint"), REFUSED)
def test_refused_with_the_reason_and_the_next_step(read: Read, name: str, value: str, what: str, hint: str) -> None:
    assert problems_of(read, {name: value}) == [Problem(name, what, hint)]


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        (
            {"SETUP_BACKUP": "true", "PGBACKREST_REPO1_TYPE": "none"},
            Problem(
                "PGBACKREST_REPO1_TYPE",
                "is none or not set, but SETUP_BACKUP is true: there is no place to put backups",
                "set PGBACKREST_REPO1_TYPE=posix, or remove SETUP_BACKUP",
            ),
        ),
        (
            {"PGBACKREST_REPO1_BUNDLE": "false", "PGBACKREST_REPO1_BLOCK": "true"} | POSIX,
            Problem(
                "PGBACKREST_REPO1_BLOCK",
                "is true, but PGBACKREST_REPO1_BUNDLE is false: block increments are kept in bundles",
                "set PGBACKREST_REPO1_BUNDLE=true, or remove PGBACKREST_REPO1_BLOCK",
            ),
        ),
        (
            {"PGBACKREST_COMPRESS_TYPE": "none", "PGBACKREST_COMPRESS_LEVEL": "1"},
            Problem(
                "PGBACKREST_COMPRESS_LEVEL",
                "'1' is not a whole number from 0 to 0, the range of none",
                "write a number from 0 to 0",
            ),
        ),
    ],
)
def test_contradictions(read: Read, variables: dict[str, str], problem: Problem) -> None:
    assert problems_of(read, variables) == [problem]


def test_setup_backup_without_a_type_is_a_contradiction(read: Read) -> None:
    assert [problem.where for problem in problems_of(read, {"SETUP_BACKUP": "yes"})] == ["PGBACKREST_REPO1_TYPE"]


def test_all_problems_are_reported_at_once(read: Read) -> None:
    variables = {name: value for name, value, _, _ in REFUSED if name != "SETUP_BACKUP"}
    reported = {problem.where for problem in problems_of(read, variables | {"SETUP_BACKUP": "maybe"})}
    assert reported == set(variables) | {"SETUP_BACKUP"}


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
