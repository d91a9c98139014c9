"""When to try again. Pure: chance is a parameter."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

FIRST: Final = timedelta(seconds=5)
LONGEST: Final = timedelta(days=1)
LONGEST_ASKED_FOR: Final = timedelta(hours=1)
"""What a receiver may ask for. It does not get to silence us for days."""

_JITTER: Final = 0.25
_DOUBLINGS: Final = 20


def delay(attempts: int, chance: float, asked_for: timedelta | None = None) -> timedelta:
    """Return how long to wait after so many failed attempts: from some 5 seconds, doubling, up to a day.

    `chance` is a number from 0 to 1 and takes up to a quarter off, so that not everybody returns at once to a receiver
    that has just come back. `asked_for` is what the receiver said (Retry-After); it is waited for, up to an hour.
    """
    grown: timedelta = min(FIRST * 2 ** min(max(attempts - 1, 0), _DOUBLINGS), LONGEST)
    own = grown * (1 - _JITTER * chance)
    return max(own, min(asked_for, LONGEST_ASKED_FOR)) if asked_for else own
