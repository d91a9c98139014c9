"""The text of an .env file: what Compose makes of it, and what Compose would do silently or refuse without a reason. Pure.

Setup sees values only after Compose has read the file: a `$` in a password is gone by then, and of two lines with the
same name only one is left. So the text itself is read here as well, by Compose's rules
(https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/): between 'single quotes' everything
is taken as it stands, but for a quote behind a backslash; "double quotes" know backslashes, and unquoted values end at a
blank with a # behind it. The latter two have variables expanded, of which only those count here that the file itself
sets.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from contract.errors import Problem

_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*[=:][ \t]*")
_SINGLE = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|\Z)")
_UNQUOTED = re.compile(r"[^\n]*")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*$")
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")
_ESCAPES = {r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\"": '"', r"\\": "\\", r"\$": "\0"}
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_QUOTES = "put the value in 'single quotes', then it is taken as it stands"


@dataclass(frozen=True)
class Parsed:
    """The values by upper-case name, and what is wrong with the text, in the order of the lines."""

    values: Mapping[str, str]
    problems: tuple[Problem, ...]


def parse(text: str, known: Collection[str], secrets: Collection[str]) -> Parsed:
    """Read the text of an .env file.

    `known` are the names whose values matter here, `secrets` those of them that no message may show. What other
    variables are set to is the application's business.
    """
    reader = _Reader(text.removeprefix("\ufeff").replace("\r\n", "\n"), frozenset(known), frozenset(secrets))
    reader.read()
    return Parsed(reader.values, tuple(reader.problems))


@dataclass
class _Reader:
    text: str
    known: frozenset[str]
    secrets: frozenset[str]
    at: int = 0
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def read(self) -> None:
        while self.at < len(self.text):
            blank = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)").match(self.text, self.at)
            if blank:
                self.at = max(blank.end(), self.at + 1)
                continue
            self.at += len(re.compile(r"[ \t]*").match(self.text, self.at)[0])  # type: ignore[index]  # matches always
            assignment = _ASSIGNMENT.match(self.text, self.at)
            if assignment is None:
                self._skip("is no assignment", "write NAME=value, or a # in front of a comment")
                continue
            line = self._line()
            self.at = assignment.end()
            self._note(assignment[1].upper(), self._value(assignment[1].upper()), line)

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _skip(self, what: str, hint: str) -> None:
        """Complain about the line, without its text, which may hold a secret, and go on with the next one."""
        self.problems.append(Problem(f".env, line {self._line()}", what, hint))
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end + 1

    def _note(self, name: str, value: str | None, line: int) -> None:
        if name in self.known and name in self.lines:
            what = f"is set twice, in lines {self.lines[name]} and {line} of .env: Compose takes the last one"
            self.problems.append(Problem(name, what, "remove one of them"))
        self.lines[name] = line
        if value is not None:
            self.values[name] = value

    def _value(self, name: str) -> str | None:
        quote = self.text[self.at : self.at + 1]
        if quote not in ("'", '"'):
            match = _UNQUOTED.match(self.text, self.at)
            text = match[0] if match else ""
            self.at += len(text) + 1
            return self._expanded(name, _COMMENT.sub("", text).strip())
        quoted = (_SINGLE if quote == "'" else _DOUBLE).match(self.text, self.at)
        if quoted is None:
            self._skip("begins a value with a quote and does not end it", "write the same quote at the end of the value")
            return None
        self.at = quoted.end()
        rest = _REST.match(self.text, self.at)
        if rest is None:
            self._skip("goes on after the closing quote", "put the whole value between the quotes")
            return None
        self.at = rest.end() + 1
        if quote == "'":
            return quoted[1].replace("\\'", "'")
        unescaped = _ESCAPE.sub(lambda found: _ESCAPES.get(found[0], found[0]), quoted[1])
        expanded = self._expanded(name, unescaped)
        return None if expanded is None else expanded.replace("\0", "$")

    def _expanded(self, name: str, text: str) -> str | None:
        if "$" not in text or name not in self.known:
            return text
        expanded = _REFERENCE.sub(self._referred, text)
        if "$" not in _REFERENCE.sub(lambda found: "" if self._is_known(found) else "$", text):
            return expanded
        what = "has a $ in it, which Compose takes for the name of a variable"
        if name not in self.secrets:
            unknown = [found[0] for found in _REFERENCE.finditer(text) if not self._is_known(found)]
            what = f"refers to {unknown[0]}, which .env does not set" if unknown else what
        self.problems.append(Problem(name, what, _QUOTES))
        return None

    def _is_known(self, reference: re.Match[str]) -> bool:
        return (reference[1] or reference[3]).upper() in self.values or reference[2] is not None

    def _referred(self, reference: re.Match[str]) -> str:
        return self.values.get((reference[1] or reference[3]).upper()) or reference[2] or ""
