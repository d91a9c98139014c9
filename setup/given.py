"""What was given for one repository, by whatever names, and what is wrong with it.

The guide's short names (AWS_S3_BUCKET …) serve the first repository of their kind, pgBackRest's own names every one. A
problem is told under the name that the operator used, or would find in the guide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from contract.errors import Problem
from setup import environment
from setup.compose import GCS_KEY
from setup.gcs_key import looks_like_json
from setup.places import Mounts
from setup.values import Rejected, host_path
from setup.variables import SAS_TOKEN, SHORT_NAMES, RepositoryVariables, repository_prefix

Value = TypeVar("Value")


@dataclass
class Given:
    """The variables of the repository with the number `key`, and a list to put problems on.

    `short` are the fields that a short name serves here, with that name; `refused` those with a problem already.
    """

    key: int
    kind: str
    variables: RepositoryVariables
    short: Mapping[str, str]
    problems: list[Problem]
    refused: set[str] = field(default_factory=set)
    warnings: list[Problem] = field(default_factory=list)

    def own(self, name: str) -> str:
        """Return pgBackRest's name of the variable behind a field."""
        return own_name(self.key, name)

    def name(self, name: str) -> str:
        """Return the name by which the operator knows a field."""
        return self.short.get(name, self.own(name))

    def refuse(self, name: str, what: str, hint: str) -> None:
        """Put a problem on the list, unless the field has one."""
        if name not in self.refused:
            self.refused.add(name)
            self.problems.append(Problem(self.name(name), what, hint))

    def warn(self, name: str, what: str, hint: str) -> None:
        """Note what is allowed and still worth a second thought."""
        self.warnings.append(Problem(self.name(name), what, hint))

    def need(self, name: str, value: Value | None, hint: str) -> Value | None:
        """Return the value, after a problem when there is none."""
        if value is None:
            self.refuse(name, f"is not set, but repository {self.key} ({self.kind}) needs it", hint)
        return value

    def check(self, name: str, reader: Callable[[str], str], text: str) -> str | None:
        """Return what the reader makes of a text, or None after a problem."""
        try:
            return reader(text)
        except Rejected as rejected:
            self.refuse(name, rejected.what, rejected.hint)
            return None

    def is_own(self, name: str) -> bool:
        """Tell whether a field was set for this very repository, not by a name that the application shares."""
        return name in self.variables.model_fields_set and name not in self.short


def own_name(key: int, name: str) -> str:
    """Return the name of a repository's variable."""
    return repository_prefix(key) + name.upper()


def collect(key: int, kind: str, mounts: Mounts, *, is_first: bool) -> Given:
    """Read the variables of a repository; `is_first` of its kind, it is served by the short names as well."""
    offers = _Offers(key)
    for name, shared, value in _short_values(kind, mounts) if is_first else ():
        offers.take(name, shared, value)
    reading = environment.read(
        RepositoryVariables,
        repository_prefix(key),
        offers.values,
        lambda name: offers.names.get(name, own_name(key, name)),
    )
    # A short name is the one to tell for what is not set at all, too.
    served = SHORT_NAMES.get(kind, {}) if is_first else {}
    unset = {name: shared for name, shared in served.items() if environment.text_of(own_name(key, name)) is None}
    problems = [*offers.problems, *reading.problems]
    return Given(key, kind, reading.variables, unset | offers.names, problems, offers.refused | reading.refused)


@dataclass
class _Offers:
    """What short names offer for the fields of one repository, where nothing else is said."""

    key: int
    values: dict[str, object] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def take(self, name: str, shared: str, value: str | Rejected) -> None:
        """Take a value for a field, or note that there is another one already."""
        earlier = self.values.get(name) if name in self.names else environment.text_of(own_name(self.key, name))
        if self.key > 1 and name not in self.names and earlier is not None:
            return  # it was configured beside a first one; the short names may be the application's, or that one's leftovers
        if earlier is None:
            self.values[name], self.names[name] = value, shared
        elif earlier != value and not isinstance(earlier, Rejected):
            other = self.names.get(name, own_name(self.key, name))
            self.problems.append(Problem(shared, f"and {other} name the same thing and differ", "set one of them"))
            self.refused.add(name)


def _short_values(kind: str, mounts: Mounts) -> list[tuple[str, str, str | Rejected]]:
    """Return field, name and value of the short names that are set."""
    found: list[tuple[str, str, str | Rejected]] = []
    for name, shared in SHORT_NAMES.get(kind, {}).items():
        value = environment.text_of(shared)
        if value is not None:
            found.append((name, shared, value))
    if kind == "azure" and (token := environment.text_of(SAS_TOKEN)) is not None:
        found += [("azure_key", SAS_TOKEN, token), ("azure_key_type", SAS_TOKEN, "sas")]
    if kind == "gcs" and (path := environment.given().get(GCS_KEY)) and (mounts.complete or _is_wrong(path)):
        found.append(("gcs_key", GCS_KEY, _mounted_key(path, mounts)))
    return found


def _is_wrong(path: str) -> bool:
    return looks_like_json(path) or not path.startswith(("/", "./"))


def _mounted_key(path: str, mounts: Mounts) -> str | Rejected:
    if looks_like_json(path):
        return Rejected("is the key itself, but a path on this host is meant", "put the JSON into GCS_KEY_JSON instead")
    try:
        host_path(path)
        if mounts.gcs_key.is_dir():
            what = f"there is no file {path} on this host: Docker made an empty directory of that name"
            return Rejected(what, f"remove it (sudo rmdir {path}), then put the key there, or correct the path")
        return environment.content(str(mounts.gcs_key), f"the file {path}")
    except Rejected as rejected:
        return rejected
