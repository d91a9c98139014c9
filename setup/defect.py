"""What is said about an error nobody foresaw: its type and its place, never its text, which may hold a secret."""

from __future__ import annotations

import traceback
from pathlib import Path


def told(error: Exception) -> str:
    """Return one line for the operator to report."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"unexpected {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: a defect, please report this line"
    )
