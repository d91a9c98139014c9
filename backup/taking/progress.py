"""How far a backup or restore has come, read from pgbackrest's own lines. Pure: time is a parameter.

With `--log-level-console=detail` pgbackrest names every file as it is done, with the share of all bytes. Thousands of
such lines help nobody, so they become one sentence every few seconds, and the rest of the output passes through.
"""

from __future__ import annotations

import re

_DETAIL = re.compile(r" P\d\d DETAIL: ")
_SHARE = re.compile(r" P\d\d DETAIL: (?P<what>backup|restore) file .* \((?:.*, )?(?P<share>\d+(?:\.\d+)?)%\)")
_COMMAND_BEGIN = re.compile(r"( command begin [\d.]+):.*")


class Progress:
    """Decides line by line what a person should see."""

    def __init__(self, every_seconds: float, started: float) -> None:
        """Say something at most every so often; `started` is the present moment in seconds of any clock."""
        self._every = every_seconds
        self._started = started
        self._told = started

    def show(self, line: str, now: float) -> str | None:
        """Return what to print for a line of pgbackrest, or None for nothing."""
        if _COMMAND_BEGIN.search(line):  # before it somebody may have had to answer a question
            self._started = self._told = now
        if _DETAIL.search(line) is None:
            return line
        share = _SHARE.search(line)
        if share is None or now - self._told < self._every:
            return None
        self._told = now
        done, elapsed = float(share["share"]) / 100, now - self._started
        left = f", about {elapsed / done - elapsed:.0f} s left" if done > 0 else ""
        return f"    {share['what']}: {done:4.0%} after {elapsed:.0f} s{left}"


def shorten(line: str) -> str:
    """Cut the options from the line that announces a command: the log file has them, a person needs the verb."""
    return _COMMAND_BEGIN.sub(r"\1", line)
