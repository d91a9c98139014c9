"""The plan: what cannot work is refused before anything stops, with the nearest thing that can."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from backup.emergency.gap import Gap
from backup.ledger import wal
from backup.ledger.archive import Archive, Fault
from backup.ledger.timelines import FIRST, Branch
from backup.pgbackrest import Backup, Info, RepositoryStatus, RestoreTarget
from backup.restore.planning import phrases, plan, words
from backup.restore.planning.plan import Plan, RefusedError, Verb, Wanted, make_plan
from backup.restore.planning.window import End, Known, Point, windows
from contract.exits import Exit
from tests.unit.backup.fakes import NOON, make_backup, make_info

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")

SUNDAY = make_backup("20260301-020000F")
MONDAY = make_backup("20260301-020000F_20260302-020000D", lsn_stop="0/5000100")
TUESDAY = make_backup("20260301-020000F_20260303-020000D", lsn_stop="0/8000100")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


SIZE = 16 << 20


def archive(*missing: int, faults: tuple[Fault, ...] = (), last: int = 10) -> Archive:
    """An archive with the segments 1 to 10 of timelines 1 to 3, without those that are missing."""
    numbers = frozenset(range(1, last + 1)) - {*missing, *(fault.number for fault in faults)}
    return Archive(SIZE, dict.fromkeys((1, 2, 3), numbers), faults)


def known(info: Info, branch: Branch = FIRST, *archives: Archive, until: datetime | None = None, **given: object) -> Known:
    """What is known of repositories with these archives, the first one's for every repository that has none."""
    held = archives or (archive(),)
    by_repo = {key: held[min(place, len(held) - 1)] for place, key in enumerate(plan.readable(info))}
    found, holes = windows(by_repo, branch, info.good())
    ends = given.pop("ends", {})
    assert isinstance(ends, dict)
    found = tuple(replace(w, end=ends.get(w.interval.end // SIZE, End(until, None) if until else None)) for w in found)
    return Known(info, branch, found, found, holes, **given)  # type: ignore[arg-type]


def planned(
    wanted: Wanted, info: Info, branch: Branch = FIRST, now: datetime = NOON, zone: ZoneInfo = UTC_ZONE, **given: object
) -> Plan:
    plan.require_readable(wanted, info)
    plan.backup_for(wanted, info, zone)
    archives = given.pop("archives", ())
    return make_plan(wanted, known(info, branch, *archives, **given), now, zone)  # type: ignore[misc,arg-type]


def refusal(
    wanted: Wanted, info: Info, branch: Branch = FIRST, now: datetime = NOON, zone: ZoneInfo = UTC_ZONE, **given: object
) -> tuple[str, str]:
    with pytest.raises(RefusedError) as refused:
        planned(wanted, info, branch, now, zone, **given)
    assert refused.value.exit_code is Exit.RESTORE_REFUSED
    return refused.value.message, refused.value.hint


# --- the latest state -------------------------------------------------------------------------------------------------


def test_the_latest_state_starts_from_the_last_good_backup_and_keeps_the_tail() -> None:
    damaged = make_backup("20260301-020000F_20260304-020000D", has_errors=True)
    made = planned(Wanted("latest"), make_info(SUNDAY, MONDAY, damaged))
    assert (made.backup, made.target, made.timeline) == (MONDAY, RestoreTarget("default"), 1)
    assert made.keeps_tail


@pytest.mark.parametrize("verb", ["latest", "backup", "pitr"])
def test_an_empty_repository_is_refused(verb: Verb) -> None:
    assert refusal(Wanted(verb, label="20260301-020000F", at=NOON), make_info()) == (
        "restore refused: the repository holds no backup without errors",
        "see `make backup-info`",
    )


def test_a_repository_that_cannot_be_read_is_refused_with_its_message() -> None:
    unreadable = RepositoryStatus(1, "aes-256-cbc", 99, "[FormatError] key/value found outside of section")
    assert refusal(Wanted("latest"), make_info(SUNDAY, repositories=(unreadable,))) == (
        "restore refused: the repository cannot be read: [FormatError] key/value found outside of section",
        "run `make backup-check`; nothing was changed",
    )


def test_one_readable_repository_of_two_is_enough() -> None:
    states = (RepositoryStatus(1, "none", 99, "gone"), RepositoryStatus(2, "none", 0, "ok"))
    assert planned(Wanted("latest"), make_info(make_backup(repo=2), repositories=states)).backup.repo == 2


# --- a backup set -----------------------------------------------------------------------------------------------------


def test_a_backup_set_ends_where_it_became_consistent_and_leaves_the_tail() -> None:
    made = planned(Wanted("backup", label=SUNDAY.label), make_info(SUNDAY, MONDAY))
    assert (made.backup, made.target) == (SUNDAY, RestoreTarget("immediate"))
    assert not made.keeps_tail


def test_a_backup_set_may_lie_on_an_abandoned_timeline() -> None:
    other = make_backup("20260302-120000F", wal_stop="000000020000000000000009", lsn_stop="0/9000100")
    made = planned(Wanted("backup", label=other.label), make_info(SUNDAY, other), Branch(2, {1: 0x5000000}))
    assert made.timeline == 2


@pytest.mark.parametrize("label", ["20200101-000000F", "", "latest", None])
def test_an_unknown_backup_set_is_refused_with_the_latest(label: str | None) -> None:
    assert refusal(Wanted("backup", label=label), make_info(SUNDAY, MONDAY)) == (
        f"restore refused: there is no backup set {label!r}",
        f"the latest one is {MONDAY.label} (ended 2026-03-02 02:00:00 UTC); `make backup-info` lists all",
    )


def test_a_damaged_backup_set_is_refused() -> None:
    damaged = make_backup("20260302-120000F", has_errors=True)
    assert refusal(Wanted("backup", label=damaged.label), make_info(SUNDAY, damaged)) == (
        "restore refused: backup 20260302-120000F has page checksum errors",
        "choose another one from `make backup-info`",
    )


# --- a moment ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "at", "backup"),
    [
        ("after the first backup", "2026-03-01 12:00", SUNDAY),
        ("a second after a backup", "2026-03-02 02:00:01", MONDAY),
        ("in the second that a backup ends in, the one before it", "2026-03-02 02:00:00.999999", SUNDAY),
        ("after the last backup", "2026-03-04 11:59", TUESDAY),
        ("now", "2026-03-04 12:00", TUESDAY),
    ],
)
def test_a_moment_starts_from_the_last_backup_that_ended_before_it(case: str, at: str, backup: Backup) -> None:
    made = planned(Wanted("pitr", at=utc(at)), make_info(SUNDAY, MONDAY, TUESDAY))
    assert (made.backup, made.target) == (backup, RestoreTarget("time", utc(at))), case
    assert not made.keeps_tail


def test_the_future_is_refused() -> None:
    assert refusal(Wanted("pitr", at=NOON + timedelta(seconds=1)), make_info(SUNDAY)) == (
        "restore refused: the target 2026-03-04 12:00:01 UTC lies in the future",
        "for the latest state use `make restore-latest`",
    )


def test_a_moment_before_the_earliest_backup_is_refused_with_the_earliest_possible() -> None:
    assert refusal(Wanted("pitr", at=utc("2026-03-01 01:00")), make_info(SUNDAY, MONDAY), zone=BERLIN) == (
        (
            "restore refused: the target 2026-03-01 01:00:00 UTC (2026-03-01 02:00:00 CET) lies before the end of the "
            "earliest backup"
        ),
        "the earliest possible target is 2026-03-01 02:00:01 UTC (2026-03-01 03:00:01 CET)",
    )


def test_without_a_moment_there_is_an_example() -> None:
    assert refusal(Wanted("pitr"), make_info(SUNDAY)) == (
        "restore refused: no TARGET given",
        'make restore-pitr TARGET="2024-01-01 12:00:00"',
    )


# --- timelines --------------------------------------------------------------------------------------------------------

# Restored to Monday noon: timeline 2 left timeline 1 at 0/6000000, so Tuesday's backup is on the abandoned branch.
SECOND = Branch(2, {1: 0x6000000})


@pytest.mark.parametrize(
    ("case", "wanted"),
    [("latest", Wanted("latest")), ("a moment after the abandoned one", Wanted("pitr", at=NOON))],
)
def test_a_backup_on_an_abandoned_branch_is_not_used(case: str, wanted: Wanted) -> None:
    made = planned(wanted, make_info(SUNDAY, MONDAY, TUESDAY), SECOND)
    assert (made.backup, made.timeline) == (MONDAY, 2), case


def test_a_backup_taken_after_the_fork_is_used() -> None:
    new = make_backup("20260303-120000F", wal_stop="000000020000000000000009", lsn_stop="0/9000100")
    assert planned(Wanted("latest"), make_info(SUNDAY, MONDAY, TUESDAY, new), SECOND).backup == new


def test_when_no_backup_lies_on_the_newest_branch_one_can_be_named() -> None:
    assert refusal(Wanted("latest"), make_info(TUESDAY), SECOND) == (
        "restore refused: no backup lies on timeline 2, the one to follow",
        f"name a backup: make restore-backup BACKUP_SET={TUESDAY.label} (ended 2026-03-03 02:00:00 UTC)",
    )


def test_a_backup_whose_place_in_the_log_is_unknown_is_only_used_by_name() -> None:
    unknown = make_backup("20260301-020000F", wal_stop=None, lsn_stop=None)
    assert refusal(Wanted("latest"), make_info(unknown))[0].startswith("restore refused: no backup lies on timeline 1")
    assert planned(Wanted("backup", label=unknown.label), make_info(unknown)).backup == unknown


# --- holes, and the end of the archive --------------------------------------------------------------------------------

EARLY = make_backup("20260301-020000F", lsn_stop="0/2000100")
LATE = make_backup("20260303-020000F", lsn_start="0/7000028", lsn_stop="0/7000100")
BOTH_INFO = make_info(EARLY, LATE)
ENDS = {5: End(utc("2026-03-02 10:00:00.25"), 5 * SIZE - 0x100), 11: End(utc("2026-03-04 10:00:00"), 11 * SIZE - 0x100)}
HOLE = "restore refused: the archive lacks WAL segment 000000010000000000000005"


def test_a_moment_behind_a_hole_is_refused_with_the_nearest_on_both_sides() -> None:
    assert refusal(Wanted("pitr", at=utc("2026-03-02 12:00")), BOTH_INFO, archives=(archive(5),), ends=ENDS) == (
        f"{HOLE}, and the target 2026-03-02 12:00:00 UTC lies behind it",
        (
            "the last possible target before it is 2026-03-02 10:00:00.249999 UTC; "
            "the next possible target after it is 2026-03-03 02:00:01 UTC"
        ),
    )


@pytest.mark.parametrize(
    ("at", "backup"),
    [("2026-03-02 10:00:00.249999", EARLY), ("2026-03-03 02:00:01", LATE), ("2026-03-04 09:59:59.999999", LATE)],
)
def test_the_nearest_targets_are_possible(at: str, backup: Backup) -> None:
    made = planned(Wanted("pitr", at=utc(at)), BOTH_INFO, archives=(archive(5),), ends=ENDS)
    assert made.backup == backup
    assert made.window is not None
    assert made.window.backups == (backup,)


def test_a_moment_after_the_last_commit_is_refused_unless_the_database_still_writes() -> None:
    wanted = Wanted("pitr", at=utc("2026-03-04 10:00:00"))
    assert refusal(wanted, BOTH_INFO, ends=ENDS) == (
        (
            "restore refused: the target 2026-03-04 10:00:00 UTC lies after the last transaction in the archive "
            "(2026-03-04 10:00:00 UTC): recovery would not find it"
        ),
        (
            "the last possible target before it is 2026-03-04 09:59:59.999999 UTC; "
            "for the latest state use `make restore-latest`"
        ),
    )
    assert planned(wanted, BOTH_INFO, ends=ENDS, grows=True).backup == LATE


def test_a_moment_that_only_the_dead_databases_disk_knows_is_reached_with_its_wal() -> None:
    wanted = Wanted("pitr", at=utc("2026-03-04 10:00:00"))
    longer, _ = windows({1: archive()}, FIRST, BOTH_INFO.good(), waiting=[(1, 11)])
    have = replace(known(BOTH_INFO, ends=ENDS), latest=longer)
    with pytest.raises(RefusedError, match="after the last transaction in the archive"):
        make_plan(wanted, have, NOON, UTC_ZONE)  # one that runs has archived all that was committed
    made = make_plan(wanted, replace(have, is_down=True), NOON, UTC_ZONE)
    assert (made.backup, made.needs_tail) == (LATE, True)
    assert made.notes[0].startswith("the target lies in WAL that only the database's disk holds")
    archived = make_plan(Wanted("pitr", at=utc("2026-03-04 09:00:00")), known(BOTH_INFO, ends=ENDS), NOON, UTC_ZONE)
    assert not archived.needs_tail


def test_in_a_wal_emergency_the_latest_state_is_the_end_of_the_archive() -> None:
    have = known(BOTH_INFO, ends=ENDS)
    longer, holes = windows({1: archive()}, FIRST, BOTH_INFO.good(), waiting=[(1, 20)])
    behind = replace(have, latest=longer, holes=holes)
    with pytest.raises(RefusedError, match="the archive lacks"):
        make_plan(Wanted("latest"), behind, NOON, UTC_ZONE)
    given_up = Gap(began=utc("2026-03-04 10:30"), since=utc("2026-03-04 10:00"), until=None)
    made = make_plan(Wanted("latest"), replace(behind, gaps=(given_up,)), NOON, UTC_ZONE)
    assert made.window == have.windows[-1]


def test_a_database_that_writes_does_not_fill_a_hole() -> None:
    wanted = Wanted("pitr", at=utc("2026-03-02 12:00"))
    assert refusal(wanted, BOTH_INFO, archives=(archive(5),), ends=ENDS, grows=True)[0].startswith(HOLE)
    after = Wanted("pitr", at=utc("2026-03-04 11:00"))
    assert refusal(after, make_info(EARLY), archives=(archive(5),), ends=ENDS, grows=True)[0].startswith(HOLE)


def test_without_a_commit_behind_the_last_backup_there_is_no_moment() -> None:
    message, hint = refusal(Wanted("pitr", at=utc("2026-03-03 03:00")), BOTH_INFO, ends={11: End(None, None, was_all=True)})
    assert "lies after the last transaction in the archive (2026-03-03 02:00:00 UTC)" in message
    assert hint.startswith("the last possible target before it is 2026-03-03 01:59:59.999999 UTC")
    message, hint = refusal(
        Wanted("pitr", at=utc("2026-03-03 03:00")), make_info(LATE), ends={11: End(None, None, was_all=True)}
    )
    assert hint.startswith(f"before it there is the end of backup {LATE.label}: make restore-backup BACKUP_SET={LATE.label}")


def test_where_nobody_could_look_into_the_wal_the_plan_says_so() -> None:
    made = planned(Wanted("pitr", at=utc("2026-03-04 11:00")), BOTH_INFO)
    assert made.notes == ("nobody could look into the last WAL, so whether a commit follows the target is not known",)
    behind = Wanted("pitr", at=utc("2026-03-03 01:00"))
    assert planned(behind, BOTH_INFO, archives=(archive(5),)).backup == EARLY


def test_the_latest_state_over_a_hole_is_refused_and_what_is_before_it_named() -> None:
    assert refusal(Wanted("latest"), make_info(EARLY), archives=(archive(5),), ends=ENDS) == (
        (
            f"{HOLE}, so the latest state cannot be restored: recovery would end there without a word, at "
            "2026-03-02 10:00:00.250000 UTC, and what was committed after that would be lost"
        ),
        "all that is before it comes back with: make restore-pitr TARGET_TYPE=lsn TARGET=0/4FFFF00 TIMELINE=1",
    )
    lsn = Wanted("pitr", kind="lsn", value="0/4FFFF00")
    assert planned(lsn, make_info(EARLY), archives=(archive(5),), ends=ENDS).backup == EARLY


def test_missing_segments_that_still_lie_in_pg_wal_are_the_first_way() -> None:
    missing = frozenset({"000000010000000000000005"})
    there = "what is missing still lies in pg_wal and can be archived from there: "
    _, hint = refusal(Wanted("latest"), make_info(EARLY), archives=(archive(5),), at_hand=missing, container="shop-postgres")
    assert hint.startswith(f"{there}docker exec --workdir /var/lib/postgresql/data shop-postgres pgbackrest ")
    assert "archive-push pg_wal/000000010000000000000005; " in hint
    _, hint = refusal(Wanted("latest"), make_info(EARLY), archives=(archive(5),), at_hand=missing)
    assert hint.startswith(f"{there}`make restore-plan` shows the command; ")
    _, hint = refusal(
        Wanted("latest"), make_info(EARLY), archives=(archive(5, 6),), at_hand=frozenset({"000000010000000000000005"})
    )
    assert "pg_wal" not in hint


def test_the_latest_state_does_not_mind_a_hole_before_a_later_backup() -> None:
    assert planned(Wanted("latest"), BOTH_INFO, archives=(archive(5),)).backup == LATE


def test_a_backup_with_a_hole_in_its_own_wal_is_not_used_and_refused_by_name() -> None:
    cut = make_backup("20260302-020000F", lsn_start="0/4000028", lsn_stop="0/6000100")
    info = make_info(EARLY, cut, LATE)
    at = Wanted("pitr", at=utc("2026-03-03 01:00"))
    assert refusal(at, info, archives=(archive(5),), ends=ENDS)[0].startswith(HOLE)
    message, hint = refusal(Wanted("backup", label=cut.label), info, archives=(archive(5),))
    assert message == f"{HOLE}, and without it backup {cut.label} cannot become consistent"
    assert hint == f"the nearest one that can is {EARLY.label}"
    assert planned(Wanted("backup", label=EARLY.label), info, archives=(archive(5),)).backup == EARLY


def test_when_a_hole_cuts_every_backup_the_latest_state_is_refused_for_it() -> None:
    message, _ = refusal(Wanted("latest"), make_info(EARLY), archives=(archive(2),))
    assert message.endswith("000000000002, and no backup on timeline 1 is complete without it")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(1, 5, "empty"), " (a file of it is empty)"),
        (Fault(1, 5, "partial"), " (a part of one is there)"),
        (Fault(1, 5, "duplicate", ("aa", "bb")), " (it is there twice, with the checksums aa and bb)"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_a_file(fault: Fault, why: str) -> None:
    assert refusal(Wanted("latest"), make_info(EARLY), archives=(archive(faults=(fault,)),))[0].startswith(f"{HOLE}{why}, ")


def test_a_hole_in_one_repository_is_filled_from_another() -> None:
    info = make_info(EARLY, make_backup("20260302-020000F", repo=2))
    at = Wanted("pitr", at=utc("2026-03-04 09:00"))
    made = planned(at, info, archives=(archive(5), archive(7)), ends=ENDS)
    assert (made.backup.repo, made.repositories) == (2, (2, 1))


def test_one_repository_alone_is_used_when_it_is_asked_for() -> None:
    info = make_info(EARLY, make_backup("20260302-020000F", repo=2))
    only = replace(info, repositories=info.repositories[:1], backups=(EARLY,))
    made = make_plan(Wanted("latest", repo=1), known(only), NOON, UTC_ZONE)
    assert (made.backup, made.repositories) == (EARLY, (1,))
    assert refusal(Wanted("latest", repo=3), info) == (
        "restore refused: there is no repository 3",
        "there is 1, 2: REPO=1",
    )


def test_a_timeline_that_is_asked_for_is_followed() -> None:
    made = planned(Wanted("latest", timeline=2), make_info(SUNDAY, MONDAY, TUESDAY), SECOND)
    assert (made.target, made.timeline) == (RestoreTarget("default", timeline=2), 2)
    assert made.target.options() == ("--type=default", "--target-timeline=2")
    assert refusal(Wanted("backup", label=SUNDAY.label, timeline=2), make_info(SUNDAY))[1] == "leave TIMELINE out"


# --- positions, transactions, names -----------------------------------------------------------------------------------


def place(kind: str, value: str, *, exclusive: bool = False) -> Wanted:
    return Wanted("pitr", kind=kind, value=value, is_exclusive=exclusive)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lsn", "backup"),
    [("0/2000100", EARLY), ("0/70000FF", EARLY), ("0/7000100", LATE), ("0/AFFFF00", LATE)],
)
def test_a_position_starts_from_the_last_backup_that_ended_before_it(lsn: str, backup: Backup) -> None:
    made = planned(place("lsn", lsn), BOTH_INFO, ends=ENDS)
    assert (made.backup, made.target) == (backup, RestoreTarget("lsn", value=lsn))
    assert made.target.options() == ("--type=lsn", f"--target={lsn}", "--target-action=promote")


def test_just_before_a_position_needs_a_backup_that_ended_before_that() -> None:
    made = planned(place("lsn", "0/7000100", exclusive=True), BOTH_INFO, ends=ENDS)
    assert made.backup == EARLY
    assert "--target-exclusive" in made.target.options()


@pytest.mark.parametrize(
    ("lsn", "message", "hint"),
    [
        (
            "0/20000FF",
            "the position 0/20000FF lies before the end of the earliest backup",
            "the earliest possible target is TARGET_TYPE=lsn TARGET=0/2000100 (ended 2026-03-01 02:00:01 UTC)",
        ),
        (
            "0/6000000",
            "the archive lacks WAL segment 000000010000000000000005, and the position 0/6000000 lies behind it",
            "the last possible position before it is 0/4FFFF00; the next one after it is 0/7000100",
        ),
        (
            "0/AFFFF01",
            "the position 0/AFFFF01 lies behind the end of the archive",
            "the last possible position before it is 0/AFFFF00",
        ),
    ],
)
def test_an_impossible_position_is_refused_with_the_nearest(lsn: str, message: str, hint: str) -> None:
    assert refusal(place("lsn", lsn), BOTH_INFO, archives=(archive(5),), ends=ENDS) == (f"restore refused: {message}", hint)


def test_a_position_that_is_still_to_be_archived_is_possible() -> None:
    assert planned(place("lsn", "0/B000000"), BOTH_INFO, ends=ENDS, grows=True).backup == LATE


def test_a_point_starts_from_the_last_backup_before_its_record() -> None:
    point = Point("restore point 'x'", 1, wal.parse_lsn("0/6000148"), utc("2026-03-02 12:00"))
    made = planned(place("name", "x"), BOTH_INFO, ends=ENDS, point=point)
    assert (made.backup, made.target) == (EARLY, RestoreTarget("name", value="x"))
    assert refusal(place("name", "x"), BOTH_INFO, archives=(archive(5),), point=point)[0] == (
        f"{HOLE}, and restore point 'x' lies behind it"
    )
    told = described(place("name", "x"), BOTH_INFO, point=point)
    assert told["restore to"] == "the restore point x, 2026-03-02 12:00:00 UTC"


def test_a_point_on_an_abandoned_timeline_names_the_timeline() -> None:
    point = Point("restore point 'x'", 1, 0x7000000)
    assert refusal(place("name", "x"), make_info(SUNDAY), SECOND, point=point) == (
        "restore refused: restore point 'x' lies on timeline 1, and timeline 2 is followed, which began before it",
        "follow that one: TIMELINE=1",
    )


@pytest.mark.parametrize(("kind", "what"), [("xid", "transaction 746"), ("name", "restore point '746'")])
def test_what_is_nowhere_in_the_archive_is_refused_unless_it_may_still_come(kind: str, what: str) -> None:
    searched = "the last 9 segments were searched"
    message, hint = refusal(place(kind, "746"), BOTH_INFO, searched=searched)
    assert message == f"restore refused: {what} is not in the archive ({searched})"
    assert "restore-point --list" in hint
    made = planned(place(kind, "746"), BOTH_INFO, searched=searched, grows=True)
    assert made.backup == LATE
    assert made.notes == (
        f"{what} is not in the archive ({searched}); it is looked for again in the WAL that is archived first",
    )


def test_a_restore_point_has_no_before() -> None:
    message = refusal(place("name", "x", exclusive=True), BOTH_INFO)[0]
    assert message == "restore refused: a restore point has no before"


# --- in words ---------------------------------------------------------------------------------------------------------


def rows(wanted: Wanted, info: Info, **given: object) -> words.Rows:
    made = planned(wanted, info, **given)  # type: ignore[arg-type]
    archives = given.pop("archives", ())
    return words.describe(made, known(info, FIRST, *archives, **given), NOON, UTC_ZONE)  # type: ignore[misc,arg-type]


def described(wanted: Wanted, info: Info, **given: object) -> dict[str, str]:
    return dict(rows(wanted, info, **given))


@pytest.mark.parametrize(
    ("wanted", "to", "lost"),
    [
        (
            Wanted("latest"),
            "the latest state: every archived transaction, and WAL that never reached the archive",
            "nothing that is readable",
        ),
        (
            Wanted("backup", label=SUNDAY.label),
            "the moment this backup became consistent, 2026-03-01 02:00:00 UTC",
            "everything committed after it",
        ),
        (
            Wanted("pitr", at=utc("2026-03-04 11:30:00.5")),
            "2026-03-04 11:30:00.500000 UTC, 0:29:59 ago",
            "everything committed after that moment",
        ),
    ],
)
def test_a_plan_says_what_it_brings_back_and_what_is_lost(wanted: Wanted, to: str, lost: str) -> None:
    words = described(wanted, make_info(SUNDAY))
    assert (words["restore to"], words["is lost"]) == (to, lost)
    assert words["from"] == "full backup 20260301-020000F, ended 2026-03-01 02:00:00 UTC, repository 1"
    assert words["timeline"] == "follows 1; a new one begins when the database opens"


def test_times_are_told_in_utc_and_in_the_readers_zone() -> None:
    assert phrases.both(utc("2026-07-01 12:00"), BERLIN) == "2026-07-01 12:00:00 UTC (2026-07-01 14:00:00 CEST)"
    assert phrases.both(utc("2026-07-01 12:00"), ZoneInfo("Etc/UTC")) == "2026-07-01 12:00:00 UTC"


def test_a_plan_shows_every_window_and_every_hole() -> None:
    cut = make_backup("20260302-020000F", lsn_start="0/4000028", lsn_stop="0/6000100")
    told = rows(Wanted("latest"), make_info(EARLY, cut, LATE), archives=(archive(5),), ends=ENDS)
    assert [text for name, text in told if name in ("window", "hole")] == [
        (
            "any moment from 2026-03-01 02:00:01 UTC (position 0/2000100) to "
            "2026-03-02 10:00:00.249999 UTC (position 0/4FFFF00)"
        ),
        (
            "any moment from 2026-03-03 02:00:01 UTC (position 0/7000100) to "
            "2026-03-04 09:59:59.999999 UTC (position 0/AFFFF00)"
        ),
        (
            "the archive lacks WAL segment 000000010000000000000005 (positions 0/5000000 to 0/6000000); "
            f"unusable without it: {cut.label}"
        ),
    ]
    told = rows(Wanted("latest"), make_info(EARLY), grows=True)
    assert [text for name, text in told if name == "window"] == [
        (
            "any moment from 2026-03-01 02:00:01 UTC (position 0/2000100) until now; "
            "the running database archives its last WAL first"
        )
    ]


# --- WAL that was given up --------------------------------------------------------------------------------------------


GAP = Gap(
    utc("2026-03-03 10:00:00.5"),
    utc("2026-03-03 11:00:00"),
    utc("2026-03-03 15:00:00"),
    "20260303-150000F",
    1,
    is_released=True,
)
OPEN = Gap(utc("2026-03-03 10:00:00"), utc("2026-03-03 11:00:00"))


@pytest.mark.parametrize("at", ["2026-03-03 10:00:00.5", "2026-03-03 12:00:00", "2026-03-03 15:00:00"])
def test_a_target_whose_wal_was_given_up_is_refused_with_the_nearest_ones(at: str) -> None:
    with pytest.raises(RefusedError) as refused:
        plan.require_recoverable(Wanted("pitr", at=utc(at)), (GAP,), UTC_ZONE)
    assert "lies in an interval without point-in-time recovery" in refused.value.message
    assert refused.value.hint == (
        "the last possible target before it is 2026-03-03 10:00:00 UTC; "
        "the next possible target after it is 2026-03-03 15:00:01 UTC"
    )


def test_before_a_whole_second_the_second_before_is_the_last() -> None:
    with pytest.raises(RefusedError) as refused:
        plan.require_recoverable(Wanted("pitr", at=utc("2026-03-04 10:00:00")), (OPEN,), UTC_ZONE)
    assert "the last possible target before it is 2026-03-03 09:59:59 UTC; after it nothing" in refused.value.hint


@pytest.mark.parametrize("at", ["2026-03-03 10:00:00", "2026-03-03 15:00:01"])
def test_what_it_names_is_possible(at: str) -> None:
    plan.require_recoverable(Wanted("pitr", at=utc(at)), (GAP,), UTC_ZONE)


def test_other_restores_are_not_refused_for_it() -> None:
    plan.require_recoverable(Wanted("latest"), (OPEN,), UTC_ZONE)
    plan.require_recoverable(Wanted("backup", label="x"), (OPEN,), UTC_ZONE)


def test_the_plan_says_what_an_emergency_costs() -> None:
    text = "\n".join(f"{name}: {told}" for name, told in rows(Wanted("latest"), make_info(SUNDAY), gaps=(OPEN,)))
    assert "restore to: the end of the archive, 2026-03-03 10:00:00 UTC" in text
    assert "is lost: EVERYTHING committed after that: a WAL emergency is on" in text
    text = "\n".join(f"{name}: {told}" for name, told in rows(Wanted("latest"), make_info(SUNDAY), gaps=(GAP,)))
    assert "is lost: nothing that is readable" in text
    assert (
        "no recovery: no moment after 2026-03-03 10:00:00.500000 UTC can be restored before 2026-03-03 15:00:00 UTC" in text
    )


# --- several repositories ---------------------------------------------------------------------------------------------


def test_wal_comes_from_the_repository_of_the_backup_first_and_from_no_unreadable_one() -> None:
    newest = make_backup("20260303-020000F", repo=3)
    info = make_info(SUNDAY, make_backup("20260302-020000F", repo=2), newest)
    assert planned(Wanted("latest"), info).repositories == (3, 1, 2)
    dead = RepositoryStatus(1, "none", 99, "[HostConnectError] timeout")
    rest = make_info(make_backup("20260302-020000F", repo=2), newest, repositories=(dead, *info.repositories[1:]))
    assert planned(Wanted("latest"), rest).repositories == (3, 2)


def test_an_emptied_repository_is_not_asked_for_wal() -> None:
    emptied = RepositoryStatus(1, "none", 1, "missing stanza path")
    info = make_info(make_backup("20260302-020000F", repo=2))
    rest = make_info(*info.backups, repositories=(emptied, RepositoryStatus(2, "none", 0, "ok")))
    assert planned(Wanted("latest"), rest).repositories == (2,)


def test_the_window_is_told_with_the_repositories_that_give_it() -> None:
    dead = RepositoryStatus(1, "none", 99, "[HostConnectError] timeout")
    second = make_backup("20260302-020000F", repo=2)
    info = make_info(second, repositories=(dead, RepositoryStatus(2, "none", 0, "ok")))
    assert words.sources(info, UTC_ZONE) == (
        "repository 2 reaches back to 2026-03-02 02:00:00 UTC; repository 1 CANNOT BE READ"
    )
