"""The looks that are kept: what goes in comes out, the file stays small, and the latest are found at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backup.state.store import Store
from backup.watch.readings import Sample, Volume
from backup.watch.samples import KEPT_BY_THE_HOUR, KEPT_IN_FULL, Samples
from tests.unit.backup.fakes import NOON, make_wal

DATA = Volume("data", ("log", "state"), 80, 100)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state.sqlite")
    yield made
    made.close()


@pytest.fixture
def samples(store: Store) -> Samples:
    return Samples(store)


def a_sample(minutes: float = 0, rate: float | None = 10.0) -> Sample:
    return Sample(NOON + minutes * MINUTE, make_wal(), (DATA,), "", rate, rate)


def test_what_goes_in_comes_out(samples: Samples) -> None:
    wal = make_wal(
        last_failed_wal="000000010000000000000007", last_failed_at=NOON, ready_segments=3, oldest_ready_seconds=12.5,
        wal_position=2**63 - 1, in_recovery=True,
    )  # fmt: skip
    sample = Sample(NOON, wal, (DATA, Volume("repository1")), "", 1.5, None)
    samples.put(sample)
    assert samples.last(NOON) == sample


def test_an_unreachable_database_is_a_look_as_well(samples: Samples) -> None:
    sample = Sample(NOON, None, (DATA,), "database: connection refused", None, 5.0)
    samples.put(sample)
    assert samples.last(NOON) == sample


def test_nothing_kept_is_nothing_found(samples: Samples) -> None:
    assert samples.last(NOON) is None
    assert samples.recent(NOON, MINUTE) == ()
    assert samples.peak(NOON) is None
    assert samples.hours(NOON - KEPT_BY_THE_HOUR, NOON) == ()
    assert not samples.thin(NOON)


def test_a_second_look_in_the_same_second_takes_the_place_of_the_first(samples: Samples) -> None:
    samples.put(a_sample(rate=1.0))
    samples.put(a_sample(rate=2.0))
    assert samples.recent(NOON, MINUTE) == (a_sample(rate=2.0),)


def test_the_latest_looks_come_in_their_order_and_the_future_not_at_all(samples: Samples) -> None:
    for minute in (5, 1, 3, 1440):
        samples.put(a_sample(minute))
    now = NOON + 5 * MINUTE
    assert samples.last(now) == a_sample(5)
    assert samples.recent(now, timedelta(minutes=3)) == (a_sample(3), a_sample(5))


def test_the_peak_is_that_of_the_last_hour(samples: Samples) -> None:
    for minute, rate in ((0, 900.0), (10, 50.0), (60, 20.0), (65, None), (90, 800.0)):
        samples.put(a_sample(minute, rate))
    assert samples.peak(NOON + 69 * MINUTE) == 50.0
    assert samples.peak(NOON + 70 * MINUTE) == 20.0


def test_old_looks_become_hours(samples: Samples) -> None:
    for minute in range(180):
        wal = make_wal(ready_segments=minute, oldest_ready_seconds=60.0 * minute, pg_wal_bytes=1000 + minute)
        volume = replace(DATA, free_bytes=1000 - minute)
        samples.put(Sample(NOON + minute * MINUTE, wal, (volume,), "", float(minute), 0.0))
    samples.put(Sample(NOON + timedelta(minutes=30, seconds=30), None, (DATA,), "refused"))
    before = samples.hours(NOON, NOON + timedelta(hours=3))
    assert not samples.thin(NOON + KEPT_IN_FULL + timedelta(hours=2))
    after = samples.hours(NOON, NOON + timedelta(hours=3))
    assert after == before
    assert samples.recent(NOON + timedelta(hours=3), timedelta(days=1))[0].at == NOON + timedelta(hours=2)
    first = after[0]
    assert (first.at, first.looks, first.unreachable) == (NOON, 61, 1)
    assert first.wal_rate == pytest.approx(29.5)
    assert first.wal_rate_peak == 59.0
    assert (first.ready_segments, first.oldest_ready_seconds, first.pg_wal_bytes) == (59, 3540.0, 1059)
    assert first.volumes == (replace(DATA, free_bytes=941),)


def test_the_file_stops_growing(samples: Samples, store: Store) -> None:
    """More than a year, looked at once a day: the number of rows is bounded by what is kept."""
    for step in range(500):
        now = NOON + step * timedelta(days=1)
        samples.put(replace(a_sample(), at=now))
        samples.thin(now)
    counts = [store.rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("sample", "sample_hour")]
    assert counts[0] <= KEPT_IN_FULL / timedelta(days=1) + 1
    assert counts[1] <= KEPT_BY_THE_HOUR / timedelta(days=1) + 1


MILLION = 1_000_000
LIMIT_SECONDS = 0.05


def fill(store: Store, count: int) -> None:
    """Make so many looks, a minute apart, the last one now; none of them ever thinned."""
    names = "000000010000000000000005"
    store.write(
        f"""
        WITH RECURSIVE minute (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM minute WHERE n < {count - 1})
        INSERT INTO sample SELECT {int(NOON.timestamp())} - n * 60, '', '[["data", ["log"], 80, 100]]', n % 977, 10, 0,
            7710425701430951955, 1, n, 16777216, 'on', '', 'pgbackrest --stanza=salespider archive-push %p',
            n, '{names}', 1.5, 0, NULL, NULL, n % 7, NULL, 67108864 FROM minute ORDER BY n DESC
        """
    )


def fastest(ask: Callable[[], object]) -> float:
    """Return the seconds of the best of some attempts: what else the machine does is not the question."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return min(took)


def test_a_million_looks_are_no_burden(samples: Samples, store: Store) -> None:
    fill(store, MILLION)
    assert fastest(lambda: samples.last(NOON)) < LIMIT_SECONDS
    assert fastest(lambda: samples.recent(NOON, timedelta(minutes=15))) < LIMIT_SECONDS
    assert fastest(lambda: samples.peak(NOON)) < LIMIT_SECONDS
    assert fastest(lambda: samples.put(a_sample())) < LIMIT_SECONDS
    assert fastest(lambda: samples.hours(NOON - timedelta(days=1), NOON)) < LIMIT_SECONDS
    assert len(samples.recent(NOON, timedelta(minutes=15))) == 15
    assert samples.thin(NOON), "there is much more to thin"
    assert fastest(lambda: samples.thin(NOON)) < LIMIT_SECONDS * 4
