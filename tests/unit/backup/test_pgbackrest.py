"""Command lines, exit codes and answers of pgbackrest 2.55.1."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup import pgbackrest
from backup.pgbackrest import ArchiveRange, Info, RepositoryStatus, RestoreTarget, UnreadableAnswerError
from backup.taking import evidence
from tests.unit.backup.fakes import info_json, make_backup, make_info

# --- command lines ----------------------------------------------------------------------------------------------------

IN_SUMMER = datetime(2026, 7, 1, 14, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

COMMANDS = [
    (
        pgbackrest.backup("x", 2, "diff"),
        ("pgbackrest", "--stanza=x", "--repo=2", "--type=diff", "--no-expire-auto", "--log-level-console=info", "backup"),
    ),
    (
        pgbackrest.backup("x", 1, "full", warnings=False),
        (
            "pgbackrest", "--stanza=x", "--repo=1", "--type=full", "--no-expire-auto",
            "--log-level-console=error", "--log-level-stderr=off", "--log-level-file=off", "backup",
        ),
    ),
    (pgbackrest.stanza_create("x"), ("pgbackrest", "--stanza=x", "--log-level-console=info", "stanza-create")),
    (pgbackrest.check("x"), ("pgbackrest", "--stanza=x", "--log-level-console=info", "check")),
    (
        pgbackrest.info("x"),
        ("pgbackrest", "--stanza=x", "--output=json", "--log-level-console=off", "--log-level-stderr=warn", "info"),
    ),
    (
        pgbackrest.info("x", as_json=False),
        ("pgbackrest", "--stanza=x", "--output=text", "--log-level-console=off", "--log-level-stderr=warn", "info"),
    ),
    (
        pgbackrest.list_history_files("x", 1, "17-1"),
        (
            "pgbackrest", "--stanza=x", "--repo=1", "--output=json", r"--filter=\.history$", "--log-level-console=off",
            "repo-ls", "archive/x/17-1",
        ),
    ),
    (
        pgbackrest.read_history_file("x", 1, "17-1", "00000002.history"),
        (
            "pgbackrest", "--stanza=x", "--repo=1", "--log-level-console=off",
            "repo-get", "archive/x/17-1/00000002.history",
        ),
    ),
    (pgbackrest.version(), ("pgbackrest", "version")),
    (
        pgbackrest.restore_in_place("x", 1, "20260301-020000F", RestoreTarget("default"), '/bin/get %f "%p"'),
        (
            "pgbackrest", "--stanza=x", "--repo=1", "--set=20260301-020000F", "--delta",
            "--log-level-console=detail", "--type=default",
            '--recovery-option=restore_command=/bin/get %f "%p"', "restore",
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("built", "expected"), COMMANDS, ids=lambda argv: argv[-1])
def test_every_command_line_is_built_as_pgbackrest_wants_it(built: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert built == expected


@pytest.mark.parametrize(
    ("target", "options"),
    [
        (RestoreTarget("default"), ("--type=default",)),
        (RestoreTarget("immediate"), ("--type=immediate", "--target-action=promote")),
        (
            RestoreTarget("time", IN_SUMMER),
            ("--type=time", "--target=2026-07-01 12:30:00.123456+00", "--target-action=promote"),
        ),
    ],
)
def test_a_target_time_is_always_given_in_utc_with_its_offset(target: RestoreTarget, options: tuple[str, ...]) -> None:
    assert target.options() == options


# --- exit codes -------------------------------------------------------------------------------------------------------


def test_every_exit_code_has_a_name_of_its_own_and_a_hint() -> None:
    names = [meaning.name for meaning in pgbackrest.EXIT_CODES.values()]
    assert len(set(names)) == len(names)
    assert all(meaning.hint and not meaning.hint.endswith(".") for meaning in pgbackrest.EXIT_CODES.values())


@pytest.mark.parametrize(
    ("code", "name", "retry"),
    [
        (50, "lock-acquire", True),
        (56, "db-connect", True),
        (49, "host-connect", True),
        (29, "format", False),
        (28, "file-invalid", False),
        (75, "backup-set-invalid", False),
        (95, "crypto", False),
        (126, "unknown", False),
        (-9, "signal 9", True),
        (-15, "signal 15", True),
        (-11, "signal 11", False),
    ],
)
def test_an_exit_code_says_its_name_and_whether_trying_again_can_help(code: int, name: str, retry: bool) -> None:
    meaning = pgbackrest.meaning(code)
    assert (meaning.name, meaning.retry) == (name, retry)


def test_a_killed_pgbackrest_hints_at_memory() -> None:
    assert pgbackrest.meaning(-9).hint == "it was killed; look for 'out of memory' in the host's log"


# --- info -------------------------------------------------------------------------------------------------------------

# A real answer: repository 1 encrypted, with bundles and blocks; repository 2 plain. A full backup on each, then an
# incremental one on repository 1.
REAL = Path(__file__).with_name("info.json").read_bytes()


def test_a_real_answer_is_read_whole() -> None:
    info = pgbackrest.parse_info(REAL, "main")
    assert info.repositories == (RepositoryStatus(1, "aes-256-cbc", 0, "ok"), RepositoryStatus(2, "none", 0, "ok"))
    assert info.archive == (
        ArchiveRange(1, "17-1", "000000010000000000000001", "000000010000000000000013"),
        ArchiveRange(2, "17-1", "000000010000000000000011", "000000010000000000000013"),
    )
    assert info.system_ids == (7710425701430951955,)
    assert [b.label for b in info.backups] == [
        "20261121-011108F",
        "20261121-011120F",
        "20261121-011108F_20261121-011121I",
    ]
    assert info.backups[2] == pgbackrest.Backup(
        label="20261121-011108F_20261121-011121I",
        kind="incr",
        repo=1,
        started=datetime(2026, 11, 21, 1, 11, 21, tzinfo=UTC),
        stopped=datetime(2026, 11, 21, 1, 11, 22, tzinfo=UTC),
        wal_start="000000010000000000000012",
        wal_stop="000000010000000000000013",
        lsn_stop="0/13000050",
        database_bytes=258778151,
        copied_bytes=236798212,
        repository_bytes=1968128,
        has_errors=False,
        prior="20261121-011108F",
        system_id=7710425701430951955,
        version="17",
        lsn_start="0/12000028",
    )


def test_labels_are_those_of_one_repository() -> None:
    info = pgbackrest.parse_info(REAL, "main")
    assert info.labels(1) == {"20261121-011108F", "20261121-011108F_20261121-011121I"}
    assert info.labels(2) == {"20261121-011120F"}


def test_a_backup_is_found_by_label_and_in_the_named_repository_only() -> None:
    info = pgbackrest.parse_info(REAL, "main")
    assert info.find("20261121-011120F") is not None
    assert info.find("20261121-011120F", repo=2) is not None
    assert info.find("20261121-011120F", repo=1) is None
    assert info.find("20200101-000000F") is None


def test_a_backup_with_page_checksum_errors_is_listed_but_not_good() -> None:
    damaged, sound = make_backup("20260301-020000F", has_errors=True), make_backup("20260302-020000D")
    info = pgbackrest.parse_info(info_json(make_info(damaged, sound)), "salespider")
    assert info.backups == (damaged, sound)
    assert info.good() == (sound,)


def test_a_stanza_that_is_not_in_the_answer_is_empty() -> None:
    assert pgbackrest.parse_info(REAL, "other") == Info("other", (), (), (), ())


def test_an_empty_repository_is_an_empty_list() -> None:
    assert pgbackrest.parse_info(b"[]", "main") == Info("main", (), (), (), ())


def test_warnings_before_the_json_are_passed_over() -> None:
    warning = b"2026-11-21 01:00:00.000 P00   WARN: environment contains invalid option 'foo'\n"
    assert pgbackrest.parse_info(warning + warning + REAL, "main") == pgbackrest.parse_info(REAL, "main")


def test_a_running_backup_tells_how_far_it_is() -> None:
    held = b'"lock":{"backup":{"held":true,"size":258786083,"size-cplt":201515008}}'
    info = pgbackrest.parse_info(REAL.replace(b'"lock":{"backup":{"held":false}}', held), "main")
    assert (info.bytes_done, info.bytes_total) == (201515008, 258786083)


def test_a_wrong_passphrase_is_read_as_an_unusable_repository_although_its_message_is_garbage() -> None:
    garbage = b"[FormatError] key/value found outside of section at line 1: \x8f\xfe\x01\x02\t\xc3("
    answer = (
        b'[{"backup":[],"cipher":"aes-256-cbc","db":[],"name":"main","repo":[{"cipher":"aes-256-cbc","key":1,'
        b'"status":{"code":99,"message":"' + garbage + b'"}}],"status":{"code":99,"message":"other"}}]'
    )
    (repository,) = pgbackrest.parse_info(answer, "main").repositories
    assert (repository.code, repository.is_usable) == (99, False)
    assert repository.message.startswith("[FormatError] key/value found outside of section")


@given(st.binary(max_size=40).filter(lambda raw: not set(raw) & set(b'"\\')))
def test_no_bytes_in_a_message_can_break_the_parser(raw: bytes) -> None:
    answer = (
        b'[{"name":"main","repo":[{"cipher":"none","key":1,"status":{"code":99,"message":"' + raw + b'"}}],'
        b'"status":{"code":99}}]'
    )
    assert pgbackrest.parse_info(answer, "main").repositories[0].code == 99


@pytest.mark.parametrize("code", range(7))
def test_a_repository_without_a_stanza_or_backup_is_usable_all_the_same(code: int) -> None:
    assert RepositoryStatus(1, "none", code, "").is_usable == (code <= 3)


@pytest.mark.parametrize(
    ("stdout", "message"),
    [
        (b"", "pgbackrest info printed no JSON"),
        (b"ERROR: [049]: no route to host\n", "pgbackrest info printed no JSON"),
        (b'[{"name":\n', "pgbackrest info printed broken JSON: Expecting value"),
    ],
)
def test_an_answer_without_json_is_an_error_that_says_so(stdout: bytes, message: str) -> None:
    with pytest.raises(UnreadableAnswerError, match=f"^{re.escape(message)}"):
        pgbackrest.parse_info(stdout, "main")


# --- the smaller answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "segment"),
    [
        (
            [
                "P00   INFO: check command begin 2.55.1",
                "P00   INFO: WAL segment 000000010000000000000007 successfully archived to '/var/lib/pgbackrest/…'",
            ],
            "000000010000000000000007",
        ),
        (["P00  ERROR: [082]: WAL segment 000000010000000000000007 was not archived before the 60000ms timeout"], None),
        ([], None),
    ],
)
def test_check_tells_which_segment_arrived(lines: list[str], segment: str | None) -> None:
    assert evidence.archived_segment(lines) == segment
