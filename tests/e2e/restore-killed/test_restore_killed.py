"""SIGKILL of a restore after each of its steps: the next command finishes it or puts the old database back."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.small_disk import look_now
from tests.e2e.stack import Result, Stack, wait_until

# Ends the restore's process, and with it its container, as soon as it has done one thing; loaded by Python at its start.
KILLER = """
import os, signal
from backup.restore.beside import build, proof
from backup.restore.swap import switch

def killing(cls, method, name):
    original = getattr(cls, method)
    def wrapped(self, *given, **named):
        result = original(self, *given, **named)
        if os.environ["KILL_AFTER"] == (name or given[0]):
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(cls, method, wrapped)

killing(build.SideRestore, "_restore", "restore")
killing(proof.Proof, "prove", "prove")
killing(switch.Switch, "_do", None)
"""
DOWN = ("stop", "prepare", "move out", "move in", "mark starting")
STEPS = ("restore", "prove", "mark swapping", *DOWN, "start")
FEW = ("mark swapping", "start")
RUN = ("--profile", "ops", "run", "--rm", "--no-deps", "-T")
SEED = 20261121
LONGEST_RESTORE_SECONDS = 9.0
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.running()
    stack.sql("CREATE TABLE sale (id int PRIMARY KEY)")
    hold = stack.directory / "killer"
    hold.mkdir(mode=0o755)
    (hold / "sitecustomize.py").write_text(KILLER)
    return stack


def killed_restore(stack: Stack, step: str, *words: str) -> Result:
    """Run a restore that is killed after a step."""
    options = ("--volume", f"{stack.directory}/killer:/opt/killer:ro", "--env", "PYTHONPATH=/opt/killer:/opt/salespider")
    result = stack.compose(*RUN, *options, "--env", f"KILL_AFTER={step}", "restore", "--yes", *words, check=False)
    assert result.code == 137, result.output
    return result


def sell(stack: Stack) -> int:
    """Commit another row; return its number, which is how many there are."""
    number = next(_numbers)
    stack.sql(f"INSERT INTO sale VALUES ({number})")
    return number


def sales(stack: Stack) -> int:
    return int(stack.sql("SELECT count(*) FROM sale"))


def in_volume(stack: Stack) -> list[str]:
    return stack.in_helper("ls /v", {"/v": stack.volume("postgres-data")}).split()


def settle(stack: Stack, step: str, verb: str) -> Result:
    """Give the next command; whatever it was, the database is open then and no restore is left half-done."""
    result = stack.make(verb, CONFIRM="yes")
    assert result.code == 0, f"after {step}: {result.output}"
    wait_until(stack.is_open, 30, "an open database")
    left = in_volume(stack)
    assert "data" in left
    assert [name for name in left if name.startswith("restore-") and name != "restore-journal.json"] == []
    return result


def kill_and_settle(stack: Stack, step: str) -> None:
    count = sell(stack)
    killed_restore(stack, step, "latest")
    settle(stack, step, "restore-latest")
    assert sales(stack) == count, f"killed after {step}, the same command again"
    count = sell(stack)
    killed_restore(stack, step, "latest")
    settle(stack, step, "restore-undo")
    assert sales(stack) == count, f"killed after {step}, then restore-undo"
    assert stack.make("restore-cleanup", CONFIRM="yes").code == 0


def test_in_the_middle_of_the_swap_no_server_starts_and_it_is_said(stack: Stack) -> None:
    """Somebody starts the container: it holds, says why, and the supervisor alarms."""
    count = sell(stack)
    killed_restore(stack, "move out", "latest")
    stack.docker("start", "postgres")
    wait_until(lambda: "in the middle of its swap" in stack.logs("postgres"), 30, "the reason")
    assert "data" not in in_volume(stack)
    status = stack.make("restore-status")
    assert "THE DATABASE IS DOWN" in status.output
    look_now(stack)
    wait_until(lambda: "restore" in [alarm["key"] for alarm in stack.alarms()], 90, "an alarm")
    settle(stack, "move out", "restore-latest")
    assert sales(stack) == count
    look_now(stack)
    wait_until(lambda: "restore" not in [alarm["key"] for alarm in stack.alarms()], 90, "the end of the alarm")


@pytest.mark.parametrize("step", FEW)
def test_a_few_steps(stack: Stack, step: str) -> None:
    """The sample that every run takes."""
    kill_and_settle(stack, step)


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_every_step(stack: Stack, step: str) -> None:
    """After each of them."""
    kill_and_settle(stack, step)


def test_the_death_of_the_docker_client_is_no_matter(stack: Stack) -> None:
    """The container goes on without the terminal that began it."""
    count, before = sell(stack), len(stack.runs())
    with stack.in_background("docker", "compose", *RUN, "restore", "--yes", "latest") as client:
        wait_until(lambda: "restore" in [run["kind"] for run in stack.runs()[before:]], 60, "a restore that has begun")
        client.kill()
    wait_until(lambda: [r["state"] for r in stack.runs()[before:] if r["kind"] == "restore"] == ["succeeded"], 60, "its end")
    assert sales(stack) == count


def test_a_second_kill_while_it_is_put_back(stack: Stack) -> None:
    """What reverts can be killed, too."""
    count = sell(stack)
    killed_restore(stack, "move in", "latest")
    killed_restore(stack, "move back", "undo")
    killed_restore(stack, "put back", "undo")
    settle(stack, "put back", "restore-undo")
    assert sales(stack) == count


def kill_at_random(stack: Stack, times: int, seed: int) -> None:
    """Kill the whole container so long after it was begun, and give the command again."""
    chance = random.Random(seed)
    for _ in range(times):
        count, delay = sell(stack), chance.random() * LONGEST_RESTORE_SECONDS
        with stack.in_background(
            "docker", "compose", *RUN, "--name", f"{stack.project}-killed", "restore", "--yes", "latest"
        ):
            time.sleep(delay)
            stack.run("docker", "kill", f"{stack.project}-killed", check=False)
        stack.run("docker", "rm", "--force", f"{stack.project}-killed", check=False)
        settle(stack, f"{delay:.2f} s", "restore-latest")
        assert sales(stack) == count, f"killed after {delay:.2f} s"
        assert stack.make("restore-cleanup", CONFIRM="yes").code == 0


def test_a_few_moments(stack: Stack) -> None:
    """The sample that every run takes."""
    kill_at_random(stack, 2, SEED)


@pytest.mark.long
def test_many_moments(stack: Stack) -> None:
    """Fifty of them."""
    kill_at_random(stack, 50, SEED + 1)
