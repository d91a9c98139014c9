"""The table of exit codes."""

from __future__ import annotations

import pytest

from contract.exits import Exit


def test_every_code_is_a_number_of_its_own_with_a_meaning() -> None:
    assert len({int(code) for code in Exit}) == len(Exit.__members__)
    assert all(code.meaning for code in Exit)


@pytest.mark.parametrize(("code", "number"), [(Exit.OK, 0), (Exit.USAGE, 2), (Exit.TERMINATED, 143)])
def test_the_codes_that_others_rely_on(code: Exit, number: int) -> None:
    assert code == number


def test_no_code_can_be_taken_for_a_signal_or_a_shells_own() -> None:
    assert all(int(code) < 126 for code in Exit if code is not Exit.TERMINATED)
