"""Fixtures of the integration tests: a template cluster, made once, and a site for each test or module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.site import PLAIN, Options, Site, must

MakeSite = Callable[[Options], Site]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly initialised cluster to copy."""
    directory = tmp_path_factory.mktemp("template") / "data"
    must("initdb", f"--pgdata={directory}", "--username=postgres", "--encoding=UTF8", "--data-checksums",
         "--auth=trust", "--no-sync", "--no-instructions")  # fmt: skip
    return directory


@pytest.fixture
def site(tmp_path: Path, template: Path) -> Iterator[Site]:
    """A running server with an empty, plain repository."""
    made = Site(tmp_path, PLAIN)
    made.create(template)
    yield made
    made.stop("immediate")


@pytest.fixture(scope="module")
def make_site(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[MakeSite]:
    """Makes a site that a whole module uses; the one before it is stopped."""
    made: list[Site] = []

    def make(options: Options) -> Site:
        for earlier in made:
            earlier.stop("immediate")
        made.append(Site(tmp_path_factory.mktemp("site"), options))
        made[-1].create(template)
        return made[-1]

    yield make
    for earlier in made:
        earlier.stop("immediate")
