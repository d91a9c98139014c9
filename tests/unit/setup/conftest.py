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
    configuration, secrets, repository, state = (
        tmp_path / name for name in ("configuration", "secrets", "repository", "state")
    )
    for folder in (configuration, secrets, repository, state):
        folder.mkdir()
    return Places(configuration, secrets, repository, state, publisher=me, database=me)
