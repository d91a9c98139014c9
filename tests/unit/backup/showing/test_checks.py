"""`backup-check`: every check gives evidence or a reason with a next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup import process
from backup.emergency import begin
from backup.pgbackrest import RepositoryStatus
from backup.showing import checks
from backup.showing.checks import Finding
from contract import paths
from tests.unit.backup.fakes import FakePgbackrest, Reply, World, make_backup, make_info

FULL = make_backup("20260301-020500F")
DIFF = make_backup("20260301-020500F_20260304-020100D")
ARRIVED = "P00   INFO: WAL segment 000000010000000000000007 successfully archived to '/var/lib/pgbackrest/…' on repo1"


@pytest.fixture
def sound(world: World, engine: FakePgbackrest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    engine.info = make_info(FULL, DIFF)
    engine.captured = {"version": process.Captured(0, b"pgBackRest 2.55.1\n", "")}
    engine.script(Reply(lines=(ARRIVED,)))
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.setattr(paths, "REPOSITORY", repository)
    return world


def findings(world: World) -> dict[str, Finding]:
    return {finding.name: finding for finding in checks.run_all(world.deployment)}


def test_a_sound_deployment_is_proven_with_evidence(sound: World) -> None:
    found = list(checks.run_all(sound.deployment))
    assert [(finding.name, finding.seen) for finding in found] == [
        ("versions", "pgBackRest 2.55.1 beside the database and here"),
        ("repository", "read, decrypted (cipher aes-256-cbc) and written; 2 backups listed"),
        ("stanza", "valid for this cluster (system identifier 7710425701430951955)"),
        ("archiving", "WAL segment 000000010000000000000007 was ended, pushed, and seen in the archive"),
        ("last full", "20260301-020500F, ended 2026-03-01 02:05:00 UTC"),
        ("last diff", "20260301-020500F_20260304-020100D, ended 2026-03-04 02:01:00 UTC"),
        ("recovery kit", "not protected against loss of this host: no recovery kit has been made and verified"),
    ]
    assert all(finding.good for finding in found)
    assert list(paths.REPOSITORY.iterdir()) == []


def test_images_of_different_versions_are_found(sound: World) -> None:
    sound.postgres.version_beside = "pgBackRest 2.54.2"
    finding = findings(sound)["versions"]
    assert (finding.good, finding.seen) == (False, "pgBackRest 2.54.2 beside the database, pgBackRest 2.55.1 here")
    assert finding.hint == "rebuild both images: `make deploy`"


def test_a_repository_that_cannot_be_decrypted_is_found(sound: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(repositories=(RepositoryStatus(1, "aes-256-cbc", 99, "[FormatError] ??"),))
    finding = findings(sound)["repository"]
    assert (finding.good, finding.seen) == (False, "repository 1: [FormatError] ??")


def test_a_repository_that_cannot_be_written_is_found(sound: World, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = paths.REPOSITORY / "missing"
    monkeypatch.setattr(paths, "REPOSITORY", missing)
    finding = findings(sound)["repository"]
    assert (finding.good, finding.seen) == (False, f"{missing}: not writable (No such file or directory)")
    assert finding.hint == "check owner (uid 999), mode and free space of the repository"


@pytest.mark.parametrize(
    ("case", "reply", "seen"),
    [
        (
            "an error of pgbackrest",
            Reply(82, ("P00  ERROR: [082]: WAL segment 07 was not archived before the 60000ms timeout",)),
            "[082]: WAL segment 07 was not archived before the 60000ms timeout",
        ),
        ("no word from it", Reply(87), "pgbackrest check ended with exit code 87 (archive-disabled)"),
        ("exit code 0 without a segment", Reply(0), "pgbackrest check ended with exit code 0 (unknown)"),
    ],
)
def test_archiving_is_only_proven_by_a_segment_that_arrived(
    sound: World, engine: FakePgbackrest, case: str, reply: Reply, seen: str
) -> None:
    engine.script(reply)
    finding = findings(sound)["archiving"]
    assert (finding.good, finding.seen) == (False, seen), case
    assert finding.hint
    assert "stanza" not in findings_names(sound, engine, reply)


def findings_names(world: World, engine: FakePgbackrest, reply: Reply) -> list[str]:
    engine.script(reply)
    return [finding.name for finding in checks.run_all(world.deployment)]


def test_a_late_backup_is_found(sound: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL)
    finding = findings(sound)["last diff"]
    assert not finding.good
    assert finding.seen == "the last one is from 2026-03-01 02:05 UTC, but one was due at 2026-03-04 02:00 UTC"
    assert finding.hint == "see `make status`, then take one now: `make backup`"


def test_a_type_that_is_not_due_yet_is_no_problem(sound: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(make_backup("20260304-110000F"))
    assert findings(sound)["last diff"].good


def test_damaged_backups_are_found(sound: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(FULL, DIFF, make_backup("20260303-120000F", has_errors=True))
    finding = findings(sound)["backup errors"]
    assert finding == Finding(
        "backup errors",
        False,
        "20260303-120000F has page checksum errors",
        "list the files: `pgbackrest --stanza=salespider info --set=20260303-120000F`",
    )


def test_a_check_that_cannot_be_carried_out_is_a_bad_finding_and_the_others_go_on(
    sound: World, engine: FakePgbackrest
) -> None:
    sound.postgres.down = "connection refused"
    engine.script(Reply(56))
    found = findings(sound)
    assert (found["versions"].good, found["versions"].seen) == (False, "database: connection refused")
    assert found["versions"].hint.startswith("see whether it runs")
    assert found["repository"].good
    assert found["last full"].good


def test_in_a_wal_emergency_it_names_the_way_back(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(make_backup())
    begin.pull(world.deployment, "operator", world.postgres.wal)
    (found,) = checks.stanza_and_archiving_work(world.deployment)
    assert (found.good, found.seen) == (False, "WAL emergency since 2026-03-04 12:00:00 UTC: nothing is archived")
    assert "`make wal-resume`" in found.hint
    assert "check" not in engine.verbs
