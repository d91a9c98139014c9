"""How much something weighs. In a module of its own because the health check loads no library."""

from __future__ import annotations

from typing import Final, Literal

Severity = Literal["debug", "info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("debug", "info", "warning", "critical")
"""From the one that says least to the one that nobody may miss. `debug`: a backup has started."""
