"""What is still to be taken: kept across restarts, neither lost nor doubled, whatever moment the process dies at."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup.due.agenda import Agenda
from backup.pgbackrest import RepositoryStatus
from backup.state.history import Beginning, Ending, State
from backup.taking.jobs import BackupRequest
from backup.watch.outage import WORKS_AGAIN
from contract.supervisor import BackupType
from tests.unit.backup.fakes import World, make_backup, make_config, make_info, make_world

FULL = make_backup("20260301-020000F")
HOURLY = make_config(full="0 0 * * 0", diff="0 * * * *")


def taken(world: World, agenda: Agenda) -> list[tuple[BackupType, int, str]]:
    """What the agenda asks for now, one after the other, when each run succeeds."""
    found: list[tuple[BackupType, int, str]] = []
    while (request := agenda.next(world.clock.now)) is not None:
        found.append((request.kind, request.repo, request.origin))
        agenda.ended(request, taken=True, now=world.clock.now)
    return found


def note(world: World, agenda: Agenda, running: BackupRequest | None = None, **later: float) -> None:
    world.clock.advance(**later)
    agenda.consider(world.clock.now, running)


def run(world: World, kind: BackupType, state: State, *, origin: str = "schedule", retryable: bool = True) -> None:
    """Let the history know of a run that has just ended."""
    number = world.deployment.history.begin(Beginning("backup", kind, 1, origin, "a test"), world.clock.now)
    world.clock.advance(seconds=1)
    ending = Ending(state, 0 if state == "succeeded" else 49, None, "it is a test", retryable=retryable)
    world.deployment.history.end(number, ending, world.clock.now)


@pytest.fixture
def agenda(world: World) -> Agenda:
    made = Agenda(world.deployment)
    made.consider(world.clock.now, None)
    return made


def test_nothing_is_due_before_the_first_look(world: World) -> None:
    agenda = Agenda(world.deployment)
    note(world, agenda)
    assert taken(world, agenda) == []


def test_what_fell_due_waits_through_restarts_until_its_run_has_ended(world: World, agenda: Agenda) -> None:
    note(world, agenda, hours=14, seconds=1)
    for _ in range(3):  # killed before, in and after the run, each time before its end was written down
        again = Agenda(world.deployment)
        request = again.next(world.clock.now)
        assert request is not None
        assert (request.kind, request.origin) == ("diff", "schedule")
    assert request is not None
    again.ended(request, taken=True, now=world.clock.now)
    last = Agenda(world.deployment)
    note(world, last, seconds=1)
    assert taken(world, last) == []


def test_a_run_that_succeeded_before_it_could_be_crossed_out_is_not_taken_twice(world: World, agenda: Agenda) -> None:
    note(world, agenda, hours=14, seconds=1)
    request = agenda.next(world.clock.now)
    assert request is not None
    began = Beginning("backup", request.kind, request.repo, request.origin, f"{request.reason}; and more")
    number = world.deployment.history.begin(began, world.clock.now)
    assert Agenda(world.deployment).next(world.clock.now) == request
    world.deployment.history.end(number, Ending("succeeded", 0, "L", "done"), world.clock.now)
    assert Agenda(world.deployment).next(world.clock.now) is None


def test_what_was_missed_is_caught_up_once_after_a_random_part_of_the_jitter(world: World, agenda: Agenda) -> None:
    world.clock.advance(days=3)
    after = Agenda(world.deployment)
    note(world, after)
    assert after.next(world.clock.now) is None
    later = after.later(world.clock.now)
    assert later is not None
    assert timedelta(0) < later.not_before - world.clock.now <= timedelta(seconds=30)
    note(world, after, seconds=30)
    assert taken(world, after) == [("diff", 1, "schedule")]
    note(world, after, seconds=30)
    assert taken(world, after) == []


def test_a_full_backup_takes_the_place_of_a_waiting_differential_one_and_not_the_other_way_round(
    world: World, agenda: Agenda
) -> None:
    note(world, agenda, days=2, hours=14)
    note(world, agenda, days=1)
    assert taken(world, agenda) == [("full", 1, "schedule")]
    note(world, agenda, days=6, seconds=1)
    note(world, agenda, days=1)
    note(world, agenda, days=1)
    assert taken(world, agenda) == [("full", 1, "schedule")]


def test_what_runs_covers_what_falls_due_meanwhile(world: World, agenda: Agenda) -> None:
    note(world, agenda, hours=14)
    running = agenda.next(world.clock.now)
    assert running is not None
    note(world, agenda, running, days=1)
    agenda.ended(running, taken=True, now=world.clock.now)
    assert taken(world, agenda) == []


def test_a_full_backup_that_falls_due_while_a_differential_one_runs_is_taken_next(world: World, agenda: Agenda) -> None:
    note(world, agenda, days=2, hours=13)
    note(world, agenda, minutes=1)
    assert taken(world, agenda) == [("diff", 1, "schedule")]
    note(world, agenda, minutes=59, seconds=1)
    running = agenda.next(world.clock.now)
    assert running is not None
    note(world, agenda, running, days=1)
    agenda.ended(running, taken=True, now=world.clock.now)
    assert taken(world, agenda) == [("full", 1, "schedule")]


def test_each_repository_has_its_own(tmp_path: Path) -> None:
    world = make_world(tmp_path, make_config(repositories=2))
    agenda = Agenda(world.deployment)
    note(world, agenda)
    note(world, agenda, hours=14)
    world.republish(make_config(), "2")
    one_left = Agenda(world.deployment)
    assert taken(world, agenda) == [("diff", 1, "schedule"), ("diff", 2, "schedule")]
    one_left.reconfigured(world.deployment.reloaded())
    assert taken(world, one_left) == [("diff", 1, "schedule")]
    world.deployment.store.close()


def test_a_repository_without_a_full_backup_gets_one_but_not_one_that_cannot_be_read(tmp_path: Path) -> None:
    world = make_world(tmp_path, make_config(repositories=3))
    agenda = Agenda(world.deployment)
    readable = tuple(RepositoryStatus(key, "aes-256-cbc", 0, "ok") for key in (1, 2))
    agenda.look_at(make_info(FULL, repositories=(*readable, RepositoryStatus(3, "aes-256-cbc", 99, "no route to host"))))
    assert taken(world, agenda) == [("full", 2, "first")]
    world.deployment.store.close()


def test_a_failed_run_is_tried_again_later_and_one_that_was_cut_off_at_once(world: World, agenda: Agenda) -> None:
    run(world, "full", "failed")
    assert agenda.next(world.clock.now) is None
    later = agenda.later(world.clock.now)
    assert later is not None
    assert timedelta(minutes=1) <= later.not_before - world.clock.now <= timedelta(minutes=1.2)
    world.clock.advance(minutes=2)
    assert agenda.next(world.clock.now) == later.request
    run(world, "full", "interrupted", origin="retry")
    request = agenda.next(world.clock.now)
    assert request is not None
    assert (request.kind, request.origin) == ("full", "retry")
    run(world, "full", "succeeded", origin="manual")
    assert agenda.next(world.clock.now) is None


def test_what_trying_again_cannot_help_waits_for_the_next_time_or_for_a_change(world: World, agenda: Agenda) -> None:
    world.clock.advance(seconds=1)
    run(world, "full", "failed", retryable=False)
    agenda.look_at(make_info())
    world.clock.advance(hours=1)
    assert agenda.next(world.clock.now) is None
    agenda.reconfigured(world.deployment)
    request = agenda.next(world.clock.now)
    assert request is not None
    assert (request.kind, request.origin) == ("full", "first")
    agenda.look_at(make_info(FULL))
    request = agenda.next(world.clock.now)
    assert request is not None
    assert (request.kind, request.origin) == ("full", "retry")


@pytest.mark.parametrize("retryable", [True, False])
def test_what_failed_in_an_outage_is_taken_once_when_archiving_works_again(
    world: World, agenda: Agenda, retryable: bool
) -> None:
    for _ in range(5):
        run(world, "full", "failed", retryable=retryable)
        world.clock.advance(seconds=1)
    assert agenda.next(world.clock.now) is None
    world.deployment.marks.put_moment(WORKS_AGAIN, world.clock.now)
    request = agenda.next(world.clock.now)
    assert request is not None
    assert (request.kind, request.origin) == ("full", "retry")
    world.clock.advance(seconds=1)
    run(world, "full", "failed", origin="retry", retryable=retryable)
    assert agenda.next(world.clock.now) is None, "the next time it is a failure of its own"


def test_a_manual_run_that_failed_is_the_operators(world: World, agenda: Agenda) -> None:
    run(world, "full", "failed", origin="manual")
    world.clock.advance(hours=2)
    assert taken(world, agenda) == []


def test_a_clock_that_was_far_ahead_does_not_stop_the_schedule(world: World, agenda: Agenda) -> None:
    note(world, agenda, days=3650)
    note(world, agenda, days=-3650)
    assert taken(world, agenda) == [("full", 1, "schedule")]
    note(world, agenda, days=1)
    world.clock.advance(minutes=1)
    assert taken(world, agenda) == [("diff", 1, "schedule")]


def test_a_clock_that_is_set_back_by_a_day_repeats_nothing(world: World, agenda: Agenda) -> None:
    note(world, agenda, hours=15)
    world.clock.advance(minutes=1)
    assert taken(world, agenda) == [("diff", 1, "schedule")]
    note(world, agenda, days=-1)
    note(world, agenda, hours=23)
    assert taken(world, agenda) == []
    note(world, agenda, days=1)
    world.clock.advance(minutes=1)
    assert taken(world, agenda) == [("diff", 1, "schedule")]


Step = tuple[float, bool, bool]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 7000), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_every_due_moment_is_followed_by_a_backup_and_no_backup_is_without_one(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    """Each step waits a while; then the process may be killed before it takes what is due, and may be killed in the run."""
    world = make_world(tmp_path_factory.mktemp("agenda"), HOURLY)
    agenda = Agenda(world.deployment)
    note(world, agenda)
    begun: datetime = world.clock.now
    finished: list[datetime] = []
    for seconds, killed_before, killed_within in steps:
        note(world, agenda, seconds=seconds)
        if killed_before:
            agenda = Agenda(world.deployment)
            note(world, agenda, seconds=31)
        request = agenda.next(world.clock.now)
        if request is not None and killed_within:
            agenda = Agenda(world.deployment)
            request = agenda.next(world.clock.now)
        if request is not None:
            agenda.ended(request, taken=True, now=world.clock.now)
            finished.append(world.clock.now)
    note(world, agenda, seconds=31)
    hours = int((world.clock.now - begun) / timedelta(hours=1))
    world.clock.advance(seconds=31)
    finished += [world.clock.now for _ in taken(world, agenda)]
    world.deployment.store.close()
    moments = [begun]
    due = [begun.replace(minute=0, second=0, microsecond=0) + timedelta(hours=n) for n in range(1, hours + 1)]
    moments += finished
    for earlier, later in zip(moments, finished, strict=False):
        assert any(earlier < moment <= later for moment in due)  # none is double
    assert not due or (finished and finished[-1] >= due[-1])  # none is lost
