"""The documented exit codes are those of the code: ours, and the ones of pgbackrest that we know."""

from __future__ import annotations

import pytest

from backup.pgbackrest import EXIT_CODES
from contract.exits import Exit, HealthExit
from tests.consistency.source import rows

DOCUMENT = "docs/reference/exit-codes.md"


@pytest.mark.parametrize(("heading", "table"), [("## Of our commands", Exit), ("## Of the health check", HealthExit)])
def test_our_exit_codes_are_documented_with_their_meaning(heading: str, table: type[Exit | HealthExit]) -> None:
    codes: list[Exit | HealthExit] = list(table)
    assert rows(DOCUMENT, heading) == [[str(int(code)), code.name.lower().replace("_", "-"), code.meaning] for code in codes]


def test_the_known_exit_codes_of_pgbackrest_are_documented() -> None:
    assert rows(DOCUMENT, "## Of pgBackRest") == [
        [str(code), meaning.name, "yes" if meaning.retry else "no", meaning.hint]
        for code, meaning in sorted(EXIT_CODES.items())
    ]
