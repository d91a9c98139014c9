"""What can be typed is documented: every make target, every verb of the command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

import click

from backup.cli import main
from tests.consistency.source import ROOT, rows

DOCUMENT = "docs/reference/commands.md"
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = re.findall(r"^([a-z0-9-]+):(?!=)", MAKEFILE, re.MULTILINE)
DESCRIBED = re.findall(r"^([a-z0-9-]+):.*?## ", MAKEFILE, re.MULTILINE)


def documented(heading: str, program: str) -> list[str]:
    """The words after the program's name in the first cells of a table, up to an argument in capitals."""
    cells = [row[0].strip("`") for row in rows(DOCUMENT, heading)]
    assert all(cell.startswith(f"{program} ") for cell in cells)
    words = [cell.removeprefix(f"{program} ").split() for cell in cells]
    return [" ".join(takewhile(lambda word: word == word.lower(), row)) for row in words]


def verbs(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that does something, with the groups it is in."""
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from verbs(found, (*path, name))


def test_every_make_target_is_documented_in_the_order_of_the_makefile() -> None:
    assert documented("## make", "make") == DESCRIBED


def test_every_target_is_described_and_phony() -> None:
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)).split()
    assert sorted(TARGETS) == sorted(DESCRIBED) == sorted(phony)


def test_every_verb_of_the_command_is_documented() -> None:
    assert sorted(documented("## salespider-backup", "salespider-backup")) == sorted(verbs(main))


def test_every_verb_says_what_it_does() -> None:
    context = click.Context(main)
    found = [main.get_command(context, name) for name in main.list_commands(context)]
    assert all(command is not None and command.help for command in found)
