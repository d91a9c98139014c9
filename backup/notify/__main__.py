"""The process that sends what is due and ends: `python3 -m backup.notify --state FILE --config DIRECTORY`.

It prints nothing but, when it cannot do its work at all, one line without any address; it ends with 0 when all results
are written down, whatever they are. SIGTERM lets the present attempts end and begins no other.
"""

from __future__ import annotations

import argparse
import functools
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from backup.deployment import load_config, load_receivers, utc_now
from backup.notify.answer import Answer
from backup.notify.delivery import Shift, deliver, together
from backup.notify.heartbeat import send_pings
from backup.notify.sender import Sender
from backup.signals import stop_on_signals
from backup.state.marks import Marks
from backup.state.outbox import Outbox
from backup.state.pings import Phase, Pings
from backup.state.store import Store
from contract import paths

SHIFT: Final = timedelta(seconds=60)


def main(argv: Sequence[str] | None = None) -> int:
    """Send what is due; return 0 when everything that happened is written down."""
    parser = argparse.ArgumentParser(prog="backup.notify")
    parser.add_argument("--state", type=Path, default=paths.HISTORY)
    parser.add_argument("--config", type=Path, default=paths.CONFIG)
    where = parser.parse_args(argv)
    stop = threading.Event()
    stop_on_signals(stop)
    try:
        _work(where.state, where.config, stop)
    except Exception as error:  # noqa: BLE001 the process boundary: a traceback could show an address
        last = error.__traceback__
        while last and last.tb_next:
            last = last.tb_next
        place = f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else "nowhere"
        print(f"notify: {type(error).__name__} at {place}")  # noqa: T201 what the courier logs
        return 1
    return 0


def _work(state: Path, config_directory: Path, stop: threading.Event) -> None:
    config, _ = load_config(config_directory)
    receivers = load_receivers(config_directory)
    store = Store(state)
    shift = Shift(stop, utc_now() + SHIFT, utc_now)
    sender = Sender(config.stanza, ZoneInfo(config.time_zone), utc_now)
    pings, url = Pings(store), receivers.heartbeat_url

    def ping(phase: Phase) -> Answer:
        return sender.ping(url or "", phase)

    jobs = [functools.partial(deliver, Outbox(store), receivers, sender.send, shift)]
    if url is not None:
        jobs.append(functools.partial(send_pings, pings, Marks(store), ping, shift))
    together(jobs)
    store.close()


if __name__ == "__main__":
    sys.exit(main())
