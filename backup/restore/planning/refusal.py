"""The refusal of a restore: what cannot work is refused before anything stops, with the nearest thing that can. Pure."""

from __future__ import annotations

from contract.errors import ProductError
from contract.exits import Exit


class RefusedError(ProductError):
    """The restore cannot work as asked; nothing was touched."""

    exit_code = Exit.RESTORE_REFUSED

    def __init__(self, message: str, hint: str) -> None:
        """Take the reason and the nearest thing that is possible."""
        super().__init__(f"restore refused: {message}", hint=hint)
