"""What was looked at in a repository, one step at a time, and what was seen. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Step:
    """One thing that was tried: its name, how it went, what was seen, how long it took; `hint` when something is to do.

    `may_pass`: a failure that may be over without anybody doing anything.
    """

    name: str
    state: State
    seen: str
    seconds: float | None = None
    hint: str = ""
    may_pass: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what `--output=json` prints of it."""
        seconds = None if self.seconds is None else round(self.seconds, 3)
        return {"name": self.name, "state": self.state, "seen": self.seen, "seconds": seconds, "hint": self.hint}


@dataclass
class Examination:
    """What was found in one repository, in the order it was looked at."""

    key: int
    location: str
    steps: list[Step] = field(default_factory=list)

    @property
    def failure(self) -> Step | None:
        """Return the first step that failed: the others follow from it."""
        return next((step for step in self.steps if step.state == "failed"), None)

    def told(self, step: Step) -> str:
        """Return what was seen in a step, with the repository named before it."""
        return f"repository {self.key} ({self.location}): {step.seen}"

    def skip(self, names: tuple[str, ...], why: str) -> None:
        """Note steps that were not tried."""
        self.steps += [Step(name, "skipped", why) for name in names]

    def as_json(self) -> dict[str, Any]:
        """Return what `--output=json` prints of it."""
        steps = [step.as_json() for step in self.steps]
        return {"repository": self.key, "location": self.location, "ok": self.failure is None, "steps": steps}
