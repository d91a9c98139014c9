"""What a job is asked for and what became of it: the values between the schedule, the jobs and the record. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from backup import pgbackrest
from backup.process import Finished
from backup.state.history import Ending, Sizes, State
from backup.storage import trouble
from backup.storage.place import Place
from contract.exits import Exit
from contract.supervisor import BackupType

Origin = Literal["schedule", "first", "retry", "resume", "restore", "manual"]


@dataclass(frozen=True)
class BackupRequest:
    """What to do and why: `reason` is a sentence for the record. Unless it `expires`, nothing old is removed after it."""

    kind: BackupType
    repo: int
    origin: Origin
    reason: str
    expires: bool = True


@dataclass(frozen=True)
class Outcome:
    """What a job did. `message` and `hint` are for people; `label` is the proven new backup, `kind` its type.

    `attempts` counts how often pgbackrest was started over, not how often it waited for a lock. `retryable` means that
    trying again later can help without anybody doing anything. `sizes` are there when a backup is proven.
    """

    state: State
    exit_code: int
    message: str
    hint: str = ""
    label: str | None = None
    seconds: float = 0.0
    tail: tuple[str, ...] = ()
    attempts: int = 1
    retryable: bool = False
    sizes: Sizes | None = None
    kind: BackupType | None = None

    @classmethod
    def failed(cls, exit_code: int, message: str, hint: str, *, retryable: bool) -> Self:
        """Return a failure before or after pgbackrest did anything."""
        return cls("failed", exit_code, message, hint, retryable=retryable)

    def but(self, failure: Outcome) -> Outcome:
        """Return another result of the same run: with this one's attempts, type, duration and last lines."""
        return replace(failure, attempts=self.attempts, kind=self.kind, seconds=self.seconds, tail=self.tail)

    def ending(self) -> Ending:
        """Return what the record keeps."""
        return Ending(
            self.state,
            self.exit_code,
            self.label,
            self.message,
            self.tail,
            attempts=self.attempts,
            retryable=self.retryable,
            sizes=self.sizes,
        )


def judged(finished: Finished, what: str, place: Place | None = None, *, was_readable: bool = False) -> Outcome:
    """Return what the end of a pgbackrest command means; `what` names the command for people, `place` its repository.

    `was_readable`: the store has let us in right before. What troubles it now has begun meanwhile, and may end as well.
    """
    meaning = pgbackrest.meaning(finished.exit_code)
    tail, seconds, code = finished.tail, finished.seconds, finished.exit_code
    if finished.stopped_by == "stop":
        return Outcome("interrupted", code, f"{what}: stopped on request", "", None, seconds, tail, retryable=True)
    if finished.stopped_by == "deadline":
        message = f"{what}: stopped after {seconds / 3600:.1f} hours, its deadline"
        return Outcome("failed", code, message, "see the log for what it waited for", None, seconds, tail)
    if (known := _storage_trouble(finished, place)) is not None:
        message = f"{what}: {known.sentence}"
        may_pass = known.may_pass or was_readable
        return Outcome("failed", code, message, known.hint, None, seconds, tail, retryable=may_pass)
    if code != 0:
        message = f"{what}: pgbackrest exit code {code} ({meaning.name}){error_line(tail)}"
        return Outcome("failed", code, message, meaning.hint, None, seconds, tail, retryable=meaning.retry)
    return Outcome("succeeded", Exit.OK, what, "", None, seconds, tail)


def _storage_trouble(finished: Finished, place: Place | None) -> trouble.Trouble | None:
    """Return what a failure says about a store, if it is about one."""
    if finished.exit_code == 0 or (place is not None and place.type == "posix"):
        return None
    return trouble.explain("\n".join(finished.tail), finished.exit_code, place)


def error_line(tail: tuple[str, ...]) -> str:
    """Return ": " and the first error that pgbackrest printed, or nothing."""
    errors = [line.split("ERROR:", 1)[1].strip() for line in tail if "ERROR:" in line]
    return f": {errors[0]}" if errors else ""
