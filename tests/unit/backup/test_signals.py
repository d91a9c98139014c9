"""A stop request reaches a real process that waits, and the handler cannot block it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WAIT = """
import sys
import threading
from backup.signals import stop_on_signals
stop = threading.Event()
stop_on_signals(stop)
print("ready", flush=True)
for _ in range(1000):
    if stop.wait(0.01):
        print("stopped in order", flush=True)
        break
sys.stdin.read()  # a signal that comes while the interpreter winds down would end it the default way
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_sets_the_flag_and_the_process_ends_in_its_own_way(number: signal.Signals, times: int) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen((sys.executable, "-c", WAIT), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        for _ in range(times):
            process.send_signal(number)
        rest, _ = process.communicate(timeout=10)
    assert (rest, process.returncode) == ("stopped in order\n", 0)
