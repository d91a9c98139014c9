"""The measures of the house: small modules, small functions, and a docstring wherever another reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.consistency.source import Module, modules

LONGEST_MODULE = 400
LONGEST_FUNCTION = 50
MOST_PARAMETERS = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef
EVERY = pytest.mark.parametrize("module", modules(), ids=lambda module: module.path)


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def public(module: Module) -> Iterator[Function | ast.ClassDef]:
    """The public functions and classes of a module, and the public methods of those classes."""
    for node in module.tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (n for n in node.body if isinstance(n, Function) and not n.name.startswith("_"))


@EVERY
def test_a_module_is_short(module: Module) -> None:
    assert len(module.text.splitlines()) <= LONGEST_MODULE


@EVERY
def test_a_function_is_short_and_takes_few_parameters(module: Module) -> None:
    for function in functions(module.tree):
        assert (function.end_lineno or 0) - function.lineno < LONGEST_FUNCTION, function.name
        given = [a for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in {"self", "cls"}]
        assert len(given) + len(function.args.kwonlyargs) <= MOST_PARAMETERS, function.name


@EVERY
def test_a_module_says_why_it_exists(module: Module) -> None:
    assert ast.get_docstring(module.tree)


@EVERY
def test_what_is_public_is_described(module: Module) -> None:
    assert [node.name for node in public(module) if not ast.get_docstring(node)] == []
