"""What all scenarios share: the images, built once; stacks that are removed at the end; logs where one failed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # its image cannot be pulled everywhere, and `remove` is stricter

from tests.e2e.stack import IMAGE_TAG, IMAGES, PREFIX, ROOT, Stack, clean_environment
from tests.stores.kinds import KINDS

pytest.register_assert_rewrite("tests.e2e.cycle")

LIVING: list[Stack] = []
LONGEST_FIRST = (
    "two-clouds",
    "outage-long",
    "outage-at-backup",
    "credentials-rotated",
    "restore-sources",
    "restore-killed",
    "overlap",
    "outage-short",
    "health-transitions",
    "scheduled-run",
    "empty-data-directory",
    "setup-killed",
    "host-directory",
)
"""Scenarios that wait for the clock most of their time: at the end, one worker would wait for them alone."""


class Stacks:
    """Makes the stacks of one scenario and remembers them."""

    def __init__(self, scenario: str, end: ExitStack) -> None:
        """Take the scenario's name, which goes into all names, and what to tell of every stack that is to be removed."""
        self._scenario = scenario
        self._end = end

    def new(self, **variables: str) -> Stack:
        """Return a stack that is not started yet, with these variables in its env file."""
        return self._remembered(Stack(self._scenario, {"BACKUP_CPU_LIMIT": "2", **variables}))

    def of_checkout(self, checkout: Path) -> Stack:
        """Return a stack that is not started yet, in another directory and without an env file."""
        return self._remembered(Stack(self._scenario, {}, checkout))

    def store(self, kind: str, stack: Stack, name: str = "", *, gate: bool = False) -> Any:
        """Return an object store that runs on the stack's network: s3, azure or gcs. See `tests.stores.store`."""
        store = KINDS[kind](stack, name or kind, gate=gate)
        self._end.callback(store.remove)
        store.launch()
        return store

    def _remembered(self, stack: Stack) -> Stack:
        LIVING.append(stack)
        self._end.callback(LIVING.remove, stack)
        self._end.callback(stack.remove)
        return stack

    def at_end(self, action: Callable[[], object]) -> None:
        """Do this when the scenario has ended."""
        self._end.callback(action)

    def running(self, **variables: str) -> Stack:
        """Return a stack with a posix repository that has taken its first backup."""
        stack = self.new(PGBACKREST_REPO1_TYPE="posix", **variables)
        stack.start()
        return stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the scenarios that take longest first."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


@pytest.fixture(scope="module")
def stacks(request: pytest.FixtureRequest, images: None) -> Iterator[Stacks]:
    """Make stacks for the scenario that asks, and remove them at its end."""
    with ExitStack() as end:
        yield Stacks(request.path.parent.name, end)


@pytest.fixture(scope="session")
def images() -> Iterator[None]:
    """Build the images under a tag of the tests' own, and take the tags away again that were not there before.

    Several test processes may run at once: the first one in remembers what was there, the last one out cleans up.
    """
    with _locked("build"), _lock_file("use").open("a+", encoding="utf-8") as use:
        if _try_exclusive(use.fileno()):
            use.truncate(0)
            use.write("\n".join(_present_images()))
            use.flush()
        _build_images()
        fcntl.flock(use, fcntl.LOCK_SH)
        held = os.dup(use.fileno())
    yield
    with _locked("build"), os.fdopen(held, encoding="utf-8") as use:
        if _try_exclusive(use.fileno()):
            use.seek(0)
            ours = [image for image in _present_images() if image not in use.read().splitlines()]
            if ours:
                _docker("image", "rm", *ours)
            if replaced := _replaced_images():
                _docker("image", "rm", *replaced)


def _lock_file(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"{PREFIX}images.{os.getuid()}.{name}.lock"


@contextmanager
def _locked(name: str) -> Iterator[None]:
    with _lock_file(name).open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try_exclusive(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _present_images() -> list[str]:
    return [image for image in IMAGES if _docker("image", "inspect", image, check=False).returncode == 0]


def _replaced_images() -> list[str]:
    """Return our images that have lost their tag: Compose labels them with the project, so each `deploy` makes others."""
    label = "com.docker.compose.project"
    listed = _docker("image", "ls", "--quiet", "--filter", "dangling=true", "--filter", f"label={label}").stdout.split()
    template = f'{{{{.Id}}}} {{{{index .Config.Labels "{label}"}}}}'
    labelled = _docker("image", "inspect", "--format", template, *listed).stdout.splitlines() if listed else []
    return [line.split()[0] for line in labelled if line.split()[1].startswith(PREFIX)]


def _build_images() -> None:
    variables = {"COMPOSE_PROJECT_NAME": f"{PREFIX}images", "IMAGE_TAG": IMAGE_TAG, "COMPOSE_ENV_FILES": os.devnull}
    _docker("compose", "--progress", "plain", "build", variables=variables)


def _docker(*argv: str, check: bool = True, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(**(variables or {}))
    done = subprocess.run(("docker", *argv), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"docker {' '.join(argv)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the containers' logs with every failure."""
    report = yield
    if report.failed:
        report.sections += [(f"containers of {stack.project}", stack.last_words()) for stack in LIVING]
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the scenarios have measured (`record_property`)."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
