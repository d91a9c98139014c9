"""SIGKILL of a restore after each of its steps, alone or with all else: the next command ends it, and no row is lost."""

from __future__ import annotations

import itertools
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.ledger import Ledger
from tests.e2e.small_disk import look_now
from tests.e2e.stack import HELPER_IMAGE, Result, Stack, wait_until

# Ends the restore's process, and with it its container, as soon as it has done one thing, or halts it there for somebody
# else to kill; loaded by Python at its start.
KILLER = """
import os, signal
from backup.restore.beside import build, proof
from backup.restore.swap import switch

def killing(cls, method, name):
    original = getattr(cls, method)
    def wrapped(self, *given, **named):
        result = original(self, *given, **named)
        if os.environ["KILL_AFTER"] == (name or given[0]):
            if os.environ.get("HALT"):
                print("HALTED", flush=True)
                while True:
                    signal.pause()
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


def with_killer(stack: Stack, step: str) -> tuple[str, ...]:
    """Return the options of `docker compose run` that give a restore its killer."""
    path = ("--env", "PYTHONPATH=/opt/killer:/opt/salespider")
    return ("--volume", f"{stack.directory}/killer:/opt/killer:ro", *path, "--env", f"KILL_AFTER={step}")


def killed_restore(stack: Stack, step: str, *words: str) -> Result:
    """Run a restore that is killed after a step."""
    result = stack.compose(*RUN, *with_killer(stack, step), "restore", "--yes", *words, check=False)
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


# --- everything dies at the same instant ------------------------------------------------------------------------------

Fate = Literal["serves", "holds", "is down"]
"""What a database does that nobody has cared for since: `holds`: its container runs, and starts no server."""


class Death(NamedTuple):
    """A moment at which all dies. `reboot`: a Docker that starts with the host starts what had not ended with 0.

    It does not ask who had stopped it, so a database that the restore had stopped comes back, too; without it the
    restart policy alone decides, which leaves that one down.
    """

    step: str
    reboot: bool
    fate: Fate
    said: str


UNTOUCHED, HALF, DONE = "before it changed anything", "THE DATABASE IS DOWN", "it may run already"
DEATHS = (
    Death("restore", False, "serves", UNTOUCHED),
    Death("prove", False, "serves", UNTOUCHED),
    Death("mark swapping", False, "holds", HALF),
    *(Death(step, False, "is down", HALF) for step in ("stop", "prepare", "move out", "move in")),
    *(Death(step, True, "holds", HALF) for step in ("stop", "prepare", "move out", "move in")),
    Death("mark starting", False, "is down", DONE),
    Death("mark starting", True, "serves", DONE),
    Death("start", False, "serves", DONE),
    Death("accept", False, "serves", "no restore is under way"),
)
TELLING = (Death("move out", False, "is down", HALF), Death("mark starting", True, "serves", DONE))
BACK = (
    *(Death(step, True, "holds", HALF) for step in ("mark reverting", "move back", "put back")),
    Death("mark building", False, "is down", "may be down"),
    Death("mark building", True, "serves", "may be down"),
    Death("start old", False, "serves", "may be down"),
)


def death_id(death: Death) -> str:
    return f"{death.step}{' and a reboot' if death.reboot else ''}"


def kill_processes(stack: Stack, *processes: int) -> None:
    """Kill processes of the host in one go. Docker takes that for their own end, and not for an operator's stop."""
    assert processes
    assert all(process > 1 for process in processes)
    host = ("--pid", "host", "--network", "none", "--user", "0:0", "--security-opt", "apparmor=unconfined")
    label = ("--label", f"com.docker.compose.project={stack.project}")
    words = (str(process) for process in processes)
    stack.run("docker", "run", "--rm", *host, *label, "--entrypoint", "kill", HELPER_IMAGE, "-9", *words)


def kill_everything(stack: Stack, client: subprocess.Popen[bytes] | None = None, *others: str) -> None:
    """Kill the client and the first processes of the stack's containers and of these others."""
    names = (stack.container("postgres"), stack.container("backup"), *others)
    # One of the others may not be there yet, or not any more.
    pids = stack.run("docker", "inspect", "--format", "{{.State.Pid}}", *names, check=False).stdout.split()
    kill_processes(stack, *(int(pid) for pid in pids if pid != "0"))
    if client is not None:
        client.kill()


def comes_back(stack: Stack, *, reboot: bool = False) -> None:
    """Wait for what comes back by itself."""
    if reboot:
        for service in ("postgres", "backup"):
            if stack.state(service)["ExitCode"] != 0:
                stack.docker("start", service)
    wait_until(lambda: stack.state("backup")["Running"], 30, "the supervisor's container")


