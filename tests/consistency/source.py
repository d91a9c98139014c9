"""The product's own modules, parsed, for the tests that read code instead of running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("setup", "backup", "contract")


@dataclass(frozen=True)
class Module:
    """One file: its path below the repository, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The name it is imported by."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        """The package it belongs to."""
        return self.path.split("/", 1)[0]

    def imports(self) -> Iterator[str]:
        """Every module or name that is imported anywhere in it, dotted."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def imported_packages(self) -> set[str]:
        """The top-level names of all that."""
        return {name.split(".", 1)[0] for name in self.imports()}


@cache
def modules() -> tuple[Module, ...]:
    """All modules of the product."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return tuple(_module(file) for file in files)


def _module(file: Path) -> Module:
    text = file.read_text("utf-8")
    return Module(str(file.relative_to(ROOT)), text, ast.parse(text))


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading of a document, without its head."""
    text = (ROOT / document).read_text("utf-8")
    section = text.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
