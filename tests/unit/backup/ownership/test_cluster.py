"""Who the database should be, and when the running one is another: every kind of difference, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.ownership import cluster
from backup.ownership.cluster import EMPTY_BYTES, GIGABYTE, Identity
from backup.pgbackrest import Cluster, RepositoryStatus
from tests.unit.backup.fakes import NOON, SYSTEM_ID, make_backup, make_info

OTHER = 7710600541747884186
MANY = 20 * GIGABYTE
FRESH = 30_000_000


@pytest.mark.parametrize(
    ("case", "seen", "expected", "reason"),
    [
        ("the same", Identity(SYSTEM_ID, 17, MANY), Identity(SYSTEM_ID, 17, MANY), None),
        ("a small one that is another", Identity(OTHER, 17, FRESH), Identity(SYSTEM_ID, 17, FRESH), "another"),
        ("a big one that is another", Identity(OTHER, 17, MANY), Identity(SYSTEM_ID, 17, MANY), "another"),
        ("an older version", Identity(OTHER, 16, MANY), Identity(SYSTEM_ID, 17, MANY), "downgraded"),
        ("a newer version", Identity(OTHER, 18, MANY), Identity(SYSTEM_ID, 17, MANY), "upgraded"),
        ("a newer, empty one", Identity(OTHER, 18, FRESH), Identity(SYSTEM_ID, 17, MANY), "upgraded"),
        ("emptied", Identity(SYSTEM_ID, 17, FRESH), Identity(SYSTEM_ID, 17, GIGABYTE), "emptied"),
        ("emptied to the floor", Identity(SYSTEM_ID, 17, EMPTY_BYTES), Identity(SYSTEM_ID, 17, GIGABYTE), "emptied"),
        ("small, not empty", Identity(SYSTEM_ID, 17, EMPTY_BYTES + 1), Identity(SYSTEM_ID, 17, GIGABYTE), None),
        ("a hundredth is left", Identity(SYSTEM_ID, 17, MANY // 100), Identity(SYSTEM_ID, 17, MANY), None),
        ("less than a hundredth", Identity(SYSTEM_ID, 17, MANY // 100 - 1), Identity(SYSTEM_ID, 17, MANY), "emptied"),
        ("emptied where there was little", Identity(SYSTEM_ID, 17, FRESH), Identity(SYSTEM_ID, 17, GIGABYTE - 1), None),
        ("not measured before", Identity(SYSTEM_ID, 17, FRESH), Identity(SYSTEM_ID, 17), None),
        ("not measured now", Identity(SYSTEM_ID, 17), Identity(SYSTEM_ID, 17, MANY), None),
    ],
)
def test_a_difference_is_an_objection_by_its_kind(case: str, seen: Identity, expected: Identity, reason: str | None) -> None:
    found = cluster.judge(seen, expected)
    assert (found.reason if found else None) == reason, case


def test_an_objection_names_both_and_both_ways_out() -> None:
    found = cluster.judge(Identity(OTHER, 17, FRESH), Identity(SYSTEM_ID, 17, 2_140_000_000, source="repository 2"))
    assert found is not None
    assert found.message == (
        "the running database is another cluster than the one the backups are of "
        "(running: system identifier 7710600541747884186, PostgreSQL 17, 30 MB; "
        "expected by repository 2: system identifier 7710425701430951955, PostgreSQL 17, 2.1 GB)"
    )
    assert found.hint == (
        "bring the database of the backups back with `make restore-latest`; or, "
        "if the running one is right, `make adopt CONFIRM=yes` (`salespider-backup adopt --i-know`)"
    )


def test_an_upgrade_names_its_verb() -> None:
    found = cluster.judge(Identity(OTHER, 18, MANY), Identity(SYSTEM_ID, 17, MANY))
    assert found is not None
    assert found.hint.startswith("if it was upgraded with pg_upgrade, `make stanza-upgrade`")


@given(size=st.integers(0, 10**15), before=st.integers(0, 10**15))
def test_growing_and_standing_still_are_never_objected_to(size: int, before: int) -> None:
    small, big = sorted((size, before))
    assert cluster.judge(Identity(1, 17, big + EMPTY_BYTES + 1), Identity(1, 17, small)) is None


@given(
    st.builds(
        Identity,
        st.integers(1, 2**64 - 1),
        st.integers(9, 99),
        st.none() | st.integers(0, 10**18),
        st.none() | st.just(NOON),
    )
)
def test_what_is_remembered_comes_back(identity: Identity) -> None:
    back = cluster.from_mark(identity.as_mark())
    assert (back.system_id, back.version, back.database_bytes, back.at) == (
        identity.system_id,
        identity.version,
        identity.database_bytes,
        identity.at,
    )


@pytest.mark.parametrize(
    ("text", "major"), [("17.6", 17), ("17.6 (Debian 17.6-0+deb13u1)", 17), ("18beta1", 18), ("9.6", 9)]
)
def test_the_major_version_is_the_first_number(text: str, major: int) -> None:
    assert cluster.major_version(text) == major


# --- who is expected --------------------------------------------------------------------------------------------------

TWO = tuple(RepositoryStatus(key, "none", 0, "ok") for key in (1, 2))


def test_without_a_memory_the_repositories_tell_with_the_size_of_their_latest_good_backup() -> None:
    backups = (
        make_backup("20260301-020000F", database_bytes=MANY),
        make_backup("20260302-020000F", database_bytes=MANY + 1),
        make_backup("20260303-020000F", database_bytes=1, has_errors=True),
    )
    (found,) = cluster.expectations(None, make_info(*backups))
    assert (found.system_id, found.version, found.database_bytes) == (SYSTEM_ID, 17, MANY + 1)
    assert found.source == "repository 1"


def test_a_memory_comes_first_and_its_size_is_the_one_that_counts() -> None:
    known = Identity(SYSTEM_ID, 17, FRESH)
    first, second = cluster.expectations(known, make_info(make_backup(database_bytes=MANY)))
    assert first == known
    assert second.database_bytes is None


def test_each_repository_is_asked_for_its_present_cluster() -> None:
    clusters = (Cluster(1, 1, SYSTEM_ID, 17), Cluster(1, 2, OTHER, 17), Cluster(2, 1, SYSTEM_ID, 17))
    info = make_info(make_backup(cluster_id=1, database_bytes=MANY), repositories=TWO, clusters=clusters)
    assert [(e.system_id, e.database_bytes) for e in cluster.expectations(None, info)] == [(OTHER, None), (SYSTEM_ID, None)]
    objection = cluster.judge_all(Identity(OTHER, 17, FRESH), cluster.expectations(None, info))
    assert objection is not None
    assert objection.expected.source == "repository 2"


def test_repositories_without_a_stanza_expect_nobody() -> None:
    assert cluster.expectations(None, make_info(system_ids=())) == ()
    assert cluster.judge_all(Identity(SYSTEM_ID, 17, FRESH), ()) is None
