"""The proof: success is what the repository shows, and a moment without an answer is no failure."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from backup.pgbackrest import ArchiveRange, Backup, RepositoryStatus
from backup.process import Captured
from backup.taking import proof
from backup.taking.outcome import Outcome
from backup.taking.proof import Proof
from contract.exits import Exit
from tests.unit.backup.fakes import FakePgbackrest, World, info_json, make_backup, make_info

OLD, NEW = make_backup("20260301-020000F"), make_backup("20260304-120000F")
ENDED = Outcome("succeeded", 0, "full backup", seconds=12.0, tail=("the end",), attempts=2, kind="full")


@pytest.fixture
def prove(world: World, engine: FakePgbackrest) -> Callable[..., Proof]:
    def run(*listed: Backup) -> Proof:
        if listed:
            engine.info = make_info(*listed)
        return proof.prove(world.deployment, 1, frozenset({OLD.label}), ENDED)

    return run


def test_a_new_label_without_errors_and_with_its_wal_is_a_success(
    prove: Callable[..., Proof], engine: FakePgbackrest
) -> None:
    proven = prove(OLD, NEW)
    assert (proven.outcome.state, proven.outcome.label) == ("succeeded", NEW.label)
    assert proven.outcome.message == f"full backup {NEW.label}"
    assert proven.outcome.sizes is not None
    assert proven.info == engine.info
    asked = engine.ran[-1]
    assert asked[-1] == "archive/salespider/17-1/0000000100000000"
    assert "--filter=^000000010000000000000002-[0-9a-f]{40}" in asked


@pytest.mark.parametrize(
    ("case", "listed", "message", "retryable"),
    [
        ("nothing new", (OLD,), "full backup: pgbackrest ended well, but the repository lists no new backup", True),
        (
            "new in another repository",
            (OLD, make_backup(NEW.label, repo=2)),
            "full backup: pgbackrest ended well, but the repository lists no new backup",
            True,
        ),
        (
            "no WAL is named",
            (OLD, make_backup(NEW.label, wal_stop=None)),
            f"backup {NEW.label}: its last WAL segment None is not in the archive of repository 1",
            True,
        ),
        (
            "damaged",
            (OLD, make_backup(NEW.label, has_errors=True)),
            (
                f"backup {NEW.label}: page checksum errors in files that pgbackrest does not name; "
                "the database's own files are damaged"
            ),
            False,
        ),
    ],
)
def test_what_is_no_proof(
    prove: Callable[..., Proof], case: str, listed: tuple[Backup, ...], message: str, retryable: bool
) -> None:
    outcome = prove(*listed).outcome
    assert (outcome.state, outcome.exit_code, outcome.message) == ("failed", Exit.BACKUP_FAILED, message), case
    assert outcome.retryable is retryable
    assert (outcome.attempts, outcome.kind, outcome.seconds, outcome.tail) == (2, "full", 12.0, ("the end",))
    assert outcome.sizes is None


@pytest.mark.parametrize("listing", [b"{}", b'{".":{"type":"path"}}'])
def test_a_backup_whose_last_wal_segment_is_missing_is_none(
    prove: Callable[..., Proof], engine: FakePgbackrest, listing: bytes
) -> None:
    engine.segment_answer = Captured(0, listing, "")
    outcome = prove(OLD, NEW).outcome
    assert (outcome.state, outcome.label) == ("failed", NEW.label)
    assert outcome.message == (
        f"backup {NEW.label}: its last WAL segment 000000010000000000000002 is not in the archive of repository 1"
    )
    assert outcome.hint.startswith("this backup cannot be restored")


def test_an_archive_that_is_not_listed_holds_nothing(prove: Callable[..., Proof], engine: FakePgbackrest) -> None:
    engine.info = make_info(OLD, NEW, archive=(ArchiveRange(1, "16-7", None, None),))
    assert prove().outcome.state == "failed"
    assert "repo-ls" not in engine.verbs


def test_the_damaged_files_are_named(prove: Callable[..., Proof], engine: FakePgbackrest) -> None:
    listed = make_info(OLD, make_backup(NEW.label, has_errors=True))
    (stanza,) = json.loads(info_json(listed))
    stanza["backup"][-1]["error-list"] = ["base/5/16384", "global/1262"]
    engine.captured = {f"--set={NEW.label}": Captured(0, json.dumps([stanza]).encode(), "")}
    engine.info = listed
    assert prove().outcome.message == (
        f"backup {NEW.label}: page checksum errors in 2 files: base/5/16384, global/1262; "
        "the database's own files are damaged"
    )


def test_a_repository_that_is_gone_for_a_moment_is_asked_again(
    prove: Callable[..., Proof], engine: FakePgbackrest, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([Captured(49, b"", "ERROR: [049]: no route\n"), Captured(0, b"", "")])
    engine.info = make_info(OLD, NEW)
    capture = engine.capture

    def falters(argv: tuple[str, ...], timeout_seconds: float) -> Captured:
        return next(answers, None) or capture(argv, timeout_seconds)

    monkeypatch.setattr("backup.process.capture", falters)
    assert prove().outcome.state == "succeeded"
    assert len(world.stop.waits) == 2


@pytest.mark.parametrize("where", ["info", "repo-ls"])
def test_a_repository_that_stays_silent_leaves_the_backup_unproven(
    prove: Callable[..., Proof], engine: FakePgbackrest, world: World, where: str
) -> None:
    engine.captured = {where: Captured(49, b"", "ERROR: [049]: no route\n")}
    proven = prove(OLD, NEW)
    assert proven.outcome.message == (
        f"ended, but not proven: pgbackrest {where}: exit code 49 (host-connect): ERROR: [049]: no route"
    )
    assert (proven.outcome.state, proven.outcome.retryable, proven.info) == ("failed", True, None)
    assert len(world.stop.waits) == proof.MOST_TRIES - 1


def test_a_list_with_an_error_in_it_is_no_answer(prove: Callable[..., Proof], engine: FakePgbackrest) -> None:
    engine.info = make_info(OLD, NEW, repositories=(RepositoryStatus(1, "none", 99, "[HostConnectError] gone"),))
    assert prove().outcome.message == "ended, but not proven: repository 1: [HostConnectError] gone"
