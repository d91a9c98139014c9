"""What an expire would remove, read from what pgbackrest 2.55.1 printed, and what must not go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.keeping import expiry
from backup.keeping.expiry import Removal, RemovedWal
from backup.pgbackrest import UnreadableAnswerError
from tests.unit.backup.fakes import make_backup, make_config, make_info

STAMP = "2026-11-21 12:28:12.345 "
# The output of a real dry run, after a cluster was replaced and adopted.
REAL = f"""\
{STAMP}P00   INFO: [DRY-RUN] expire command begin 2.55.1: --dry-run --repo=1 --repo1-path=/x/repository --stanza=salespider
{STAMP}P00   INFO: [DRY-RUN] repo1: expire full backup 20261121-122801F
{STAMP}P00   INFO: [DRY-RUN] repo1: expire full backup set 20261121-122802F, 20261121-122802F_20261121-122804D
{STAMP}P00   INFO: [DRY-RUN] repo1: remove expired backup 20261121-122802F_20261121-122804D
{STAMP}P00   INFO: [DRY-RUN] repo1: remove expired backup 20261121-122802F
{STAMP}P00   INFO: [DRY-RUN] repo1: remove expired backup 20261121-122801F
{STAMP}P00   INFO: [DRY-RUN] repo1: remove archive path /x/repository/archive/salespider/17-1
{STAMP}P00 DETAIL: [DRY-RUN] repo1: 17-2 archive retention on backup 20261121-122811F, start = 000000010000000000000003
{STAMP}P00   INFO: [DRY-RUN] repo1: 17-2 remove archive, start = 000000010000000000000001, stop = 000000010000000000000002
{STAMP}P00   INFO: [DRY-RUN] expire command end: completed successfully (3ms)
""".splitlines()
GONE = ("20261121-122801F", "20261121-122802F", "20261121-122802F_20261121-122804D")


def test_a_real_dry_run_is_read() -> None:
    assert expiry.parse_removal(REAL, 1) == Removal(
        GONE, (RemovedWal("17-1"), RemovedWal("17-2", "000000010000000000000001", "000000010000000000000002"))
    )


def test_the_real_thing_is_read_like_the_dry_run() -> None:
    assert expiry.parse_removal([line.replace("[DRY-RUN] ", "") for line in REAL], 1).backups == GONE


def test_what_is_said_of_another_repository_is_not_taken() -> None:
    assert expiry.parse_removal(REAL, 2) == Removal()


@pytest.mark.parametrize(
    "line",
    [
        "P00   INFO: [DRY-RUN] repo1: time-based archive retention not met - archive logs will not be expired",
        "P00   INFO: [DRY-RUN] repo1: 17-1 no archive to remove",
    ],
)
def test_nothing_to_remove_is_nothing(line: str) -> None:
    assert expiry.parse_removal([line], 1) == Removal()


@pytest.mark.parametrize(
    "line",
    [
        "P00   INFO: repo1: remove expired backup of a new kind 20261121-122801F (full)",
        "P00   INFO: repo1: 17-1 remove archive, from = 000000010000000000000001",
    ],
)
def test_a_removal_that_is_not_understood_is_an_error(line: str) -> None:
    with pytest.raises(UnreadableAnswerError):
        expiry.parse_removal([line], 1)


labels = st.builds(
    lambda day, kind: f"202611{day:02}-020000F" + (f"_202611{day:02}-030000{kind}" if kind else ""),
    st.integers(1, 28),
    st.sampled_from(["", "D", "I"]),
)


@given(st.sets(labels), st.booleans())
def test_every_label_that_is_removed_is_found(given_labels: set[str], dry: bool) -> None:
    mark = "[DRY-RUN] " if dry else ""
    lines = [f"{STAMP}P00   INFO: {mark}repo3: remove expired backup {label}" for label in given_labels]
    assert expiry.parse_removal(lines, 3).backups == tuple(sorted(given_labels))


# --- what must not go -------------------------------------------------------------------------------------------------

GOOD, LATER = make_backup("20261101-020000F"), make_backup("20261108-020000F")
DAMAGED = make_backup("20261115-020000F", has_errors=True)


def test_the_last_good_full_backup_never_goes() -> None:
    info = make_info(GOOD, DAMAGED)
    assert expiry.would_remain(info, 1, Removal((GOOD.label,))) == ()
    assert expiry.refusal(info, 1, Removal((GOOD.label,))) == (
        "repository 1: nothing is expired, because the last full backup without errors, 20261101-020000F, would go with it"
    )


def test_a_good_one_may_go_when_another_good_one_stays() -> None:
    info = make_info(GOOD, LATER, DAMAGED)
    assert expiry.would_remain(info, 1, Removal((GOOD.label,))) == (LATER,)
    assert expiry.refusal(info, 1, Removal((GOOD.label,))) is None


def test_a_good_differential_backup_is_no_full_one() -> None:
    diff = make_backup("20261115-020000F_20261116-020000D", prior=DAMAGED.label)
    assert expiry.refusal(make_info(GOOD, DAMAGED, diff), 1, Removal((GOOD.label,))) is not None


def test_a_good_one_in_another_repository_does_not_count() -> None:
    elsewhere = make_backup("20261101-020000F", repo=2)
    info = make_info(GOOD, DAMAGED, elsewhere)
    assert expiry.refusal(info, 1, Removal((GOOD.label,))) is not None
    assert expiry.without(info, 1, Removal((GOOD.label,))).labels(2) == {elsewhere.label}


def test_where_nothing_is_good_nothing_good_can_be_lost() -> None:
    older = make_backup("20261101-020000F", has_errors=True)
    assert expiry.refusal(make_info(older, DAMAGED), 1, Removal((older.label,))) is None


backup_sets = st.lists(st.tuples(st.integers(1, 28), st.booleans()), unique_by=lambda each: each[0], max_size=8)


@given(backup_sets, st.data())
def test_what_is_allowed_leaves_a_good_full_backup_where_there_was_one(
    given_backups: list[tuple[int, bool]], data: st.DataObject
) -> None:
    backups = [make_backup(f"202611{day:02}-020000F", has_errors=bad) for day, bad in given_backups]
    gone = data.draw(st.sets(st.sampled_from([b.label for b in backups]))) if backups else set[str]()
    info, removal = make_info(*backups), Removal(tuple(sorted(gone)))
    had = any(not b.has_errors for b in backups)
    left = any(not b.has_errors and b.label not in gone for b in backups)
    assert (expiry.refusal(info, 1, removal) is None) is (left or not had)


def test_retention_is_told_in_words() -> None:
    (repository,) = make_config().repositories
    assert expiry.in_words(repository) == (
        "keeps 7 full backups; 3 differential backups; WAL back to the oldest full backup"
    )
    by_time = repository.model_copy(update={"retention_full": 1, "retention_full_type": "time", "retention_diff": 1})
    assert expiry.in_words(by_time) == (
        "keeps full backups of 1 day, and the one before them; 1 differential backup; WAL back to the oldest full backup"
    )
