"""The outbox: nothing is lost, nothing overtakes, and an attempt that was cut off is one that failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup.notice import Notice
from backup.state.outbox import CUT_OFF, Claim, Outbox
from backup.state.store import Store
from contract.severity import Severity
from tests.unit.backup.fakes import NOON

LEASE = timedelta(seconds=60)
A, B = "a", "b"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state.sqlite")
    yield made
    made.close()


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return Outbox(store)


def notice(summary: str, severity: Severity = "warning") -> Notice:
    return Notice("backup.failed", severity, summary, "look", facts={"repo": 1, "rate": 2.5, "proven": False})


def claimed(outbox: Outbox, receiver: str = A, **later: float) -> Claim:
    claim = outbox.claim(receiver, NOON + timedelta(**later), LEASE)
    assert claim is not None
    return claim


def test_a_message_comes_out_as_it_went_in(outbox: Outbox) -> None:
    outbox.put(notice("one"), [A], NOON)
    claim = claimed(outbox)
    assert (claim.attempt, claim.message.at, claim.message.notice) == (1, NOON, notice("one"))
    assert len(claim.message.id) == 36


def test_the_same_message_has_the_same_id_for_everybody_and_in_every_attempt(outbox: Outbox) -> None:
    outbox.put(notice("one"), [A, B], NOON)
    first = claimed(outbox)
    again = claimed(outbox, seconds=61)
    assert (first.attempt, again.attempt) == (1, 2)
    assert first.message == again.message == claimed(outbox, B).message


def test_only_the_oldest_message_of_a_receiver_is_ever_due(outbox: Outbox) -> None:
    for summary in ("one", "two"):
        outbox.put(notice(summary), [A, B], NOON)
    outbox.failed(claimed(outbox, A), "HTTP 500", NOON + timedelta(hours=1))
    outbox.delivered(claimed(outbox, B), NOON)
    assert outbox.due([A, B], NOON) == (B,)
    assert outbox.claim(A, NOON, LEASE) is None
    assert claimed(outbox, B).message.notice.summary == "two"
    assert claimed(outbox, A, hours=1).message.notice.summary == "one"


def test_what_is_being_sent_is_nobody_elses_until_the_lease_has_ended(outbox: Outbox) -> None:
    outbox.put(notice("one"), [A], NOON)
    claimed(outbox)
    assert outbox.due([A], NOON + timedelta(seconds=59)) == ()
    assert outbox.claim(A, NOON + timedelta(seconds=59), LEASE) is None
    assert outbox.due([A], NOON + timedelta(seconds=60)) == (A,)
    (waiting,) = outbox.waiting()
    assert (waiting.attempts, waiting.last_error) == (1, CUT_OFF)


def test_a_clock_that_is_set_back_does_not_hold_messages_back(outbox: Outbox) -> None:
    outbox.put(notice("one"), [A], NOON)
    assert outbox.due([A], NOON - timedelta(hours=23)) == ()
    assert outbox.due([A], NOON - timedelta(days=1, seconds=1)) == (A,)
    assert claimed(outbox, days=-30).attempt == 1


def test_something_critical_does_not_wait_out_a_long_delay(outbox: Outbox) -> None:
    outbox.put(notice("one"), [A, B], NOON)
    for receiver in (A, B):
        outbox.failed(claimed(outbox, receiver), "HTTP 500", NOON + timedelta(hours=20))
    outbox.put(notice("two"), [A, B], NOON)
    outbox.put(notice("three", "critical"), [B], NOON)
    assert outbox.due([A, B], NOON) == ()
    assert outbox.due([A, B], NOON + timedelta(minutes=1)) == (B,)
    assert claimed(outbox, B, minutes=1).message.notice.summary == "one"


def test_waiting_tells_of_each_receiver_how_much_how_old_and_why(outbox: Outbox) -> None:
    assert outbox.waiting() == ()
    outbox.put(notice("one"), [A], NOON - timedelta(hours=3))
    outbox.put(notice("two", "critical"), [A, B], NOON - timedelta(hours=2))
    outbox.put(notice("three", "critical"), [A], NOON)
    outbox.failed(claimed(outbox), "HTTP 403 Forbidden", NOON)
    outbox.delivered(claimed(outbox, B), NOON)
    (waiting,) = outbox.waiting()
    assert (waiting.receiver, waiting.count, waiting.attempts, waiting.last_error) == (A, 3, 1, "HTTP 403 Forbidden")
    assert (waiting.oldest, waiting.oldest_critical) == (NOON - timedelta(hours=3), NOON - timedelta(hours=2))


def test_what_waits_for_somebody_who_is_gone_is_dropped_and_counted(outbox: Outbox, store: Store) -> None:
    for summary in ("one", "two"):
        outbox.put(notice(summary), [A, B], NOON)
    assert outbox.drop_all_but([A, B]) == {}
    assert outbox.drop_all_but([B]) == {A: 2}
    assert outbox.drop_all_but([B]) == {}
    assert [each.receiver for each in outbox.waiting()] == [B]
    assert len(store.rows("SELECT * FROM delivery")) == 2


def test_pruning_forgets_what_was_delivered_and_never_what_waits(outbox: Outbox, store: Store) -> None:
    for summary in ("delivered to all", "waits for one"):
        outbox.put(notice(summary), [A, B], NOON)
        outbox.delivered(claimed(outbox, A), NOON)
    outbox.delivered(claimed(outbox, B), NOON)
    outbox.put(notice("new"), [A], NOON + timedelta(days=40))
    outbox.delivered(claimed(outbox, A, days=40), NOON + timedelta(days=40))
    assert outbox.prune(NOON) == 0
    assert outbox.prune(NOON + timedelta(days=30)) == 1
    assert [row["summary"] for row in store.rows("SELECT summary FROM message ORDER BY id")] == ["waits for one", "new"]
    assert len(store.rows("SELECT * FROM delivery")) == 3


def test_looking_for_what_is_due_reads_no_table(outbox: Outbox, store: Store) -> None:
    plan = store.rows(
        "EXPLAIN QUERY PLAN SELECT * FROM delivery JOIN message ON message.id = delivery.message "
        "WHERE receiver = 'a' AND delivered_at IS NULL ORDER BY delivery.message LIMIT 1"
    )
    assert not [row["detail"] for row in plan if "SCAN" in row["detail"] or "TEMP" in row["detail"]]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sets(st.sampled_from([A, B]))),
        st.tuples(st.sampled_from(["take", "refuse", "die"]), st.sampled_from([A, B])),
        st.tuples(st.just("wait"), st.integers(1, 7200)),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps=STEPS)
def test_whatever_happens_each_receiver_has_a_beginning_of_its_messages_in_order(steps: list[tuple[str, object]]) -> None:
    """Receivers may take or refuse, or the sender is killed when the receiver has just had the message."""
    store = Store(Path(":memory:"))
    outbox, now = Outbox(store), NOON
    put: dict[str, list[str]] = {A: [], B: []}
    had: dict[str, list[str]] = {A: [], B: []}
    for number, (step, what) in enumerate(steps):
        if step == "put":
            assert isinstance(what, set)
            outbox.put(notice(str(number)), sorted(what), now)
            for receiver in what:
                put[receiver].append(str(number))
        elif step == "wait":
            assert isinstance(what, int)
            now += timedelta(seconds=what)
        elif (claim := outbox.claim(str(what), now, LEASE)) is not None:
            if step != "refuse":
                had[claim.receiver].append(claim.message.notice.summary)
            if step == "take":
                outbox.delivered(claim, now)
            elif step == "refuse":
                outbox.failed(claim, "HTTP 500", now + timedelta(minutes=10))
    once = {receiver: list(dict.fromkeys(messages)) for receiver, messages in had.items()}
    waiting = {each.receiver: each.count for each in outbox.waiting()}
    store.close()
    for receiver in (A, B):
        assert once[receiver] == put[receiver][: len(once[receiver])]
        assert len(put[receiver]) - waiting.get(receiver, 0) <= len(once[receiver])
