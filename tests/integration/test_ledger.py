"""The ledger on real archives, beside an independent judge of them: Debian's check_pgbackrest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.ledger import wal
from backup.ledger.archive import Archive
from backup.ledger.intervals import Survey, survey
from backup.restore.planning import holdings, knowledge
from backup.restore.planning.plan import Wanted
from backup.taking import jobs
from tests.integration.site import BUNDLED, PLAIN, STANZA, Site, must, program
from tests.integration.test_restore import fill, moment, restore, rows


@pytest.fixture
def encrypted(tmp_path: Path, template: Path) -> Iterator[Site]:
    made = Site(tmp_path, BUNDLED)
    made.create(template)
    made.protect()
    yield made
    made.stop("immediate")


@pytest.fixture
def of_small_segments(tmp_path: Path) -> Iterator[Site]:
    """A cluster whose WAL segments have 1 MB."""
    template = tmp_path / "template"
    must("initdb", f"--pgdata={template}", "--username=postgres", "--wal-segsize=1", "--auth=trust", "--no-sync")
    made = Site(tmp_path, PLAIN)
    made.create(template)
    made.sql("ALTER SYSTEM SET min_wal_size = '2MB'")
    made.sql("ALTER SYSTEM SET max_wal_size = '4MB'")
    made.protect()
    yield made
    made.stop("immediate")


def judged(site: Site, *options: str) -> tuple[int, str]:
    """What check_pgbackrest says of the archive: 0 is good, 2 is critical."""
    words = ("--service=archives", f"--stanza={STANZA}", "--repo=1", "--output=json", *options)
    done = program("check_pgbackrest", *words)
    assert done.stdout.startswith("["), done.stdout + done.stderr
    (answer,) = json.loads(done.stdout)
    return done.returncode, str(answer)


def known(site: Site) -> tuple[Survey, Archive]:
    """What the ledger says of the newest branch."""
    with site.deployment() as deployment:
        info = jobs.read_info(deployment)
        found = knowledge.gather(deployment, Wanted("latest"), info, settled=True)
        (holding,) = holdings.read(info, None, info.backups[-1]).holdings
        return survey(holding.archive, found.branch, info.good()), holding.archive


def some_wal(site: Site, segments: int) -> list[str]:
    names = []
    for _ in range(segments):
        fill(site, 10)
        names.append(site.switch_wal())
    return names


def test_an_unbroken_archive_is_whole_for_both(encrypted: Site) -> None:
    names = some_wal(encrypted, 4)
    found, _ = known(encrypted)
    assert judged(encrypted)[0] == 0
    assert (len(found.intervals), found.holes) == (1, ())
    assert found.intervals[0].end == wal.end_of(names[-1], wal.DEFAULT_SEGMENT_BYTES)


def test_a_missing_segment_is_named_by_both(encrypted: Site) -> None:
    names = some_wal(encrypted, 5)
    encrypted.archived_segments()[names[2]].unlink()
    found, _ = known(encrypted)
    code, said = judged(encrypted)
    assert (code, names[2] in said) == (2, True), said
    assert [(hole.first, hole.last, hole.count) for hole in found.holes] == [(names[2], names[2], 1)]
    assert found.intervals[0].end == wal.begin_of(names[2], wal.DEFAULT_SEGMENT_BYTES)
    assert found.after(found.holes[0]) is None
    encrypted.back_up("incr")
    found, _ = known(encrypted)
    assert [interval.backups[0].kind for interval in found.intervals] == ["full", "incr"]


def test_a_part_of_a_segment_is_a_hole_that_the_other_judge_does_not_see(encrypted: Site) -> None:
    """check_pgbackrest 2.4 counts it as a segment. pgbackrest finds none, and recovery would end there."""
    names = some_wal(encrypted, 4)
    file = encrypted.archived_segments()[names[2]]
    file.rename(file.with_name(file.name.replace(names[2], f"{names[2]}.partial")))
    fetched = program("pgbackrest", f"--stanza={STANZA}", "archive-get", names[2], str(encrypted.root / "fetched"))
    assert fetched.returncode == 1, fetched.stdout
    found, _ = known(encrypted)
    assert [(hole.first, hole.faults[0].kind) for hole in found.holes] == [(names[2], "partial")]


@pytest.mark.parametrize("damage", ["empty", "twice"])
def test_a_file_that_pgbackrest_cannot_fetch_is_a_hole(encrypted: Site, damage: str) -> None:
    """The other judge looks at names alone; what pgbackrest does with such a file is the evidence here."""
    names = some_wal(encrypted, 4)
    file = encrypted.archived_segments()[names[2]]
    if damage == "empty":
        file.write_bytes(b"")
    else:
        file.with_name(file.name.replace(names[2], f"{names[2]}-{'0' * 40}")[: 24 + 41] + ".lz4").write_bytes(b"x")
    fetched = program("pgbackrest", f"--stanza={STANZA}", "archive-get", names[2], str(encrypted.root / "fetched"))
    assert fetched.returncode > 1, fetched.stdout
    found, _ = known(encrypted)
    assert [(hole.first, hole.faults[0].kind) for hole in found.holes] == [
        (names[2], "empty" if damage == "empty" else "duplicate")
    ]


def test_a_fork_in_the_middle_of_a_segment_is_whole_for_both(encrypted: Site) -> None:
    fill(encrypted, 100)
    before = moment(encrypted)
    fill(encrypted, 10)
    encrypted.switch_wal()
    restore(encrypted, Wanted("pitr", at=before))
    names = some_wal(encrypted, 3)
    found, listed = known(encrypted)
    assert judged(encrypted)[0] == 0
    assert (found.branch.timeline, len(found.intervals), found.holes) == (2, 1, ())
    assert found.branch.left_at[1] % wal.DEFAULT_SEGMENT_BYTES != 0
    fork = wal.segment_name(2, min(listed.whole[2]), wal.DEFAULT_SEGMENT_BYTES)
    encrypted.archived_segments()[fork].unlink()
    found, _ = known(encrypted)
    assert [hole.first for hole in found.holes] == [fork]
    assert found.intervals[0].end == found.branch.left_at[1], "the old timeline's segment serves up to the fork"
    assert judged(encrypted)[0] == 2
    assert names[-1] in encrypted.archived_segments()


def test_segments_of_another_size_are_counted_right(of_small_segments: Site) -> None:
    names = some_wal(of_small_segments, 6)
    found, listed = known(of_small_segments)
    assert listed.segment_bytes == 1 << 20
    assert (len(found.intervals), found.holes) == (1, ())
    assert found.intervals[0].end == wal.end_of(names[-1], 1 << 20)
    of_small_segments.archived_segments()[names[3]].unlink()
    found, _ = known(of_small_segments)
    assert [hole.first for hole in found.holes] == [names[3]]
    code, said = judged(of_small_segments, "--wal-segsize=1MB")
    assert (code, names[3] in said) == (2, True), said


def test_what_the_ledger_says_of_a_branch_is_what_a_restore_brings_back(encrypted: Site) -> None:
    """A restore up to the last position before a hole brings back every row that was committed before it."""
    fill(encrypted, 100)
    encrypted.switch_wal()
    lost = some_wal(encrypted, 1)
    some_wal(encrypted, 1)
    encrypted.archived_segments()[lost[0]].unlink()
    with encrypted.deployment() as deployment:
        info = jobs.read_info(deployment)
        looked = knowledge.gather(deployment, Wanted("pitr", kind="lsn", value="0/1"), info, settled=True)
    end = looked.windows[0].end
    assert end is not None
    assert end.record is not None
    restore(encrypted, Wanted("pitr", kind="lsn", value=wal.format_lsn(end.record)))
    assert rows(encrypted) == 100
