"""The runner thread: one job at a time, and no silent death."""

from __future__ import annotations

import queue
import threading

import pytest
from structlog.testing import capture_logs

from backup.supervision.runner import Runner
from backup.taking.jobs import Outcome
from contract import events

DONE = Outcome("succeeded", 0, "done")


def collect(runner: Runner) -> Outcome | None:
    """Wait for the outcome of the present job."""
    for _ in range(500):
        if (outcome := runner.collect()) is not None:
            return outcome
        threading.Event().wait(0.01)
    return None


def test_an_outcome_is_handed_over_once() -> None:
    runner = Runner()
    runner.start()
    runner.submit(lambda: DONE)
    assert collect(runner) is DONE
    assert runner.collect() is None
    runner.finish(5)
    assert not runner.is_alive()


def test_it_is_busy_until_the_outcome_is_collected() -> None:
    runner, go = Runner(), threading.Event()
    runner.start()

    def job() -> Outcome:
        go.wait(5)
        return DONE

    runner.submit(job)
    assert runner.is_busy
    assert runner.collect() is None
    go.set()
    assert collect(runner) is DONE
    assert not runner.is_busy
    runner.finish(5)


def test_a_second_job_before_the_first_is_taken_is_refused() -> None:
    runner = Runner()
    runner.submit(lambda: DONE)
    with pytest.raises(queue.Full):
        runner.submit(lambda: DONE)
    runner.start()
    assert collect(runner) is DONE
    runner.finish(5)


def test_a_job_that_raises_ends_the_thread_with_the_error_kept_and_logged() -> None:
    runner = Runner()

    def job() -> Outcome:
        raise ZeroDivisionError

    with capture_logs() as logged:
        runner.start()
        runner.submit(job)
        runner._thread.join(5)
    assert not runner.is_alive()
    assert isinstance(runner.failure, ZeroDivisionError)
    assert [(entry["event"], entry["thread"]) for entry in logged] == [(events.SUPERVISOR_THREAD_DIED, "runner")]


def test_finishing_lets_the_present_job_end_first() -> None:
    runner, ended, go = Runner(), list[str](), threading.Event()
    runner.start()

    def job() -> Outcome:
        go.wait(5)
        ended.append("yes")
        return DONE

    runner.submit(job)
    threading.Timer(0.05, go.set).start()
    runner.finish(5)
    assert ended == ["yes"]
    assert not runner.is_alive()


def test_finishing_gives_up_after_its_timeout() -> None:
    runner, go = Runner(), threading.Event()
    runner.start()
    runner.submit(lambda: Outcome("succeeded", 0, str(go.wait(10))))
    runner.finish(0.05)
    assert runner.is_alive()
    go.set()
    runner._thread.join(5)
