"""What ends a peek: a request, the hours that it may last, or a volume on which the live database would lack space.

It is the stop flag of everything that the peek does, from its first file on: whoever waits for it looks at the time and the
space.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

LOOK_SECONDS: Final = 0.5

Reason = Literal["", "request", "hours", "space"]


class Ending(threading.Event):
    """A flag with a reason. `clock` counts seconds, and `free` returns the free bytes of a volume."""

    def __init__(
        self,
        stop: threading.Event,
        volume: Path,
        reserve_bytes: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        free: Callable[[Path], int] = lambda volume: shutil.disk_usage(volume).free,
    ) -> None:
        """Watch the `volume`, of which `reserve_bytes` must stay free; `stop` is what a signal sets."""
        super().__init__()
        self._stop = stop
        self._volume = volume
        self._reserve_bytes = reserve_bytes
        self._clock = clock
        self._free = free
        self._looked_at: float | None = None
        self._deadline: float | None = None
        self.reason: Reason = ""

    def in_hours(self, hours: float) -> None:
        """Have it end after so many hours, counted from now."""
        self._deadline = self._clock() + hours * 3600

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as any event does; look at time and space, at most twice a second."""
        if self.is_set():
            return True
        self._look()
        if self.reason == "" and self._stop.wait(timeout):
            self._end("request")
        return self.is_set()

    def is_set(self) -> bool:
        """Tell whether it has ended; a request counts at once."""
        if not super().is_set() and self._stop.is_set():
            self._end("request")
        return super().is_set()

    def _look(self) -> None:
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        if self._free(self._volume) < self._reserve_bytes:
            self._end("space")
        elif self._deadline is not None and now >= self._deadline:
            self._end("hours")

    def _end(self, reason: Reason) -> None:
        self.reason = self.reason or reason
        self.set()
