"""The names of the log events: documented, used, and one for each thing."""

from __future__ import annotations

import ast

from contract import events
from tests.consistency.source import modules, rows

CONSTANTS = {name: value for name, value in vars(events).items() if name.isupper()}


def test_every_event_is_documented_and_no_other() -> None:
    documented = [name for name, _ in rows("docs/reference/events.md", "## Events")]
    assert documented == [f"`{name}`" for name in CONSTANTS.values()]


def test_every_documented_event_says_when_it_is_logged() -> None:
    assert all(when for _, when in rows("docs/reference/events.md", "## Events"))


def test_no_two_events_have_the_same_name() -> None:
    assert len(set(CONSTANTS.values())) == len(CONSTANTS)


def test_every_event_is_logged_somewhere_and_none_that_is_not_listed() -> None:
    used = {
        node.attr
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "events"
    }
    assert used == set(CONSTANTS)
