"""What the tests of setup share: an environment of their own, and places that belong to whoever runs them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from setup.places import Owner, Places
from setup.settings import Settings, read_settings

Read = Callable[..., Settings]


@pytest.fixture(scope="session")
def read() -> Read:
    """Return a reader of settings from nothing but the given variables, on a machine with `cpu_count` cores."""

    def read_from(variables: dict[str, str] | None = None, *, cpu_count: int = 8) -> Settings:
        with patch.dict(os.environ, variables or {}, clear=True):
            return read_settings(cpu_count)

    return read_from


@pytest.fixture
def me() -> Owner:
    """Return the owner that any user may give files to."""
    return Owner(os.getuid(), os.getgid())


@pytest.fixture
def places(tmp_path: Path, me: Owner) -> Places:
    """Return empty directories."""
    names = ("configuration", "secrets", "state", "repository", "repository2", "repository3", "repository4")
    configuration, secrets, state, *repositories = (tmp_path / name for name in names)
    for folder in (configuration, secrets, state, *repositories):
        folder.mkdir()
    return Places(configuration, secrets, tuple(repositories), state, publisher=me, database=me)
