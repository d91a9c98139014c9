"""What all tests share: property tests look for new examples on a developer's machine and repeat themselves in CI."""

from __future__ import annotations

import contextlib
import os

with contextlib.suppress(ImportError):  # the tests inside the image do without it
    from hypothesis import settings

    settings.register_profile("ci", derandomize=True)
    if os.environ.get("CI"):
        settings.load_profile("ci")
