"""What remains without a repository: never less than what somebody can restore from, whatever the repositories hold."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from backup.keeping import reach
from backup.moving.retirement import Present, judge
from backup.pgbackrest import ArchiveRange, Backup, Info, RepositoryStatus
from contract.supervisor import Repository
from tests.unit.backup.fakes import NOON, make_backup, make_config

DAY = timedelta(days=1)
CURRENT = "000000010000000000000009"


def repository(key: int, window_days: int | None = 14) -> Repository:
    seconds = None if window_days is None else window_days * 86_400
    return make_config().repositories[0].model_copy(update={"key": key, "window_seconds": seconds})


def full(repo: int, days_ago: float, kind: str = "full", *, has_errors: bool = False) -> Backup:
    stopped = NOON - timedelta(days=days_ago)
    label = f"{stopped:%Y%m%d-%H%M%S}F"
    return make_backup(label, repo=repo, kind=kind, stopped=stopped, has_errors=has_errors)


def present(
    *backups: Backup, keys: tuple[int, ...] = (1, 2), codes: dict[int, int] | None = None, **given_: object
) -> Present:
    codes = codes or {}
    in_order = sorted(backups, key=lambda backup: (backup.stopped, backup.label))
    readable = tuple(backup for backup in in_order if codes.get(backup.repo, 0) == 0)
    info = Info(
        "salespider",
        tuple(RepositoryStatus(key, "none", codes.get(key, 0), "gone") for key in keys),
        readable,
        tuple(ArchiveRange(key, "17-1", "000000010000000000000001", CURRENT) for key in keys if codes.get(key, 0) == 0),
        (1,),
    )
    values: dict[str, object] = {"archived_wal": CURRENT, "held": {}, **given_}
    return Present(info, tuple(repository(key) for key in keys), NOON, **values)  # type: ignore[arg-type]  # of the tests


def said(found: Present, repo: int = 1) -> list[tuple[str, bool]]:
    return [(objection.message, objection.stands) for objection in judge(found, repo).objections]


def test_with_a_second_one_that_reaches_far_enough_nothing_speaks_against_it() -> None:
    found = judge(present(full(1, 40), full(2, 20)), 1)
    assert found.objections == ()
    assert (found.before and found.before.repo, found.after and found.after.repo) == (1, 2)


def test_the_only_one_is_never_retired() -> None:
    refused = [("repository 1 is the only one: nothing would be backed up any more", True)]
    assert said(present(full(1, 40), keys=(1,))) == refused


def test_nor_one_beside_which_no_good_full_backup_can_be_read() -> None:
    refused = [("repository 2 holds no good full backup that can be read now", True)]
    assert said(present(full(1, 40))) == refused
    assert said(present(full(1, 40), full(2, 20, has_errors=True))) == refused
    assert said(present(full(1, 40), full(2, 20, "diff"))) == refused
    assert said(present(full(1, 40), full(2, 20), codes={2: 99})) == refused


def test_nor_one_into_which_a_backup_is_being_taken() -> None:
    assert said(present(full(1, 40), full(2, 20), running=1)) == [("a backup into repository 1 is being taken", True)]
    assert said(present(full(1, 40), full(2, 20), running=2)) == []


def test_while_less_would_remain_than_is_promised_it_is_asked() -> None:
    found = judge(present(full(1, 40), full(2, 3)), 1)
    (objection,) = found.objections
    assert not objection.stands
    assert objection.message.startswith("without it nothing before 2026-03-01 12:00 UTC could be restored")
    assert objection.message.endswith("now that is possible from 2026-01-23 12:00 UTC on")
    assert found.enough_from == NOON + 11 * DAY
    assert "retire it on 2026-03-15" in found.objections[0].hint


def test_one_that_is_lost_takes_no_window_with_it() -> None:
    """It holds nothing any more; the young window of the other one is all there is anyway."""
    assert said(present(full(2, 3))) == []


def test_one_that_cannot_be_read_counts_with_what_it_held() -> None:
    dead = present(full(2, 3), codes={1: 99}, held={1: (full(1, 40),)})
    assert [stands for _, stands in said(dead)] == [False]
    assert said(present(full(2, 3), codes={1: 99}, held={1: (full(1, 2),)})) == []


def test_the_other_must_have_the_wal_that_was_archived() -> None:
    behind = present(full(1, 40), full(2, 20), archived_wal="00000001000000000000000A")
    assert said(behind) == [("repository 2 does not have the last archived WAL segment 00000001000000000000000A", False)]
    assert said(present(full(1, 40), full(2, 20), archived_wal=None)) == []


# --- whatever there is ------------------------------------------------------------------------------------------------

KEYS = (1, 2, 3)
BACKUPS = st.lists(
    st.builds(
        full,
        st.sampled_from(KEYS),
        st.integers(0, 60),
        st.sampled_from(["full", "diff", "incr"]),
        has_errors=st.booleans(),
    ),
    max_size=12,
)
CODES = st.dictionaries(st.sampled_from(KEYS), st.sampled_from([0, 1, 2, 3, 99]))


def restorable_from(info: Info, repos: set[int]) -> datetime | None:
    """The oldest moment that anything good in these repositories gives, by a way of its own."""
    usable = {r.key for r in info.repositories if r.code in (0, 1, 2, 3)} & repos
    return min((b.stopped for b in info.backups if b.repo in usable and not b.has_errors), default=None)


@given(backups=BACKUPS, codes=CODES, repo=st.sampled_from(KEYS))
def test_what_nothing_speaks_against_costs_nobody_a_promise(backups: list[Backup], codes: dict[int, int], repo: int) -> None:
    found = present(*backups, keys=KEYS, codes=codes)
    verdict = judge(found, repo)
    others = set(KEYS) - {repo}
    if not verdict.is_refused:
        good = [b for b in found.info.good() if b.repo in others and b.kind == "full" and codes.get(b.repo, 0) == 0]
        assert good, "something to restore from is left"
        assert verdict.after is not None
        assert verdict.after.repo in others
    if not verdict.objections:
        left, had = restorable_from(found.info, others), restorable_from(found.info, set(KEYS))
        assert left is not None
        assert had is not None
        assert left <= had or NOON - left >= timedelta(days=14)


@given(backups=BACKUPS, codes=CODES)
def test_the_window_is_that_of_the_readable_one_that_reaches_furthest(backups: list[Backup], codes: dict[int, int]) -> None:
    found = present(*backups, keys=KEYS, codes=codes)
    source = reach.source(reach.windows(found.info, None))
    assert (source.earliest if source else None) == restorable_from(found.info, set(KEYS))


@given(backups=BACKUPS, codes=CODES, repo=st.sampled_from(KEYS))
def test_whatever_the_retired_one_holds_the_rest_is_judged_the_same(
    backups: list[Backup], codes: dict[int, int], repo: int
) -> None:
    with_it = judge(present(*backups, keys=KEYS, codes=codes), repo)
    emptied = [backup for backup in backups if backup.repo != repo]
    without_it = judge(present(*emptied, keys=KEYS, codes=codes), repo)
    assert with_it.after == without_it.after
    assert with_it.is_refused == without_it.is_refused


def test_a_promise_of_centuries_has_no_date() -> None:
    assert reach.gives_window_from((full(1, 1),), int(timedelta.max.total_seconds())) is None
    assert reach.gives_window_from((full(1, 1),), None) is None
    assert reach.gives_window_from((), 60) is None
