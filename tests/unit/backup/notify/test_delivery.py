"""Delivering: in order, one receiver no burden to another, and every failure an attempt."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from backup.notice import Notice
from backup.notify.answer import Answer, http
from backup.notify.backoff import FIRST
from backup.notify.delivery import LEASE, Shift, deliver, together, within
from backup.state.outbox import Message, Outbox
from backup.state.store import Store, StoreError
from contract.receivers import Receiver, Receivers
from tests.unit.backup.fakes import NOON, Clock

A = Receiver(id="a", kind="webhook", url="https://a.example/secret", shown="a.example")
B = Receiver(id="b", kind="service", url="slack://secret", shown="slack")
BOTH = Receivers(receivers=(A, B))
TAKEN = http(200)


class Post:
    """Receivers that take everything, unless told otherwise; `had` is what they have taken, in order."""

    def __init__(self) -> None:
        self.had: dict[str, list[str]] = {"a": [], "b": []}
        self.says: dict[str, Callable[[Message], Answer]] = {}

    def send(self, receiver: Receiver, message: Message) -> Answer:
        says = self.says.get(receiver.id)
        answer = says(message) if says else TAKEN
        if answer.taken:
            self.had[receiver.id].append(message.notice.summary)
        return answer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state.sqlite")
    yield made
    made.close()


@pytest.fixture
def outbox(store: Store) -> Outbox:
    made = Outbox(store)
    for summary in ("one", "two", "three"):
        made.put(Notice("backup.failed", "warning", summary), ["a", "b"], NOON)
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shift(clock: Clock) -> Shift:
    return Shift(threading.Event(), NOON + timedelta(days=30), clock)


def test_everything_arrives_in_order(outbox: Outbox, shift: Shift) -> None:
    post = Post()
    deliver(outbox, BOTH, post.send, shift)
    assert post.had == {"a": ["one", "two", "three"], "b": ["one", "two", "three"]}
    assert outbox.waiting() == ()


def test_one_that_refuses_holds_back_its_own_messages_and_nobody_elses(outbox: Outbox, shift: Shift, clock: Clock) -> None:
    post = Post()
    post.says["a"] = lambda _message: http(500)
    deliver(outbox, BOTH, post.send, shift)
    assert post.had == {"a": [], "b": ["one", "two", "three"]}
    (waiting,) = outbox.waiting()
    assert (waiting.receiver, waiting.count, waiting.attempts) == ("a", 3, 1)
    assert waiting.last_error == "HTTP 500 Internal Server Error"
    del post.says["a"]
    deliver(outbox, BOTH, post.send, shift)
    assert post.had["a"] == []
    clock.advance(seconds=FIRST.total_seconds())
    deliver(outbox, BOTH, post.send, shift)
    assert post.had["a"] == ["one", "two", "three"]


def test_a_refusal_of_a_later_message_stops_there(outbox: Outbox, shift: Shift) -> None:
    post = Post()
    post.says["a"] = lambda message: http(429) if message.notice.summary == "two" else TAKEN
    deliver(outbox, BOTH, post.send, shift)
    assert post.had["a"] == ["one"]


def test_the_delay_grows_with_each_attempt_and_outlives_a_restart(
    outbox: Outbox, shift: Shift, clock: Clock, store: Store
) -> None:
    post = Post()
    post.says["a"] = lambda _message: http(503)
    times = []
    for _ in range(7 * 24 * 60 * 4):
        if Outbox(store).due(["a"], clock()):
            times.append(clock())
            deliver(Outbox(store), Receivers(receivers=(A,)), post.send, shift)
        clock.advance(seconds=15)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) < 25
    assert gaps[-1] > timedelta(hours=12)
    growing = [gap for gap in gaps if timedelta(minutes=2) < gap < timedelta(hours=16)]
    assert len(growing) > 5
    assert growing == sorted(growing)


def test_what_the_receiver_asks_for_is_waited_for(outbox: Outbox, shift: Shift) -> None:
    post = Post()
    post.says["a"] = lambda _message: http(429, timedelta(minutes=10))
    deliver(outbox, BOTH, post.send, shift)
    assert outbox.due(["a"], NOON + timedelta(minutes=9)) == ()
    assert outbox.due(["a"], NOON + timedelta(minutes=10)) == ("a",)


def test_a_receiver_that_does_not_answer_delays_nobody_and_is_an_attempt_that_failed(
    outbox: Outbox, shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, never = Post(), threading.Event()
    monkeypatch.setattr("backup.notify.delivery.ANSWER_SECONDS", {"webhook": 0.05, "service": 15.0})

    def hang(_message: Message) -> Answer:
        never.wait(10)
        return TAKEN

    post.says["a"] = hang
    deliver(outbox, BOTH, post.send, shift)
    assert post.had["b"] == ["one", "two", "three"]
    (waiting,) = outbox.waiting()
    assert (waiting.attempts, waiting.last_error) == (1, "no answer within 0 s")
    never.set()


def test_a_defect_in_sending_is_an_attempt_that_failed_and_names_no_address(outbox: Outbox, shift: Shift) -> None:
    post = Post()

    def stumble(_message: Message) -> Answer:
        raise RuntimeError(f"cannot reach {A.url}")

    post.says["a"] = stumble
    deliver(outbox, BOTH, post.send, shift)
    assert [each.last_error for each in outbox.waiting()] == ["it could not be sent (RuntimeError)"]


def test_when_asked_to_stop_the_present_message_ends_and_no_other_begins(outbox: Outbox, shift: Shift) -> None:
    post = Post()

    def stop_after(_message: Message) -> Answer:
        shift.stop.set()
        return TAKEN

    post.says["a"] = post.says["b"] = stop_after
    deliver(outbox, Receivers(receivers=(A,)), post.send, shift)
    assert post.had["a"] == ["one"]
    assert {each.receiver: each.count for each in outbox.waiting()} == {"a": 2, "b": 3}


def test_a_shift_ends_in_time_and_leaves_the_rest_for_the_next(outbox: Outbox, clock: Clock) -> None:
    post, shift = Post(), Shift(threading.Event(), NOON + timedelta(seconds=60), clock)

    def slow(_message: Message) -> Answer:
        clock.advance(seconds=40)
        return TAKEN

    post.says["a"] = slow
    deliver(outbox, Receivers(receivers=(A,)), post.send, shift)
    assert post.had["a"] == ["one", "two"]
    assert outbox.due(["a"], clock()) == ("a",)


def test_a_result_that_cannot_be_written_down_is_raised_and_the_message_comes_again(
    outbox: Outbox, shift: Shift, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("database or disk is full")

    post = Post()
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "delivered", full)
        with pytest.raises(StoreError):
            deliver(outbox, Receivers(receivers=(A,)), post.send, shift)
    assert post.had["a"] == ["one"]
    claim = outbox.claim("a", NOON + LEASE, LEASE)
    assert claim is not None
    assert (claim.message.notice.summary, claim.attempt) == ("one", 2)


def test_a_receiver_that_the_file_does_not_know_is_left_alone(outbox: Outbox, shift: Shift) -> None:
    post = Post()
    deliver(outbox, Receivers(receivers=(B,)), post.send, shift)
    assert post.had["a"] == []
    assert [(each.receiver, each.attempts) for each in outbox.waiting()] == [("a", 0)]


def test_together_ends_all_before_it_raises() -> None:
    done: list[int] = []

    def fail() -> None:
        raise StoreError("locked")

    with pytest.raises(StoreError, match="locked"):
        together([fail, lambda: done.append(1), lambda: done.append(2)])
    assert sorted(done) == [1, 2]
    together([])


def test_within_gives_the_answer() -> None:
    assert within(10, lambda: TAKEN) is TAKEN
