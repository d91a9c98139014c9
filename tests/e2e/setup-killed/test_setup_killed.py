"""Setup is killed at fifty random moments: what is published is always a whole set, the old one or the new one."""

from __future__ import annotations

import json
import random
import subprocess
import time
from datetime import datetime

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import Stack

MOMENTS = 50
SEED = 20261121
DONE_BEFORE, AMPLE = (MOMENTS - 2, MOMENTS - 1), 10
"""Two runs, one for each set, that are through when they are killed; however busy the machine has become."""

OLD, NEW = {"BACKUP_RETENTION_FULL": "5", "TZ": "UTC"}, {"BACKUP_RETENTION_FULL": "9", "TZ": "Europe/Berlin"}

# Runs in a container that sees the volume as all others do: every file that the manifest names, against its digest.
EXAMINE = """
import hashlib, json, pathlib
root = pathlib.Path("/c")
manifest = json.loads((root / "manifest.json").read_text())
wrong = [p for p, digest in manifest["files"].items() if hashlib.sha256((root / p).read_bytes()).hexdigest() != digest]
text = (root / "conf.d" / "repo.conf").read_text() + (root / "supervisor.json").read_text()
kept = [n for n in ("5", "9") if f"repo1-retention-full={n}" in text and f'"retention_full": {n}' in text]
zone = json.loads((root / "supervisor.json").read_text())["time_zone"]
print(json.dumps({"wrong": wrong, "kept": kept, "zone": zone}))
"""


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> Stack:
    stack = stacks.new(PGBACKREST_REPO1_TYPE="posix", **OLD)
    stack.compose("run", "--rm", "--no-deps", "-T", "setup")
    return stack


def setup_command(stack: Stack, name: str) -> tuple[str, ...]:
    return ("docker", "compose", "--progress", "quiet", "run", "--name", name, "--no-deps", "-T", "setup")


def undisturbed_seconds(stack: Stack) -> float:
    """Return how long setup runs on this machine, as busy as it is, when nobody kills it."""
    name = f"{stack.project}-undisturbed"
    stack.run(*setup_command(stack, name))
    times = stack.run("docker", "inspect", "--format", "{{.State.StartedAt}} {{.State.FinishedAt}}", name).stdout.split()
    stack.run("docker", "rm", "--force", name)
    started, finished = (datetime.fromisoformat(moment) for moment in times)
    return (finished - started).total_seconds()


def killed_run(stack: Stack, name: str, after_seconds: float) -> None:
    """Start setup, kill it so long after its process began, and take the container away."""
    with stack.in_background(*setup_command(stack, name)):
        deadline = time.monotonic() + 20
        started = False
        while not started and time.monotonic() < deadline:
            state = stack.run("docker", "inspect", "--format", "{{.State.Status}}", name, check=False).stdout.strip()
            started = state in ("running", "exited")
        began = time.monotonic()
        while time.monotonic() - began < after_seconds:
            pass  # a random moment is the point; sleeping is too coarse for it
        subprocess.run(["docker", "kill", name], capture_output=True, check=False)
    stack.run("docker", "rm", "--force", name)


def examined(stack: Stack) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        stack.in_helper("exec python3 -", {"/c": stack.config_volume}, stdin=EXAMINE).splitlines()[-1]
    )
    return found


def test_always_a_whole_set(stack: Stack) -> None:
    chance = random.Random(SEED)
    whole = ({"wrong": [], "kept": ["5"], "zone": "UTC"}, {"wrong": [], "kept": ["9"], "zone": "Europe/Berlin"})
    seen: list[dict[str, object]] = []
    seconds = undisturbed_seconds(stack)
    for moment in range(MOMENTS):
        stack.configure(PGBACKREST_REPO1_TYPE="posix", **(NEW if moment % 2 == 0 else OLD))
        share = 1 if moment in DONE_BEFORE else chance.random()
        killed_run(stack, f"{stack.project}-run-{moment}", seconds * (AMPLE if share == 1 else share))
        seen.append(examined(stack))
        assert seen[-1] in whole, moment
    assert all(state in seen for state in whole), "some runs were killed before their work, some after it"
    stack.configure(PGBACKREST_REPO1_TYPE="posix", **NEW)
    stack.compose("run", "--rm", "--no-deps", "-T", "setup")
    assert examined(stack) == whole[1]
