"""The only reader of the environment: the text of a variable, or of the file that NAME_FILE names, or what is wrong.

Models of variables derive from `FromEnvironment` and are made by `read`, which goes on after a refusal: the refused
variable gets its default, so that everything else can be checked as well and all problems are told at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from contract.errors import Problem
from setup import files
from setup.compose import SHARED_WITH_COMPOSE
from setup.values import Rejected


def given() -> dict[str, str]:
    """Return the variables that are set and not empty, by upper-case name."""
    return {name.upper(): value for name, value in os.environ.items() if value}


def add(variables: Mapping[str, str]) -> None:
    """Let these variables count as the environment's, above what it has."""
    os.environ.update(variables)


def text_of(name: str) -> str | Rejected | None:
    """Return the text of a variable, given directly or as a file; None when it is not set."""
    variables = given()
    path = variables.get(f"{name}_FILE")
    if path is None or name in SHARED_WITH_COMPOSE:
        return variables.get(name)
    if name in variables:
        return Rejected(f"is set, and {name}_FILE is too", f"set {name} or {name}_FILE, not both")
    try:
        return content(path, f"the file that {name}_FILE names")
    except Rejected as rejected:
        return rejected


def content(path: str, which: str) -> str:
    """Return the text of a file without one line break at its end; `which` names it in a refusal."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except PermissionError:
        hint = "setup has no more rights than user 0 and group 999: give the file to root or to group 999"
        raise Rejected(f"{which} may not be read: {path}", hint) from None
    except OSError as error:
        what = f"{which} cannot be read: {path} ({files.reason(error)})"
        raise Rejected(what, "put it into ./secrets and name it as /run/secrets/…") from None
    except ValueError:
        raise Rejected(f"{which} is not UTF-8 text: {path}", "write the value as plain text") from None
    if text in ("", "\n"):
        raise Rejected(f"{which} is empty: {path}", "write the value into it")
    return text.removesuffix("\n")


def read_by(reader: Callable[[str], Any]) -> BeforeValidator:
    """Return what makes a field be read by this function; a refusal that comes as the value is passed on."""

    def apply(value: object) -> object:
        if isinstance(value, Rejected):
            raise value
        return reader(value) if isinstance(value, str) else value

    return BeforeValidator(apply)


class _Files(PydanticBaseSettingsSource):
    """Reads NAME_FILE. What goes wrong travels on as the value, to be reported beside all other problems."""

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        self._prefix = prefix.upper()

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:  # noqa: ARG002 - inherited
        """Return the text of the file that NAME_FILE names, None without that variable, or a `Rejected`."""
        name = f"{self._prefix}{field_name.upper()}"
        return (text_of(name) if f"{name}_FILE" in given() else None), field_name, False

    def __call__(self) -> dict[str, object]:
        """Return the values of all variables that are given as a file."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class FromEnvironment(BaseSettings):
    """A group of variables. Fields are named like the variables, in lower case; an empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=False
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read files before the variables themselves: they carry the complaint when one is given both ways."""
        environment = sources["env_settings"]
        prefix = str(getattr(environment, "env_prefix", ""))
        return sources["init_settings"], _Files(settings_cls, prefix), environment


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Reading(Generic[Model]):
    """What was read. The fields named in `refused` have their defaults, and each a problem."""

    variables: Model
    problems: tuple[Problem, ...]
    refused: frozenset[str]


def read(
    model: type[Model],
    prefix: str = "",
    values: Mapping[str, object] | None = None,
    name_of: Callable[[str], str] = str.upper,
) -> Reading[Model]:
    """Make a model from `values` and, below them, from the environment's variables with this prefix.

    `name_of` says by what name a problem with a field is told.
    """
    start = dict(values or {})
    try:
        return Reading(model(**start, _env_prefix=prefix), (), frozenset())
    except ValidationError as error:
        problems = tuple(_problems_of(error, name_of))
        refused = frozenset(str(found["loc"][0]) for found in error.errors(include_url=False, include_input=False))
    # Outside the handler, so that no later error is chained to one that knows the values: some of them are secret.
    defaults = {name: model.model_fields[name].default for name in refused}
    return Reading(model(**start | defaults, _env_prefix=prefix), problems, refused)


def _problems_of(error: ValidationError, name_of: Callable[[str], str]) -> list[Problem]:
    """Return our own wording of every refusal; pydantic's never gets out, it may quote a secret."""
    problems = []
    for found in error.errors(include_url=False, include_input=False):
        where = name_of(str(found["loc"][0]))
        reason = found.get("ctx", {}).get("error")
        if isinstance(reason, Rejected):
            problems.append(Problem(where, reason.what, reason.hint))
        else:
            problems.append(Problem(where, "is not valid", "see .env.example for what is allowed"))
    return problems
