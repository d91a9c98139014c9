"""What the watcher leaves for others about outages: by the name it is kept under. Pure."""

from __future__ import annotations

from typing import Final

WORKS_AGAIN: Final = "archiving.works-again"
"""The moment at which archiving was last seen to succeed after it had failed: what failed for the same reason may go on."""