@contextmanager
def halted_restore(stack: Stack, step: str, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a restore until a step and have it wait there; yield its client and the name of its container."""
    name, said = f"{stack.project}-halted", stack.directory / "halted.log"
    options = (*with_killer(stack, step), "--env", "HALT=1", "--name", name)
    try:
        with (
            said.open("w") as stdout,
            stack.in_background("docker", "compose", *RUN, *options, "restore", "--yes", *words, stdout=stdout) as client,
        ):
            wait_until(lambda: "HALTED" in said.read_text(), 60, f"{step} in {said.read_text()}")
            yield client, name
    finally:
        stack.run("docker", "rm", "--force", name, check=False)


def all_die(stack: Stack, death: Death, *words: str) -> None:
    """Run a restore, kill all at a step of it, and see what comes back and what an operator is told."""
    with halted_restore(stack, death.step, *words) as (client, container):
        kill_everything(stack, client, container)
    comes_back(stack, reboot=death.reboot)
    if death.fate == "serves":
        wait_until(stack.is_open, 60, "an open database")
    else:
        assert stack.state("postgres")["Running"] == (death.fate == "holds")
        assert not stack.is_open()
    if death.fate == "holds":
        wait_until(lambda: "in the middle of its swap" in stack.logs("postgres", "--tail", "4"), 30, "the reason")
    assert death.said in stack.make("restore-status").output
    if "under way" in death.said:
        return
    wait_until(lambda: "restore" in [alarm["key"] for alarm in stack.alarms()], 90, "the alarm")
    assert death.said in stack.make("status").output


def live_through(stack: Stack, death: Death) -> None:
    """A client writes all the time; in the end there is all that was ever acknowledged, and nothing is left over."""
    with Ledger(stack, rows_a_second=20) as ledger:
        all_die(stack, death, "latest")
        if death.fate == "serves":
            ledger.wait_for(5, 60)
        settle(stack, death_id(death), "restore-latest")
        ledger.wait_for(5, 60)
    assert ledger.missing(stack) == []
    stack.wait_for_backups_after_restore()
    assert stack.make("restore-cleanup", CONFIRM="yes").code == 0
    assert in_volume(stack) == ["data"]


@pytest.mark.parametrize("death", TELLING, ids=death_id)
def test_everything_dies_at_telling_steps(stack: Stack, death: Death) -> None:
    """The sample that every run takes."""
    live_through(stack, death)


@pytest.mark.long
@pytest.mark.parametrize("death", DEATHS, ids=death_id)
def test_everything_dies_at_every_step(stack: Stack, death: Death) -> None:
    """After each of them."""
    live_through(stack, death)


@pytest.mark.long
@pytest.mark.parametrize("death", BACK, ids=death_id)
def test_everything_dies_on_the_way_back(stack: Stack, death: Death) -> None:
    """What reverts can be killed with all the rest, too."""
    count = sell(stack)
    killed_restore(stack, "move in", "latest")
    all_die(stack, death, "undo")
    settle(stack, death_id(death), "restore-undo" if death.said == HALF else "restore-latest")
    assert sales(stack) == count


FREEZE = """
import os, pathlib, signal, time
while True:
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if b"checkpointer" in (process / "cmdline").read_bytes()[:40]:
                os.kill(int(process.name), signal.SIGSTOP)
                raise SystemExit
        except OSError:
            pass
    time.sleep(0.01)
"""


def test_everything_dies_during_the_last_checkpoint_of_recovery(stack: Stack) -> None:
    """PostgreSQL knows nothing of its recovery any more then; it must not go past the target, nor on in the old timeline."""
    count = sell(stack)
    target = stack.sql("SELECT clock_timestamp()")
    stack.sql(f"INSERT INTO sale VALUES ({-count})")
    timeline = stack.sql("SELECT timeline_id FROM pg_control_checkpoint()")
    killed_restore(stack, "mark starting", "pitr", "--", target)
    stack.docker("start", "postgres")
    stack.exec("postgres", "python3", "-c", FREEZE)
    is_there = ("test", "-e", "/var/lib/postgresql/data/recovery.signal")
    wait_until(lambda: stack.exec("postgres", *is_there, check=False).code == 1, 60, "the end of recovery")
    kill_everything(stack)
    comes_back(stack)
    wait_until(stack.is_open, 60, "an open database")
    assert sales(stack) == count, "exactly the state of the target"
    assert int(stack.sql("SELECT timeline_id FROM pg_control_checkpoint()")) > int(timeline)
    count = sell(stack)
    result = stack.make("restore-pitr", TARGET=target, CONFIRM="yes")
    assert result.code == 0, result.output
    assert sales(stack) == count, "what was written before anybody gave the next command"


# --- at random --------------------------------------------------------------------------------------------------------


def kill_at_random(stack: Stack, times: int, seed: int, *, everything: bool = False) -> None:
    """Kill the whole container, or everything, so long after it was begun, and give the command again."""
    chance = random.Random(seed)
    for _ in range(times):
        count, delay = sell(stack), chance.random() * LONGEST_RESTORE_SECONDS
        name = f"{stack.project}-killed"
        with stack.in_background("docker", "compose", *RUN, "--name", name, "restore", "--yes", "latest") as client:
            time.sleep(delay)
            if everything:
                kill_everything(stack, client, name)
            else:
                stack.run("docker", "kill", name, check=False)
        stack.run("docker", "rm", "--force", name, check=False)
        if everything:
            comes_back(stack, reboot=chance.random() < 0.5)
        settle(stack, f"{delay:.2f} s", "restore-latest")
        assert sales(stack) == count, f"killed after {delay:.2f} s"
        assert stack.make("restore-cleanup", CONFIRM="yes").code == 0


def test_a_few_moments(stack: Stack) -> None:
    """The sample that every run takes."""
    kill_at_random(stack, 2, SEED)


@pytest.mark.long
@pytest.mark.parametrize("part", range(5))
def test_many_moments(stack: Stack, part: int) -> None:
    """Fifty of them, ten at a time."""
    kill_at_random(stack, 10, SEED + 1 + part)


@pytest.mark.long
@pytest.mark.parametrize("part", range(2))
def test_everything_dies_at_many_moments(stack: Stack, part: int) -> None:
    """Twenty of them, ten at a time."""
    kill_at_random(stack, 10, SEED + 10 + part, everything=True)
