"""Errors as an operator reads them: what happened, to which thing, then a hint at what to do next.

Messages are lower case, without a full stop. They never contain a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contract.exits import Exit


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `where` names it (a variable, a file), `what` says it, `hint` says what to do."""

    where: str
    what: str
    hint: str

    def __str__(self) -> str:
        """Return two lines, the second one the hint."""
        return f"{self.where}: {self.what}\nHINT: {self.hint}"


class ProductError(Exception):
    """An error that ends a command with a message for the operator, a hint, and a code of the table in `contract.exits`.

    A subclass may say once, as class attributes, what hint and code all its errors have.
    """

    hint: str
    exit_code: Exit

    def __init__(self, message: str, *, hint: str | None = None, exit_code: Exit | None = None) -> None:
        """Take the message (what, where), and the next step and the code where the class does not name them."""
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code

    def __str__(self) -> str:
        """Return two lines, the second one the hint."""
        return f"{self.message}\nHINT: {self.hint}"


class InvalidConfigurationError(ProductError):
    """All problems of a configuration at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Take every problem found; there is at least one."""
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(
            f"{count} problem{'s' if count > 1 else ''} in the configuration",
            hint="correct what is named below and start again; nothing was written",
            exit_code=Exit.CONFIGURATION,
        )

    def __str__(self) -> str:
        """Return the head line, then one block a problem."""
        return "\n".join([super().__str__(), *(f"\n{problem}" for problem in self.problems)])
