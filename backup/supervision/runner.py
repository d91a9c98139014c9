"""The runner thread: takes one job at a time, so that the supervisor's loop stays free to watch, reload and stop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from backup import logs
from backup.taking.jobs import Outcome
from contract import events

Job = Callable[[], Outcome]


class Runner:
    """A thread that does what it is given, one thing at a time. Dies loudly: `is_alive` turns false, with `failure` set."""

    def __init__(self) -> None:
        """Make the thread; `start` starts it."""
        self._jobs: queue.Queue[Job | None] = queue.Queue(maxsize=1)
        self._done: queue.Queue[Outcome] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="runner", daemon=True)
        self.failure: BaseException | None = None
        self.is_busy = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the thread can still take jobs."""
        return self._thread.is_alive()

    def submit(self, job: Job) -> None:
        """Hand over a job. Only when `is_busy` is false; raises queue.Full otherwise."""
        self._jobs.put_nowait(job)
        self.is_busy = True

    def collect(self) -> Outcome | None:
        """Return the outcome of the job that has ended since the last call, if one has."""
        try:
            outcome = self._done.get_nowait()
        except queue.Empty:
            return None
        self.is_busy = False
        return outcome

    def finish(self, timeout_seconds: float) -> None:
        """Let the present job end, then the thread; wait for it."""
        try:
            self._jobs.put(None, timeout=timeout_seconds)
        except queue.Full:
            return
        self._thread.join(timeout_seconds)

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._done.put(job())
        except Exception as error:  # noqa: BLE001 the thread boundary: whatever it was, the process must learn of it
            self.failure = error
            logs.logger().exception(events.SUPERVISOR_THREAD_DIED, thread="runner")
