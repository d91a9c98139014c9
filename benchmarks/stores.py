"""Stacks and object stores for the benchmarks: those of the scenarios, removed at the end."""

from __future__ import annotations

import json
import os
import platform
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.stack import HELPER_IMAGE, Stack, wait_until
from tests.stores.kinds import Seaweed

warnings.filterwarnings("ignore", message="Unverified HTTPS request")  # the store is asked by its address

PATIENCE_SECONDS: Final = 600
NEVER: Final = {
    "BACKUP_SCHEDULE_FULL": "0 0 29 2 *",
    "BACKUP_SCHEDULE_DIFF": "off",
    "BACKUP_CPU_LIMIT": "2",
    "POSTGRES_ARCHIVE_TIMEOUT": "86400",
    "POSTGRES_MAX_WAL_SIZE": "4GB",
    "SETUP_BACKUP": "true",
}
"""Nothing happens by itself: no backups after the first, no segment before it is full."""


@contextmanager
def s3(name: str, variables: Mapping[str, str], repo: int = 1) -> Iterator[tuple[Stack, Seaweed]]:
    """Run a stack with SeaweedFS behind a gate as one of its repositories."""
    stack = Stack(name, {})
    store = Seaweed(stack, "s3", gate=True)
    try:
        store.launch()
        stack.configure(**NEVER, **store.variables(repo), **variables)
        stack.start()
        yield stack, store
    finally:
        store.remove()
        stack.remove()


@contextmanager
def posix(name: str) -> Iterator[Stack]:
    """Run a stack with a volume as its repository."""
    stack = Stack(name, {})
    try:
        stack.configure(**NEVER, PGBACKREST_REPO1_TYPE="posix")
        stack.start()
        yield stack
    finally:
        stack.remove()


def sampled(stack: Stack, service: str, act: Callable[[], object]) -> tuple[float, float]:
    """Do something; return the most memory that pgbackrest took meanwhile, in MiB: all its processes, the biggest one."""
    with stack.in_background("docker", "exec", stack.container(service), "python3", "-c", _SAMPLER):
        wait_until(lambda: stack.exec(service, "test", "-e", "/tmp/sampled", check=False).code == 0, 10, "the sampler")
        try:
            act()
        finally:
            stack.exec(service, "rm", "/tmp/sampled")
    together, one = json.loads(stack.exec(service, "cat", "/tmp/memory").stdout)
    return together / 1024, one / 1024


# Shared pages are divided among those that share them (PSS).
_SAMPLER = """
import json, os, pathlib, time
def memory(process):
    try:
        if not (process / "cmdline").read_text().startswith("pgbackrest"):
            return 0
        return next(int(line.split()[1]) for line in (process / "smaps_rollup").open() if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0
flag, together, one = pathlib.Path("/tmp/sampled"), 0, 0
flag.touch()
while flag.exists():
    found = [memory(process) for process in pathlib.Path("/proc").glob("[0-9]*")]
    together, one = max(together, sum(found)), max(one, *found)
    time.sleep(0.02)
pathlib.Path("/tmp/memory").write_text(json.dumps([together, one]))
"""


def machine() -> str:
    """Describe what it was measured on, with the load of the moment: other work on the host makes the figures noisy."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, load {load}, images {HELPER_IMAGE}"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return median, minimum and maximum as two cells of a table."""
    return f"{statistics.median(values):.{digits}f} | {min(values):.{digits}f} - {max(values):.{digits}f}"
