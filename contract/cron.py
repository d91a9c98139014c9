"""The nicknames of cron expressions. Both images read schedules through `expand`, so that they accept the same ones."""

from __future__ import annotations

from typing import Final

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""As Debian's cron knows them. `@reboot` is missing on purpose: a backup at every start is how restarts eat history."""


def expand(text: str) -> str:
    """Return an expression with single blanks between its fields, and a nickname as the five fields it stands for.

    Anything else is returned as it is: whether it is an expression at all is for the parser to say.
    """
    expression = " ".join(text.split())
    return NICKNAMES.get(expression.lower(), expression)
