"""How the text of one variable becomes a value, or is refused with a reason and a hint.

Pure, and the only place that words a refusal: pydantic's own texts quote the input, which may be a secret, and tell an
operator little. Every function here takes the text and returns the value or raises `Rejected`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from contract.cron import NICKNAMES, expand

OFF = "off"
"""What an operator writes for a schedule that shall not run."""

_TRUE = frozenset({"true", "yes", "on", "y", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "0"})
_SHOWN_CHARACTERS = 60
_SOME_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - any day will do to ask whether an expression is ever due


class Rejected(ValueError):  # noqa: N818 - named after what happened to the value; pydantic wants a ValueError
    """A value that is refused: `what` is wrong with it and, in `hint`, what to write instead."""

    def __init__(self, what: str, hint: str) -> None:
        """Take two lower-case phrases without a secret in them."""
        super().__init__(what)
        self.what = what
        self.hint = hint


def quoted(text: str) -> str:
    """Return the text as a message may show it: on one line, and not endless."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")


def listed(words: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that was probably meant."""
    matches = get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def truth(text: str) -> bool:
    """Read a yes or no."""
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise Rejected(f"{quoted(text)} is neither true nor false", "write true or false")


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a reader of one of these words."""

    def read(text: str) -> str:
        if text in choices:
            return text
        meant = nearest(text.lower(), choices)
        hint = f"did you mean {meant}?" if meant else f"use {listed(choices)}"
        raise Rejected(f"{quoted(text)} is not one of {', '.join(choices)}", hint)

    return read


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of a whole number within these bounds, both included."""

    def read(text: str) -> int:
        if re.fullmatch(r"-?[0-9]{1,10}", text) and least <= int(text) <= most:
            return int(text)
        raise Rejected(
            f"{quoted(text)} is not a whole number from {least} to {most}", f"write a number from {least} to {most}"
        )

    return read


def cron(text: str) -> str:
    """Read a five-field cron expression that comes due some day, or a nickname of one (`@daily`); return the five fields."""
    expression = expand(text)
    hint = "write minute, hour, day of month, month and day of week, for example 0 2 * * 0 for Sundays at 02:00"
    if text.strip().startswith("@"):
        hint = f"use {listed(tuple(NICKNAMES))}, or five fields"
    try:
        due = next(CronSim(expression, _SOME_DAY), None)
    except (CronSimError, ValueError) as error:  # ValueError: more digits than Python is willing to convert
        what = f"{quoted(text)} is not a cron expression of five fields ({_lower_first(error)})"
        raise Rejected(what, hint) from error
    if due is None:
        raise Rejected(f"{quoted(text)} never comes due", hint)
    return expression


def cron_or_off(text: str) -> str | None:
    """Read a cron expression, or `off` as None."""
    return None if text.lower() == OFF else cron(text)


def time_zone(text: str) -> str:
    """Read an IANA time zone that both Python and PostgreSQL know."""
    zones = _time_zones()
    if text in zones:
        return text
    meant = nearest(text, zones)
    hint = f"did you mean {meant}?" if meant else "write a name of the tz database, for example Europe/Berlin or UTC"
    raise Rejected(f"{quoted(text)} is not a time zone", hint)


def host_path(text: str) -> str:
    """Read a path of the host as Compose mounts it: absolute, or relative to the compose file."""
    if not text.isprintable():
        raise Rejected(f"{quoted(text)} contains a control character", "write the plain path of a directory")
    if not text.strip("./"):
        raise Rejected(f"{quoted(text)} is no directory of its own", "write for example /srv/backups")
    if ":" in text:
        raise Rejected(f"{quoted(text)} contains a colon, which ends a path for Compose", "use a path without one")
    if not text.startswith(("/", "./")):
        raise Rejected(
            f"{quoted(text)} is neither an absolute path nor one that starts with ./",
            "write for example /srv/backups; Compose takes anything else for the name of a volume",
        )
    return text


def own_file(text: str) -> str:
    """Read the name of a file of the operator's, below ./config or ./secrets: nothing else is mounted."""
    name = text.removeprefix("./")
    parts = name.split("/")
    if not text.isprintable() or parts[0] not in ("config", "secrets") or len(parts) == 1 or ".." in parts or "" in parts:
        what = f"{quoted(text)} is not a file below ./config or ./secrets"
        raise Rejected(what, "put it there, and write for example ./config/postgres/extra.conf")
    return name


def plain(what: str) -> Callable[[str], str]:
    """Return a reader of any text on one line that has no blanks in it; `what` names it in the refusal."""

    def read(text: str) -> str:
        if text.isprintable() and " " not in text:
            return text
        raise Rejected(
            f"{quoted(text)} contains a blank or a control character", f"write {what} on one line, without blanks"
        )

    return read


def one_line(what: str) -> Callable[[str], str]:
    """Return a reader of any text on one line; `what` names it in the refusal."""

    def read(text: str) -> str:
        if text.isprintable():
            return text.strip()
        raise Rejected(f"{quoted(text)} contains a line break or another control character", f"write {what}")

    return read


def secret(text: str) -> str:
    """Read a secret; the refusal never shows it."""
    if any(not character.isprintable() for character in text):
        raise Rejected("contains a line break or another control character", "use a secret on one line")
    if text != text.strip():
        raise Rejected("begins or ends with white space", "remove it, or choose a secret without it")
    return text


@cache
def _time_zones() -> tuple[str, ...]:
    # Not whatever file opens: PostgreSQL refuses right/… (leap seconds), and localtime is no name of the tz database.
    return tuple(sorted(available_timezones() - {"localtime"}))


def _lower_first(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]
