"""Turn SIGTERM and SIGINT into a set event.

An Event must not be set inside a signal handler: the handler may interrupt a wait on that same event while it holds the
event's lock, and then both wait for ever. The kernel writes into a pipe instead, and a thread that reads it sets the event.
"""

from __future__ import annotations

import os
import signal
import threading


def stop_on_signals(stop: threading.Event) -> None:
    """Set `stop` at the first SIGTERM or SIGINT. To be called once, in the main thread."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _do_nothing)

    def relay() -> None:
        os.read(reader, 1)
        stop.set()

    threading.Thread(target=relay, name="signals", daemon=True).start()


def _do_nothing(_number: int, _frame: object) -> None:
    """Replace the default action, which would end the process at once."""
