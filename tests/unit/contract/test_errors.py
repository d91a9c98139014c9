"""Errors as an operator reads them."""

from __future__ import annotations

from contract.errors import InvalidConfigurationError, Problem, ProductError
from contract.exits import Exit


class LateError(ProductError):
    """One that says its hint and code once."""

    hint = "start earlier"
    exit_code = Exit.BUSY


def test_an_error_is_a_message_a_hint_and_an_exit_code() -> None:
    error = ProductError("the disk is full", hint="make room", exit_code=Exit.REPOSITORY)
    assert str(error) == "the disk is full\nHINT: make room"
    assert (error.message, error.hint, error.exit_code) == ("the disk is full", "make room", Exit.REPOSITORY)


def test_a_kind_of_error_may_name_hint_and_code_for_all_of_its_kind() -> None:
    assert str(LateError("too late")) == "too late\nHINT: start earlier"
    assert LateError("too late").exit_code is Exit.BUSY
    assert LateError("too late", hint="never mind").hint == "never mind"


def test_all_problems_of_a_configuration_are_told_at_once() -> None:
    one = Problem("TZ", "is no time zone", "write it like Europe/Berlin")
    two = Problem("BACKUP_SCHEDULE_FULL", "is no cron expression", "five fields")
    assert str(one) == "TZ: is no time zone\nHINT: write it like Europe/Berlin"
    error = InvalidConfigurationError(iter([one, two]))
    assert error.problems == (one, two)
    assert error.exit_code is Exit.CONFIGURATION
    assert str(error).splitlines() == [
        "2 problems in the configuration",
        "HINT: correct what is named below and start again; nothing was written",
        "",
        "TZ: is no time zone",
        "HINT: write it like Europe/Berlin",
        "",
        "BACKUP_SCHEDULE_FULL: is no cron expression",
        "HINT: five fields",
    ]


def test_one_problem_is_one_problem() -> None:
    assert InvalidConfigurationError([Problem("TZ", "is wrong", "right it")]).message == "1 problem in the configuration"
