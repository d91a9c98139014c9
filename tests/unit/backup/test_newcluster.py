"""May a new cluster be created? Only on proof that nothing can be lost by it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from backup import newcluster
from backup.pgbackrest import Info, RepositoryStatus
from backup.process import Captured
from tests.unit.backup.fakes import FakePgbackrest, make_backup, make_config, make_info, publish

ONE = make_backup("20260301-020000F")
TWO = make_backup("20260301-020000F_20260302-020000D")


def repository(code: int, message: str) -> Info:
    return make_info(repositories=(RepositoryStatus(1, "aes-256-cbc", code, message),))


CASES: list[tuple[str, Info, str | None]] = [
    ("no stanza yet: an empty repository", repository(1, "missing stanza path"), None),
    ("a stanza without a backup", repository(2, "no valid backups"), None),
    ("a good repository that lists none", repository(0, "ok"), None),
    (
        "a stanza whose files are missing: its backups may lie there all the same",
        repository(3, "missing stanza data"),
        "repository 1 cannot be read (missing stanza data)",
    ),
    (
        "not reachable",
        repository(99, "[HostConnectError] unable to connect\n    [retried]"),
        "repository 1 cannot be read ([HostConnectError] unable to connect [retried])",
    ),
    (
        "not decryptable: the message is garbage, what is told is printable",
        repository(99, "[FormatError] key/value found outside of section at line 1: \x8f\x01\ufffd\t"),
        "repository 1 cannot be read ([FormatError] key/value found outside of section at line 1: ??\ufffd?)",
    ),
    ("a repository without a word", repository(99, ""), "repository 1 cannot be read (no message)"),
    (
        "one of two cannot be read",
        make_info(
            repositories=(RepositoryStatus(1, "none", 1, "missing"), RepositoryStatus(2, "none", 99, "[PathOpenError] x"))
        ),
        "repository 2 cannot be read ([PathOpenError] x)",
    ),
    ("one backup", make_info(ONE), "the repository holds 1 backup of this database (latest: 20260301-020000F)"),
    (
        "several",
        make_info(ONE, TWO),
        "the repository holds 2 backups of this database (latest: 20260301-020000F_20260302-020000D)",
    ),
    (
        "even a damaged one",
        make_info(make_backup("20260301-020000F", has_errors=True)),
        "the repository holds 1 backup of this database (latest: 20260301-020000F)",
    ),
    ("an answer that names no repository proves nothing", make_info(repositories=()), "pgbackrest info names no repository"),
]


@pytest.mark.parametrize(("case", "info", "reason"), CASES, ids=[case[0] for case in CASES])
def test_the_reason_against_a_new_cluster(case: str, info: Info, reason: str | None) -> None:
    assert newcluster.reason_against(info) == reason


@pytest.mark.parametrize(("case", "info", "reason"), CASES, ids=[case[0] for case in CASES])
def test_the_answer_of_pgbackrest_leads_to_the_same_reason(
    tmp_path: Path, engine: FakePgbackrest, case: str, info: Info, reason: str | None
) -> None:
    publish(tmp_path, make_config())
    engine.info = info
    found = newcluster.examine(tmp_path)
    assert (found is None) == (reason is None)


@pytest.mark.parametrize(
    ("case", "answer", "reason"),
    [
        (
            "pgbackrest fails as a whole",
            Captured(37, b"", "P00  ERROR: [037]: backup command requires option: repo1-cipher-pass\nHINT: …\n"),
            (
                "pgbackrest info failed with exit code 37 (option-required): "
                "P00 ERROR: [037]: backup command requires option: repo1-cipher-pass HINT: …"
            ),
        ),
        ("it takes too long", Captured(-9, b"", ""), "pgbackrest info failed with exit code -9 (signal 9): no message"),
        ("no JSON", Captured(0, b"", ""), "pgbackrest info printed no JSON"),
        ("another stanza", Captured(0, b'[{"name":"other"}]', ""), "pgbackrest info names no repository"),
        ("an empty list", Captured(0, b"[]", ""), "pgbackrest info names no repository"),
    ],
)
def test_without_an_answer_there_is_no_proof(
    tmp_path: Path, engine: FakePgbackrest, case: str, answer: Captured, reason: str
) -> None:
    publish(tmp_path, make_config())
    engine.info_answer = answer
    assert newcluster.examine(tmp_path) == reason, case


def test_a_store_that_refuses_is_told_as_everywhere(tmp_path: Path, engine: FakePgbackrest) -> None:
    config = make_config()
    changed = config.repositories[0].model_copy(update={"type": "s3", "location": "s3://b/p"})
    publish(tmp_path, config.model_copy(update={"repositories": (changed,)}))
    message = "[ProtocolError] HTTP request failed with 404 (Not Found):\n<Error><Code>NoSuchBucket</Code></Error>"
    engine.info = repository(99, message)
    reason = newcluster.examine(tmp_path)
    assert reason is not None
    assert reason.startswith("repository 1 (s3://b/p): there is no such bucket (NoSuchBucket)")
    assert "AWS_S3_BUCKET (or PGBACKREST_REPO1_S3_BUCKET)" in reason


@pytest.mark.parametrize("mode", ["off", "hosted"])
def test_with_backups_off_there_is_nothing_to_protect_and_nothing_is_asked(
    tmp_path: Path, engine: FakePgbackrest, mode: str
) -> None:
    publish(tmp_path, make_config(mode="off").model_copy(update={"mode": mode}))
    assert newcluster.examine(tmp_path) is None
    assert engine.ran == []


def test_without_a_configuration_there_is_no_proof(tmp_path: Path, engine: FakePgbackrest) -> None:
    reason = newcluster.examine(tmp_path)
    assert reason is not None
    assert reason.startswith("the configuration cannot be read (")
    (tmp_path / "supervisor.json").write_text("{")
    reason = newcluster.examine(tmp_path)
    assert reason is not None
    assert reason.startswith("the configuration cannot be read (")


@pytest.mark.parametrize("content", [{}, {"mode": "backups"}, [], None])
def test_a_configuration_of_another_shape_is_no_proof_either(tmp_path: Path, engine: FakePgbackrest, content: Any) -> None:
    (tmp_path / "supervisor.json").write_text(json.dumps(content))
    reason = newcluster.examine(tmp_path)
    assert reason is not None
    assert reason.startswith("the configuration cannot be read (")


@pytest.mark.parametrize(("backups", "code", "printed"), [((), 0, ""), ((ONE,), 1, "the repository holds 1 backup")])
def test_the_command_prints_the_reason_and_its_exit_code_is_the_answer(
    tmp_path: Path,
    engine: FakePgbackrest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    backups: tuple[Any, ...],
    code: int,
    printed: str,
) -> None:
    publish(tmp_path, make_config())
    engine.info = make_info(*backups)
    monkeypatch.setattr(sys, "argv", ["newcluster", "--config", str(tmp_path)])
    assert newcluster.main() == code
    out = capsys.readouterr().out
    assert out.startswith(printed)
    assert bool(out) == bool(printed)
